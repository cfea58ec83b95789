"""Intervals clustered by entity.

Rows of one entity are not independent: row-wise intervals are too narrow ([-.01, .18] against
[-.07, .24] clustered by household, measured). Means use the cluster-robust variance of their
influence values, other statistics half-sampling by entity: a random half without replacement
deviates from the whole with the variance of the whole (McCarthy 1969), and unlike the plain
bootstrap it draws no row twice, which would inflate total variation and shrink autocorrelation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from synth_contracts.metrics.cells import Floats, Ints

HALF_SAMPLES = 200
#: Standard normal quantiles of two-sided 95 % limits and of one-sided bounds.
_TWO_SIDED, _ONE_SIDED = (special.ndtri(level) for level in (0.975, 0.95))


@dataclass(frozen=True)
class Interval:
    """Two-sided 95 % limits and the two one-sided 95 % bounds."""

    lower: float
    upper: float
    bound_lower: float
    bound_upper: float


def clustered_variance(influence: Floats, entity: Ints) -> float:
    """Variance of a sum of influence values, shape (n,), whose rows come in entities, shape (n,).

    ``influence`` must sum to about 0 (deviations from the estimate, divided by the number of rows
    or weights). One entity alone has no variance to show: infinite.
    """
    sums = np.bincount(entity, weights=influence)
    sums = sums[np.bincount(entity) > 0]
    if len(sums) < 2:
        return float("inf")
    return float(np.sum(sums**2) * len(sums) / (len(sums) - 1))


def normal(
    value: float, variance: float, *, lowest: float = -np.inf, highest: float = np.inf
) -> Interval | None:
    """Value +- z sd; None without a finite variance. Limits stay in lowest .. highest."""
    if not np.isfinite(variance):
        return None
    sd = float(np.sqrt(variance))
    two, one = _TWO_SIDED * sd, _ONE_SIDED * sd
    limits = (value - two, value + two, value - one, value + one)
    return Interval(*(float(min(max(limit, lowest), highest)) for limit in limits))


def korn_graubard(
    share: float, variance: float, effective: float, tests: int, attempt: int = 1
) -> Interval:
    """Clopper-Pearson limits of a share at its effective sample size (Korn, Graubard 1998).

    Args:
        share: in 0 .. 1.
        variance: clustered variance of the share.
        effective: the largest sample size to grant (for shares of 0 and 1: number of entities).
        tests: how many shares are looked at; levels are divided by it (Bonferroni).
        attempt: the one-sided bounds hold at 1 - .05 / attempt.

    Without a finite variance the limits are 0 and 1.
    """
    if not np.isfinite(variance) or not np.isfinite(share):
        return Interval(0.0, 1.0, 0.0, 1.0)  # nothing is known of its spread
    binomial = share * (1 - share)
    size = min(effective, binomial / variance) if variance > 0 and binomial > 0 else effective
    hits = share * size

    def limit(level: float, *, upper: bool) -> float:
        if upper:
            return (
                1.0 if share >= 1 else float(special.betaincinv(hits + 1, size - hits, 1 - level))
            )
        return 0.0 if share <= 0 else float(special.betaincinv(hits, size - hits + 1, level))

    two, one = 0.025 / tests, 0.05 / tests / attempt
    return Interval(
        limit(two, upper=False), limit(two, upper=True),
        limit(one, upper=False), limit(one, upper=True),
    )  # fmt: skip


def halves(
    rng: np.random.Generator, entities: int, times: int = HALF_SAMPLES
) -> Iterator[npt.NDArray[np.bool_]]:
    """Random halves of ``entities``, as masks of shape (entities,)."""
    for _ in range(times):
        mask = np.zeros(entities, dtype=bool)
        mask[rng.permutation(entities)[: max(1, entities // 2)]] = True
        yield mask


def sample(rng: np.random.Generator, entities: int, size: int) -> npt.NDArray[np.bool_]:
    """A random choice of ``size`` of the entities without replacement, as a mask."""
    mask = np.zeros(entities, dtype=bool)
    mask[rng.permutation(entities)[:size]] = True
    return mask
