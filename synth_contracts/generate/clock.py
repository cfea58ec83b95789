"""Times within a day: open hours, minutes, and the resolution of the real times."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_contracts.coarsening import entities_per_value
from synth_contracts.generate.encode import time_unit
from synth_contracts.generate.slots import skipped

HOUR = 3_600_000_000_000
_MINUTE = 60_000_000_000
_DAY = 24 * HOUR
_SMOOTH = 20.0  # rows of the all-week profile mixed into each weekday's


class Clock:
    """Hours of the day by weekday, with cells of fewer than k entities closed."""

    def fit(self, times: pd.DatetimeIndex, entities: np.ndarray, k: int) -> Clock:
        """Learn from the non-missing times of train."""
        stamps = times.to_numpy().astype("int64")
        self.unit = time_unit(stamps)
        self.has_hours = self.unit < _DAY
        if not self.has_hours:
            return self
        cells = np.asarray(times.dayofweek) * 24 + np.asarray(times.hour)
        rows = np.bincount(cells, minlength=168).reshape(7, 24).astype(float)
        held = entities_per_value(cells, entities, 168).reshape(7, 24)
        self.open = (rows > 0) & (held >= k)
        shut = ~self.open.any(axis=1)
        self.open[shut] = rows[shut] > 0
        self.open[~self.open.any(axis=1)] = rows.sum(axis=0) > 0
        week = rows.sum(axis=0) / max(rows.sum(), 1)
        self._shares = np.where(self.open, rows + _SMOOTH * week[None, :], 0)
        self._shares /= self._shares.sum(axis=1, keepdims=True)
        self._fit_minutes(times, entities, k)
        return self

    def _fit_minutes(self, times: pd.DatetimeIndex, entities: np.ndarray, k: int) -> None:
        """Shares of the minutes of each hour, where times are kept to the minute."""
        self._minutes = None
        if self.unit != _MINUTE:
            return
        step = 5 if not (np.asarray(times.minute) % 5).any() else 1
        cells = np.asarray(times.hour) * 60 + np.asarray(times.minute)
        rows = np.bincount(cells, minlength=1440).astype(float)
        rare = entities_per_value(cells, entities, 1440) < k
        lost = np.where(rare, rows, 0).reshape(24, 60).sum(axis=1)
        shares = np.where(rare, 0, rows).reshape(24, 60)
        shares[:, ::step] += lost[:, None] / (60 // step)
        shares[shares.sum(axis=1) == 0, ::step] = 1.0
        self._minutes = shares / shares.sum(axis=1, keepdims=True)

    def mend(self, weekday: np.ndarray, hours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """``hours`` (0..23) with those that are closed on their weekday drawn afresh."""
        out = hours.copy()
        spread = rng.random(len(hours))
        closed = ~self.open[weekday, hours]
        for day in np.unique(weekday[closed]):
            rows = closed & (weekday == day)
            out[rows] = _pick(self._shares[day], spread[rows])
        return out

    def on_the_clock(self, days: np.ndarray, hours: np.ndarray, zone: str) -> np.ndarray:
        """``hours`` with those that the clock of ``zone`` skips on their day moved by one.

        On to the next hour, or back to the one before where only that is open.

        Args:
            days: midnight of each row, datetime64[ns], NaT where missing.
            hours: 0..23 of each row.
            zone: an IANA time zone.
        """
        times = pd.DatetimeIndex(days + (hours * HOUR).astype("timedelta64[ns]"))
        gone = np.flatnonzero(skipped(times, zone))
        out = hours.copy()
        weekday = np.asarray(times[gone].dayofweek, dtype=np.int64)  # none of them is missing
        on, back = np.minimum(hours[gone] + 1, 23), np.maximum(hours[gone] - 1, 0)
        open_on, open_back = self.open[weekday, on], self.open[weekday, back]
        out[gone] = np.where(open_back & ~open_on, back, on)
        return out

    def offsets(self, hours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Nanoseconds since midnight, at the resolution of the real times."""
        spread = rng.random(len(hours))
        if self.unit >= HOUR:
            return np.asarray(hours * HOUR)
        if self._minutes is None:
            inside = (spread * (HOUR // self.unit)).astype("int64") * self.unit
            return np.asarray(hours * HOUR + inside)
        minutes = np.zeros(len(hours), dtype=np.int64)
        for hour in np.unique(hours):
            rows = hours == hour
            minutes[rows] = _pick(self._minutes[hour], spread[rows])
        return np.asarray(hours * HOUR + minutes * _MINUTE)


def _pick(shares: np.ndarray, spread: np.ndarray) -> np.ndarray:
    possible = np.flatnonzero(shares)
    steps = np.cumsum(shares[possible])
    place = np.searchsorted(steps / steps[-1], spread, side="right")
    return np.asarray(possible[np.minimum(place, len(possible) - 1)])
