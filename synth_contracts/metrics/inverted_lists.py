"""Inverted lists: the reference cut into lists around centroids, of which the nearest are searched.

As in inverted files (Jégou, Douze, Schmid 2011). Of the lists that are to be searched, those are
left out that lie beyond what was found in the nearest ones: between the centroids of two lists
stands a plane, and what the farther list holds lies behind it (Uhlmann 1991; Navarro 2002).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.centroids import apart_of, assigned, centroids_of
from synth_contracts.metrics.products import (
    BLOCK,
    ROUNDED,
    Rows,
    Vectors,
    left_of,
    right_of,
    smallest,
)
from synth_contracts.metrics.threads import each

#: Queries that share one pass over the lists.
_PASS = 65_536
#: Lists that every query looks at before others are ruled out.
_FIRST = 2
#: Groups of centroids whose least ones tell a bound for all.
_GROUPS = 128


def search_lists(
    queries: Vectors, reference: Vectors, k: int, probes: int, centre: Vectors
) -> Rows:
    """Rows of the k nearest in the ``probes`` lists nearest to each query; -1 for none."""
    lists = Lists.of(reference, centre)
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
        return np.asarray(np.sqrt(gap + ROUNDED * (np.sqrt(square) + np.sqrt(gap)) ** 2))


@dataclass(frozen=True)
class Lists:
    """The reference in lists, each around its centroid.

    ``right`` holds the rows list by list (see ``right_of``), ``order`` their numbers, ``start`` the
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
    def of(cls, reference: Vectors, centre: Vectors) -> Lists:
        """About 2 sqrt(n) lists of the n rows."""
        centroids = centroids_of(reference, int(2 * math.sqrt(len(reference))), centre)
        of_row = assigned(reference, centroids, centre)
        order = np.argsort(of_row, kind="stable")
        sizes = np.bincount(of_row, minlength=len(centroids))
        # lists that nobody is in would only be looked at in vain
        held = sizes > 0
        start = np.concatenate([[0], np.cumsum(sizes[held])])
        centroids = centroids[held]
        return cls(
            centroids, right_of(reference, centre, order), order, start, apart_of(centroids), centre
        )

    def search(self, queries: Vectors, k: int, probes: int) -> Rows:
        """Rows of the k nearest in the ``probes`` lists nearest to each query; -1 for none."""
        left = left_of(queries, self.centre)
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
            value, at = smallest(gaps[nearer], min(k, last - first))
            value = np.concatenate([values[who], value], axis=1)
            at = np.concatenate([rows[who], first + at], axis=1)
            keep = np.argsort(value, axis=1, kind="stable")[:, :k]
            values[who] = np.take_along_axis(value, keep, 1)
            rows[who] = np.take_along_axis(at, keep, 1)
            worst[who] = values[who, -1]

    def _asking(self, left: Vectors, probes: int) -> tuple[_Asked, _Asked]:
        """Who looks at which lists at first, and then, if these may hold nearer rows."""
        right, probes = right_of(self.centroids), min(probes, len(self.centroids))
        first, number = min(_FIRST, probes), np.min_scalar_type(len(self.centroids))
        near: list[_Asked] = []
        far: list[_Asked] = []
        for start in range(0, len(left), BLOCK):
            block = left[start : start + BLOCK]
            who, lists, value = lowest(block @ right.T, probes)
            values, begin = _padded(who, value, len(block))
            nearest = lists[begin + values.argmin(axis=1)][who]
            edge = np.partition(values, first - 1, axis=1)[who, first - 1]
            half = np.einsum("qd,qd->q", block[:, :-1], block[:, :-1]) / 2
            unsure = ROUNDED * (2 * half[who] + right[lists, -1] + right[nearest, -1])
            beyond = (value - values.min(axis=1)[who] - unsure) / self.apart[nearest, lists]
            asked = _Asked((start + who).astype(np.int32), lists.astype(number), beyond)
            near.append(asked.among(value <= edge))
            far.append(asked.among(value > edge))
        return _Asked.of(near), _Asked.of(far)


def lowest(gaps: Vectors, count: int) -> tuple[Rows, Rows, Vectors]:
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
