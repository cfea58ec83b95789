"""Growing one tree in time that is linear in rows.

A tree of a million rows takes more than ten times as long as one of a hundred thousand: it is
deeper, and its rows no longer lie close to each other in memory. So a large one is grown in two
steps: a coarse tree on a sample of the rows divides all of them, and each part gets a tree of its
own. Coarse splits are those that a sample shows as well as the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sklearn.tree import DecisionTreeRegressor

#: Rows up to which a tree is grown in one step, rows of the sample, and smallest part.
WHOLE, SAMPLE, PART = 262_144, 100_000, 50_000


class Tree(Protocol):
    """A grown tree.

    Attributes:
        size: one more than the number of any leaf.
    """

    @property
    def size(self) -> int:
        """One more than the number of any leaf."""

    def apply(self, matrix: np.ndarray) -> np.ndarray:
        """The leaf of each row of a float32 matrix, integers from 0."""


@dataclass(frozen=True)
class _Grown:
    """One tree."""

    tree: DecisionTreeRegressor

    @property
    def size(self) -> int:
        """Its nodes."""
        return int(self.tree.tree_.node_count)

    def apply(self, matrix: np.ndarray) -> np.ndarray:
        """The leaf of each row."""
        return np.asarray(self.tree.apply(matrix))


@dataclass(frozen=True)
class Leaf:
    """What the tree's leaves must hold, and which splits are worth making.

    Args:
        rows: smallest number of rows.
        weight: smallest sum of weights.
        gain: a split must lower the error by this many times the error of one row.
        seed: breaks ties.
    """

    rows: int
    weight: float
    gain: float
    seed: int

    def grown(
        self, matrix: np.ndarray, response: np.ndarray, weight: np.ndarray, impurity: float
    ) -> Tree:
        """A tree of these rows; ``impurity`` is the error of the whole table, per weight."""
        total = float(weight.sum())
        tree = DecisionTreeRegressor(
            min_samples_leaf=self.rows,
            min_weight_fraction_leaf=min(0.5, self.weight / total),
            min_impurity_decrease=self.gain * impurity / len(matrix),
            random_state=self.seed,
        )
        tree.fit(matrix, response, sample_weight=weight)
        return _Grown(tree)


def grow(
    matrix: np.ndarray, response: np.ndarray, weight: np.ndarray, leaf: Leaf, impurity: float
) -> Tree:
    """A tree whose leaves hold what ``leaf`` asks.

    Args:
        matrix: shape (rows, predictors), float32, NaN where missing.
        response: shape (rows, d), whose squared error is reduced.
        weight: of each row.
        leaf: the smallest leaf.
        impurity: weighted variance of ``response``, summed over its columns.
    """
    if len(matrix) <= WHOLE:
        return leaf.grown(matrix, response, weight, impurity)
    some = np.sort(np.random.default_rng(leaf.seed).permutation(len(matrix))[:SAMPLE])
    share = len(some) / len(matrix)
    # twice the weight that is asked for: the sample tells it to some error only
    coarse = Leaf(int(PART * share), 2 * leaf.weight * share, leaf.gain, leaf.seed)
    top = coarse.grown(matrix[some], response[some], weight[some], impurity)
    number, part = np.unique(top.apply(matrix), return_inverse=True)
    held = np.bincount(part, weights=weight)
    if len(number) < 2 or held.min() < leaf.weight or np.bincount(part).min() < leaf.rows:
        return leaf.grown(matrix, response, weight, impurity)
    parts = []
    for rows in _groups(part):
        # a part's gain counts in the whole table's error, as it would in one tree
        scale = float(weight.sum() / weight[rows].sum()) * len(rows) / len(matrix)
        parts.append(leaf.grown(matrix[rows], response[rows], weight[rows], impurity * scale))
    return _Parted(top, number, tuple(parts))


@dataclass(frozen=True)
class _Parted:
    """A coarse tree, and one for each of its leaves."""

    top: Tree
    number: np.ndarray
    parts: tuple[Tree, ...]

    @property
    def size(self) -> int:
        """The nodes of all parts."""
        return sum(tree.size for tree in self.parts)

    def apply(self, matrix: np.ndarray) -> np.ndarray:
        """The leaf of each row."""
        first = np.cumsum([0, *(tree.size for tree in self.parts)])
        out = np.empty(len(matrix), dtype=np.int64)
        part = np.searchsorted(self.number, self.top.apply(matrix))
        for rows in _groups(part):
            which = part[rows[0]]
            out[rows] = first[which] + self.parts[which].apply(matrix[rows])
        return out


def _groups(part: np.ndarray) -> list[np.ndarray]:
    """The rows of each part that has any, ascending."""
    order = np.argsort(part, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(part[order])) + 1) if len(part) else []
