"""Nearest neighbours in both directions from one look at all pairs.

Attacks ask for the synthetic row nearest to each real one, nearest_neighbor_distance for the real
rows nearest to each synthetic one: the same products. Of each block of real rows only the least
product with each synthetic row is kept. The n nearest of all lie in the n blocks whose least are
smallest, and these alone are looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synth_contracts.metrics.neighbours import (
    SPARE,
    TALL,
    Distances,
    Distinct,
    Rows,
    Vectors,
    copies,
    least_of,
    measured,
)
from synth_contracts.metrics.products import left_of, right_of, smallest
from synth_contracts.metrics.threads import each

Found = tuple[Distances, Rows]


@dataclass(frozen=True)
class _Part:
    """Distinct rows of one part, what was found of them, and the least product of each block.

    ``least`` has shape (blocks, distinct rows of the other table).
    """

    groups: Distinct
    rows: Vectors
    found: Found
    least: Vectors


class BothWays:
    """All pairs of a table and the parts of another, looked at once.

    Args:
        parts: encoded rows of each part, float32 of shape (rows, d), at least one row each.
        other: of the table, shape (r, d), r >= 1.
    """

    def __init__(self, parts: Sequence[Vectors], other: Vectors) -> None:
        self._held = Distinct.of(other)
        self._other = self._held.chosen(other)
        self._centre: Vectors = self._other.mean(axis=0, dtype=np.float64).astype(np.float32)
        # half the squared distance, the terms of both rows included
        right = right_of(self._other, self._centre)
        self._right = np.concatenate([right, np.ones((len(right), 1), np.float32)], axis=1)
        self._parts = [self._looked_at(part) for part in parts]

    def nearest(self, part: int) -> Found:
        """As ``search(part, other)``: distance and row of the nearest, shape (rows, 1) each."""
        return self._parts[part].found

    def back(self, part: int, k: int) -> Found:
        """As ``search(other, part, k)``: distances and rows, shape (r, k) each."""
        held = self._parts[part]
        wanted = min(k + SPARE, len(held.rows))
        blocks, asking = held.least.shape
        count = min(wanted, blocks)
        chosen = np.argpartition(held.least, count - 1, axis=0)[:count].ravel()
        # pairs of a row and one of its blocks, block by block
        order = np.argsort(chosen, kind="stable")
        bounds = np.searchsorted(chosen[order], np.arange(blocks + 1))
        values = np.full((count, asking, wanted), np.inf, dtype=np.float32)
        ids = np.zeros((count, asking, wanted), dtype=np.int64)

        def look(block: int) -> None:
            place, row = np.divmod(order[bounds[block] : bounds[block + 1]], asking)
            first = block * TALL
            right = right_of(held.rows[first : first + TALL], self._centre)
            gaps = np.matmul(left_of(self._other[row], self._centre), right.T)
            found = min(wanted, len(right))
            values[place, row, :found], at = smallest(gaps, found)
            ids[place, row, :found] = at + first

        each(look, range(blocks))
        flat = (asking, count * wanted)
        values, ids = (found.transpose(1, 0, 2).reshape(flat) for found in (values, ids))
        best = np.argsort(values, axis=1, kind="stable")[:, :wanted]
        ids = np.where(np.isinf(values), -1, ids)
        ids = np.column_stack([np.take_along_axis(ids, best, 1), copies(self._held, held.groups)])
        distances, ids = measured(self._other, held.rows, ids, min(k, len(held.rows)))
        return self._held.of_rows(*held.groups.expanded(distances, ids, k))

    def _looked_at(self, part: Vectors) -> _Part:
        groups = Distinct.of(part)
        some = groups.chosen(part)
        wanted = min(1 + SPARE, len(self._other))
        ids = np.empty((len(some), wanted + 1), dtype=np.int64)
        ids[:, -1] = copies(groups, self._held)
        least = np.empty((-(-len(some) // TALL), len(self._other)), dtype=np.float32)

        def look(block: int) -> None:
            rows = slice(block * TALL, block * TALL + TALL)
            left = left_of(some[rows], self._centre)
            length = np.einsum("qd,qd->q", left[:, :-1], left[:, :-1], dtype=np.float64) / 2
            left = np.concatenate([left, length.astype(np.float32)[:, None]], axis=1)
            ids[rows, :-1] = least_of(left, self._right, wanted, least[block])

        each(look, range(len(least)))
        distances, ids = measured(some, self._other, ids, 1)
        found = groups.of_rows(*self._held.expanded(distances, ids, 1))
        return _Part(groups, some, found, least)
