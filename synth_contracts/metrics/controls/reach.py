"""Which real rows a planted row comes nearer to than any synthetic row does.

Planting changes nothing of an attack but the nearest synthetic row of a few real rows: about ten
for each planted row, whatever the size of the tables. They are found by going over all pairs once;
everything after is bookkeeping on this short list.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.centroids import Groups
from synth_contracts.metrics.products import Vectors

#: Products held at once: 16 MiB, whatever is planted.
_PRODUCTS = 2**22
#: Rounding of float32 products, relative to the squared lengths; what it lets in is checked.
_SLACK = np.float32(4e-6)
#: Real rows from which they are put into groups.
_MANY = 400_000
#: Rows of a part, where a group has that many, and parts of a group.
_FEWEST, _MOST_PARTS = 128, 8


@dataclass(frozen=True)
class Reach:
    """Pairs of a real row and a planted row that is nearer to it than any synthetic row.

    Shape (pairs,) each, sorted by planted row; ``start`` has shape (planted rows + 1,).
    """

    real: Ints
    distance: Floats
    start: Ints

    def of(self, planted_rows: Ints) -> tuple[Ints, Floats, Ints]:
        """Real rows, distances and planted rows of the pairs of ``planted_rows``."""
        count = self.start[planted_rows + 1] - self.start[planted_rows]
        ends = np.cumsum(count)
        place = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(
            self.start[planted_rows] - (ends - count), count
        )
        return self.real[place], self.distance[place], np.repeat(planted_rows, count)


class Targets:
    """Real rows with the distance to their nearest synthetic row, ready to be searched.

    Many rows are put into groups first, and these cut into parts by how near the synthetic rows
    are. Between a planted row and another group stands a plane: parts whose synthetic rows are all
    nearer than that are not looked at, and no pair is missed.

    Args:
        real: encoded real rows, float32 of shape (rows, dimensions).
        near: distance of each to the nearest synthetic row, shape (rows,).
        grouped: whether to put them into groups; by their number where it is None.
    """

    def __init__(self, real: Vectors, near: Floats, *, grouped: bool | None = None) -> None:
        self.real, self.near = real, near
        self._parts: _Parts | None = None
        if len(real) >= _MANY if grouped is None else grouped:
            self._parts = _Parts.of(real, near)
        if self._parts is not None:
            real, near = real[self._parts.order], near[self._parts.order]
        length = np.einsum("rd,rd->r", real, real, dtype=np.float64)
        # |x|2 - 2xy + |y|2 - near2 as one product of (x, |x|2 - near2, 1) with (-2y, 1, |y|2)
        held = length * (1 - float(_SLACK)) - near**2
        self._left = np.concatenate(
            [real, held[:, None].astype(np.float32), np.ones((len(real), 1), np.float32)], axis=1
        )

    def reached(self, planted: Vectors) -> Reach:
        """All pairs in which a row of ``planted`` is nearer than the nearest synthetic row."""
        length = np.einsum("rd,rd->r", planted, planted, dtype=np.float64)
        held = (length * (1 - float(_SLACK)) - 1e-6).astype(np.float32)[:, None]
        right = np.ascontiguousarray(
            np.concatenate([-2 * planted, np.ones_like(held), held], axis=1).T
        )
        found = [
            self._pairs(first, last, asked, right, planted)
            for first, last, asked in self._blocks(planted)
        ]
        real, plant, distance = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((real, plant))
        return Reach(
            real=real[order].astype(np.int64),
            distance=distance[order],
            start=np.searchsorted(plant[order], np.arange(len(planted) + 1)),
        )

    def _blocks(self, planted: Vectors) -> Iterator[tuple[int, int, Ints]]:
        """Spans of ``_left`` and the planted rows that may reach a row of each."""
        every = np.arange(len(planted))
        if self._parts is None:
            step = min(max(_PRODUCTS // max(len(planted), 1), 64), 4_096)
            for first in range(0, len(self._left), step):
                yield first, min(first + step, len(self._left)), every
            return
        yield 0, 0, every  # no pair, where no part is reached
        for begin, end, asked in self._parts.asking(planted):
            step = min(max(_PRODUCTS // len(asked), 64), 4_096)
            for first in range(begin, end, step):
                yield first, min(first + step, end), asked

    def _pairs(
        self, first: int, last: int, asked: Ints, right: Vectors, planted: Vectors
    ) -> tuple[Ints, Ints, Floats]:
        """Real rows, planted rows and distances of the pairs of a span and some planted rows."""
        wanted = right if len(asked) == len(planted) else right[:, asked]
        below = np.matmul(self._left[first:last], wanted) < 0
        at = np.flatnonzero(below.ravel())
        row, plant = first + at // max(len(asked), 1), asked[at % max(len(asked), 1)]
        if self._parts is not None:
            row = self._parts.order[row]
        # as neighbours.search has it, so that a distance is the same by either way
        gap = planted[plant] - self.real[row]
        distance = np.sqrt(np.einsum("pd,pd->p", gap, gap, dtype=np.float64))
        kept = distance < self.near[row]
        return row[kept], plant[kept], distance[kept]


@dataclass(frozen=True)
class _Parts:
    """Groups of real rows (see ``neighbours.Groups``) in parts, the soonest reached rows first.

    Attributes:
        groups: their ``order`` is not that of the parts.
        order: rows, part by part, shape (rows,).
        start: first of each part and the end, shape (parts + 1,).
        first: first part of each group and the end, shape (groups + 1,).
        near: largest distance of a part's rows to their nearest synthetic row, shape (parts,).
    """

    groups: Groups
    order: Ints
    start: Ints
    first: Ints
    near: Floats

    @classmethod
    def of(cls, real: Vectors, near: Floats) -> _Parts:
        groups = Groups.of(real, int(math.sqrt(len(real))))
        sizes = np.diff(groups.start)
        owner = np.repeat(np.arange(len(sizes)), sizes)
        order = groups.order[np.lexsort((-near[groups.order], owner))]
        parts = np.clip(sizes // _FEWEST, 1, _MOST_PARTS)
        first = np.concatenate([[0], np.cumsum(parts)])
        number = np.arange(first[-1]) - np.repeat(first[:-1], parts)
        begin = np.repeat(groups.start[:-1], parts)
        begin += np.repeat(sizes, parts) * number // np.repeat(parts, parts)
        start = np.append(begin, len(order))
        return cls(groups, order, start, first, near[order[begin]])

    def asking(self, planted: Vectors) -> Iterator[tuple[int, int, Ints]]:
        """Spans of ``order`` that are reached, and the planted rows that may reach them."""
        for group, beyond in self.groups.beyond(planted, float(self.near.max(initial=0))):
            asked = np.arange(len(planted))
            for part in range(self.first[group], self.first[group + 1]):
                asked = asked[beyond[asked] <= self.near[part]]
                if not len(asked):
                    break
                yield int(self.start[part]), int(self.start[part + 1]), asked
