"""Vectors in groups around centroids, and how far a group lies away at least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synth_contracts.metrics.products import (
    BLOCK,
    ROUNDED,
    Distances,
    Rows,
    Vectors,
    left_of,
    right_of,
)
from synth_contracts.metrics.threads import each

#: Points per centroid that these are made from, and rounds.
_TRAIN_POINTS, _ROUNDS = 39, 6
_SEED = 20170101
#: Groups whose distances to points are looked at together.
_COLUMNS = 64
#: Rows whose products with all centroids stay in the cache.
_SHORT = 128
#: Centroids nearer than this are one.
_COINCIDE = 1e-12


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
        centre = centroids_of(vectors, groups)
        of_row = assigned(vectors, centre)
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
        own = assigned(points, self.centre)
        long = np.sqrt(np.einsum("pd,pd->p", found, found))
        square = np.einsum("gd,gd->g", centre, centre)
        gap = found - centre[own]
        least = np.einsum("pd,pd->p", gap, gap)
        apart = apart_of(self.centre)
        for start in range(0, len(centre), _COLUMNS):
            block = slice(start, start + _COLUMNS)
            away = square[block, None] + long**2 - 2 * centre[block] @ found.T
            # rows were put into groups by products of float32
            unsure = ROUNDED * (square[block, None] + square[own] + (long + most) ** 2)
            away -= least + unsure
            away /= 2 * apart[block, own]
            yield from enumerate(away, start)


def centroids_of(reference: Vectors, lists: int, centre: Vectors | None = None) -> Vectors:
    """Centroids of k-means over a sample of the rows, from ``centre``, of (lists, dimensions)."""
    rows = np.random.default_rng(_SEED).permutation(len(reference))[: _TRAIN_POINTS * lists]
    points, centroids = reference[np.sort(rows)], reference[rows[:lists]]
    if centre is not None:
        points -= centre
        centroids -= centre
    for _ in range(_ROUNDS):
        of_point = assigned(points, centroids)
        order = np.argsort(of_point, kind="stable")
        sizes = np.bincount(of_point, minlength=lists)
        held = np.flatnonzero(sizes)
        begin = (np.cumsum(sizes) - sizes)[held]
        sums = np.add.reduceat(points[order], begin, axis=0, dtype=np.float64)
        centroids[held] = sums / sizes[held, None]
    return centroids


def assigned(vectors: Vectors, centroids: Vectors, centre: Vectors | None = None) -> Rows:
    """The nearest of centroids that are taken from ``centre``, of each row, shape (rows,)."""
    right = right_of(centroids)
    found = np.empty(len(vectors), dtype=np.int64)

    def assign(start: int) -> None:
        room = np.empty((_SHORT, len(right)), dtype=np.float32)
        for first in range(start, min(start + BLOCK, len(vectors)), _SHORT):
            left = left_of(vectors[first : first + _SHORT], centre)
            gaps = np.matmul(left, right.T, out=room[: len(left)])
            found[first : first + _SHORT] = gaps.argmin(axis=1)

    each(assign, range(0, len(vectors), BLOCK))
    return found


def apart_of(centroids: Vectors) -> Vectors:
    """How far each lies from each, rather more, and never 0; shape (lists, lists)."""
    points = centroids.astype(np.float64)
    square = np.einsum("ld,ld->l", points, points)
    found = np.empty((len(points), len(points)), dtype=np.float32)
    for start in range(0, len(points), BLOCK):
        block = slice(start, start + BLOCK)
        gap = square[block, None] + square - 2 * points[block] @ points.T
        found[block] = np.maximum((1 + ROUNDED) * np.sqrt(np.maximum(gap, 0)), _COINCIDE)
    return found
