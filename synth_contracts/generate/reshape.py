"""Columns in the form in which they keep conditions by construction.

A generator that draws net, tax and total, or an order's and a delivery's date, each on its own
breaks what ties them together. So it never sees the sum (which is computed from its parts
afterwards), and of two dates that belong together it sees the second as its distance from the
first. What is chosen is read from train's columns and the contract alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.contract.conditions import columns_of, conjuncts
from synth_contracts.errors import GenerationError
from synth_contracts.generate.dependencies import constant_within
from synth_contracts.generate.encode import time_unit
from synth_contracts.generate.slots import onward
from synth_contracts.tables import NUMERIC, TEMPORAL, Field, Kind, TableSchema, solved
from synth_contracts.tables.declared import plain_value

#: A second time is learned as a distance when distances spread less than this share of its own.
_TOGETHER = 0.5
_DAY = 86_400_000_000_000


@dataclass(frozen=True)
class _Sum:
    """``column`` is what makes the equation ``condition`` true.

    ``fitted`` where its nulls in train are its own: then the generator must draw at least those.
    """

    column: str
    condition: Any
    others: tuple[str, ...]
    decimals: int | None
    fitted: bool


@dataclass(frozen=True)
class _Distance:
    """``column`` is learned as a number of ``unit`` nanoseconds after ``base``.

    ``anchor`` is ``row`` for the base of the same row. An attribute of entities stands on the
    ``first`` or ``last`` time of its entity instead.
    """

    column: str
    base: str
    unit: int
    anchor: str = "row"


class Reshaped:
    """What a generator learns instead of the table's own columns.

    Args:
        train: canonical features before any protection.
        entities: integer entity of each row.
        schema: the table's columns.

    ``schema`` is the table as the generator sees it: sums are excluded from it, distances are
    numbers under the column's own name.
    """

    def __init__(self, train: pd.DataFrame, entities: np.ndarray, schema: TableSchema) -> None:
        self._whole = schema
        self._fields = {f.name: f for f in schema.features if f.name in train.columns}
        self._constant = set(constant_within(train, entities))
        self._entities = entities
        self._sums = self._find_sums(train)
        self._distances = self._find_distances(train)
        self._enums = {
            name: _allowed(f, schema.roles.timezone)
            for name, f in self._fields.items()
            if f.declared and f.declared.enum is not None and f.kind in NUMERIC | TEMPORAL
        }
        # times of day that a clock may skip; dates have none
        self._clocks = {
            name: time_unit(train[name].dropna().to_numpy().astype("int64"))
            for name, f in self._fields.items()
            if f.kind is Kind.TIMESTAMP and schema.roles.timezone
        }
        self._distinct = {
            name: _Range.of(train[name])
            for name, f in self._fields.items()
            if f.declared and f.declared.unique and f.kind in TEMPORAL and train[name].notna().any()
        }
        self.schema = replace(schema, fields=tuple(self._learned(f) for f in schema.fields))

    def _learned(self, field: Field) -> Field:
        total = self._sums.get(field.name)
        if total is not None and not total.fitted:
            return replace(field, excluded=True)
        if field.name in self._distances:
            return replace(field, kind=Kind.NUMBER, physical_type="DOUBLE", declared=None)
        return field

    # ---- what is tied to what

    def _find_sums(self, train: pd.DataFrame) -> dict[str, _Sum]:
        from sqlglot import exp

        found: dict[str, _Sum] = {}
        for constraint in self._whole.constraints:
            for condition in conjuncts(constraint.check):
                if isinstance(condition, exp.EQ):
                    total = self._sum_of(condition, train, found)
                    if total is not None:
                        found[total.column] = total
        return _in_order(found)

    def _sum_of(
        self, condition: Any, train: pd.DataFrame, found: Mapping[str, _Sum]
    ) -> _Sum | None:
        from sqlglot import exp

        spelled = {name.casefold(): name for name in self._fields}
        named = [spelled.get(n.casefold()) for n in columns_of("", condition)]
        columns = [n for n in named if n is not None]
        if len(columns) < len(named) or len(columns) < 2:
            return None
        bare = {
            spelled[side.name.casefold()]
            for side in (condition.left.unnest(), condition.right.unnest())
            if isinstance(side, exp.Column)
        }
        for column in sorted(columns, key=lambda name: (name not in bare, -columns.index(name))):
            others = tuple(name for name in columns if name != column)
            if not self._may_be_derived(column, others, found):
                continue
            values = solved(condition, column, train, self._whole)
            if values is None:
                continue
            own = train[column].to_numpy(dtype="float64")
            decimals = _decimals(self._fields[column], own)
            missing = np.isnan(own) != np.isnan(values)
            known = ~(np.isnan(own) | np.isnan(values))
            if not np.allclose(own[known], values[known], 1e-6, 1e-6):
                continue
            return _Sum(column, condition, others, decimals, bool(missing.any()))
        return None

    def _may_be_derived(
        self, column: str, others: tuple[str, ...], found: Mapping[str, _Sum]
    ) -> bool:
        field, roles = self._fields[column], self._whole.roles
        if field.kind not in NUMERIC or column in found or column in roles.quasi_identifiers:
            return False
        if field.declared is not None and (field.declared.enum or field.declared.unique):
            return False
        if column in self._constant and not self._constant.issuperset(others):
            return False
        reached, todo = set(), list(others)
        while todo:
            name = todo.pop()
            reached.add(name)
            todo += [n for n in (found[name].others if name in found else ()) if n not in reached]
        return column not in reached

    def _find_distances(self, train: pd.DataFrame) -> dict[str, _Distance]:
        from sqlglot import exp

        found: dict[str, _Distance] = {}
        spelled = {name.casefold(): name for name in self._fields}
        for constraint in self._whole.constraints:
            for condition in _anywhere(constraint.check):
                if not isinstance(condition, exp.GT | exp.GTE | exp.LT | exp.LTE):
                    continue
                sides = [s.unnest() for s in (condition.left, condition.right)]
                if not all(isinstance(side, exp.Column) for side in sides):
                    continue
                earlier, later = (spelled.get(side.name.casefold(), "") for side in sides)
                if isinstance(condition, exp.GT | exp.GTE):
                    earlier, later = later, earlier
                for column, base, end in ((later, earlier, "last"), (earlier, later, "first")):
                    steady = column in self._constant
                    if steady and base != self._whole.roles.time_index:
                        continue
                    if self._may_follow(column, base, train, found):
                        distance = self._distance(column, base, train)
                        found[column] = replace(distance, anchor=end) if steady else distance
                        break
        time = self._whole.roles.time_index
        for column in self._fields:
            if time not in self._fields or column in self._constant:
                continue
            if self._may_follow(column, time, train, found):
                distance = self._distance(column, time, train)
                gaps = _units(train[column], train[time], distance.unit)
                own = train[column].dropna().to_numpy().astype("int64") / distance.unit
                if _spread(gaps[~np.isnan(gaps)]) < _TOGETHER * _spread(own):
                    found[column] = distance
        return _in_order(found)

    def _may_follow(
        self, column: str, base: str, train: pd.DataFrame, found: Mapping[str, _Distance]
    ) -> bool:
        """Whether ``column`` can be learned as a distance from ``base``."""
        roles = self._whole.roles
        if column == base or not {column, base} <= self._fields.keys():
            return False
        if any(self._fields[name].kind not in TEMPORAL for name in (column, base)):
            return False
        if column == roles.time_index or column in found:
            return False
        if {column, base} & set(roles.quasi_identifiers):
            return False
        declared = self._fields[column].declared
        if declared is not None and (declared.enum or declared.unique):
            return False
        name: str | None = base
        while name is not None:  # a chain must not come back
            if name == column:
                return False
            name = found[name].base if name in found else None
        known, based = train[column].notna(), train[base].notna()
        if column in self._constant:  # its entity's first or last base is enough
            based = based.groupby(self._entities).transform("any")
        return bool(known.any() and based[known].all())

    def _distance(self, column: str, base: str, train: pd.DataFrame) -> _Distance:
        stamps = train[column].dropna().to_numpy().astype("int64")
        return _Distance(column, base, time_unit(stamps))

    # ---- there and back

    def forward(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns that a generator learns, of train's canonical features."""
        out = frame.drop(columns=[s.column for s in self._sums.values() if not s.fitted])
        anchors = self.anchors(frame, self._entities)
        for distance in self._distances.values():
            base = self._base(distance, frame, anchors, self._entities)
            out[distance.column] = _units(frame[distance.column], base, distance.unit)
        return out

    def anchors(self, frame: pd.DataFrame, owner: np.ndarray) -> dict[str, np.ndarray]:
        """First and last time of each entity 0..S-1, datetime64[ns], where something needs them."""
        kinds = {d.anchor: d.base for d in self._distances.values() if d.anchor != "row"}
        size = int(owner.max()) + 1
        return {
            anchor: frame[base]
            .groupby(owner)
            .agg({"first": "min", "last": "max"}[anchor])
            .reindex(range(size))
            .to_numpy()
            for anchor, base in kinds.items()
        }

    @staticmethod
    def _base(
        distance: _Distance,
        frame: pd.DataFrame,
        anchors: Mapping[str, np.ndarray],
        owner: np.ndarray,
    ) -> pd.Series:
        if distance.anchor == "row":
            return frame[distance.base]
        return pd.Series(anchors[distance.anchor][owner], index=frame.index)

    def back(
        self, made: pd.DataFrame, owner: np.ndarray, anchors: Mapping[str, np.ndarray]
    ) -> pd.DataFrame:
        """Canonical features (with any other columns of ``made``) of what a generator made.

        Args:
            made: any rows of it, with all its columns.
            owner: entity of each of these rows.
            anchors: of all its rows.
        """
        out = made.copy(deep=False)
        for distance in self._distances.values():  # a base stands before what follows it
            base = self._base(distance, out, anchors, owner)
            out[distance.column] = _moments(made[distance.column], base, distance.unit)
        for name, unit in self._clocks.items():
            if unit < _DAY:
                out[name] = onward(pd.DatetimeIndex(out[name]), str(self._whole.roles.timezone))
        for name, allowed in self._enums.items():
            out[name] = _nearest(out[name], allowed)
        for total in self._sums.values():
            out[total.column] = self._total(total, out)
        return out

    def distinct(self, whole: pd.DataFrame) -> pd.DataFrame:
        """``whole``, all rows of it, with no time twice in columns that are declared unique.

        A time that is taken moves to the next free one, or back from the end of train's period.

        Raises:
            GenerationError: there are more rows than times.
        """
        out = whole.copy(deep=False)
        for name, span in self._distinct.items():
            out[name] = span.spread(out[name], name)
        return out

    def behind(self, columns: Sequence[str]) -> frozenset[str]:
        """``columns`` and all that they are computed from."""
        reached: set[str] = set()
        todo = list(columns)
        while todo:
            name = todo.pop()
            if name in reached:
                continue
            reached.add(name)
            if name in self._sums:
                todo += self._sums[name].others
            if name in self._distances:
                todo.append(self._distances[name].base)
        return frozenset(reached)

    def _total(self, total: _Sum, frame: pd.DataFrame) -> np.ndarray:
        own = frame[total.column] if total.fitted else None
        values = solved(total.condition, total.column, frame, self._whole)
        if values is None:  # it was solved on train
            raise AssertionError(total.column)
        if total.decimals is not None:
            values = np.round(values, total.decimals)
        if own is None:
            return values
        drawn = own.to_numpy(dtype="float64")
        return np.where(np.isnan(drawn) | np.isnan(values), drawn, values)


@dataclass(frozen=True)
class _Range:
    """The times of a unique column: whole days of train's, in steps of its resolution."""

    low: int
    high: int
    unit: int

    @classmethod
    def of(cls, column: pd.Series) -> _Range:
        stamps = column.dropna().to_numpy().astype("int64")
        unit = time_unit(stamps)
        first, last = int(stamps.min()) // _DAY * _DAY, (int(stamps.max()) // _DAY + 1) * _DAY
        return cls(first, last - unit, unit)

    def spread(self, column: pd.Series, name: str) -> np.ndarray:
        """The column with its equal values moved apart, as little as that takes."""
        known = column.notna().to_numpy()
        values = column.to_numpy().astype("datetime64[ns]").copy()
        stamps = values[known].astype("int64")
        if not len(stamps) or len(np.unique(stamps)) == len(stamps):
            return values
        low, high = min(self.low, int(stamps.min())), max(self.high, int(stamps.max()))
        if (high - low) // self.unit + 1 < len(stamps):
            raise GenerationError(
                f"{len(stamps)} rows cannot each have a time of their own: train's period holds "
                f"{(high - low) // self.unit + 1}",
                where=name,
                mend="ask for fewer generator.rows, or take `unique` off the column",
            )
        order = np.argsort(stamps, kind="stable")
        steps = (stamps[order] - low) // self.unit
        place = np.arange(len(steps))
        # at least one step after the one before, and early enough for all that follow
        steps = np.maximum.accumulate(steps - place) + place
        room = (high - low) // self.unit - place[::-1]
        steps = np.minimum(steps, room)
        stamps[order] = low + steps * self.unit
        values[known] = stamps.astype("datetime64[ns]")
        return values


def _anywhere(check: str) -> list[Any]:
    """The conjuncts of a condition, and the parts of those that are alternatives."""
    from sqlglot import exp

    found = []
    for condition in conjuncts(check):
        parts = [condition]
        while parts:
            part = parts.pop(0).unnest()
            if isinstance(part, exp.Or):
                parts += [part.left, part.right]
            else:
                found.append(part)
    return found


def _in_order(found: dict[str, Any]) -> dict[str, Any]:
    """What others stand on first."""
    out: dict[str, Any] = {}
    while len(out) < len(found):
        for name, item in found.items():
            needs = item.others if isinstance(item, _Sum) else (item.base,)
            if name not in out and all(n in out or n not in found for n in needs):
                out[name] = item
    return out


def _decimals(field: Field, values: np.ndarray) -> int | None:
    if field.kind is Kind.INTEGER:
        return 0
    if field.physical_type.startswith("DECIMAL"):
        return int(field.physical_type.strip("DECIMAL()").split(",")[1])
    known = np.unique(values[np.isfinite(values)])
    return next((d for d in range(7) if np.allclose(known, np.round(known, d), 0, 1e-9)), None)


def _floor(base: pd.Series, unit: int) -> tuple[np.ndarray, np.ndarray]:
    """``base`` cut to ``unit`` in nanoseconds, and where it is known."""
    known = base.notna().to_numpy()
    stamps = base.to_numpy().astype("datetime64[ns]").astype("int64")
    return np.where(known, stamps // unit * unit, 0), known


def _units(column: pd.Series, base: pd.Series, unit: int) -> np.ndarray:
    start, known = _floor(base, unit)
    both = known & column.notna().to_numpy()
    stamps = column.to_numpy().astype("datetime64[ns]").astype("int64")
    return np.where(both, (np.where(both, stamps, 0) - start) // unit, np.nan)


def _moments(gaps: pd.Series, base: pd.Series, unit: int) -> np.ndarray:
    start, known = _floor(base, unit)
    numbers = gaps.to_numpy(dtype="float64")
    both = known & ~np.isnan(numbers)
    out = np.full(len(gaps), np.datetime64("NaT"), dtype="datetime64[ns]")
    whole = np.rint(numbers[both]).astype("int64") * unit + start[both]
    out[both] = whole.astype("datetime64[ns]")
    return out


def _spread(values: np.ndarray) -> float:
    if not len(values):
        return 0.0
    low, high = np.quantile(values, [0.05, 0.95])
    return float(high - low)


def _allowed(field: Field, zone: str | None) -> np.ndarray:
    assert field.declared is not None  # noqa: S101 - narrows the type for mypy
    assert field.declared.enum is not None  # noqa: S101
    items = [plain_value(i, field, zone) for i in field.declared.enum if i is not None]
    dtype = "datetime64[ns]" if field.kind in TEMPORAL else "float64"
    return np.unique(np.array(items, dtype=dtype))


def _nearest(column: pd.Series, allowed: np.ndarray) -> np.ndarray:
    """Each value moved to the nearest that is allowed; nulls stay."""
    values = column.to_numpy(copy=True)
    known = column.notna().to_numpy()
    if not len(allowed) or not known.any():
        return values
    right = np.clip(np.searchsorted(allowed, values[known]), 0, len(allowed) - 1)
    left = np.maximum(right - 1, 0)
    nearer = values[known] - allowed[left] < allowed[right] - values[known]
    values[known] = np.where(nearer, allowed[left], allowed[right])
    return values
