"""Calendar series and profiles of the time index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.intervals import clustered_variance, sample
from synth_contracts.metrics.results import CannotMeasure
from synth_contracts.tables import NUMERIC

if TYPE_CHECKING:
    from synth_contracts.metrics.comparison import Comparison

Frequency = Literal["day", "hour"]
_SECONDS = {"day": 86_400, "hour": 3_600}
#: Periods in the centred mean that is taken out: 28 days.
WINDOW = {"day": 28, "hour": 28 * 24}
#: A year of hours times thirty; beyond this a time stamp is out of its mind.
LONGEST = 300_000
FLOOR_SAMPLES = 8
#: How a series of that frequency is called.
LY = {"day": "daily", "hour": "hourly"}


@dataclass(frozen=True)
class Stamped:
    """The rows of one side that have a time: their period number, weight and entity."""

    period: Ints
    weight: Floats
    entity: Ints
    entities: int


def time_index(comparison: Comparison) -> str:
    """Name of the time index. Raises CannotMeasure where there is none that is compared."""
    name = comparison.schema.roles.time_index
    if name is None or name not in comparison.train_side.columns:
        raise CannotMeasure("no time index")
    return name


def stamps(side: Side, name: str) -> npt.NDArray[np.datetime64]:
    """The time index of all rows, shape (rows,), datetime64[ns], NaT for null."""
    return side.frame[name].to_numpy(dtype="datetime64[ns]")


def stamped(side: Side, name: str, frequency: Frequency, weight: Floats | None) -> Stamped:
    """Rows with a time; ``weight`` of shape (rows,) or None for counting.

    Raises:
        CannotMeasure: no row has a time.
    """
    times = stamps(side, name)
    known = ~np.isnat(times)
    if not known.any():
        raise CannotMeasure("one side holds no time")
    seconds = times[known].astype("datetime64[s]").view(np.int64)
    ones = np.ones(int(known.sum()))
    return Stamped(
        period=seconds // _SECONDS[frequency],
        weight=ones if weight is None else weight[known],
        entity=side.entity[known],
        entities=side.entities,
    )


def counted(
    side: Side, comparison: Comparison, column: str | None, frequency: Frequency
) -> Stamped:
    """Rows with a time, each weighing 1, or what numeric ``column`` holds (nulls 0).

    Raises:
        CannotMeasure: no time index, no such numeric column, or infinite values in it.
    """
    weight: Floats | None = None
    if column is not None:
        if column not in {f.name for f in comparison.schema.of(NUMERIC)}:
            raise CannotMeasure(f"{column!r} is no numeric column that is compared")
        numbers = side.frame[column].to_numpy(dtype=np.float64)
        if np.isinf(numbers).any():
            raise CannotMeasure(f"{column} holds infinite values")
        weight = np.nan_to_num(numbers)
    return stamped(side, time_index(comparison), frequency, weight)


def total(
    rows: Stamped, first: int, length: int, entities: npt.NDArray[np.bool_] | None = None
) -> Floats:
    """Sum of the weights per period from ``first`` on, shape (length,)."""
    weight = rows.weight if entities is None else rows.weight * entities[rows.entity]
    return np.bincount(rows.period - first, weights=weight, minlength=length).astype(np.float64)


def autocorrelations(series: Floats, lags: npt.NDArray[np.int64], window: int) -> Floats:
    """ACF at ``lags`` of each series less its centred mean over ``window`` periods.

    Args:
        series: shape (series, periods).
        lags: shape (lags,), 1 and more.
        window: periods.

    Returns:
        Shape (series, lags).

    Raises:
        CannotMeasure: what remains of one does not vary.
    """
    frame = pd.DataFrame(series.T)
    trend = frame.rolling(window, center=True, min_periods=window // 2).mean()
    found = np.empty((len(series), len(lags)))
    left = np.ascontiguousarray((frame - trend).to_numpy().T)
    for row, values in enumerate(series):
        rest = left[row] - left[row].mean()
        power = float(rest @ rest)
        if not power > 1e-12 * max(1.0, float(values @ values)):
            raise CannotMeasure("the series does not vary around its 28-day mean")
        found[row] = [float(rest[lag:] @ rest[: len(rest) - lag]) / power for lag in lags]
    return found


@dataclass(frozen=True)
class Profile:
    """Total variation of two profiles, its clustered variance, floor and the two profiles."""

    value: float
    variance: float
    floor: float
    synthetic: Floats
    holdout: Floats


def profile(comparison: Comparison, part: Literal["hour", "weekday"]) -> Profile:
    """Total variation (0 .. 1) of hours or weekdays, synthetic against holdout.

    Raises:
        CannotMeasure: no time index, or one side holds no time.
    """
    name = time_index(comparison)
    sides = (comparison.synthetic_side, comparison.holdout_side, comparison.train_side)
    slots = 24 if part == "hour" else 7
    found = [_slots(side, name, part) for side in sides]
    (mine, mine_entity), (theirs, theirs_entity), (train, train_entity) = found
    p, q = _shares(mine, slots), _shares(theirs, slots)
    signs = np.sign(p - q) / 2
    variance = 0.0
    for slot, entity, share, sign in ((mine, mine_entity, p, 1), (theirs, theirs_entity, q, -1)):
        influence = sign * (signs[slot] - float(signs @ share)) / len(slot)
        variance += clustered_variance(influence, entity)
    size = min(sides[1].entities, sides[2].entities)
    rng = comparison.rng(f"{part} floor")
    repeats = 1 if sides[1].entities == sides[2].entities else FLOOR_SAMPLES
    floors = []
    for _ in range(repeats):
        a = sample(rng, sides[2].entities, size)[train_entity]
        b = sample(rng, sides[1].entities, size)[theirs_entity]
        if a.any() and b.any():
            gap = _shares(train[a], slots) - _shares(theirs[b], slots)
            floors.append(0.5 * float(np.abs(gap).sum()))
    if not floors:
        raise CannotMeasure("no floor: the sampled entities hold no time")
    return Profile(0.5 * float(np.abs(p - q).sum()), variance, float(np.mean(floors)), p, q)


def _slots(side: Side, name: str, part: Literal["hour", "weekday"]) -> tuple[Ints, Ints]:
    times = stamps(side, name)
    known = ~np.isnat(times)
    if not known.any():
        raise CannotMeasure("one side holds no time")
    seconds = times[known].astype("datetime64[s]").view(np.int64)
    # 1970-01-01 was a Thursday; Monday is 0
    slot = seconds // 3_600 % 24 if part == "hour" else (seconds // 86_400 + 3) % 7
    return slot, side.entity[known]


def _shares(slot: Ints, slots: int) -> Floats:
    return np.bincount(slot, minlength=slots) / len(slot)
