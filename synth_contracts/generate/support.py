"""Combinations of categories that do not occur: no tree should put them together.

Leaves hold many rows, so a carrier that never flies somewhere shares its leaf with one that does.
A combination that fewer than k entities hold, where columns that know nothing of each other would
give it to several times as many, does not exist, and rows that would hold it are drawn again. One
that is as rare as its values are is left alone: to refuse it would move the shares of the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from synth_contracts.coarsening import entities_per_value
from synth_contracts.generate.trees import Values

#: Entities, in units of k, that are expected of a combination before its absence tells anything:
#: of 30 expected fewer than 10 are seen once in 100,000 times (Poisson).
_EXPECTED = 3.0
#: Points at which the entities expected of a share of rows are worked out.
_POINTS = 256
#: Combinations of the columns' values: the table of those that exist is kept whole.
_CELLS = 4_000_000


@dataclass(frozen=True)
class _Table:
    """Which combinations of some columns exist, or are rare by nature."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    held: np.ndarray

    def known(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which rows hold one of them."""
        return np.asarray(self.held[_cell(self.names, self.sizes, drawn)])


class Support:
    """What combinations exist of pairs of categories, and of the quasi-identifiers together."""

    def __init__(
        self,
        values: Values,
        order: Sequence[str],
        entities: np.ndarray,
        k: int,
        together: Sequence[str] = (),
    ) -> None:
        """Learn from protected train.

        Args:
            values: columns, one value per row.
            order: in which they are drawn; the last one of a combination is drawn again.
            entities: entity of each row.
            k: entities that a combination is held by at least.
            together: columns that are also looked at all together.
        """
        named = [name for name in order if values[name][0].size > 1]
        columns = {name: values[name][1] for name in named}
        sizes = {name: values[name][0].size + 1 for name in named}
        each = np.bincount(entities)
        alone = len(each) == len(entities)
        groups: list[tuple[str, ...]] = list(combinations(named, 2))
        several = tuple(name for name in named if name in together)
        if len(several) > 2:
            groups.append(several)
        self._tables: dict[str, list[_Table]] = {}
        for names in groups:
            shape = tuple(sizes[name] for name in names)
            cells = int(np.prod(shape, dtype=np.int64))
            if cells > _CELLS:
                continue
            cell = _cell(names, shape, columns)
            rows = np.bincount(cell, minlength=cells)
            held = rows if alone else entities_per_value(cell, entities, cells)
            share = np.ones(1)
            for name in names:
                counted = np.bincount(columns[name] + 1, minlength=sizes[name])
                share = np.multiply.outer(share, counted / len(cell)).ravel()
            known = (held >= k) | (_entities_of(share, each) < _EXPECTED * k)
            if known.all():
                continue
            self._tables.setdefault(names[-1], []).append(_Table(names, shape, known))

    def odd(self, name: str, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """Places of the rows whose ``name`` makes a combination that does not exist."""
        found = self._tables.get(name, ())
        if not found:
            return np.zeros(0, dtype=np.int64)
        known = np.ones(len(drawn[name]), dtype=bool)
        for table in found:
            known &= table.known(drawn)
        return np.flatnonzero(~known)


def _entities_of(share: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Entities that hold at least one row of a kind that has ``share`` of all rows by chance.

    Args:
        share: shares, any shape; between the points the count is interpolated.
        rows: rows of each entity.
    """
    sizes, count = np.unique(rows, return_counts=True)
    points = np.append(0.0, np.geomspace(1 / rows.sum(), 1.0, _POINTS))
    held = (1 - np.exp(-np.outer(points, sizes))) @ count
    return np.asarray(np.interp(share, points, held))


def _cell(
    names: Sequence[str], sizes: Sequence[int], columns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The number of each row's combination; missing values are a value."""
    out = np.zeros(len(columns[names[0]]), dtype=np.int64)
    for name, size in zip(names, sizes, strict=True):
        out = out * size + columns[name] + 1
    return out
