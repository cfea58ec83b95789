"""The calendar beyond train: what a fitted daily volume says of days that it never saw.

The season (weekday, month, day of month, holidays) of train's fitted means goes on as it was. Their
level goes on with the slope of their last half year, damped (Gardner and McKenzie 1985): a trend
is not trusted for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_contracts.errors import GenerationError

_DAMPING = 0.5 ** (1 / 60)  # of the slope, a day: half of it is left after 60 days
_RECENT = 182  # days whose slope counts
_CLOSED = 0.2  # a weekday with rows on a smaller share of its days is closed

Holidays = Mapping[pd.Timestamp, str]


@dataclass(frozen=True)
class Known:
    """Train's days.

    Args:
        days: every day from train's first to its last.
        open: which of them have rows.
        mean: fitted rows of each day; of closed days what counts for nothing.
        holidays: names by day.
    """

    days: pd.DatetimeIndex
    open: np.ndarray
    mean: np.ndarray
    holidays: Holidays


def continued(
    known: Known, days: pd.DatetimeIndex, holidays: Holidays
) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``days`` are open, and the mean of each in rows of train's size.

    Days that train spans are as they were. Beyond, a weekday that train leaves closed stays
    closed, and so does a holiday that was closed each time.

    Raises:
        GenerationError: no day is open.
    """
    season = _Season(known)
    place = (days - known.days[0]).days.to_numpy()
    inside = (place >= 0) & (place < len(known.days))
    at = np.clip(place, 0, len(known.days) - 1)
    share = _open_share(known, days, holidays)
    is_open = np.where(inside, known.open[at], share >= _CLOSED)
    beyond = np.exp(season.level(place) + season.of(days, holidays)) * share
    if not is_open.any():
        raise GenerationError(
            "train has no rows on any weekday of the period",
            where="generator.period",
            mend="choose other days",
        )
    return is_open, np.where(inside, known.mean[at], beyond)


class _Season:
    """Log means of train as a season and a level, by least squares with a small penalty."""

    def __init__(self, known: Known) -> None:
        self._kinds = sorted(set(known.holidays.values()))
        self._length = len(known.days)
        log = np.log(np.maximum(known.mean, 1e-9))[known.open]
        place = np.flatnonzero(known.open) / max(self._length - 1, 1)
        knots = np.linspace(0, 1, max(2, self._length // 90) + 1)[1:-1]
        trend = np.column_stack(
            [np.ones(len(place)), place, np.maximum(place[:, None] - knots[None, :], 0)]
        )
        columns = self._columns(known.days[known.open], known.holidays)
        design = np.hstack([trend, columns])
        # months of a short table lean on the trend, not the other way round
        penalty = np.append(np.full(trend.shape[1], 1e-6), np.full(columns.shape[1], 0.1))
        found = np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ log)
        self._weights = found[trend.shape[1] :]
        left = log - columns @ self._weights
        rows = np.flatnonzero(known.open)
        self._ends = [_end(rows, left), _end(self._length - 1 - rows[::-1], left[::-1])]

    def _columns(self, days: pd.DatetimeIndex, holidays: Holidays) -> np.ndarray:
        names = [holidays.get(day) for day in days]
        parts = [
            np.eye(7)[np.asarray(days.dayofweek)],
            np.eye(12)[np.asarray(days.month) - 1],
            np.eye(31)[np.asarray(days.day) - 1],
            np.asarray(days.is_month_end, dtype=float)[:, None],
            np.array([[name is not None] for name in names], dtype=float).reshape(len(days), 1),
            np.array([[name == kind for kind in self._kinds] for name in names], dtype=float)
            .reshape(len(days), len(self._kinds)),
        ]  # fmt: skip
        return np.hstack(parts)

    def of(self, days: pd.DatetimeIndex, holidays: Holidays) -> np.ndarray:
        """Log season of any days."""
        return np.asarray(self._columns(days, holidays) @ self._weights)

    def level(self, place: np.ndarray) -> np.ndarray:
        """Log level of days counted from train's first, before and after it."""
        after, before = np.maximum(place - (self._length - 1), 0), np.maximum(-place, 0)
        (early, early_slope), (late, late_slope) = self._ends[1], self._ends[0]
        # both slopes look outwards, away from train
        return np.where(
            before > 0, early + early_slope * _damped(before), late + late_slope * _damped(after)
        )


def _end(rows: np.ndarray, left: np.ndarray) -> tuple[float, float]:
    """Level of the last of ``rows`` and slope a day: the last half year of deseasoned logs."""
    near = rows > rows[-1] - _RECENT
    x, y = (rows[near] - rows[-1]).astype(float), left[near]
    if len(x) < 28:
        return float(y.mean()), 0.0
    slope, level = np.polyfit(x, y, 1)
    return float(level), float(slope)


def _damped(steps: np.ndarray) -> np.ndarray:
    """How far a damped slope has carried after so many days."""
    left = np.power(_DAMPING, steps.astype(float))
    return np.asarray(_DAMPING * (1 - left) / (1 - _DAMPING))


def _open_share(known: Known, days: pd.DatetimeIndex, holidays: Holidays) -> np.ndarray:
    """Share of train's like days that are open: the same holiday, else the same weekday."""
    off = np.array([day in known.holidays for day in known.days])
    plain = ~off if (~off).any() else np.ones(len(off), dtype=bool)
    weekday = np.asarray(known.days.dayofweek)
    width = np.bincount(weekday[plain], minlength=7)
    opened = np.bincount(weekday[plain], weights=known.open[plain], minlength=7)
    by_day = np.divide(opened, width, out=np.zeros(7), where=width > 0)
    found: np.ndarray = by_day[np.asarray(days.dayofweek)]
    for i, day in enumerate(days):
        kind = holidays.get(day)
        if kind is None or not off.any():
            continue
        same = np.array([known.holidays.get(d) == kind for d in known.days])
        # a holiday of a fixed date bears its name on the day that it is moved to, too
        dated = same & np.asarray((known.days.month == day.month) & (known.days.day == day.day))
        alike = dated if dated.any() else same if same.any() else off
        if not known.open[alike].any():
            found[i] = 0.0
    return found
