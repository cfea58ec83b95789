"""Series with one row per time: an hour's count stays one row, and no hour gets two.

A table that holds no entity and never the same time twice, at a steady step, is a series and not a
list of events. Its times are drawn from the steps of its period, each at most once; which of them
train happens to hold is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

_DAY = 86_400_000_000_000
_STEP = 60_000_000_000  # shortest, in nanoseconds: a minute
_ROWS = 50  # fewer rows are too few to tell a series from events
_COVERED = 0.25  # share of the steps of its period that train's rows take at least
_BEYOND = 0.02  # steps beyond either end that may be used, as a share of the period
_FEW = 3.0  # rows of train that a cell of the week is expected to hold before it counts as closed


@dataclass(frozen=True)
class Slots:
    """The times that a series may have.

    Args:
        times: naive wall times in order, datetime64[ns]; of moments kept with their zone the hour
            that a clock repeats stands there twice.
        beyond: times next to both ends, nearest first, for a series whose own ends are holdout.
    """

    times: np.ndarray
    beyond: np.ndarray

    @classmethod
    def find(
        cls,
        times: pd.DatetimeIndex,
        zone: str | None,
        period: tuple[pd.Timestamp, pd.Timestamp] | None = None,
        *,
        instants: bool = False,
    ) -> Slots | None:
        """The slots of a series, or None where train's times are no series.

        Args:
            times: the non-missing times of train, naive.
            zone: the time zone they are read in; None for a clock without daylight saving.
            period: first and last day of the slots; None for train's.
            instants: times are kept with their zone, so that a repeated hour is two hours.
        """
        once = times[~_repeated(times, zone)] if zone and instants else times
        stamps = np.sort(once.to_numpy().astype("int64"))
        gaps = np.diff(stamps)
        if len(stamps) < _ROWS or not gaps.all():
            return None
        step = int(np.gcd.reduce(gaps))
        whole = step % _DAY == 0 or _DAY % step == 0
        if step < _STEP or not whole:
            return None
        days = times.normalize()
        first, last = period or (days.min(), days.max())
        inside = min(step, _DAY)
        is_open = _open(times, inside)
        steps = (stamps[-1] - stamps[0]) // step + 1
        if len(stamps) < _COVERED * steps * is_open.mean():
            return None
        begin = first + pd.Timedelta((stamps[0] - first.value) % step, "ns")
        end = last + pd.Timedelta(_DAY - 1, "ns")
        pad = pd.Timedelta(0 if period else (7 + int(_BEYOND * steps)) * step, "ns")
        grid = pd.date_range(begin - pad, end + pad, freq=pd.Timedelta(step, "ns"))
        grid = grid[is_open[_cells(grid, inside)]]
        if zone and step < _DAY:
            grid = _on_the_clock(grid, zone, twice=instants)
        core = np.asarray((grid >= begin) & (grid <= end))
        before, after = grid[grid < begin].to_numpy()[::-1], grid[grid > end].to_numpy()
        order = np.argsort(np.concatenate([np.arange(len(before)), np.arange(len(after))]),
                           kind="stable")  # fmt: skip
        return cls(grid[core].to_numpy(), np.concatenate([before, after])[order])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """``n`` times in order: each slot at most once while there are enough of them."""
        more = n - len(self.times)
        if 0 < more <= len(self.beyond):
            return np.sort(np.concatenate([self.times, self.beyond[:more]]))
        each, rest = divmod(n, len(self.times))
        chosen = rng.choice(len(self.times), rest, replace=False)
        places = np.sort(np.concatenate([np.repeat(np.arange(len(self.times)), each), chosen]))
        return np.asarray(self.times[places])


def skipped(times: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Which naive wall times do not exist in ``zone``: the clock skips them in spring."""
    read = times.tz_localize(zone, nonexistent="NaT", ambiguous=np.ones(len(times), dtype=bool))
    out: np.ndarray = np.asarray(read.isna()) & np.asarray(times.notna())
    return out


def onward(times: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """``times`` with those that the clock skips moved on by what it skips (an hour, mostly)."""
    out = times.to_numpy().astype("datetime64[ns]").copy()
    for _ in (1, 2):
        gone = np.flatnonzero(skipped(pd.DatetimeIndex(out), zone))
        if not len(gone):
            break
        out[gone] = out[gone] + np.timedelta64(1, "h")
    return out


def _repeated(times: pd.DatetimeIndex, zone: str) -> np.ndarray:
    read = times.tz_localize(zone, nonexistent="shift_forward", ambiguous="NaT")
    out: np.ndarray = np.asarray(read.isna()) & np.asarray(times.notna())
    return out


def _cells(times: pd.DatetimeIndex, step: int) -> np.ndarray:
    """Place in the week, in steps."""
    inside = times.to_numpy().astype("int64") % _DAY // step
    return np.asarray(np.asarray(times.dayofweek) * (_DAY // step) + inside)


def _open(times: pd.DatetimeIndex, step: int) -> np.ndarray:
    """Places in the week that train's series has; one that it may hold by chance alone counts."""
    width = _DAY // step
    rows = np.bincount(_cells(times, step), minlength=7 * width).reshape(7, width).astype(float)
    expected = rows.sum(axis=1, keepdims=True) * rows.sum(axis=0) / rows.sum()
    return np.asarray(((rows > 0) | ((expected > 0) & (expected < _FEW))).ravel())


def _on_the_clock(grid: pd.DatetimeIndex, zone: str, *, twice: bool) -> pd.DatetimeIndex:
    """``grid`` without times that the clock skips, and with those that it repeats."""
    grid = grid[~skipped(grid, zone)]
    if not twice:
        return grid
    both = np.concatenate([grid.to_numpy(), grid[_repeated(grid, zone)].to_numpy()])
    return pd.DatetimeIndex(np.sort(both))
