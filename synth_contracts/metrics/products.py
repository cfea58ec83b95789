"""Squared distances of many pairs by products of matrices.

Ten times cheaper than by differences, and rounded (x2 + y2 - 2xy): what is found by them is
measured again where its distance is told.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

#: Rows that are looked at together.
BLOCK = 512
#: How far products of float32 may be off, as a share of the squares that they are made of.
ROUNDED = 1e-5


def left_of(queries: Vectors, centre: Vectors | None = None) -> Vectors:
    """Queries as they stand left in a product, shape (queries, dimensions + 1); see right_of."""
    left = np.ones((len(queries), queries.shape[1] + 1), dtype=np.float32)
    left[:, :-1] = queries if centre is None else queries - centre
    return left


def right_of(
    reference: Vectors, centre: Vectors | None = None, order: Rows | None = None
) -> Vectors:
    """Its product with ``left_of`` is half the squared distance, less a term of the query alone.

    Both are taken from ``centre``; ``order`` are the rows that it holds, all in turn where it is
    None.
    """
    right = np.empty((len(reference), reference.shape[1] + 1), dtype=np.float32)
    for start in range(0, len(reference), BLOCK):
        block = slice(start, start + BLOCK)
        part = reference[block] if order is None else reference[order[block]]
        if centre is not None:
            part = part - centre
        right[block, :-1] = -part
        right[block, -1] = np.einsum("rd,rd->r", part, part, dtype=np.float64) / 2
    return right


def smallest(gaps: Vectors, k: int) -> tuple[Vectors, Rows]:
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
