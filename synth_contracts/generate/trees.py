"""One conditional distribution: a regression tree whose leaves hold many rows of many entities.

Sequential CART (Reiter 2005, "Using CART to generate partially synthetic public use microdata")
with large leaves: a leaf of 15 rows memorises (measured: membership .42 on baskets), so every leaf
holds at least ``leaf_rows`` rows and ``leaf_entities`` entity equivalents (each entity weighs 1,
spread over its rows). A draw inside a leaf takes one of its order statistics; numbers that few
entities hold are smeared over their neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from synth_contracts.coarsening import entities_per_value
from synth_contracts.generate.growing import Bins, Leaf, Tree, grow
from synth_contracts.generate.leaf_values import Pools, smears

_ONE_HOT = 8  # classes up to which a tree's squared error on indicators is the Gini index
_EMBEDDING = 4
_BINS = 12
_FLAG = 3  # values of a column within which categories are compared
_CELLS = 16
#: What a split must explain, in units of what one explains that has nothing to tell: its share of
#: the variance is 1 / rows on average, and the best of many such is several times that.
_GAIN = 6.0
_GOLDEN = (5**0.5 - 1) / 2
#: Threads that set and restored a limit each would restore those of one another.
_LIMITING = Lock()


@dataclass(frozen=True)
class Variable:
    """How one column is modelled.

    ``size`` is the number of categories (codes 0..size-1, -1 is missing), or 0 for numbers (NaN is
    missing). ``decimals`` rounds drawn numbers (None: no rounding); ``spikes`` are the sorted
    values that are drawn as they are, any other number is smeared; ``exact`` smears none.
    ``group`` is the code that rare categories were grouped into, None where there is none.
    ``total`` says that sums matter, not only the order: a tree then also parts unlike means.
    """

    name: str
    size: int = 0
    decimals: int | None = None
    spikes: np.ndarray | None = None
    exact: bool = False
    group: int | None = None
    total: bool = False
    around: int = 0


def number_variable(
    name: str, values: np.ndarray, entities: np.ndarray, k: int, *, exact: bool = False
) -> Variable:
    """A numeric Variable: its decimals (0 to 6), and values held by >= k entities as spikes."""
    known = ~np.isnan(values) & np.isfinite(values)
    codes, labels = pd.factorize(values[known], sort=True)
    decimals = next(
        (d for d in range(7) if np.allclose(labels, np.round(labels, d), 0, 1e-9)), None
    )
    held = entities_per_value(codes, entities[known], len(labels))
    return Variable(name, 0, decimals, np.asarray(labels)[held >= k], exact, around=k)


#: Model columns by name: how each is modelled, and one value per row (or entity).
Values = dict[str, tuple[Variable, np.ndarray]]


class Binning:
    """The bins of numbers, worked out once where several trees stand on the same columns."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[np.ndarray, Bins]] = {}

    def of(self, column: np.ndarray) -> Bins:
        """The bins of this very array, which must not change."""
        if id(column) not in self._known:
            self._known[id(column)] = column, Bins.of(column)  # held: no other takes its id
        return self._known[id(column)][1]


class LeafModel:
    """P(target | predictors) as the rows of a tree's leaves.

    ``pooled`` is for rows that are entities of their own: categories that few of a leaf hold are
    drawn from the leaves next to it too (leaf_values.py). Where entities have many rows, most
    values of a leaf are those of few in effect.
    """

    def __init__(
        self,
        *,
        leaf_rows: int,
        leaf_entities: int,
        gain: float | None = None,
        pooled: bool = False,
    ) -> None:
        self._leaf = Leaf(leaf_rows, leaf_entities, _GAIN if gain is None else gain)
        self._pooled = pooled

    def fit(
        self,
        target: tuple[Variable, np.ndarray],
        predictors: Sequence[tuple[Variable, np.ndarray]],
        weights: np.ndarray | None = None,
        *,
        binning: Binning | None = None,
    ) -> LeafModel:
        """Grow the tree. ``weights`` sum to the number of entities (None: each row its own).

        Nodes that no split divides better than chance stay whole: leaves of rows that have nothing
        in common but the values of other columns would give just these rows away. ``binning`` is
        shared with other trees on the same columns.
        """
        self.target, values = target
        response = _response(self.target, values, predictors)
        weight = np.ones(len(values)) if weights is None else weights
        rest = _within_flags(predictors, response, weight)
        self._orders = [
            _order(variable, column, response if variable.size <= _FLAG else rest, weight)
            for variable, column in predictors
        ]
        self._tree: Tree | None = None
        leaves = np.zeros(len(values), dtype=np.int64)
        if predictors and len(values) >= 2 * self._leaf.rows and response.shape[1]:
            numbers = binning or Binning()
            bins = [
                numbers.of(column) if order is None else Bins.placed(column, order)
                for (_, column), order in zip(predictors, self._orders, strict=True)
            ]
            self._tree, leaves = grow(
                bins, response, weight, self._leaf, _impurity(response, weight)
            )
        self._store(values, leaves)
        return self

    def leaves(self, predictors: Sequence[np.ndarray], n: int) -> np.ndarray:
        """The leaf of each of ``n`` rows of the predictors (in the order given to ``fit``)."""
        if self._tree is None:
            return np.zeros(n, dtype=np.int64)
        return self._tree.apply(
            [
                column
                if order is None
                else order[np.minimum(column, len(order) - 2)]  # -1 is the last place
                for column, order in zip(predictors, self._orders, strict=True)
            ]
        )

    def _store(self, values: np.ndarray, leaves: np.ndarray) -> None:
        order = np.lexsort((values, leaves))
        self._sorted = values[order]
        held, counts = np.unique(leaves, return_counts=True)
        self._count = np.zeros(int(held[-1]) + 1, dtype=np.int64)
        self._count[held] = counts
        self._start = np.zeros(len(self._count), dtype=np.int64)
        self._start[held] = np.cumsum(counts) - counts
        if not self.target.size and not self.target.exact:
            self._low, self._high = smears(
                self._sorted, leaves[order], self._start, self.target.spikes, self.target.around
            )
        rare = self._pooled and self.target.size
        self._pools = Pools.of(self._sorted, leaves[order]) if rare else None

    def draw(
        self,
        predictors: Sequence[np.ndarray],
        n: int,
        rng: np.random.Generator,
        *,
        evenly: np.ndarray | None = None,
    ) -> np.ndarray:
        """``n`` draws, one per row of the predictors (in the order given to ``fit``).

        Args:
            predictors: one array of shape (n,) each.
            n: number of draws.
            rng: where they come from.
            evenly: shape (n,); draws of a leaf spread over it evenly in the order of this number,
                so that shares follow the leaf's much closer than independent draws do. None: each
                draw on its own.
        """
        leaves = self.leaves(predictors, n)
        spread = rng.random(n) if evenly is None else _even(leaves, evenly, rng)
        position = self._start[leaves] + (spread * self._count[leaves]).astype(np.int64)
        if self._pools is not None:
            position = self._pools.draw(position, rng)
        drawn: np.ndarray = self._sorted[position]
        if self.target.size or self.target.exact:
            return drawn
        low, high = self._low[position], self._high[position]
        drawn = low + rng.random(n) * (high - low)
        return np.asarray(
            drawn if self.target.decimals is None else np.round(drawn, self.target.decimals)
        )


def _even(leaves: np.ndarray, beside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers in [0, 1), evenly spread over each leaf and over neighbouring leaves, shape (n,).

    Multiples of the golden ratio, shifted at random: any run of them is spread as evenly as can be
    (Weyl 1916). Each alone is uniform, so no value is drawn more often than by chance.
    """
    n = len(leaves)
    order = np.lexsort((rng.random(n), beside, leaves))
    out = np.empty(n)
    out[order] = (rng.random() + np.arange(n) * _GOLDEN) % 1.0
    return out


def _response(
    target: Variable, values: np.ndarray, predictors: Sequence[tuple[Variable, np.ndarray]]
) -> np.ndarray:
    """(rows, d) numbers whose squared error the tree reduces."""
    if target.size:
        codes = np.where(values < 0, target.size, values)
        if len(np.unique(codes)) <= 1:
            return np.zeros((len(values), 0))
        if target.size < _ONE_HOT:
            return np.eye(target.size + 1)[codes]
        return _embedding(codes, target.size + 1, predictors)[codes]
    known = np.isfinite(values)
    scores = np.zeros(len(values))
    scores[known] = _normal_scores(values[known])
    if target.total and known.all() and values.std() > 0:
        return np.column_stack([scores, (values - values.mean()) / values.std()])
    if known.all():
        return scores[:, None]
    return np.column_stack([scores, 2.0 * known])


def _impurity(response: np.ndarray, weight: np.ndarray) -> float:
    """Weighted variance, mean over the columns: what a tree's root starts with."""
    share = weight / weight.sum()
    centre = share @ response
    return float((share @ (response - centre) ** 2).mean())


def _normal_scores(values: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    ranks = pd.Series(values).rank(method="average").to_numpy()
    return np.asarray(ndtri((ranks - 0.5) / max(len(values), 1)))


def _embedding(
    codes: np.ndarray, size: int, predictors: Sequence[tuple[Variable, np.ndarray]]
) -> np.ndarray:
    """Categories close to each other when the predictors treat them alike.

    Correspondence analysis of categories against the binned predictors (Greenacre 1984), a few
    leading axes.
    """
    tables = []
    for variable, column in predictors:
        if variable.size:
            bins = np.where(column < 0, variable.size, column)
            common = np.argsort(-np.bincount(bins), kind="stable")[: 2 * _BINS]
            place = np.full(variable.size + 1, len(common))
            place[common] = np.arange(len(common))
            bins = place[bins]
        else:
            edges = np.unique(np.nanquantile(column, np.linspace(0, 1, _BINS + 1)[1:-1]))
            bins = np.where(np.isnan(column), len(edges) + 1, np.searchsorted(edges, column))
        width = int(bins.max()) + 1
        table = np.bincount(codes * width + bins, minlength=size * width).reshape(size, width)
        tables.append(table / len(codes))
    shares = np.bincount(codes, minlength=size) / len(codes)
    if not tables:
        return np.zeros((size, 0))
    joint = np.hstack(tables)
    expected = shares[:, None] * joint.sum(axis=0)[None, :]
    residual = np.where(expected > 0, (joint - expected) / np.sqrt(np.maximum(expected, 1e-12)), 0)
    left, strength, _ = _svd(residual)
    axes = left[:, :_EMBEDDING] * strength[:_EMBEDDING]
    return np.asarray(axes / np.sqrt(np.maximum(shares, 1 / len(codes)))[:, None])


def _svd(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thin singular value decomposition, also where divide and conquer gives up.

    LAPACK's faster algorithm does not converge on a few matrices of low rank (measured: one split
    of the flights, 2,464 x 241 of rank 208); QR iteration, which is slower, does.
    """
    try:
        return np.linalg.svd(matrix, full_matrices=False)
    except np.linalg.LinAlgError:
        from scipy.linalg import svd

        # SciPy's own linear algebra may have been loaded after the others were limited
        with _LIMITING, threadpool_limits(1):
            found: tuple[np.ndarray, np.ndarray, np.ndarray] = svd(
                matrix, full_matrices=False, lapack_driver="gesvd"
            )
        return found


def _within_flags(
    predictors: Sequence[tuple[Variable, np.ndarray]], response: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """``response`` less its mean among rows that agree in the first columns of few values.

    Places of categories are compared within those: a tree parts rows by such columns first, and
    categories that are alike in all rows may differ in one part of them.
    """
    cell = np.zeros(len(response), dtype=np.int64)
    for variable, column in predictors:
        if 1 < variable.size <= _FLAG:
            finer = pd.factorize(cell * (variable.size + 1) + column + 1)[0].astype(np.int64)
            if finer.max() >= _CELLS:
                break
            cell = finer
    if not response.shape[1] or not cell.any():
        return response
    mass = np.maximum(np.bincount(cell, weights=weight), 1e-12)
    means = np.column_stack([np.bincount(cell, weights=weight * c) / mass for c in response.T])
    return np.asarray(response - means[cell])


def _order(
    variable: Variable, column: np.ndarray, response: np.ndarray, weight: np.ndarray
) -> np.ndarray | None:
    """A place on a line for each category (last: missing), None for numbers."""
    if not variable.size:
        return None
    codes = np.where(column < 0, variable.size, column)
    mass = np.bincount(codes, weights=weight, minlength=variable.size + 1)
    if not response.shape[1]:
        return np.arange(variable.size + 1, dtype=np.float64)
    centre = np.average(response, axis=0, weights=weight)
    means = (
        np.column_stack(
            [
                np.bincount(codes, weights=weight * column_, minlength=variable.size + 1)
                for column_ in (response - centre).T
            ]
        )
        / np.maximum(mass, 1e-12)[:, None]
    )
    if response.shape[1] == 1:
        return np.asarray(means[:, 0])
    axis = _svd(means * np.sqrt(mass)[:, None])[2][0]
    return np.asarray(means @ axis)
