"""Rows per day under a guarantee: a noisy series of its own, smoothed, and rows laid onto it.

A pair of the day with another column would need hundreds of cells for it and drown in noise. So
days are one vector: each entity adds to each of its days once, with weights whose Euclidean norm
is at most the root of G, whatever the number of days. Smoothing and placing read the noisy vector
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from synth_contracts.contract.guarantee import DailySeries
from synth_contracts.generate.dp_release import UNIT, clipped_days, noisy_counts

HOURS = 24
_DAY, _HOUR, _SECOND = 86_400_000_000_000, 3_600_000_000_000, 1_000_000_000
#: A turn of the trend every so many days.
_KNOT = 28
#: A day reads closed when its count is below so many standard deviations of the noise, and the
#: calendar expects three times as much.
_CLOSED = 2.0


@dataclass(frozen=True)
class ReleasedDays:
    """The released series: share of rows by day, from ``first`` (days since 1970) on."""

    first: int
    share: np.ndarray

    def place(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """The day (days since 1970) of each of ``n`` rows: totals as released, rows at random."""
        exact = self.share * n
        counts = np.floor(exact).astype(np.int64)
        left = n - int(counts.sum())
        counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
        return rng.permutation(np.repeat(np.arange(len(counts)), counts)) + self.first


def release_days(
    entities: np.ndarray, stamps: np.ndarray, asked: DailySeries, rho: float
) -> ReleasedDays:
    """Count days with noise, and smooth.

    Args:
        entities: integer entity of each row.
        stamps: datetime64[ns] of each row, NaT where missing; days out of the period do not count.
        asked: period and cap.
        rho: the loss to be spent.
    """
    first, last = _day(asked.start), _day(asked.end)
    known = ~np.isnat(stamps)
    days = np.floor_divide(stamps[known].astype("int64"), _DAY)
    inside = (days >= first) & (days <= last)
    size = last - first + 1
    place, weight = clipped_days(
        entities[known][inside], days[inside] - first, asked.days_per_entity
    )
    counts = np.bincount(place, weights=weight, minlength=size).astype(np.int64)
    reach = float(np.sqrt(asked.days_per_entity))
    noisy = noisy_counts(counts, UNIT * reach, rho) / UNIT
    smooth = smoothed(noisy, reach / float(np.sqrt(2 * rho)), first)
    total = smooth.sum()
    share = smooth / total if total > 0 else np.full(len(smooth), 1 / len(smooth))
    return ReleasedDays(first, share)


def smoothed(noisy: np.ndarray, noise: float, first: int) -> np.ndarray:
    """A noisy series drawn towards its calendar by as much as noise explains its spread.

    The calendar is a least-squares fit of weekday and a piecewise linear trend. What is left of the
    series varies by noise, whose size is public, and by days of their own; each day keeps the share
    of its deviation that is not noise (James and Stein; a Wiener filter for white residuals).

    Args:
        noisy: counts with noise, shape (days,).
        noise: standard deviation of the noise.
        first: day of the first entry, days since 1970.
    """
    size = len(noisy)
    place = np.arange(size)
    weekday = (place + first) % 7
    knots = np.linspace(0, max(size - 1, 1), max(2, round(size / _KNOT) + 1))
    trend = np.stack([np.interp(place, knots, unit) for unit in np.eye(len(knots))], axis=1)
    design = np.hstack([trend, np.eye(7)[weekday][:, 1:]])
    base = design @ np.linalg.lstsq(design, noisy, rcond=None)[0]
    rest = noisy - base
    freedom = max(1, size - np.linalg.matrix_rank(design))
    spread = float(rest @ rest) / freedom
    own = max(0.0, 1 - noise**2 / spread) if spread > 0 else 0.0
    out = np.maximum(base + own * rest, 0.0)
    out[(noisy <= _CLOSED * noise) & (base >= 3 * _CLOSED * noise)] = 0.0
    return np.asarray(out)


def hours(stamps: np.ndarray) -> np.ndarray:
    """The hour of each time, 0..23; 24 where it is missing."""
    known = ~np.isnat(stamps)
    out = np.full(len(stamps), HOURS, dtype=np.int64)
    out[known] = stamps[known].astype("int64") % _DAY // _HOUR
    return out


def moments(days: np.ndarray, hour: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Times on ``days`` (days since 1970), evenly within the hour to the second; datetime64[ns]."""
    nanoseconds = days.astype(np.int64) * _DAY
    if hour is not None:
        nanoseconds = nanoseconds + hour * _HOUR + rng.integers(0, 3600, len(days)) * _SECOND
    return np.asarray(nanoseconds.astype("datetime64[ns]"))


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()
