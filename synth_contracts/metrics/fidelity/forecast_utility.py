"""forecast_utility: does a forecaster that learned from synthetic rows foretell the real future?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import halves, normal, sample
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows, need_split
from synth_contracts.metrics.series import FLOOR_SAMPLES, LONGEST, LY, Frequency, Stamped, counted

ID = "forecast_utility"
#: Steps that each forecast looks ahead, where the contract says nothing.
HORIZON = 28
#: Steps after which the calendar repeats: a week of days, or of hours.
SEASON = {"day": 7, "hour": 168}
#: Seasons of history that a forecast starts from.
_HISTORY = 4
#: Most windows of the future, and which part of the calendar they may take.
_WINDOWS, _TESTED = 28, 2
#: Pairs of a day and a later day that a forecaster learns from; more of them are thinned out.
_PAIRS = 8_000
#: Of the ridge, per pair. What two hundred days teach is uncertain: a weaker one lets equally good
#: tables differ more (null spread .030 to .049 at .01, .025 to .047 at .03).
_PENALTY = 0.03
_HALVES = 40

Masks = npt.NDArray[np.bool_]


def measure(comparison: Comparison, _column: str | None, options: Mapping[str, Any]) -> Measurement:
    """Mean absolute error of the synthetic-trained forecaster over the real-trained one's, >= 0.

    The last days of the real calendar, up to half of it, are windows of ``horizon`` days. Before
    each window one forecaster learns from train and one from synthetic, at equal numbers of
    entities; both start from the days before the window of all real rows, train and holdout, and
    foretell their days in it (train on synthetic, test on real: Esteban, Hyland, Raetsch 2017,
    arXiv 1706.02633). 1: as good as real; a copy of train reads 1 exactly. ``floor`` is what
    the holdout teaches over what as many entities of train teach.

    All real rows are foretold and not the holdout alone: nobody's window is learned from, and the
    noise of a small holdout would hide what was learned wrongly.

    The forecaster is a ridge regression with one equation for all steps ahead: the distance from
    the mean of the last four weeks, told by weekday (and hour), the mean of the last four days of
    the same slot, and the last week.

    Args:
        comparison: the three tables.
        options: ``aggregate`` count or sum, ``column`` (numeric, for sum), ``frequency`` day or
            hour, ``horizon`` (steps ahead, >= 1; default 28).

    Raises:
        CannotMeasure: no time index, a calendar that is too short, a table without rows where they
            are needed, a series that holds still, infinite values, or fewer than 4 entities.
        ValueError: options that no contract can hold.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_split(comparison)
    asked = _Asked.of(options)
    sides = (comparison.train_side, comparison.holdout_side, comparison.synthetic_side)
    rows = [counted(side, comparison, asked.column, asked.frequency) for side in sides]
    plan = asked.plan(rows[0], rows[1])
    train, holdout, synthetic = (plan.series(side) for side in rows)
    if min(train.entities, holdout.entities, synthetic.entities) < 4:
        raise CannotMeasure("fewer than 4 entities: no half-samples can be drawn")
    size = min(train.entities, synthetic.entities)
    rng = comparison.rng(f"{ID} thinned {asked}")
    future = train.whole() + holdout.whole()
    real = plan.errors(train.thinned(rng, size), future, "train")
    made = plan.errors(synthetic.thinned(rng, size), future, "synthetic")
    ratio = _ratio(made, real)
    rng = comparison.rng(f"{ID} halves {asked}")
    half, other, theirs = (side.halved(rng) for side in (train, holdout, synthetic))
    reals = plan.errors(half, half + other, "train")
    spread = [_ratio(a, b) for a, b in zip(plan.errors(theirs, half + other, "synthetic"), reals,
                                           strict=True)]  # fmt: skip
    naive = plan.naive_error(future)
    return Measurement(
        metric=ID,
        value=ratio,
        n=plan.windows * plan.horizon,
        unit=f"{asked.frequency}s",
        direction="lower_is_better",
        method=f"mean absolute error of forecasts of the {LY[asked.frequency]} {asked.aggregate}, "
        f"{plan.windows} windows of {plan.horizon} {asked.frequency}s, learned from synthetic over "
        f"learned from train, {size} entities each; limits by {_HALVES} half-samples of entities "
        "(of the rows, not of the future, of which there is one)",
        compared_with="the same forecaster learned from train; tested on all real rows",
        floor=None
        if comparison.brief
        else _floor(comparison, asked, plan, (train, holdout), future),
        **limits(normal(ratio, float(np.var(spread)), lowest=0)),
        details={
            "horizon": plan.horizon,
            "windows": plan.windows,
            "error_synthetic": float(np.mean(made)),
            "error_real": float(np.mean(real)),
            "error_seasonal_naive": naive,
            "beats_seasonal_naive": bool(np.mean(real) < naive),
            "entities_thinned_to": size,
            "rows_outside_the_real_calendar": plan.outside(rows[2]),
        },
    )


def _ratio(made: Floats | float, real: Floats | float) -> float:
    below = float(np.mean(real))
    if not below > 1e-9:
        raise CannotMeasure("the real future is foretold without an error: it holds still")
    return float(np.mean(made)) / below


def _floor(
    comparison: Comparison,
    asked: _Asked,
    plan: _Plan,
    sides: tuple[_Series, _Series],
    future: Floats,
) -> float:
    rng = comparison.rng(f"{ID} floor {asked}")
    size = min(side.entities for side in sides)
    train, holdout = (
        plan.errors(side.thinned(rng, size), future, name)
        for side, name in zip(sides, ("train", "holdout"), strict=True)
    )
    return _ratio(holdout, train)


@dataclass(frozen=True)
class _Series:
    """Sums by entity and period of the real calendar, shape (entities, periods)."""

    matrix: sparse.csr_matrix
    entities: int

    def totals(self, masks: Masks) -> Floats:
        """Series of the chosen entities: masks (k, entities) to (k, periods)."""
        return np.asarray((self.matrix.T @ masks.T.astype(np.float64)).T)

    def whole(self) -> Floats:
        return self.totals(np.ones((1, self.entities), dtype=np.bool_))

    def thinned(self, rng: np.random.Generator, size: int) -> Floats:
        """Series of some random choices of ``size`` entities; of all, where that is all."""
        if size == self.entities:
            return self.whole()
        masks = [sample(rng, self.entities, size) for _ in range(FLOOR_SAMPLES)]
        return self.totals(np.array(masks))

    def halved(self, rng: np.random.Generator) -> Floats:
        return self.totals(np.array(list(halves(rng, self.entities, _HALVES))))


@dataclass(frozen=True)
class _Pairs:
    """Forecasts: from the end of period ``origin`` to period ``target``, shape (pairs,) each."""

    origin: Ints
    target: Ints


class _Sums:
    """Normal equations of the ridge, summed without a matrix product.

    Slots are columns of zeros and ones, so their sums are counts; and unlike a product, a count
    has the same bits on any number of threads.

    Args:
        slots: code of each pair, shape (pairs,), and number of codes, per kind of slot.
        block: the first window before which each pair is known, shape (pairs,).
        windows: number of windows.
    """

    def __init__(self, slots: list[tuple[Ints, int]], block: Ints, windows: int) -> None:
        self._slots, self._block, self._windows = slots, block, windows
        ones = np.ones(len(block))
        width = sum(count for _, count in slots) + 2
        self._known = np.zeros((windows, width, width))
        for i, (left, rows) in enumerate(slots):
            a = sum(count for _, count in slots[:i])
            for j, (right, columns) in enumerate(slots):
                b = sum(count for _, count in slots[:j])
                cells = self._add(ones, left * columns + right, rows * columns)
                self._known[:, a : a + rows, b : b + columns] = cells.reshape(-1, rows, columns)
        pairs = self._add(ones, np.zeros_like(block), 1)
        self._known += _PENALTY * pairs[:, :, None] * np.eye(width)

    def _add(self, values: Floats, code: Ints, codes: int) -> Floats:
        """Sums by code of all pairs known before each window, shape (windows, codes)."""
        cell = self._block * codes + code
        found = np.bincount(cell, weights=values, minlength=self._windows * codes)
        return np.cumsum(found.reshape(self._windows, codes), axis=0)

    def of(self, same: Floats, recent: Floats, wanted: Floats) -> tuple[Floats, Floats]:
        """Gram matrices, shape (windows, features, features), and moments (windows, features)."""
        gram = self._known.copy()
        moment = np.empty(gram.shape[:2])
        whole = np.zeros_like(self._block)
        at = 0
        for slot, count in self._slots:
            for column, values in ((-2, same), (-1, recent)):
                found = self._add(values, slot, count)
                gram[:, at : at + count, column] = gram[:, column, at : at + count] = found
            moment[:, at : at + count] = self._add(wanted, slot, count)
            at += count
        gram[:, -2, -2] += self._add(same * same, whole, 1)[:, 0]
        gram[:, -1, -1] += self._add(recent * recent, whole, 1)[:, 0]
        gram[:, -2, -1] = gram[:, -1, -2] = self._add(same * recent, whole, 1)[:, 0]
        moment[:, -2] = self._add(same * wanted, whole, 1)[:, 0]
        moment[:, -1] = self._add(recent * wanted, whole, 1)[:, 0]
        return gram, moment


@dataclass(frozen=True)
class _Plan:
    """Which periods are learned from and which are foretold.

    Periods count from ``first``, ``length`` of them; the last ``windows`` times ``horizon`` are
    foretold.
    """

    first: int
    length: int
    horizon: int
    windows: int
    frequency: Frequency

    @property
    def start(self) -> int:
        """The first period that is foretold."""
        return self.length - self.windows * self.horizon

    def series(self, rows: Stamped) -> _Series:
        inside = (rows.period >= self.first) & (rows.period < self.first + self.length)
        cells = (rows.entity[inside], rows.period[inside] - self.first)
        matrix = sparse.csr_matrix((rows.weight[inside], cells), shape=(rows.entities, self.length))
        return _Series(matrix, rows.entities)

    def outside(self, rows: Stamped) -> int:
        return int(np.sum((rows.period < self.first) | (rows.period >= self.first + self.length)))

    @cached_property
    def learned(self) -> _Pairs:
        """Pairs before the last window, ordered by target."""
        season = SEASON[self.frequency]
        stride = max(1, math.ceil(self.length * self.horizon / _PAIRS))
        # every slot of the season must come up
        while math.gcd(stride, season) > 1:
            stride += 1
        origin = np.arange(_HISTORY * season - 1, self.length - self.horizon - 1, stride)
        origin, ahead = (
            part.ravel() for part in np.meshgrid(origin, np.arange(1, self.horizon + 1))
        )
        target = origin + ahead
        order = np.lexsort((origin, target))
        order = order[target[order] < self.length - self.horizon]
        return _Pairs(origin[order], target[order])

    @cached_property
    def foretold(self) -> _Pairs:
        """All periods of all windows, each from the end of the period before its window."""
        target = np.arange(self.start, self.length)
        return _Pairs(target - (target - self.start) % self.horizon - 1, target)

    def _slots(self, target: Ints) -> list[tuple[Ints, int]]:
        """Weekday (and hour) of the targets, shape (pairs,), and how many there are of each."""
        period = target + self.first
        if self.frequency == "day":
            return [(period % 7, 7)]
        return [(period // 24 % 7, 7), (period % 24, 24)]

    @cached_property
    def _sums(self) -> _Sums:
        ends = np.arange(self.start, self.length - self.horizon, self.horizon)
        block = np.searchsorted(ends, self.learned.target, side="right")
        return _Sums(self._slots(self.learned.target), block, self.windows)

    def _look(self, values: Floats, pairs: _Pairs) -> tuple[Floats, Floats, Floats]:
        """What is known at the origins: slot and last season less the level, and the level."""
        season = SEASON[self.frequency]
        sums = np.concatenate([[0.0], np.cumsum(values)])
        end = pairs.origin + 1
        level = (sums[end] - sums[end - _HISTORY * season]) / (_HISTORY * season)
        recent = (sums[end] - sums[end - season]) / season
        last = pairs.target - self._back(pairs)
        same = values[last]
        for i in range(1, _HISTORY):
            same = same + values[last - i * season]
        return same / _HISTORY - level, recent - level, level

    def _back(self, pairs: _Pairs) -> Ints:
        """How far before the target the same slot was seen for the last time."""
        season = SEASON[self.frequency]
        return np.asarray(-(-(pairs.target - pairs.origin) // season) * season)

    def _coefficients(self, values: Floats) -> Floats:
        """Learned from ``values`` before each window, shape (windows, features)."""
        same, recent, level = self._look(values, self.learned)
        gram, moment = self._sums.of(same, recent, values[self.learned.target] - level)
        return np.asarray(np.linalg.solve(gram, moment[:, :, None])[:, :, 0])

    def _level(self, values: Floats, name: str) -> Floats:
        """``values`` over their mean size before the first window.

        Raises:
            CannotMeasure: there is none.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            size = float(np.mean(np.abs(values[: self.start])))
        if not (np.isfinite(size) and np.all(np.isfinite(values))):
            raise CannotMeasure(f"the sums of {name} are too large to count with")
        if not size > 0:
            raise CannotMeasure(
                f"{name} comes to nothing in the real calendar before the test windows"
            )
        return np.asarray(values / size)

    def errors(self, learn: Floats, future: Floats, name: str) -> Floats:
        """Mean absolute error, in mean sizes of a period, of each pair of series, shape (k,).

        Args:
            learn: series to learn from, shape (k, periods).
            future: series to foretell, shape (k, periods) or (1, periods).
            name: of the first, for the message.

        Raises:
            CannotMeasure: a series is empty before the windows, or the future in them.
        """
        found = np.empty(len(learn))
        pairs = self.foretold
        window = (pairs.target - self.start) // self.horizon
        slots = self._slots(pairs.target)
        for i, values in enumerate(learn):
            if i == 0 or len(future) > 1:
                real = self._future(future[i if len(future) > 1 else 0])
                same, recent, level = self._look(real, pairs)
            rules = self._coefficients(self._level(values, name))
            guess = level + rules[window, -2] * same + rules[window, -1] * recent
            at = 0
            for slot, count in slots:
                guess = guess + rules[window, at + slot]
                at += count
            found[i] = np.mean(np.abs(real[pairs.target] - guess))
        return found

    def naive_error(self, future: Floats) -> float:
        """Of the last known period of the same slot as the guess; ``future`` has shape (1, n)."""
        real, pairs = self._future(future[0]), self.foretold
        guess = real[pairs.target - self._back(pairs)]
        return float(np.mean(np.abs(real[pairs.target] - guess)))

    def _future(self, values: Floats) -> Floats:
        if not np.any(values[self.start :]):
            raise CannotMeasure("the real rows come to nothing in the test windows")
        return self._level(values, "the real table")


@dataclass(frozen=True)
class _Asked:
    """The options, checked."""

    aggregate: str
    column: str | None
    frequency: Frequency
    horizon: int

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> _Asked:
        aggregate = options.get("aggregate", "count")
        frequency = options.get("frequency", "day")
        horizon = int(options.get("horizon", HORIZON))
        column = options.get("column")
        unknown = set(options) - {"aggregate", "column", "frequency", "horizon"}
        if unknown or aggregate not in {"count", "sum"} or frequency not in {"day", "hour"}:
            raise ValueError(f"{ID} cannot take the options {dict(options)!r}")
        if horizon < 1 or (aggregate == "sum") != (column is not None):
            raise ValueError(f"{ID}: a horizon is at least 1, and a sum (alone) needs a column")
        return cls(aggregate, column, frequency, horizon)

    def plan(self, train: Stamped, holdout: Stamped) -> _Plan:
        """The windows of the calendar of both real sides.

        Raises:
            CannotMeasure: it is too short, or too long to be true.
        """
        first = int(min(train.period.min(), holdout.period.min()))
        length = int(max(train.period.max(), holdout.period.max())) - first + 1
        if length > LONGEST:
            raise CannotMeasure(f"the times span {length} {self.frequency}s: some are out of range")
        history = _HISTORY * SEASON[self.frequency]
        learned = history + max(history, 2 * self.horizon)
        if length < learned + self.horizon:
            raise CannotMeasure(
                f"the real calendar has {length} {self.frequency}s, and a forecast of "
                f"{self.horizon} needs {learned + self.horizon}"
            )
        most = min(_WINDOWS, max(1, length // _TESTED // self.horizon))
        windows = min(most, (length - learned) // self.horizon)
        return _Plan(first, length, self.horizon, windows, self.frequency)
