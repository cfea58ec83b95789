"""Growing one tree from histograms, in time that is linear in rows.

Splits are looked for between at most ``BINS`` bins of each column (Ke et al. 2017, "LightGBM"; the
smaller child's sums are counted, the larger one's are what is left of the parent's), for a response
of any number of columns, and with a smallest leaf in rows and in weight. No library grows such a
tree: those with histograms know one response or one of the two limits, and scikit-learn's exact
splits took seven tenths of the cost of fitting (docs/adr/0011-trees.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

#: Bins of a column; one of no more values has a bin for each.
BINS = 512
_BLOCK = 32_768  # rows counted at once
#: A split that lowers the error by less than this share of the responses' squares does so by
#: rounding (of doubles, squared: 5e-32).
_ROUNDING = 1e-24


@dataclass(frozen=True)
class Bins:
    """A column, cut into bins that ascend.

    Args:
        codes: shape (rows,), the bin of each row; the last one, ``len(low)``, where it is missing.
        low: the lowest value in each bin.
        high: the highest one.
    """

    codes: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, column: np.ndarray) -> Bins:
        """Of numbers, NaN where missing."""
        codes, labels = pd.factorize(column, sort=True)
        return cls._of(np.where(codes < 0, len(labels), codes), np.asarray(labels, dtype="float64"))

    @classmethod
    def placed(cls, column: np.ndarray, places: np.ndarray) -> Bins:
        """Of categories (codes, -1 is missing and a category as well), each at a place."""
        labels, number = np.unique(places, return_inverse=True)
        return cls._of(number[np.where(column < 0, len(places) - 1, column)], labels)

    @classmethod
    def _of(cls, codes: np.ndarray, labels: np.ndarray) -> Bins:
        if len(labels) <= BINS:
            return cls(codes, labels, labels)
        rows = np.bincount(codes, minlength=len(labels) + 1)[:-1]
        # bins of about equally many rows; a value's rows lie in one
        share = (np.cumsum(rows) - rows / 2) / max(int(rows.sum()), 1)
        number = np.unique(np.floor(BINS * share), return_inverse=True)[1]
        first = np.flatnonzero(np.diff(number, prepend=-1))
        last = np.append(first[1:], len(labels)) - 1
        return cls(np.append(number, len(first))[codes], labels[first], labels[last])


@dataclass(frozen=True)
class Leaf:
    """What a tree's leaves must hold, and which splits are worth making.

    Args:
        rows: smallest number of rows.
        weight: smallest sum of weights.
        gain: a split must lower the error by this many times the error of one row.
    """

    rows: int
    weight: float
    gain: float


@dataclass(frozen=True)
class Tree:
    """A grown tree, one value per node in each array; node 0 is the root.

    Args:
        feature: the column that a node is split by, -1 for leaves.
        threshold: rows up to it go left.
        missing: whether rows without a value go left.
        left: the node of the rows that go left.
        right: the node of the others.
        leaf: the number of a leaf, from 0.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing: np.ndarray
    left: np.ndarray
    right: np.ndarray
    leaf: np.ndarray

    def apply(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """The leaf of each row of the columns (numbers and places, NaN where missing)."""
        out = np.empty(len(columns[0]), dtype=np.int64)
        waiting = [(0, np.arange(len(out)))]
        while waiting:
            node, rows = waiting.pop()
            if self.feature[node] < 0:
                out[rows] = self.leaf[node]
                continue
            value, limit = columns[self.feature[node]][rows], self.threshold[node]
            # no missing value is at most, nor more than, anything
            left = ~(value > limit) if self.missing[node] else value <= limit
            for child, chosen in ((self.left[node], left), (self.right[node], ~left)):
                part = rows[chosen]
                if len(part):
                    waiting.append((int(child), part))
        return out


@dataclass(frozen=True)
class _Split:
    """How a node is parted.

    Args:
        feature: by which column.
        last: the last bin that goes left, in the numbers of all columns' bins.
        missing: whether rows without a value go left.
        threshold: the highest value that goes left.
    """

    feature: int
    last: int
    missing: bool
    threshold: float


class _Sums:
    """Of a node's rows, per bin: their number, their weight, and their weighted responses."""

    def __init__(self, bins: Sequence[Bins], leaf: Leaf, need: float) -> None:
        self._bins, self._leaf, self._need = bins, leaf, need
        sizes = [len(one.low) + 1 for one in bins]
        self.first = np.cumsum([0, *sizes])
        self._size = int(self.first[-1])
        self._missing = self.first[1:] - 1
        self._feature = np.repeat(np.arange(len(bins)), sizes)
        self._one = np.ones(_BLOCK * len(bins))
        self._pointer = np.arange(0, _BLOCK * len(bins) + 1, len(bins), dtype=np.int32)

    def codes(self) -> np.ndarray:
        """The bins of all columns numbered through, shape (rows, columns)."""
        shifted = [one.codes + start for one, start in zip(self._bins, self.first, strict=False)]
        return np.column_stack(shifted).astype(np.int32)

    def count(self, codes: np.ndarray, terms: np.ndarray) -> np.ndarray:
        """The sums of ``terms`` over the rows of each bin, shape (bins, terms)."""
        out = np.zeros((self._size, terms.shape[1]))
        for start in range(0, len(codes), _BLOCK):
            block = codes[start : start + _BLOCK]
            held = sparse.csr_array(
                (self._one[: block.size], block.ravel(), self._pointer[: len(block) + 1]),
                shape=(len(block), self._size),
            )
            out += held.T @ terms[start : start + _BLOCK]
        return out

    def best(self, held: np.ndarray) -> _Split | None:
        """The split that lowers the error most; None where none is worth making."""
        total = held[self.first[0] : self.first[1]].sum(axis=0)
        running = np.vstack([np.zeros(held.shape[1]), np.cumsum(held, axis=0)])
        without = running[1:] - running[self.first[:-1]][self._feature]
        lacking = held[self._missing]
        chosen: tuple[float, int, bool] = (self._need, -1, False)
        for missing in (False, True):
            if missing and not lacking[:, 0].any():
                continue
            left = without + lacking[self._feature] if missing else without
            gain = self._gain(left, total)
            # "missing or not" is a split once: values left, missing ones right
            gain[without[:, 0] == 0] = -np.inf
            gain[self._missing] = -np.inf  # all rows on one side
            at = int(np.argmax(gain))
            if gain[at] > chosen[0]:
                chosen = (float(gain[at]), at, missing)
        _, at, missing = chosen
        if at < 0:
            return None
        feature = int(self._feature[at])
        if not lacking[feature, 0]:  # none was seen: to the larger side
            missing = bool(2 * without[at, 0] >= total[0])
        return _Split(feature, at, missing, self._threshold(feature, at, held))

    def _gain(self, left: np.ndarray, total: np.ndarray) -> np.ndarray:
        """By how much each split lowers the squared error, summed over the responses."""
        right = total - left
        fewest = np.minimum(left, right)
        enough = (fewest[:, 0] >= self._leaf.rows) & (fewest[:, 1] >= self._leaf.weight)
        out = np.full(len(left), -np.inf)
        at = np.flatnonzero(enough & (fewest[:, 1] > 0))
        told = [(side[:, 2:] ** 2).sum(axis=1) / side[:, 1] for side in (left[at], right[at])]
        out[at] = told[0] + told[1] - (total[2:] ** 2).sum() / total[1]
        return out

    def _threshold(self, feature: int, at: int, held: np.ndarray) -> float:
        """Half way between the values that the node's rows have on either side."""
        bins, start = self._bins[feature], int(self.first[feature])
        filled = np.flatnonzero(held[start : start + len(bins.low), 0] > 0)
        below, above = filled[filled <= at - start], filled[filled > at - start]
        if not len(above):  # only rows without a value go right
            return float(bins.high[below[-1]])
        low, high = float(bins.high[below[-1]]), float(bins.low[above[0]])
        middle = low + (high - low) / 2
        return middle if low <= middle < high else low


@dataclass(frozen=True)
class _Node:
    """Rows of a node; what a split needs only where there are enough of them.

    Args:
        number: of the node.
        rows: which ones.
        codes: their bins.
        terms: what is summed over them.
        sums: over each bin.
    """

    number: int
    rows: np.ndarray
    codes: np.ndarray
    terms: np.ndarray
    sums: np.ndarray


def _children(
    node: _Node, sides: tuple[np.ndarray, np.ndarray], number: int, sums: _Sums, enough: int
) -> list[_Node]:
    """The right and the left child, which is the next; ``number`` is the left one's."""
    small = int(len(sides[1]) < len(sides[0]))
    large = 1 - small
    nothing = np.zeros((0, 0))
    held = {small: (nothing, nothing, nothing), large: (nothing, nothing, nothing)}
    if len(sides[large]) >= enough:
        for which in (small, large):
            held[which] = node.codes[sides[which]], node.terms[sides[which]], nothing
        counted = sums.count(*held[small][:2])
        held[small] = *held[small][:2], counted
        held[large] = *held[large][:2], node.sums - counted
    return [_Node(number + side, node.rows[sides[side]], *held[side]) for side in (1, 0)]


def grow(
    bins: Sequence[Bins],
    response: np.ndarray,
    weight: np.ndarray,
    leaf: Leaf,
    impurity: float,
) -> tuple[Tree, np.ndarray]:
    """A tree whose leaves hold what ``leaf`` asks, and the leaf of each row.

    Args:
        bins: the columns that rows are parted by, at least one.
        response: shape (rows, d), whose squared error is reduced.
        weight: of each row.
        leaf: the smallest leaf.
        impurity: weighted variance of ``response``, mean over its columns.
    """
    mass = float(weight.sum())
    need = leaf.gain / len(weight) * impurity * mass * response.shape[1]
    rounding = _ROUNDING * float(weight @ (response**2).sum(axis=1))
    sums = _Sums(bins, leaf, max(need, rounding))
    centre = weight @ response / mass
    terms = np.column_stack([np.ones(len(weight)), weight, (response - centre) * weight[:, None]])
    leaves = np.empty(len(weight), dtype=np.int64)
    codes = sums.codes()
    waiting = [_Node(0, np.arange(len(weight)), codes, terms, sums.count(codes, terms))]
    grown: dict[int, tuple[int, float, bool, int, int, int]] = {}
    size, count = 1, 0
    while waiting:
        node = waiting.pop()
        split = None
        if len(node.rows) >= 2 * leaf.rows:
            split = sums.best(node.sums)
        if split is None:
            leaves[node.rows] = count
            grown[node.number] = (-1, 0.0, False, -1, -1, count)
            count += 1
            continue
        own = node.codes[:, split.feature]
        lacking = own == sums.first[split.feature + 1] - 1
        left = np.where(lacking, split.missing, own <= split.last)
        grown[node.number] = (
            split.feature, split.threshold, split.missing, size, size + 1, -1
        )  # fmt: skip
        sides = (np.flatnonzero(left), np.flatnonzero(~left))
        if min(len(side) for side in sides) < leaf.rows:
            raise RuntimeError("a node's sums are not those of its rows")  # never a small leaf
        waiting += _children(node, sides, size, sums, 2 * leaf.rows)
        size += 2
    nodes = zip(*(grown[node] for node in range(size)), strict=True)
    return Tree(*(np.array(column) for column in nodes)), leaves
