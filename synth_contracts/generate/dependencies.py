"""Functional dependencies: columns that one or two others determine (origin, dest -> distance).

Sampling such a column breaks nearly every row's combination (7 % of flights' triples survive), so
it is looked up. Combinations of fewer than k entities are never looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from synth_contracts.generate.protect import entities_per_value

_PROBE = 5_000
_MIN_ROWS = 10  # rows per combination on average: below, a dependency is an accident


@dataclass(frozen=True)
class Dependency:
    """``dependent`` is a function of ``determinants`` (one or two column names)."""

    determinants: tuple[str, ...]
    dependent: str


def find_dependencies(columns: Mapping[str, np.ndarray]) -> list[Dependency]:
    """Exact dependencies among columns of factor codes (>= 0), acyclic, dependents unique.

    Single determinants go before pairs, few combinations before many.
    """
    sizes = {name: int(codes.max(initial=-1)) + 1 for name, codes in columns.items()}
    rows = len(next(iter(columns.values()))) if columns else 0
    usable = [name for name, size in sizes.items() if 2 <= size <= max(rows // _MIN_ROWS, 2)]
    found: dict[str, tuple[str, ...]] = {}
    for width in (1, 2):
        for dependent in sorted(usable, key=lambda name: (sizes[name], name)):
            if dependent in found:
                continue
            best: tuple[int, tuple[str, ...]] | None = None
            others = [name for name in usable if name != dependent]
            for determinants in combinations(others, width):
                if any(_reaches(found, name, dependent) for name in determinants):
                    continue
                if width == 2 and any(name in found for name in determinants):
                    continue
                distinct = _determines(determinants, dependent, columns, sizes)
                if distinct and (best is None or distinct < best[0]):
                    best = (distinct, determinants)
            if best is not None:
                found[dependent] = best[1]
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


def _determines(
    determinants: tuple[str, ...],
    dependent: str,
    columns: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
) -> int:
    """The number of combinations of determinants where they determine, else 0."""
    rows = len(columns[dependent])
    product = int(np.prod([sizes[name] for name in determinants]))
    if product < sizes[dependent]:
        return 0
    for part in (slice(0, _PROBE), slice(None)):
        sliced = {name: columns[name][part] for name in (*determinants, dependent)}
        left = pd.unique(combine(determinants, sliced))
        both = pd.unique(combine((*determinants, dependent), sliced))
        if len(left) != len(both):
            return 0
    return len(left) if len(left) * _MIN_ROWS <= rows else 0


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
