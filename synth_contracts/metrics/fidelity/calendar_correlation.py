"""calendar_correlation: are the busy days of the synthetic table the real busy days?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse, special

from synth_contracts.metrics.cells import Floats, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import halves, normal, sample
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows, need_split
from synth_contracts.metrics.series import (
    LONGEST,
    LY,
    WINDOW,
    Frequency,
    Stamped,
    counted,
)

ID = "calendar_correlation"
#: Shortest series, in days.
_DAYS = 60
_THINNED = 16
_HALVES = 50
#: Thinnings of each half of the synthetic entities: one alone would add its own noise.
_THINNED_HALF = 4
_CHUNK = 64

Masks = npt.NDArray[np.bool_]


def measure(comparison: Comparison, _column: str | None, options: Mapping[str, Any]) -> Measurement:
    """Correlation in -1 .. 1 of the detrended series of train and of synthetic, period by period.

    The synthetic table and, for ``ceiling``, the holdout stand against all of train, both thinned
    to the same number of entities: a larger table has less noise and would correlate better. So
    fresh real entities read about the ceiling. Mean over 16 thinnings.

    Args:
        comparison: the three tables.
        options: ``aggregate`` count or sum, ``column`` (numeric, for sum), ``frequency`` day or
            hour.

    Raises:
        CannotMeasure: no time index, a series that is too short, out of range or constant,
            infinite values, or a ceiling that is not clearly above 0.
        ValueError: options that no contract can hold.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_split(comparison)
    asked = _Asked.of(options)
    rows = [
        asked.rows(side, comparison)
        for side in (comparison.train_side, comparison.holdout_side, comparison.synthetic_side)
    ]
    train, holdout, synthetic = asked.periods(*rows)
    size = min(holdout.entities, synthetic.entities)
    rng = comparison.rng(f"{ID} thinned {asked}")
    whole = train.totals(np.ones((1, train.entities), dtype=np.bool_))
    value = float(np.mean(correlations(whole, synthetic.thinned(rng, size, _THINNED))))
    ceiling = float(np.mean(correlations(whole, holdout.thinned(rng, size, _THINNED))))
    spread = _half_samples(comparison, asked, (train, holdout, synthetic), size)
    room = normal(ceiling, float(np.var(spread.ceiling)), lowest=-1, highest=1)
    if room is None or not room.lower > 0:
        raise CannotMeasure(
            f"train and holdout share no rhythm: their detrended {LY[asked.frequency]} series "
            f"correlate by {ceiling:.2f}, which is not clearly above 0, so there is no ceiling to "
            "compare with"
        )
    share = value / ceiling
    # halves hold more noise and correlate less, on both sides of the ratio alike
    relative = (spread.value - share * spread.ceiling) / float(np.mean(spread.ceiling))
    around = normal(share, float(np.var(relative)))
    raw = float(correlations(whole, synthetic.totals(_all(synthetic)))[0])
    attainable = _attainable(comparison, asked, train)
    return Measurement(
        metric=ID,
        value=value,
        n=train.length,
        unit=f"{asked.frequency}s",
        direction="higher_is_better",
        method=f"correlation of the {LY[asked.frequency]} {asked.aggregate} less its 28-day "
        f"centred mean, mean of {_THINNED} thinnings to {size} entities; limits by {_HALVES} "
        "half-samples of entities",
        compared_with="all of train; ceiling: as many holdout entities",
        ceiling=ceiling,
        **limits(normal(value, float(np.var(spread.value)), lowest=-1, highest=1)),
        details={
            "share_of_ceiling": share,
            "share_lower": around.lower if around else None,
            "share_upper": around.upper if around else None,
            "ceiling_lower": room.lower,
            "ceiling_upper": room.upper,
            "entities_thinned_to": size,
            "unthinned": raw,
            "unthinned_ceiling": float(correlations(whole, holdout.totals(_all(holdout)))[0]),
            "attainable_without_the_noise_of_train": attainable.value,
            "above_ceiling": attainable.below(raw),
            "rows_outside_the_period_of_train": asked.outside(rows[0], rows[2]),
        },
    )


@dataclass(frozen=True)
class _Series:
    """Sums by entity and period: a sparse matrix of shape (entities, periods)."""

    matrix: sparse.csr_matrix
    entities: int
    length: int
    window: int

    def totals(self, masks: Masks) -> Floats:
        """Detrended series of the chosen entities: masks (k, entities) to (k, periods).

        Raises:
            CannotMeasure: one of them does not vary around its mean.
        """
        parts = [
            np.asarray((self.matrix.T @ masks[at : at + _CHUNK].T.astype(np.float64)).T)
            for at in range(0, len(masks), _CHUNK)
        ]
        raw = np.concatenate(parts)
        frame = pd.DataFrame(raw.T)
        trend = frame.rolling(self.window, center=True, min_periods=self.window // 2).mean()
        rest = np.ascontiguousarray((frame - trend).to_numpy().T)
        rest -= rest.mean(axis=1, keepdims=True)
        power = np.sum(rest**2, axis=1)
        if not np.all(power > 1e-12 * np.maximum(1.0, np.sum(raw**2, axis=1))):
            raise CannotMeasure("a series does not vary around its 28-day mean")
        return np.asarray(rest / np.sqrt(power)[:, None])

    def thinned(self, rng: np.random.Generator, size: int, times: int) -> Floats:
        """Detrended series of ``times`` random choices of ``size`` entities."""
        times = 1 if size == self.entities else times
        return self.totals(np.array([sample(rng, self.entities, size) for _ in range(times)]))


def _all(series: _Series) -> Masks:
    return np.ones((1, series.entities), dtype=np.bool_)


def correlations(left: Floats, right: Floats) -> Floats:
    """Correlations of unit series, one for each row of ``right`` (and of ``left``, or its only)."""
    return np.asarray(np.sum(left * right, axis=1))


@dataclass(frozen=True)
class _Spread:
    value: Floats
    ceiling: Floats


def _half_samples(
    comparison: Comparison, asked: _Asked, series: tuple[_Series, _Series, _Series], size: int
) -> _Spread:
    """Value and ceiling of halves of all three tables."""
    train, holdout, synthetic = series
    if min(train.entities, holdout.entities, synthetic.entities) < 4:
        raise CannotMeasure("fewer than 4 entities: no half-samples can be drawn")
    rng = comparison.rng(f"{ID} halves {asked}")
    half = max(1, size // 2)

    def drawn(side: _Series) -> Floats:
        masks = np.zeros((_HALVES * _THINNED_HALF, side.entities), dtype=np.bool_)
        for i, mask in enumerate(halves(rng, side.entities, _HALVES)):
            members = np.flatnonzero(mask)
            for j in range(_THINNED_HALF):
                masks[i * _THINNED_HALF + j, rng.permutation(members)[:half]] = True
        return side.totals(masks)

    whole = train.totals(np.array(list(halves(rng, train.entities, _HALVES))))
    whole = np.repeat(whole, _THINNED_HALF, axis=0)
    found = [correlations(whole, drawn(side)).reshape(_HALVES, -1).mean(axis=1)
             for side in (synthetic, holdout)]  # fmt: skip
    return _Spread(*found)


@dataclass(frozen=True)
class _Attainable:
    """The best correlation with train that a table can have that knows nothing of its noise."""

    value: float
    periods: int

    def below(self, raw: float) -> bool:
        """Whether ``raw`` lies above it beyond chance (Fisher's z, one-sided 2.5 % each)."""
        step = float(special.ndtri(0.975)) / np.sqrt(max(self.periods - 3, 1))
        own, best = (float(np.arctanh(np.clip(x, -1, 1 - 1e-12))) for x in (raw, self.value))
        return bool(own - step > best + step)


def _attainable(comparison: Comparison, asked: _Asked, train: _Series) -> _Attainable:
    """Square root of train's reliability by halves (Spearman 1910, Brown 1910)."""
    masks = np.array(list(halves(comparison.rng(f"{ID} reliability {asked}"), train.entities,
                                 _THINNED)))  # fmt: skip
    halved = float(np.mean(correlations(train.totals(masks), train.totals(~masks))))
    reliability = 2 * halved / (1 + halved) if halved > 0 else 0.0
    return _Attainable(float(np.sqrt(reliability)), train.length)


@dataclass(frozen=True)
class _Asked:
    """The options, checked."""

    aggregate: str
    column: str | None
    frequency: Frequency

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> _Asked:
        aggregate = options.get("aggregate", "count")
        frequency = options.get("frequency", "day")
        column = options.get("column")
        unknown = set(options) - {"aggregate", "column", "frequency"}
        if unknown or aggregate not in {"count", "sum"} or frequency not in {"day", "hour"}:
            raise ValueError(f"{ID} cannot take the options {dict(options)!r}")
        if (aggregate == "sum") != (column is not None):
            raise ValueError(f"{ID}: a sum (alone) needs a column")
        return cls(aggregate, column, frequency)

    def rows(self, side: Side, comparison: Comparison) -> Stamped:
        return counted(side, comparison, self.column, self.frequency)

    def periods(self, *sides: Stamped) -> tuple[_Series, ...]:
        """Series over all periods in which any table has a row: rows out of time cost."""
        train = sides[0]
        shortest = _DAYS * WINDOW[self.frequency] // 28
        if int(train.period.max() - train.period.min()) + 1 < shortest:
            raise CannotMeasure(f"train spans fewer than {shortest} {self.frequency}s")
        made = sides[-1].period
        if made.min() > train.period.max() or made.max() < train.period.min():
            raise CannotMeasure("no day of the synthetic table lies in the period of train")
        first = min(int(side.period.min()) for side in sides)
        length = max(int(side.period.max()) for side in sides) - first + 1
        if length > LONGEST:
            raise CannotMeasure(f"the times span {length} {self.frequency}s: some are out of range")
        return tuple(
            _Series(
                sparse.csr_matrix(
                    (side.weight, (side.entity, side.period - first)),
                    shape=(side.entities, length),
                ),
                side.entities,
                length,
                WINDOW[self.frequency],
            )
            for side in sides
        )

    @staticmethod
    def outside(train: Stamped, synthetic: Stamped) -> int:
        return int(
            np.sum(
                (synthetic.period < train.period.min()) | (synthetic.period > train.period.max())
            )
        )
