"""autocorrelation: largest difference of the ACF of the detrended calendar series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import halves, normal, sample
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows, need_split
from synth_contracts.metrics.series import (
    FLOOR_SAMPLES,
    LONGEST,
    LY,
    WINDOW,
    Frequency,
    Stamped,
    autocorrelations,
    counted,
    total,
)

ID = "autocorrelation"
DEFAULT_LAGS = tuple(range(1, 29))
_HALVES = 50
#: Periods of all the series that are detrended at once.
_TOGETHER = 2**20

Mask = npt.NDArray[np.bool_]


def measure(comparison: Comparison, _column: str | None, options: Mapping[str, Any]) -> Measurement:
    """Max over lags of |ACF(synthetic) - ACF(train)|, 0 .. 2, of the detrended series.

    The series needs the whole table, so it is compared with train; ``floor`` is what train reads
    against an equally large holdout. Both series run over all periods in which either has a row.

    Args:
        comparison: the three tables.
        options: ``aggregate`` count or sum, ``column`` (numeric, for sum), ``frequency`` day or
            hour, ``lags`` (periods, >= 1; default 1 to 28).

    Raises:
        CannotMeasure: no time index, a series that is too short or constant, infinite values.
        ValueError: options that no contract can hold.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_split(comparison)
    asked = _Asked.of(options)
    train = asked.rows(comparison.train_side, comparison)
    holdout = asked.rows(comparison.holdout_side, comparison)
    synthetic = asked.rows(comparison.synthetic_side, comparison)
    value = float(asked.differences(synthetic, train, [(None, None)])[0])
    rng = comparison.rng(f"{ID} halves {asked}")
    masks = zip(halves(rng, synthetic.entities, _HALVES), halves(rng, train.entities, _HALVES),
                strict=True)  # fmt: skip
    spread = asked.differences(synthetic, train, list(masks))
    span = int(train.period.max() - train.period.min()) + 1
    outside = (synthetic.period < train.period.min()) | (synthetic.period > train.period.max())
    return Measurement(
        metric=ID,
        value=value,
        n=span,
        unit=f"{asked.frequency}s",
        direction="lower_is_better",
        method=f"largest difference of the ACF of the {LY[asked.frequency]} {asked.aggregate} less "
        f"its 28-day centred mean, {len(asked.lags)} lags; limits by {_HALVES} half-samples of "
        "entities",
        compared_with="train (the series needs the whole table)",
        floor=None if comparison.brief else _floor(comparison, asked, train, holdout),
        **limits(normal(value, float(np.var(spread)), lowest=0, highest=2)),
        details={
            "lags": [int(lag) for lag in asked.lags],
            "rows_outside_the_period_of_train": int(outside.sum()),
        },
    )


def _floor(comparison: Comparison, asked: _Asked, train: Stamped, holdout: Stamped) -> float:
    size = min(train.entities, holdout.entities)
    rng = comparison.rng(f"{ID} floor {asked}")
    repeats = 1 if train.entities == holdout.entities else FLOOR_SAMPLES
    masks = [(sample(rng, holdout.entities, size), sample(rng, train.entities, size))
             for _ in range(repeats)]  # fmt: skip
    return float(np.mean(asked.differences(holdout, train, masks)))


@dataclass(frozen=True)
class _Asked:
    """The options, checked."""

    aggregate: str
    column: str | None
    frequency: Frequency
    lags: tuple[int, ...]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> _Asked:
        unknown = set(options) - {"aggregate", "column", "frequency", "lags"}
        aggregate = options.get("aggregate", "count")
        frequency = options.get("frequency", "day")
        lags = tuple(int(lag) for lag in options.get("lags") or DEFAULT_LAGS)
        column = options.get("column")
        if unknown or aggregate not in {"count", "sum"} or frequency not in {"day", "hour"}:
            raise ValueError(f"{ID} cannot take the options {dict(options)!r}")
        if min(lags) < 1 or (aggregate == "sum") != (column is not None):
            raise ValueError(f"{ID}: lags start at 1, and a sum (alone) needs a column")
        return cls(aggregate, column, frequency, lags)

    def rows(self, side: Side, comparison: Comparison) -> Stamped:
        return counted(side, comparison, self.column, self.frequency)

    def differences(
        self, left: Stamped, right: Stamped, masks: Sequence[tuple[Mask | None, Mask | None]]
    ) -> Floats:
        """Max |ACF(left) - ACF(right)| over the periods of either, for each pair of masks.

        Masks choose entities, None all of them.
        """
        first = int(min(left.period.min(), right.period.min()))
        length = int(max(left.period.max(), right.period.max())) - first + 1
        shortest = max(2 * WINDOW[self.frequency], 2 * max(self.lags))
        span: Ints = right.period
        if int(span.max() - span.min()) + 1 < shortest:
            raise CannotMeasure(f"train spans fewer than {shortest} {self.frequency}s")
        if length > LONGEST:
            raise CannotMeasure(f"the times span {length} {self.frequency}s: some are out of range")
        lags = np.array(self.lags)
        window = WINDOW[self.frequency]
        found = []
        step = max(_TOGETHER // length, 1)
        for start in range(0, len(masks), step):
            some = zip(*masks[start : start + step], strict=True)
            mine, theirs = (
                autocorrelations(
                    np.array([total(rows, first, length, mask) for mask in chosen]), lags, window
                )
                for rows, chosen in zip((left, right), some, strict=True)
            )
            found.append(np.max(np.abs(mine - theirs), axis=1))
        return np.concatenate(found)
