"""Leaks of known size: which train rows are planted, how they are changed, and under which keys.

A unit is one entity of train. Of the kinds that plant rows, each unit gives one row; of
``whole_entities`` it gives all of them. What is planted is added to the candidate under keys of its
own: nothing else changes, so a planted table and the candidate are compared in pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.metrics.cells import Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.neighbours import Vectors
from synth_contracts.tables import CATEGORICAL, NUMERIC, TEMPORAL, Kind

Leak = Literal["exact", "noisy", "interpolated", "whole_entities"]
Among = Literal["random", "isolated"]
KINDS: tuple[Leak, ...] = ("exact", "noisy", "interpolated", "whole_entities")
AMONG: tuple[Among, ...] = ("random", "isolated")

#: Spread of the factor that a noisy copy puts on its numbers, and of its times.
NOISE = 0.05
_DAY, _MINUTES = 86_400, 300
#: Who counts as isolated: this share of train's entities, and at least so many.
ISOLATED_SHARE, FEWEST_ISOLATED = 0.05, 100
_BLOCK = 4_096


@dataclass(frozen=True)
class Plants:
    """Rows ready to be planted, those of one unit side by side.

    Attributes:
        frame: canonical frame of the rows (keys as in train: :func:`planted` gives others).
        vectors: the same rows in the comparison's encoding, float32 of shape (rows, dimensions).
        source: the train row that each was made of, shape (rows,).
        start: first row of each unit, and the number of rows at the end, shape (units + 1,).
    """

    frame: pd.DataFrame
    vectors: Vectors
    source: Ints
    start: Ints

    @property
    def units(self) -> int:
        """How many entities' worth there is."""
        return len(self.start) - 1

    @property
    def unit(self) -> Ints:
        """The unit of each row, shape (rows,)."""
        return np.repeat(np.arange(self.units), np.diff(self.start))

    def rows_of(self, units: npt.NDArray[np.int64]) -> Ints:
        """Row numbers of ``units``, unit by unit."""
        spans = [np.arange(self.start[u], self.start[u + 1]) for u in units]
        return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)


class Train:
    """The rows that may be planted, by entity: worked out once for all kinds of leaks."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison, self.side = comparison, comparison.train_side
        self.sizes = np.bincount(self.side.entity, minlength=self.side.entities)
        self._first = np.cumsum(self.sizes) - self.sizes

    @cached_property
    def isolation(self) -> npt.NDArray[np.float64]:
        """How isolated each row is: its mean distance to reference rows, never to synthetic."""
        nearby = self.comparison.nearby
        return nearby.reference[: nearby.cut]

    @cached_property
    def widest_category(self) -> str | None:
        """The category with most levels; the first by name among equals."""
        frame = self.side.frame
        fields = self.comparison.schema.of(CATEGORICAL)
        levels = {field.name: int(frame[field.name].nunique()) for field in fields}
        return max(sorted(levels), key=lambda name: levels[name], default=None)

    @cached_property
    def _by_entity(self) -> Ints:
        return np.argsort(self.side.entity, kind="stable")

    @cached_property
    def _loneliest(self) -> Ints:
        """The most isolated row of each entity."""
        order = np.lexsort((-self.isolation, self.side.entity))
        return np.asarray(order[self._first])

    @cached_property
    def _drawn(self) -> Ints:
        """A row of each entity. One draw for all: whoever is planted with it changes nothing."""
        draw = self.comparison.rng("planted rows").random(len(self.sizes))
        return np.asarray(self._by_entity[self._first + (draw * self.sizes).astype(np.int64)])

    def rows_of(self, entities: Ints) -> Ints:
        """All rows of ``entities``, one entity after the other."""
        first, sizes = self._first, self.sizes
        spans = [self._by_entity[first[e] : first[e] + sizes[e]] for e in entities]
        return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)

    def row_of(self, entities: Ints, among: Among) -> Ints:
        """One row of each of ``entities``: any, or its most isolated one."""
        return (self._drawn if among == "random" else self._loneliest)[entities]


def pool(train: Train, among: Among, most: int) -> Ints:
    """Up to ``most`` entities of train in random order, all of them or the isolated ones alone.

    An entity is as isolated as its most isolated row, as attacks.isolated has it.
    """
    side = train.side
    entities = np.arange(side.entities)
    if among == "isolated":
        apart = train.isolation[train.row_of(entities, among)]
        size = max(FEWEST_ISOLATED, round(ISOLATED_SHARE * side.entities))
        entities = np.argsort(-apart, kind="stable")[:size]
    rng = train.comparison.rng(f"planted entities {among}")
    return rng.permutation(entities)[:most].astype(np.int64)


def make(train: Train, kind: Leak, among: Among, entities: Ints, label: str = "") -> Plants:
    """The rows that leaks of ``kind`` plant for ``entities`` of train, one unit each, in order.

    ``label`` names the stream of the noise: pools that are joined need one each.
    """
    comparison, label = train.comparison, f"{among} {label}"
    if kind == "whole_entities":
        source = train.rows_of(entities)
        start = np.concatenate([[0], np.cumsum(train.sizes[entities])])
    else:
        source = train.row_of(entities, among)
        start = np.arange(len(entities) + 1)
    frame = train.side.frame.iloc[source].reset_index(drop=True)
    if kind == "noisy":
        frame = _noisy(train, frame, label)
    elif kind == "interpolated":
        frame = _interpolated(comparison, frame, source)
    if kind in ("exact", "whole_entities"):
        vectors = comparison.vectors[0][source]
    else:
        vectors = comparison.encoder.encode(frame)
    return Plants(frame, vectors, source.astype(np.int64), start.astype(np.int64))


def _noisy(train: Train, frame: pd.DataFrame, label: str) -> pd.DataFrame:
    """Numbers times lognormal noise, times a day and minutes off, half of a category redrawn."""
    comparison, rows = train.comparison, len(frame)
    schema = comparison.schema
    frame = frame.copy()
    for field in sorted(schema.features, key=lambda f: f.name):
        rng = comparison.rng(f"noise {label} {field.name}")
        if field.kind in NUMERIC:
            moved = frame[field.name].to_numpy() * np.exp(rng.normal(0.0, NOISE, rows))
            frame[field.name] = np.rint(moved) if field.kind is Kind.INTEGER else moved
        elif field.kind in TEMPORAL:
            off = rng.choice([-_DAY, _DAY], rows)
            if field.kind is Kind.TIMESTAMP:
                off = off + rng.integers(-_MINUTES, _MINUTES + 1, rows)
            frame[field.name] = frame[field.name] + pd.to_timedelta(off, unit="s")
    name = train.widest_category
    if name is not None:
        rng = comparison.rng(f"redrawn {label}")
        column = frame[name].to_numpy(dtype=object, copy=True)
        redrawn = rng.random(rows) < 0.5
        known = train.side.frame[name].to_numpy(dtype=object)
        column[redrawn] = known[rng.integers(0, len(known), rows)][redrawn]
        frame[name] = column
    return frame


def _interpolated(comparison: Comparison, frame: pd.DataFrame, source: Ints) -> pd.DataFrame:
    """Half way to the nearest other train row in numbers and times; categories stay."""
    train = comparison.train_side
    other = nearest_other(comparison.vectors[0], source)
    mates = train.frame.iloc[other].reset_index(drop=True)
    frame = frame.copy()
    for field in comparison.schema.features:
        mine, theirs = frame[field.name], mates[field.name]
        if field.kind in NUMERIC:
            middle = (mine + theirs) / 2
            middle = np.rint(middle) if field.kind is Kind.INTEGER else middle
        elif field.kind in TEMPORAL:
            middle = (mine + (theirs - mine) / 2).dt.floor(
                "s" if field.kind is Kind.TIMESTAMP else "D"
            )
        else:
            continue
        frame[field.name] = middle.where(mine.notna() & theirs.notna(), mine)
    return frame


def nearest_other(vectors: Vectors, chosen: Ints) -> Ints:
    """The row nearest to each of ``chosen`` but itself; itself where there is no other."""
    best = np.full(len(chosen), np.inf, dtype=np.float32)
    found = chosen.copy()
    length = np.einsum("rd,rd->r", vectors, vectors)
    asked = np.ascontiguousarray(-2 * vectors[chosen].T)
    for first in range(0, len(vectors), _BLOCK):
        block = slice(first, first + _BLOCK)
        gap = vectors[block] @ asked + length[block, None]
        inside = np.flatnonzero((chosen >= first) & (chosen < first + _BLOCK))
        gap[chosen[inside] - first, inside] = np.inf
        row = np.argmin(gap, axis=0)
        least = gap[row, np.arange(len(chosen))]
        nearer = least < best
        best[nearer], found[nearer] = least[nearer], first + row[nearer]
    return found


def planted(comparison: Comparison, plants: Plants, units: Sequence[int]) -> Comparison:
    """A comparison of the same train and holdout whose candidate also holds ``units``.

    Every unit is one new entity, under keys that no real or synthetic row has.
    """
    chosen = np.asarray(units, dtype=np.int64)
    rows = plants.rows_of(chosen)
    added = plants.frame.iloc[rows].reset_index(drop=True)
    entity_key = comparison.schema.roles.entity_key
    for field in comparison.schema.released:
        if field.key:
            label = plants.unit[rows] if field.name == entity_key else rows
            added[field.name] = np.array([f"planted {n}" for n in label], dtype=object)
    return replace(
        comparison, synthetic=pd.concat([comparison.synthetic, added], ignore_index=True)
    )
