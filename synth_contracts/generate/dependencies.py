"""Functional dependencies: columns that one or two others determine (origin, dest -> distance).

Sampling such a column breaks nearly every row's combination (7 % of flights' triples survive), so
it is looked up. Combinations of fewer than k entities are never looked up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from synth_contracts.coarsening import entities_per_value
from synth_contracts.generate.trees import Values

_PROBE = 5_000
_EXCEPTIONS = 0.005  # real tables err: two distances for one route; such routes are not looked up
_MIN_ROWS = 10  # rows per combination on average: below, a dependency is an accident


@dataclass(frozen=True)
class Dependency:
    """``dependent`` is a function of ``determinants`` (one or two column names)."""

    determinants: tuple[str, ...]
    dependent: str


def find_dependencies(
    columns: Mapping[str, np.ndarray],
    numbers: Collection[str] = (),
    grouped: Mapping[str, np.ndarray] | None = None,
) -> list[Dependency]:
    """Dependencies, up to a few rows, among columns of factor codes (>= 0); acyclic.

    Single determinants go before pairs, categories before ``numbers`` (integers that count), few
    combinations before many; what is derived is rather a number than a category, rather a column
    of many values than of few. Rows in which a determinant is one of ``grouped`` (column name ->
    mask of the rows where rare values were grouped) say neither yes nor no: a group of routes has
    many distances.
    """
    grouped = grouped or {}
    sizes = {name: int(codes.max(initial=-1)) + 1 for name, codes in columns.items()}
    rows = len(next(iter(columns.values()))) if columns else 0
    usable = [name for name, size in sizes.items() if 2 <= size <= max(rows // _MIN_ROWS, 2)]
    found: dict[str, tuple[str, ...]] = {}
    for width in (1, 2):
        for dependent in sorted(usable, key=lambda name: (name not in numbers, -sizes[name], name)):
            if dependent in found:
                continue
            best: tuple[int, int, tuple[str, ...]] | None = None
            others = [
                name
                for name in usable
                # a number never decides a category: routes have distances, not distances routes
                if name != dependent and (name not in numbers or dependent in numbers)
            ]
            for determinants in combinations(others, width):
                if any(_reaches(found, name, dependent) for name in determinants):
                    continue
                if width == 2 and any(name in found for name in determinants):
                    continue
                distinct = determines(determinants, dependent, columns, sizes, grouped)
                counted = sum(name in numbers for name in determinants)
                if distinct and (best is None or (counted, distinct) < best[:2]):
                    best = (counted, distinct, determinants)
            if best is not None:
                found[dependent] = best[2]
    return [Dependency(determinants, dependent) for dependent, determinants in found.items()]


def _reaches(found: Mapping[str, tuple[str, ...]], start: str, goal: str) -> bool:
    """Whether ``start`` is itself derived, over any steps, from ``goal``."""
    return start == goal or any(_reaches(found, name, goal) for name in found.get(start, ()))


def combine(names: Sequence[str], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Factor codes of the combinations of several coded columns (codes >= -1)."""
    key = np.zeros(len(columns[names[0]]), dtype=np.int64)
    for name in names:
        codes = columns[name].astype(np.int64)
        key = key * (int(codes.max(initial=0)) + 2) + codes + 1
    return key


def determines(
    determinants: tuple[str, ...],
    dependent: str,
    columns: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    grouped: Mapping[str, np.ndarray],
) -> int:
    """The number of combinations of determinants where they determine, else 0.

    Args:
        determinants: one or two names of ``columns``.
        dependent: another one.
        columns: factor codes (>= 0).
        sizes: number of codes of each column.
        grouped: rows that say neither yes nor no, by determinant.
    """
    values = sizes[dependent]
    masks = [grouped[name] for name in determinants if name in grouped]
    if masks:
        kept = ~np.logical_or.reduce(masks)
        if 2 * kept.sum() < len(kept):
            return 0
        columns = {name: columns[name][kept] for name in (*determinants, dependent)}
        values = len(np.unique(columns[dependent]))
    rows = len(columns[dependent])
    product = int(np.prod([sizes[name] for name in determinants]))
    if product < values:
        return 0
    common = np.bincount(columns[dependent]).max() / rows
    for step in (max(rows // _PROBE, 1), 1):
        sliced = {name: columns[name][::step] for name in (*determinants, dependent)}
        left = pd.factorize(combine(determinants, sliced))[0]
        pairs, counts = np.unique(left * sizes[dependent] + sliced[dependent], return_counts=True)
        agreeing = np.zeros(int(left.max()) + 1, dtype=np.int64)
        np.maximum.at(agreeing, pairs // sizes[dependent], counts)
        if 1 - agreeing.sum() / len(left) > _EXCEPTIONS * (1 - common):
            return 0
    return len(agreeing) if len(agreeing) * _MIN_ROWS <= rows else 0


def constant_within(
    columns: Mapping[str, np.ndarray] | pd.DataFrame, entities: np.ndarray
) -> list[str]:
    """Columns with one value per entity, missing being a value; none where no entity has two rows.

    Args:
        columns: one value per row each.
        entities: integer entity of each row.
    """
    first, of = np.unique(entities, return_index=True, return_inverse=True)[1:]
    if len(first) == len(entities):
        return []
    found = []
    for name, column in columns.items():
        codes = pd.factorize(column, use_na_sentinel=False)[0]
        if (codes[first][of] == codes).all():
            found.append(str(name))
    return found


class LookUp:
    """The table of one dependency, learned on protected train."""

    def __init__(
        self,
        dependency: Dependency,
        columns: Mapping[str, np.ndarray],
        entities: np.ndarray,
        k: int,
    ) -> None:
        self.dependency = dependency
        table = pd.DataFrame({name: columns[name] for name in dependency.determinants})
        table["value"] = columns[dependency.dependent]
        keys = list(dependency.determinants)
        codes = table.groupby(keys, sort=True, dropna=False).ngroup().to_numpy()
        held = entities_per_value(codes, entities, int(codes.max()) + 1)
        groups = table.groupby(keys, sort=True, dropna=False)["value"]
        single = groups.nunique(dropna=False).to_numpy() == 1
        first = table.drop_duplicates(keys).sort_values(keys, kind="stable")
        self._table = first[single & (held >= k)]

    def apply(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """The drawn dependent with looked-up values where the combination is in the table."""
        keys = list(self.dependency.determinants)
        asked = pd.DataFrame({name: drawn[name] for name in keys})
        joined = asked.merge(self._table, on=keys, how="left", indicator=True)
        known = (joined["_merge"] == "both").to_numpy()
        out = drawn[self.dependency.dependent].copy()
        out[known] = joined["value"].to_numpy()[known]
        return out

    def known(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which rows hold a combination of the table."""
        keys = list(self.dependency.determinants)
        asked = pd.DataFrame({name: drawn[name] for name in keys})
        joined = asked.merge(self._table[keys], on=keys, how="left", indicator=True)
        return (joined["_merge"] == "both").to_numpy()


def look_ups(values: Values, entities: np.ndarray, k: int) -> dict[str, LookUp]:
    """The tables of all dependencies among the categories and whole numbers of ``values``."""
    factors = {
        name: pd.factorize(column, use_na_sentinel=False)[0]
        for name, (variable, column) in values.items()
        if variable.size or variable.decimals == 0
    }
    columns = {name: column for name, (_, column) in values.items()}
    numbers = {name for name in factors if not values[name][0].size}
    grouped = {
        name: columns[name] == values[name][0].group
        for name in factors
        if values[name][0].group is not None
    }
    return {
        found.dependent: LookUp(found, columns, entities, k)
        for found in find_dependencies(factors, numbers, grouped)
    }


def ordered(values: Values, lookups: Mapping[str, LookUp]) -> list[str]:
    """Categories by number of values, then numbers; a derived column once it can be derived."""

    def rank(name: str) -> tuple[bool, int]:
        size = values[name][0].size
        return size == 0, size

    def ready(name: str) -> bool:
        return name in lookups and set(lookups[name].dependency.determinants) <= set(order)

    waiting = sorted(values, key=rank)
    order: list[str] = []
    while waiting:
        name = next((name for name in waiting if ready(name)), None)
        name = name or next(name for name in waiting if name not in lookups)
        order.append(name)
        waiting.remove(name)
    return order
