"""``calendar.volume: replay``: train's own daily totals with noise added.

The totals are real ones, blurred: who knows an entity's days can test whether that entity is among
them (Homer et al. 2008, "Resolving individuals contributing trace amounts of DNA to highly complex
mixtures"). One entity changes several days, and how many rows it has on each is not bounded, so
the noise is no differential privacy and its scale is not called epsilon.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


class ReplayedVolume:
    """Daily numbers of rows: train's, plus two-sided geometric (discrete Laplace) noise.

    Args:
        noise: scale b >= 0 of the noise in rows: P(x) is proportional to exp(-|x| / b); 0 for none.
    """

    def __init__(self, noise: float) -> None:
        self._noise = noise

    @property
    def note(self) -> str:
        """What this publishes, in one sentence for the report card."""
        blur = f"discrete Laplace noise of scale {self._noise:g}" if self._noise else "no noise"
        return (
            "calendar.volume is replay: the daily totals of the training part are published with "
            f"{blur}"
        )

    def fit(self, times: pd.DatetimeIndex, rng: np.random.Generator) -> ReplayedVolume:
        """Add the noise once; the exact totals are not kept.

        Args:
            times: the non-missing times of train.
            rng: a secret stream of its own: whoever can repeat it can take the noise off.
        """
        stamps = times.normalize()
        self.days = pd.date_range(stamps.min(), stamps.max(), freq="D")
        counts = np.bincount((stamps - self.days[0]).days, minlength=len(self.days))
        noisy = counts + _two_sided_geometric(self._noise, len(counts), rng)
        self._totals = np.where(counts > 0, np.maximum(noisy, 0), 0)
        if not self._totals.any():
            self._totals = (counts > 0).astype(np.int64)
        return self

    def sample(self, n: int, _rng: np.random.Generator) -> np.ndarray:
        """The noisy totals scaled to sum to ``n`` (largest remainders); no stream is used."""
        share = self._totals * (n / self._totals.sum())
        whole: np.ndarray = np.floor(share).astype(np.int64)
        order = np.argsort(whole - share, kind="stable")
        whole[order[: n - int(whole.sum())]] += 1
        return whole


def _two_sided_geometric(scale: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """Integers x with P(x) proportional to exp(-|x| / scale): a difference of two geometrics."""
    if scale <= 0:
        return np.zeros(size, dtype=np.int64)
    chance = -np.expm1(-1 / scale)
    return np.asarray(rng.geometric(chance, size) - rng.geometric(chance, size))
