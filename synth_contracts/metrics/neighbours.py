"""Nearest neighbours: every pair while that is cheap, inverted lists above, exact distances always.

The reference is never sampled. Up to ``EXACT_PAIRS`` pairs each is looked at; above, those lists
around centroids that lie nearest (inverted_lists.py). An exact copy is found by a hash of its row,
whatever else is searched: approximation can only hide a neighbour that is not a copy.

Pairs are compared by products of matrices (products.py), which lose exact zeros. So one neighbour
more than asked for is kept, and the distance of each is computed again from the difference of the
vectors. Equal rows are searched once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.cells import mix
from synth_contracts.metrics.inverted_lists import search_lists
from synth_contracts.metrics.products import (
    Distances,
    Rows,
    Vectors,
    left_of,
    right_of,
    smallest,
)
from synth_contracts.metrics.threads import each

__all__ = ["EXACT_PAIRS", "Distances", "Rows", "Vectors", "nearest", "search"]

#: Up to this many pairs every pair is looked at (about 1.3 ns of CPU each at 50 dimensions).
EXACT_PAIRS = 2_500_000_000
PROBES = 32
#: Neighbours kept beyond those asked for: products of float32 may swap two that are equally near.
SPARE = 1
#: Pairs looked at together, queries by reference rows. Not a power of two wide: the rows of such a
#: product fall on the same lines of the cache, and it takes a third longer.
TALL, WIDE = 256, 5_000
#: Share of rows that are copied to be looked at alone.
_FEW = 0.25
#: Queries whose distances are computed again at a time.
_AGAIN = 8_192


def nearest(
    queries: Vectors,
    reference: Vectors,
    k: int = 1,
    *,
    probes: int = PROBES,
    exact: int | None = None,
) -> Distances:
    """The distances of :func:`search` alone, shape (q, k)."""
    return search(queries, reference, k, probes=probes, exact=exact)[0]


def search(
    queries: Vectors,
    reference: Vectors,
    k: int = 1,
    *,
    probes: int = PROBES,
    exact: int | None = None,
) -> tuple[Distances, Rows]:
    """Euclidean distances of each query to its k nearest reference rows, ascending, and the rows.

    Args:
        queries: shape (q, d), float32, finite.
        reference: shape (r, d), float32, finite, r >= 1.
        k: how many; where r < k the last columns are infinite.
        probes: lists looked at when the search is approximate; fewer are enough where both sides
            of a comparison suffer alike.
        exact: up to how many pairs all are looked at; EXACT_PAIRS where it is None.

    Returns:
        distances, shape (q, k), exact for the neighbours that were found; and their row numbers in
        the reference, -1 where there is none. Of equally near rows the first ones are taken.
    """
    asked, held = Distinct.of(queries), Distinct.of(reference)
    some, known = asked.chosen(queries), held.chosen(reference)
    copy = copies(asked, held)
    # the nearest of a copy is known
    open_ = np.flatnonzero(copy < 0) if k == 1 else np.arange(len(some))
    most = EXACT_PAIRS if exact is None else exact
    wanted = min(k + SPARE, len(known))
    ids = np.full((len(some), wanted + 1), -1, dtype=np.int64)
    ids[:, -1] = copy
    if len(open_):
        centre = known.mean(axis=0, dtype=np.float64).astype(np.float32)
        left = some if len(open_) == len(some) else some[open_]
        if len(left) * len(known) <= most:
            ids[open_, :-1] = _every_pair(left, right_of(known, centre), wanted, centre)
        else:
            ids[open_, :-1] = search_lists(left, known, wanted, probes, centre)
        del left
    distances, ids = measured(some, known, ids, min(k, len(known)))
    return asked.of_rows(*held.expanded(distances, ids, k))


@dataclass(frozen=True)
class Distinct:
    """Groups of equal rows.

    Attributes:
        hashes: of the groups, ascending, shape (groups,).
        first: first row of each group, shape (groups,).
        group: of each row, shape (rows,).
        order: rows sorted by group and number, shape (rows,).
        start: where each group starts in ``order``, shape (groups + 1,).
    """

    hashes: npt.NDArray[np.uint64]
    first: Rows
    group: Rows
    order: Rows
    start: Rows

    @classmethod
    def of(cls, vectors: Vectors) -> Distinct:
        hashes = _hashed(vectors)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = ordered[1:] != ordered[:-1]
        begin = np.flatnonzero(new)
        if len(begin) == len(vectors):
            # nothing is twice: rows keep their places, and their vectors need no copy
            rows = np.arange(len(vectors))
            return cls(hashes, rows, rows, rows, np.arange(len(vectors) + 1))
        group = np.empty(len(order), dtype=np.int64)
        group[order] = np.cumsum(new) - 1
        return cls(ordered[begin], order[begin], group, order, np.append(begin, len(order)))

    def chosen(self, vectors: Vectors) -> Vectors:
        """One row of each group."""
        return vectors if len(self.first) == len(vectors) else vectors[self.first]

    def of_rows(self, distances: Distances, rows: Rows) -> tuple[Distances, Rows]:
        """What was found of each group, for each of its rows."""
        if len(self.first) == len(self.group):
            return distances, rows
        return distances[self.group], rows[self.group]

    def expanded(self, distances: Distances, ids: Rows, k: int) -> tuple[Distances, Rows]:
        """Groups found (ascending, -1 for none) as the first k rows that they hold."""
        out = np.full((len(ids), k), np.inf)
        rows = np.full((len(ids), k), -1, dtype=np.int64)
        if len(self.first) == len(self.order):
            out[:, : ids.shape[1]], rows[:, : ids.shape[1]] = distances, ids
            return out, rows
        sizes = np.where(ids < 0, 0, np.diff(self.start)[ids])
        ends = np.cumsum(sizes, axis=1)
        for place in range(k):
            at = np.minimum((ends <= place).sum(axis=1), ids.shape[1] - 1)
            pick = np.arange(len(ids)), at
            there = ends[pick] > place
            row = self.start[ids[pick]] + place - (ends[pick] - sizes[pick])
            rows[there, place] = self.order[row[there]]
            out[there, place] = distances[pick][there]
        return out, rows


def _hashed(vectors: Vectors) -> npt.NDArray[np.uint64]:
    """64 bits of each row, equal where the rows are equal."""
    out = np.zeros(len(vectors), dtype=np.uint64)
    for column in range(vectors.shape[1]):
        # adding 0.0 makes -0.0 and 0.0 the same bits
        bits = (vectors[:, column] + np.float32(0)).view(np.uint32).astype(np.uint64)
        out += mix(bits ^ np.uint64((column + 1) << 32))
    return mix(out)


def copies(asked: Distinct, held: Distinct) -> Rows:
    """The group of the reference that equals each group of queries, -1 where none does."""
    by_hash = np.argsort(held.hashes, kind="stable")
    place = np.searchsorted(held.hashes, asked.hashes, sorter=by_hash)
    found = by_hash[np.minimum(place, len(by_hash) - 1)]
    return np.where(held.hashes[found] == asked.hashes, found, -1)


def measured(queries: Vectors, reference: Vectors, ids: Rows, k: int) -> tuple[Distances, Rows]:
    """The k nearest of the found ones by their exact distances, equal ones in order of rows."""
    ids = np.sort(ids, axis=1)
    distances = np.empty(ids.shape)

    def measure(start: int) -> None:
        block = slice(start, start + _AGAIN)
        for column in range(ids.shape[1]):
            gap = reference[np.maximum(ids[block, column], 0)]
            gap -= queries[block]
            distances[block, column] = np.sqrt(np.einsum("qd,qd->q", gap, gap, dtype=np.float64))

    each(measure, range(0, len(queries), _AGAIN))
    twice = np.zeros(ids.shape, dtype=bool)
    twice[:, 1:] = ids[:, 1:] == ids[:, :-1]
    distances[twice | (ids < 0)] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    distances, ids = np.take_along_axis(distances, order, 1), np.take_along_axis(ids, order, 1)
    return distances, np.where(np.isinf(distances), -1, ids)


def _every_pair(queries: Vectors, right: Vectors, k: int, centre: Vectors | None = None) -> Rows:
    """Rows of the k nearest of ``right`` (see ``right_of``), shape (q, k), in no order."""
    ids = np.empty((len(queries), k), dtype=np.int64)

    def search_block(start: int) -> None:
        block = slice(start, start + TALL)
        ids[block] = least_of(left_of(queries[block], centre), right, k)

    each(search_block, range(0, len(queries), TALL))
    return ids


def least_of(left: Vectors, right: Vectors, k: int, of_right: Vectors | None = None) -> Rows:
    """Rows of ``right`` with the k least products with each row of ``left``, in no order.

    ``of_right``, shape (right rows,), takes the least product of each row of ``right``.
    """
    room = np.empty((len(left), min(WIDE, len(right))), dtype=np.float32)
    values = np.full((len(left), k), np.inf, dtype=np.float32)
    places = np.zeros((len(left), k), dtype=np.int64)
    for first in range(0, len(right), WIDE):
        part = right[first : first + WIDE]
        gaps = room[:, : len(part)]
        np.matmul(left, part.T, out=gaps)
        if of_right is not None:
            gaps.min(axis=0, out=of_right[first : first + WIDE])
        _keep(gaps, first, values, places)
    return places


def _keep(gaps: Vectors, first: int, values: Vectors, places: Rows) -> None:
    """Put what is smaller in ``gaps`` into the k smallest of each row, ascending.

    Overwrites ``gaps``. Of equal ones those of lower place stay.
    """
    k = values.shape[1]
    rows: slice | Rows = slice(None)
    if first:
        nearer = np.flatnonzero(gaps.min(axis=1) < values[:, -1])
        # to copy many rows costs more than to look at the others too
        rows = nearer if len(nearer) < _FEW * len(gaps) else rows
    value, at = smallest(gaps[rows], min(k, gaps.shape[1]))
    value = np.concatenate([values[rows], value], axis=1)
    at = np.concatenate([places[rows], at + first], axis=1)
    best = np.argsort(value, axis=1, kind="stable")[:, :k]
    values[rows] = np.take_along_axis(value, best, 1)
    places[rows] = np.take_along_axis(at, best, 1)
