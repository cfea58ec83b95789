"""Nearest neighbours: every pair while that is cheap, inverted lists above, exact distances always.

The reference is never sampled. Up to ``EXACT_PAIRS`` pairs each is looked at; above, the reference
is cut into lists around centroids, and of these the nearest are searched, as in inverted files
(Jégou, Douze, Schmid 2011). An exact copy is found by a hash of its row, whatever else is searched:
approximation can only hide a neighbour that is not a copy. Of the lists that are to be searched,
those are left out that lie beyond what was found in the nearest ones: between the centroids of two
lists stands a plane, and what the farther list holds lies behind it (Uhlmann 1991; Navarro 2002).

Pairs are compared by products of matrices, which is ten times cheaper than by differences, and
loses exact zeros (x2 + y2 - 2xy). So one neighbour more than asked for is kept, and the distance of
each is computed again from the difference of the vectors. Equal rows are searched once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.cells import mix
from synth_contracts.metrics.threads import each

Vectors = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

#: Up to this many pairs every pair is looked at (about 1.3 ns of CPU each at 50 dimensions).
EXACT_PAIRS = 2_500_000_000
PROBES = 32
#: Neighbours kept beyond those asked for: products of float32 may swap two that are equally near.
_SPARE = 1
#: Points per centroid that these are made from, and rounds.
_TRAIN_POINTS, _ROUNDS = 39, 6
_SEED = 20170101
_BLOCK, _WIDE = 512, 2_048
#: Groups whose distances to points are looked at together.
_COLUMNS = 64
#: Share of rows that are copied to be looked at alone.
_FEW = 0.25
#: Rows whose products with all centroids stay in the cache.
_SHORT = 128
#: Queries that share one pass over the lists.
_PASS = 65_536
#: Lists that every query looks at before others are ruled out.
_FIRST = 2
#: How far products of float32 may be off, as a share of the squares that they are made of.
_ROUNDED = 1e-5
#: Centroids nearer than this are one.
_COINCIDE = 1e-12
#: Groups of centroids whose least ones tell a bound for all.
_GROUPS = 128


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
    asked, held = _Distinct.of(queries), _Distinct.of(reference)
    some, known = asked.chosen(queries), held.chosen(reference)
    copy = _copies(asked, held)
    # the nearest of a copy is known
    open_ = np.flatnonzero(copy < 0) if k == 1 else np.arange(len(some))
    most = EXACT_PAIRS if exact is None else exact
    wanted = min(k + _SPARE, len(known))
    ids = np.full((len(some), wanted + 1), -1, dtype=np.int64)
    ids[:, -1] = copy
    if len(open_):
        centre = known.mean(axis=0, dtype=np.float64).astype(np.float32)
        left = some if len(open_) == len(some) else some[open_]
        if len(left) * len(known) <= most:
            ids[open_, :-1] = _every_pair(left, _right(known, centre), wanted, centre)
        else:
            ids[open_, :-1] = _inverted_lists(left, known, wanted, probes, centre)
        del left
    distances, ids = _measured(some, known, ids, min(k, len(known)))
    distances, rows = held.expanded(distances, ids, k)
    if len(some) == len(queries):
        return distances, rows
    return distances[asked.group], rows[asked.group]


@dataclass(frozen=True)
class _Distinct:
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
    def of(cls, vectors: Vectors) -> _Distinct:
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


def _copies(asked: _Distinct, held: _Distinct) -> Rows:
    """The group of the reference that equals each group of queries, -1 where none does."""
    by_hash = np.argsort(held.hashes, kind="stable")
    place = np.searchsorted(held.hashes, asked.hashes, sorter=by_hash)
    found = by_hash[np.minimum(place, len(by_hash) - 1)]
    return np.where(held.hashes[found] == asked.hashes, found, -1)


def _measured(queries: Vectors, reference: Vectors, ids: Rows, k: int) -> tuple[Distances, Rows]:
    """The k nearest of the found ones by their exact distances, equal ones in order of rows."""
    ids = np.sort(ids, axis=1)
    distances = np.empty(ids.shape)

    def measure(start: int) -> None:
        block = slice(start, start + _PASS // 8)
        for column in range(ids.shape[1]):
            gap = reference[np.maximum(ids[block, column], 0)]
            gap -= queries[block]
            distances[block, column] = np.sqrt(np.einsum("qd,qd->q", gap, gap, dtype=np.float64))

    each(measure, range(0, len(queries), _PASS // 8))
    twice = np.zeros(ids.shape, dtype=bool)
    twice[:, 1:] = ids[:, 1:] == ids[:, :-1]
    distances[twice | (ids < 0)] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    distances, ids = np.take_along_axis(distances, order, 1), np.take_along_axis(ids, order, 1)
    return distances, np.where(np.isinf(distances), -1, ids)


def _left(queries: Vectors, centre: Vectors | None = None) -> Vectors:
    left = np.ones((len(queries), queries.shape[1] + 1), dtype=np.float32)
    left[:, :-1] = queries if centre is None else queries - centre
    return left


def _right(reference: Vectors, centre: Vectors | None = None, order: Rows | None = None) -> Vectors:
    """Its product with ``_left`` is half the squared distance, less a term of the query alone.

    Both are taken from ``centre``; ``order`` are the rows that it holds, all in turn where it is
    None.
    """
    right = np.empty((len(reference), reference.shape[1] + 1), dtype=np.float32)
    for start in range(0, len(reference), _BLOCK):
        block = slice(start, start + _BLOCK)
        part = reference[block] if order is None else reference[order[block]]
        if centre is not None:
            part = part - centre
        right[block, :-1] = -part
        right[block, -1] = np.einsum("rd,rd->r", part, part, dtype=np.float64) / 2
    return right


def _smallest(gaps: Vectors, k: int) -> tuple[Vectors, Rows]:
    """The k smallest of each row, shape (rows, k), and where; overwrites them in ``gaps``."""
    rows = np.arange(len(gaps))
    values = np.empty((len(gaps), k), dtype=np.float32)
    places = np.empty((len(gaps), k), dtype=np.int64)
    for number in range(k):
        at = gaps.argmin(axis=1)
        values[:, number], places[:, number] = gaps[rows, at], at
        if number + 1 < k:
            gaps[rows, at] = np.inf
    return values, places


def _every_pair(queries: Vectors, right: Vectors, k: int, centre: Vectors | None = None) -> Rows:
    """Rows of the k nearest of ``right`` (see ``_right``), shape (q, k), in no order."""
    ids = np.empty((len(queries), k), dtype=np.int64)

    def search_block(start: int) -> None:
        left = _left(queries[start : start + _BLOCK], centre)
        room = np.empty((len(left), min(_WIDE, len(right))), dtype=np.float32)
        values = np.full((len(left), k), np.inf, dtype=np.float32)
        places = np.zeros((len(left), k), dtype=np.int64)
        for first in range(0, len(right), _WIDE):
            part = right[first : first + _WIDE]
            gaps = room if len(part) == room.shape[1] else np.empty((len(left), len(part)),
                                                                    dtype=np.float32)  # fmt: skip
            np.matmul(left, part.T, out=gaps)
            _keep(gaps, first, values, places)
        ids[start : start + _BLOCK] = places

    each(search_block, range(0, len(queries), _BLOCK))
    return ids


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
    value, at = _smallest(gaps[rows], min(k, gaps.shape[1]))
    value = np.concatenate([values[rows], value], axis=1)
    at = np.concatenate([places[rows], at + first], axis=1)
    best = np.argsort(value, axis=1, kind="stable")[:, :k]
    values[rows] = np.take_along_axis(value, best, 1)
    places[rows] = np.take_along_axis(at, best, 1)


def _inverted_lists(
    queries: Vectors, reference: Vectors, k: int, probes: int, centre: Vectors
) -> Rows:
    """Rows of the k nearest in the ``probes`` lists nearest to each query; -1 for none."""
    lists = _Lists.of(reference, centre)
    ids = np.empty((len(queries), k), dtype=np.int64)
    parts = 2 * math.ceil(len(queries) / (2 * _PASS))
    ends = np.linspace(0, len(queries), parts + 1).astype(np.int64)

    def search_part(part: int) -> None:
        span = slice(ends[part], ends[part + 1])
        ids[span] = lists.search(queries[span], k, probes)

    each(search_part, range(parts))
    return ids


@dataclass(frozen=True)
class _Asked:
    """Which query looks at which list, shape (asked,) each.

    ``beyond`` is how far at least all rows of that list lie from the query.
    """

    who: npt.NDArray[np.int32]
    lists: npt.NDArray[np.unsignedinteger[Any]]
    beyond: Vectors

    @classmethod
    def of(cls, parts: Sequence[_Asked]) -> _Asked:
        """Several after one another."""
        return cls(
            np.concatenate([part.who for part in parts]),
            np.concatenate([part.lists for part in parts]),
            np.concatenate([part.beyond for part in parts]),
        )

    def among(self, mask: npt.NDArray[np.bool_]) -> _Asked:
        """Those of ``mask`` alone, shape (asked,)."""
        return _Asked(self.who[mask], self.lists[mask], self.beyond[mask])


@dataclass(frozen=True)
class _Found:
    """The k nearest so far, ascending by half the squared distance less a term of the query."""

    values: Vectors
    rows: Rows

    def reach(self, left: Vectors) -> Vectors:
        """How far at most the last of each query lies away; infinite where too few were found."""
        square = np.einsum("qd,qd->q", left[:, :-1], left[:, :-1])
        gap = np.maximum(2 * self.values[:, -1] + square, 0)
        return np.asarray(np.sqrt(gap + _ROUNDED * (np.sqrt(square) + np.sqrt(gap)) ** 2))


@dataclass(frozen=True)
class _Lists:
    """The reference in lists, each around its centroid.

    ``right`` holds the rows list by list (see ``_right``), ``order`` their numbers, ``start`` the
    first of each list and the end, shape (lists + 1,), ``apart`` how far centroids lie from each
    other, shape (lists, lists). All but ``order`` is taken from ``centre``.
    """

    centroids: Vectors
    right: Vectors
    order: Rows
    start: Rows
    apart: Vectors
    centre: Vectors

    @classmethod
    def of(cls, reference: Vectors, centre: Vectors) -> _Lists:
        centroids = _centroids(reference, int(2 * math.sqrt(len(reference))), centre)
        of_row = _assigned(reference, centroids, centre)
        order = np.argsort(of_row, kind="stable")
        sizes = np.bincount(of_row, minlength=len(centroids))
        # lists that nobody is in would only be looked at in vain
        held = sizes > 0
        start = np.concatenate([[0], np.cumsum(sizes[held])])
        centroids = centroids[held]
        return cls(
            centroids, _right(reference, centre, order), order, start, _apart(centroids), centre
        )

    def search(self, queries: Vectors, k: int, probes: int) -> Rows:
        left = _left(queries, self.centre)
        near, far = self._asking(left, probes)
        shape = len(queries), k
        found = _Found(np.full(shape, np.inf, dtype=np.float32), np.full(shape, -1))
        self._look(left, near, found)
        self._look(left, far.among(far.beyond <= found.reach(left)[far.who]), found)
        return np.where(found.rows < 0, -1, self.order[found.rows])

    def _look(self, left: Vectors, asked: _Asked, found: _Found) -> None:
        """Put what the lists hold into the nearest of those who ask."""
        values, rows = found.values, found.rows
        k, worst = values.shape[1], values[:, -1].copy()
        asking = asked.who[np.argsort(asked.lists, kind="stable")]
        ends = np.cumsum(np.bincount(asked.lists, minlength=len(self.centroids)))
        for number in range(len(self.centroids)):
            who = asking[ends[number - 1] if number else 0 : ends[number]]
            if not len(who):
                continue
            first, last = self.start[number], self.start[number + 1]
            gaps = left[who] @ self.right[first:last].T
            nearer = np.flatnonzero(gaps.min(axis=1) < worst[who])
            if not len(nearer):
                continue
            who = who[nearer]
            value, at = _smallest(gaps[nearer], min(k, last - first))
            value = np.concatenate([values[who], value], axis=1)
            at = np.concatenate([rows[who], first + at], axis=1)
            keep = np.argsort(value, axis=1, kind="stable")[:, :k]
            values[who] = np.take_along_axis(value, keep, 1)
            rows[who] = np.take_along_axis(at, keep, 1)
            worst[who] = values[who, -1]

    def _asking(self, left: Vectors, probes: int) -> tuple[_Asked, _Asked]:
        """Who looks at which lists at first, and then, if these may hold nearer rows."""
        right, probes = _right(self.centroids), min(probes, len(self.centroids))
        first, number = min(_FIRST, probes), np.min_scalar_type(len(self.centroids))
        near: list[_Asked] = []
        far: list[_Asked] = []
        for start in range(0, len(left), _BLOCK):
            block = left[start : start + _BLOCK]
            who, lists, value = _lowest(block @ right.T, probes)
            values, begin = _padded(who, value, len(block))
            nearest = lists[begin + values.argmin(axis=1)][who]
            edge = np.partition(values, first - 1, axis=1)[who, first - 1]
            half = np.einsum("qd,qd->q", block[:, :-1], block[:, :-1]) / 2
            unsure = _ROUNDED * (2 * half[who] + right[lists, -1] + right[nearest, -1])
            beyond = (value - values.min(axis=1)[who] - unsure) / self.apart[nearest, lists]
            asked = _Asked((start + who).astype(np.int32), lists.astype(number), beyond)
            near.append(asked.among(value <= edge))
            far.append(asked.among(value > edge))
        return _Asked.of(near), _Asked.of(far)


def _lowest(gaps: Vectors, count: int) -> tuple[Rows, Rows, Vectors]:
    """Row, column and value of the ``count`` smallest of each row, and of all equal to the last."""
    width = gaps.shape[1]
    grouped = width // _GROUPS * _GROUPS
    if grouped <= _GROUPS or 2 * count > _GROUPS:
        at = np.flatnonzero(gaps <= _nth(gaps, count))
        return at // width, at % width, gaps.ravel()[at]
    # that many groups hold something as small as the bound: it is one for all, and few are below
    bound = _nth(gaps[:, :grouped].reshape(len(gaps), -1, _GROUPS).min(axis=1), count)
    at = np.flatnonzero(gaps <= bound)
    row, value = at // width, gaps.ravel()[at]
    kept = value <= _nth(_padded(row, value, len(gaps))[0], count)[row, 0]
    return row[kept], at[kept] % width, value[kept]


def _nth(values: Vectors, count: int) -> Vectors:
    """The ``count``-th smallest of each row, shape (rows, 1)."""
    return np.partition(values, count - 1, axis=1)[:, count - 1 : count]


def _padded(row: Rows, value: Vectors, rows: int) -> tuple[Vectors, Rows]:
    """Values of each row, ended by infinity, shape (rows, most); and where each begins.

    ``row`` is ascending.
    """
    sizes = np.bincount(row, minlength=rows)
    begin = np.cumsum(sizes) - sizes
    found = np.full((rows, sizes.max()), np.inf, dtype=np.float32)
    found[row, np.arange(len(row)) - begin[row]] = value
    return found, begin


def _apart(centroids: Vectors) -> Vectors:
    """How far each lies from each, rather more, and never 0; shape (lists, lists)."""
    points = centroids.astype(np.float64)
    square = np.einsum("ld,ld->l", points, points)
    found = np.empty((len(points), len(points)), dtype=np.float32)
    for start in range(0, len(points), _BLOCK):
        block = slice(start, start + _BLOCK)
        gap = square[block, None] + square - 2 * points[block] @ points.T
        found[block] = np.maximum((1 + _ROUNDED) * np.sqrt(np.maximum(gap, 0)), _COINCIDE)
    return found


@dataclass(frozen=True)
class Groups:
    """Rows in groups of near ones, each row in that of the nearest centre.

    Attributes:
        order: rows, group by group, shape (rows,).
        start: first of each group and the end, shape (groups + 1,).
        centre: shape (groups, dimensions).
    """

    order: Rows
    start: Rows
    centre: Vectors

    @classmethod
    def of(cls, vectors: Vectors, groups: int) -> Groups:
        """About ``groups`` groups by k-means over a sample."""
        centre = _centroids(vectors, groups)
        of_row = _assigned(vectors, centre)
        sizes = np.bincount(of_row, minlength=len(centre))
        held = sizes > 0
        start = np.concatenate([[0], np.cumsum(sizes[held])])
        return cls(np.argsort(of_row, kind="stable"), start, centre[held])

    def beyond(self, points: Vectors, most: float) -> Iterator[tuple[int, Distances]]:
        """Of each group, how far its rows lie from each of ``points`` at least, shape (points,).

        Between the centres of two groups stands a plane: what is nearer to the one lies behind it.
        Of rows within ``most`` of a point the distance is never less than what is told here.
        """
        centre, found = self.centre.astype(np.float64), points.astype(np.float64)
        own = _assigned(points, self.centre)
        long = np.sqrt(np.einsum("pd,pd->p", found, found))
        square = np.einsum("gd,gd->g", centre, centre)
        gap = found - centre[own]
        least = np.einsum("pd,pd->p", gap, gap)
        apart = _apart(self.centre)
        for start in range(0, len(centre), _COLUMNS):
            block = slice(start, start + _COLUMNS)
            away = square[block, None] + long**2 - 2 * centre[block] @ found.T
            # rows were put into groups by products of float32
            unsure = _ROUNDED * (square[block, None] + square[own] + (long + most) ** 2)
            away -= least + unsure
            away /= 2 * apart[block, own]
            yield from enumerate(away, start)


def _centroids(reference: Vectors, lists: int, centre: Vectors | None = None) -> Vectors:
    """Centroids of k-means over a sample of the rows, from ``centre``, of (lists, dimensions)."""
    rows = np.random.default_rng(_SEED).permutation(len(reference))[: _TRAIN_POINTS * lists]
    points, centroids = reference[np.sort(rows)], reference[rows[:lists]]
    if centre is not None:
        points -= centre
        centroids -= centre
    for _ in range(_ROUNDS):
        of_point = _assigned(points, centroids)
        order = np.argsort(of_point, kind="stable")
        sizes = np.bincount(of_point, minlength=lists)
        held = np.flatnonzero(sizes)
        begin = (np.cumsum(sizes) - sizes)[held]
        sums = np.add.reduceat(points[order], begin, axis=0, dtype=np.float64)
        centroids[held] = sums / sizes[held, None]
    return centroids


def _assigned(vectors: Vectors, centroids: Vectors, centre: Vectors | None = None) -> Rows:
    """The nearest of centroids that are taken from ``centre``, of each row, shape (rows,)."""
    right = _right(centroids)
    found = np.empty(len(vectors), dtype=np.int64)

    def assign(start: int) -> None:
        room = np.empty((_SHORT, len(right)), dtype=np.float32)
        for first in range(start, min(start + _BLOCK, len(vectors)), _SHORT):
            left = _left(vectors[first : first + _SHORT], centre)
            gaps = np.matmul(left, right.T, out=room[: len(left)])
            found[first : first + _SHORT] = gaps.argmin(axis=1)

    each(assign, range(0, len(vectors), _BLOCK))
    return found
