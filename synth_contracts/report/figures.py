"""Aggregates behind the card's figures, with every group of fewer than k entities suppressed.

Pure functions: frames in, JSON out. Three laws hold for all of them, and tests try to break each:

* A number of the real table is shown only where at least k real entities stand behind it.
* What is suppressed cannot be had by subtraction: in each line whose total is known elsewhere
  (weekday, hour, whole table) the suppressed part holds at least two groups and k entities, and
  no suppressed group follows from all lines taken together. Rows that no group holds (no value, or
  beyond the axis) are a group of their own that is never shown.
  Secondary suppression as in Hundepool et al., Statistical Disclosure Control (2012), chapter 4.
* Where the real side is suppressed the synthetic side is too, and curves (autocorrelation) are
  computed from what is left, not from the whole: nothing can be read off either.

Axes end where the synthetic table's 1st and 99th percentile lie, rounded outwards to plain numbers,
and where the last day with k entities lies: no minimum and no maximum of a real column is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.metrics import Comparison
from synth_contracts.tables.schema import NUMERIC, Kind, TableSchema

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LAGS = tuple(range(1, 29))
#: Longest daily series; above it weeks are drawn.
DAYS = 800
#: Random halves of the real entities behind the band of the autocorrelation.
HALVES = 40
_WINDOW = 28


@dataclass(frozen=True)
class _Side:
    """One table: rows in order, the entity of each row as a code, the time of each row."""

    frame: pd.DataFrame
    entity: Ints
    time: pd.Series | None


@dataclass(frozen=True)
class _Groups:
    """Rows and distinct entities per group; ``members`` are (group, entity) pairs, each once."""

    rows: Ints
    entities: Ints
    members: tuple[Ints, Ints]

    def union(self, groups: Sequence[int]) -> int:
        """Distinct entities in any of the groups."""
        inside = np.isin(self.members[0], np.asarray(groups))
        return int(np.unique(self.members[1][inside]).size)


def figures(tables: Comparison, audience: Literal["owner", "analyst"]) -> dict[str, Any]:
    """All figures of a card as finite JSON; a figure that cannot be drawn is {"missing": why}.

    ``analyst``: a function of the synthetic table alone, so that it can tell nothing of the real
    one. ``owner``: real and synthetic, real being train and holdout together.
    """
    schema, k = tables.schema, tables.k
    synthetic = _side(tables.synthetic, schema)
    real = None
    if audience == "owner":
        real = _side(pd.concat([tables.train, tables.holdout], ignore_index=True), schema)
    daily, acf = _series(real, synthetic, k, tables.seed)
    return {
        "k": k,
        "scaled": bool(real is not None and len(real.frame) != len(synthetic.frame)),
        "hours": _hours(real, synthetic, k, schema),
        "daily": daily,
        "autocorrelation": acf,
        "marginal": _marginal(real, synthetic, k, schema),
    }


def _side(frame: pd.DataFrame, schema: TableSchema) -> _Side:
    key = schema.roles.entity_key
    if key is None or key not in frame:
        entity = np.arange(len(frame), dtype=np.int64)
    else:
        codes, names = pd.factorize(frame[key])
        entity = codes.astype(np.int64)
        lost = entity < 0  # a row without a key is nobody else's: an entity of its own
        entity[lost] = len(names) + np.arange(int(lost.sum()))
    time = schema.roles.time_index
    return _Side(frame, entity, frame[time] if time is not None and time in frame else None)


def _group(group: Ints, entity: Ints, size: int) -> _Groups:
    """Rows and entities per group; negative groups are rows that stand nowhere."""
    there = group >= 0
    group, entity = group[there], entity[there]
    width = int(entity.max()) + 1 if entity.size else 1
    pairs = np.unique(group * width + entity)
    members = (pairs // width, pairs % width)
    return _Groups(
        rows=np.bincount(group, minlength=size).astype(np.int64),
        entities=np.bincount(members[0], minlength=size).astype(np.int64),
        members=members,
    )


def _shown(group: Ints, entity: Ints, lines: Sequence[Sequence[int]], size: int, k: int) -> Bools:
    """:func:`publishable` for the ``size`` groups of a figure.

    Args:
        group: of each row; ``size`` and above are rows of the table that the figure does not draw
            (beyond its axis), -1 those that stand in none of its lines but the last.
        entity: of each row.
        lines: as in :func:`publishable`; the last one is the whole table, whose number of rows is
            printed on the card: what is not drawn is what is left when all else is taken from it.
        size: number of groups drawn.
        k: at least 1.
    """
    lost = max(int(group.max(initial=0)) + 1, size, 1 + max(max(line) for line in lines))
    groups = _group(np.where(group >= 0, group, lost), entity, lost + 1)
    lines = [*lines[:-1], [*lines[-1], lost]]
    return publishable(groups.entities, lines, groups.union, k, size)[:size]


def publishable(
    entities: Ints,
    lines: Sequence[Sequence[int]],
    union: Callable[[Sequence[int]], int],
    k: int,
    drawn: int | None = None,
) -> Bools:
    """Which groups may be shown: k entities each, and none of the others found by subtraction.

    Args:
        entities: distinct entities per group, shape (groups,).
        lines: groups whose total is known elsewhere; a group may stand in several lines.
        union: distinct entities of some groups together.
        k: at least 1.
        drawn: groups from here on stand in lines but are cells of no figure; default all are.

    Groups of nobody are suppressed but need no company: their total is nothing about anyone. Of
    the others a line hides none, or at least two that hold k entities together; and two cells of a
    heat map may each have company in row and column and yet follow from several lines at once, so
    the lines are solved together as well. Who joins the hidden is chosen by number of entities,
    never by number of rows, so that the pattern tells no rows.
    """
    shown: Bools = np.greater_equal(entities, k)
    while True:
        _hide_company(shown, entities, lines, union, k)
        exposed = {g for g in _solvable(shown, entities, lines) if drawn is None or g < drawn}
        around = {g for line in lines if exposed & set(line) for g in line if shown[g]}
        if not around:
            return shown
        shown[min(around, key=lambda g: (int(entities[g]), g))] = False


def _hide_company(
    shown: Bools,
    entities: Ints,
    lines: Sequence[Sequence[int]],
    union: Callable[[Sequence[int]], int],
    k: int,
) -> None:
    """Hide more in each line until its hidden part is two groups and k entities, or all of it."""
    changed = True
    while changed:
        changed = False
        for line in lines:
            hidden = [g for g in line if not shown[g] and entities[g] > 0]
            while hidden and (len(hidden) < 2 or union(hidden) < k):
                left = [g for g in line if shown[g]]
                if not left:
                    break
                joined = min(left, key=lambda g: (int(entities[g]), g))
                shown[joined] = False
                hidden.append(joined)
                changed = True


def _solvable(shown: Bools, entities: Ints, lines: Sequence[Sequence[int]]) -> set[int]:
    """Hidden groups whose count the totals of all lines with something shown give away together.

    The lines are linear equations in the hidden counts. A count is determined exactly when its unit
    vector is orthogonal to every way in which the hidden counts may still vary (the null space).
    """
    hidden = [g for g in range(len(entities)) if not shown[g] and entities[g] > 0]
    place = {g: column for column, g in enumerate(hidden)}
    rows = []
    for line in lines:
        unknown = [place[g] for g in line if g in place]
        if unknown and any(shown[g] for g in line):
            rows.append(np.bincount(unknown, minlength=len(hidden)))
    if not rows:
        return set()
    matrix = np.unique(np.asarray(rows, dtype=np.float64), axis=0)
    _, sizes, basis = np.linalg.svd(matrix)
    free = basis[int((sizes > 1e-9).sum()) :]
    fixed = np.flatnonzero(np.abs(free).max(axis=0, initial=0.0) < 1e-9)
    return {hidden[column] for column in fixed}


# Weekday x hour


def _hours(real: _Side | None, synthetic: _Side, k: int, schema: TableSchema) -> dict[str, Any]:
    index = schema.roles.time_index
    if index is None or synthetic.time is None:
        return {"missing": "the contract names no time index"}
    if schema.field(index).kind is Kind.DATE:
        return {"missing": f"{index} holds days without hours"}
    drawn = _group(_slots(synthetic), synthetic.entity, 168)
    grid = np.arange(168).reshape(7, 24)
    lines = [*grid.tolist(), *grid.T.tolist(), grid.ravel().tolist()]
    base = synthetic if real is None else real
    judge = _group(_slots(base), base.entity, 168)
    if not judge.rows.sum() or not drawn.rows.sum():
        return {"missing": f"{index} holds no time on one side"}
    shown = _shown(_slots(base), base.entity, lines, 168, k)
    out: dict[str, Any] = {
        "synthetic": _table(_percent(drawn.rows, shown)),
        "suppressed": int((~shown).sum()),
    }
    if real is not None:
        mine, other = judge.rows / judge.rows.sum(), drawn.rows / drawn.rows.sum()
        out["real"] = _table(_percent(judge.rows, shown))
        out["difference"] = _table(
            [_short(100 * (b - a)) if s else None
             for a, b, s in zip(mine, other, shown, strict=True)]
        )  # fmt: skip
    return out


def _slots(side: _Side) -> Ints:
    assert side.time is not None  # noqa: S101 - callers have looked
    there = side.time.notna().to_numpy()
    slot = np.full(len(there), -1, dtype=np.int64)
    stamps = side.time[there].dt
    slot[there] = stamps.dayofweek.to_numpy() * 24 + stamps.hour.to_numpy()
    return slot


def _percent(rows: Ints, shown: Bools) -> list[float | None]:
    """Shares in per cent of all rows, two significant digits: too coarse to add up to totals."""
    total = int(rows.sum())
    return [_short(100 * r / total) if s else None for r, s in zip(rows, shown, strict=True)]


def _short(number: float) -> float:
    if number == 0 or not math.isfinite(number):
        return 0.0
    return float(round(number, min(3, 1 - math.floor(math.log10(abs(number))))))


def _table(cells: Sequence[float | None]) -> list[list[float | None]]:
    return [list(cells[day * 24 : day * 24 + 24]) for day in range(7)]


# Rows a day, and their autocorrelation


def _series(
    real: _Side | None, synthetic: _Side, k: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    if synthetic.time is None:
        why = {"missing": "the contract names no time index"}
        return why, why
    base = synthetic if real is None else real
    days = _days(base)
    if not (days >= 0).any():
        why = {"missing": "the time index holds no day"}
        return why, why
    first, groups = _span(days, base.entity, k)
    if groups is None:
        why = {"missing": f"no day has {k} entities or more"}
        return why, why
    size = groups.rows.size
    shown = _shown(_places(days, first, size), base.entity, _day_lines(first, size), size, k)
    drawn = _days(synthetic) - first
    inside = (drawn >= 0) & (drawn < size)
    counts = np.bincount(drawn[inside], minlength=size).astype(np.float64)
    beyond = 1 - inside.sum() / max(1, int((_days(synthetic) >= 0).sum()))
    mine = groups.rows.astype(np.float64) if real is not None else None
    if mine is not None:
        counts *= len(base.frame) / max(1, len(synthetic.frame))
    daily = _daily(first, mine, counts, shown, float(beyond))
    if size <= 2 * _WINDOW + LAGS[-1] or shown.sum() <= 2 * _WINDOW:
        return daily, {"missing": "the series is too short for lags up to 28 days"}
    acf: dict[str, Any] = {"lags": list(LAGS), "synthetic": _rounded(_acf(counts, shown))}
    if mine is not None:
        centre = _acf(mine, shown)
        acf["real"] = _rounded(centre)
        half = _half_spread(days - first, base.entity, shown, seed)
        acf["band"] = [_rounded(centre - half), _rounded(centre + half)]
    return daily, acf


def _days(side: _Side) -> Ints:
    """Days since 1970 of each row, a very negative number where the time is missing."""
    assert side.time is not None  # noqa: S101 - callers have looked
    there = side.time.notna().to_numpy()
    days = np.full(len(there), np.iinfo(np.int64).min // 4, dtype=np.int64)
    days[there] = side.time[there].to_numpy("datetime64[D]").astype(np.int64)
    return days


def _span(days: Ints, entity: Ints, k: int) -> tuple[int, _Groups | None]:
    """First day drawn and the groups up to the last one: from and to a day with k entities."""
    there = days > np.iinfo(np.int64).min // 8
    unique, code = np.unique(days[there], return_inverse=True)
    everything = _group(code.astype(np.int64), entity[there], unique.size)
    solid = unique[everything.entities >= k]
    if not solid.size:
        return 0, None
    first, last = int(solid[0]), int(solid[-1])
    offset = np.where(there & (days >= first) & (days <= last), days - first, -1)
    return first, _group(offset, entity, last - first + 1)


def _places(days: Ints, first: int, size: int) -> Ints:
    """Day of each row from 0; beyond the axis ``size`` plus its weekday; -1 without a time."""
    there = days > np.iinfo(np.int64).min // 8
    place = days - first
    beyond = (place < 0) | (place >= size)
    return np.where(there, np.where(beyond, size + (days + 3) % 7, place), -1)


def _day_lines(first: int, size: int) -> list[list[int]]:
    """Days of one weekday (their total can be had from the heat map), and all days.

    Group ``size`` + weekday stands in each weekday's line for its days beyond the axis.
    """
    day = np.arange(size)
    weekday = (first + 3 + day) % 7  # 1970-01-01 was a Thursday
    lines = [[*day[weekday == w].tolist(), size + w] for w in range(7)]
    return [*lines, [g for line in lines for g in line]]


def _daily(
    first: int, real: Floats | None, synthetic: Floats, shown: Bools, beyond: float
) -> dict[str, Any]:
    step = 1 if shown.size <= DAYS else 7

    def series(values: Floats) -> list[float | None]:
        if step == 1:
            return [round(float(v)) if s else None for v, s in zip(values, shown, strict=True)]
        weeks = values.size // step
        means = values[: weeks * step].reshape(weeks, step).mean(axis=1)
        whole: Bools = np.all(shown[: weeks * step].reshape(weeks, step), axis=1)
        return [round(float(v)) if s else None for v, s in zip(means, whole, strict=True)]

    out: dict[str, Any] = {
        "start": str(np.datetime64(first, "D")),
        "step_days": step,
        "synthetic": series(synthetic),
        "suppressed": int((~shown).sum()),
        "beyond_percent": _short(100 * beyond),
    }
    if real is not None:
        out["real"] = series(real)
    return out


def _acf(counts: Floats, shown: Bools) -> Floats:
    """Autocorrelation at LAGS after a centred 28-day mean is taken out; unshown days left out."""
    series = pd.Series(np.where(shown, counts, np.nan))
    trend = series.rolling(_WINDOW + 1, center=True, min_periods=_WINDOW // 2).mean()
    rest = (series - trend).to_numpy()
    there = np.isfinite(rest)
    rest = np.where(there, rest - (rest[there].mean() if there.any() else 0.0), 0.0)
    variance = float(rest @ rest) / max(1, int(there.sum()))
    out = np.zeros(len(LAGS))
    for place, lag in enumerate(LAGS):
        pairs = int((there[lag:] & there[:-lag]).sum())
        if variance > 0 and pairs:
            out[place] = float(rest[lag:] @ rest[:-lag]) / pairs / variance
    return out


def _half_spread(days: Ints, entity: Ints, shown: Bools, seed: int) -> Floats:
    """Half width of a 95 % band from random halves of the entities.

    A half drawn without replacement strays from the whole as the whole does from the truth
    (Politis, Romano, Wolf, Subsampling, 1999); the plain bootstrap would shrink the curve.
    """
    inside = (days >= 0) & (days < shown.size)
    days, entity = days[inside], entity[inside]
    number = int(entity.max()) + 1
    rng = np.random.default_rng([abs(seed), 28])
    curves = []
    for _ in range(HALVES):
        half = rng.permutation(number) < number // 2
        counts = np.bincount(days[half[entity]], minlength=shown.size).astype(np.float64)
        curves.append(_acf(counts, shown))
    return np.asarray(1.96 * np.std(curves, axis=0, ddof=1), dtype=np.float64)


def _rounded(values: Floats) -> list[float]:
    return [round(float(v), 3) if math.isfinite(v) else 0.0 for v in values]


# One marginal


def _marginal(real: _Side | None, synthetic: _Side, k: int, schema: TableSchema) -> dict[str, Any]:
    numeric = schema.of(NUMERIC)
    if not numeric:
        return {"missing": "the table has no numeric column"}
    sensitive = [f for f in numeric if f.name in schema.roles.sensitive]
    field = (sensitive or numeric)[0]
    values = synthetic.frame[field.name].to_numpy(dtype="float64")
    edges = _edges(values[np.isfinite(values)], whole=field.kind is Kind.INTEGER)
    if edges is None:
        return {"missing": f"{field.name} is empty in the synthetic table"}
    size = edges.size - 1
    drawn = _group(_bins(values, edges), synthetic.entity, size)
    base = synthetic if real is None else real
    bins = _bins(base.frame[field.name].to_numpy(dtype="float64"), edges)
    judge = _group(bins, base.entity, size)
    if not judge.rows.sum():
        return {"missing": f"{field.name} is empty in the real table"}
    shown = _shown(bins, base.entity, [list(range(size))], size, k)
    out: dict[str, Any] = {
        "column": field.name,
        "edges": [float(f"{edge:.12g}") for edge in edges],
        "synthetic": _percent(drawn.rows, shown),
        "suppressed": int((~shown).sum()),
    }
    if real is not None:
        out["real"] = _percent(judge.rows, shown)
    return out


def _edges(values: Floats, *, whole: bool) -> Floats | None:
    """At most 40 equal bins over the 1st to 99th percentile, at plain numbers (1, 2, 2.5 or 5)."""
    if not values.size:
        return None
    low, high = (float(q) for q in np.percentile(values, [1, 99]))
    span = high - low
    step = _plain_step(span / 40) if span > 0 else _plain_step(max(abs(low), 1.0) / 10)
    if whole:
        step = max(1.0, math.ceil(step))
    start, end = math.floor(low / step), math.floor(high / step) + 1
    return np.arange(start, end + 1, dtype=np.float64) * step


def _plain_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= step * (1 - 1e-9))


def _bins(values: Floats, edges: Floats) -> Ints:
    """Bin of each value; the first and last bins hold everything beyond; -1 for missing."""
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, edges.size - 2)
    return np.where(np.isfinite(values), place, -1).astype(np.int64)
