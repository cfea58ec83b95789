"""Which real rows a planted row comes nearer to than any synthetic row does.

Planting changes nothing of an attack but the nearest synthetic row of a few real rows: about ten
for each planted row, whatever the size of the tables. They are found by going over all pairs once;
everything after is bookkeeping on this short list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.neighbours import Vectors

#: Products held at once: 16 MiB, whatever is planted.
_PRODUCTS = 2**22
#: Rounding of float32 products, relative to the squared lengths; what it lets in is checked.
_SLACK = np.float32(4e-6)


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

    Args:
        real: encoded real rows, float32 of shape (rows, dimensions).
        near: distance of each to the nearest synthetic row, shape (rows,).
    """

    def __init__(self, real: Vectors, near: Floats) -> None:
        self.real, self.near = real, near
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
        found_real, found_plant, found_distance = [], [], []
        block = min(max(_PRODUCTS // max(len(planted), 1), 64), 4_096)
        product = np.empty((block, len(planted)), dtype=np.float32)
        for first in range(0, len(self.real), block):
            left = self._left[first : first + block]
            below = np.matmul(left, right, out=product[: len(left)]) < 0
            at = np.flatnonzero(below.ravel())
            row, plant = first + at // len(planted), at % len(planted)
            # as neighbours.search has it, so that a distance is the same by either way
            gap = planted[plant] - self.real[row]
            distance = np.sqrt(np.einsum("pd,pd->p", gap, gap, dtype=np.float64))
            kept = distance < self.near[row]
            found_real.append(row[kept])
            found_plant.append(plant[kept])
            found_distance.append(distance[kept])
        plant = np.concatenate(found_plant) if found_plant else np.empty(0, dtype=np.int64)
        order = np.argsort(plant, kind="stable")
        return Reach(
            real=np.concatenate(found_real)[order].astype(np.int64),
            distance=np.concatenate(found_distance)[order],
            start=np.searchsorted(plant[order], np.arange(len(planted) + 1)),
        )
