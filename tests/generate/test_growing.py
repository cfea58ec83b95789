"""Trees from histograms: leaves hold what is asked, and splits are those of exact trees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeRegressor

from synth_contracts.generate import growing
from synth_contracts.generate.growing import Bins, Leaf, grow
from synth_contracts.generate.trees import Binning, LeafModel, Variable

ROWS, ENTITIES = 12_000, 400

Table = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def table() -> Table:
    """A matrix, a response that follows its first two columns, entities and weights."""
    rng = np.random.default_rng(0)
    owner = np.sort(rng.integers(0, ENTITIES, ROWS))
    matrix = rng.random((ROWS, 3))
    matrix[rng.random(ROWS) < 0.1, 1] = np.nan
    response = 8 * matrix[:, 0] + np.nan_to_num(4 * matrix[:, 1], nan=0) + rng.normal(size=ROWS)
    matrix[owner < 5, 0] += 10  # a few entities far out
    return matrix, response[:, None], owner, 1 / np.bincount(owner, minlength=ENTITIES)[owner]


def variance(response: np.ndarray, weight: np.ndarray) -> float:
    centre = np.average(response, axis=0, weights=weight)
    return float(np.average((response - centre) ** 2, axis=0, weights=weight).mean())


def error(leaves: np.ndarray, response: np.ndarray, weight: np.ndarray) -> float:
    """The share of the weighted squared error that the leaves leave."""
    left = 0.0
    for column in response.T:
        mass = np.maximum(np.bincount(leaves, weights=weight), 1e-12)
        means = np.bincount(leaves, weights=weight * column) / mass
        left += float(np.average((column - means[leaves]) ** 2, weights=weight))
    return left / response.shape[1] / variance(response, weight)


def test_leaves_hold_rows_and_entities(table: Table) -> None:
    matrix, response, owner, weight = table
    bins = [Bins.of(column) for column in matrix.T]
    tree, leaves = grow(bins, response, weight, Leaf(60, 10, 6.0), variance(response, weight))
    assert leaves.max() > 20
    for leaf in range(int(leaves.max()) + 1):
        inside = leaves == leaf
        assert inside.sum() >= 60
        assert weight[inside].sum() >= 10 - 1e-9
        assert len(np.unique(owner[inside])) >= 10
    # a row's leaf is the one it was grown into, and does not depend on the rows beside it
    assert (tree.apply(list(matrix.T)) == leaves).all()
    one = np.concatenate([tree.apply(list(matrix[[row]].T)) for row in range(0, ROWS, 1_999)])
    assert (one == leaves[::1_999]).all()


@pytest.mark.parametrize("outputs", [1, 3])
def test_they_explain_as_much_as_exact_splits(table: Table, outputs: int) -> None:
    matrix, first, _, weight = table
    rng = np.random.default_rng(outputs)
    more = [first[:, 0] * rng.random() + rng.normal(size=ROWS) for _ in range(outputs - 1)]
    response = np.column_stack([first, *more])
    impurity = variance(response, weight)
    bins = [Bins.of(column) for column in matrix.T]
    leaves = grow(bins, response, weight, Leaf(60, 10, 6.0), impurity)[1]
    exact = DecisionTreeRegressor(
        min_samples_leaf=60,
        min_weight_fraction_leaf=10 / weight.sum(),
        min_impurity_decrease=6.0 * impurity / ROWS,
        random_state=1,
    ).fit(matrix, response, sample_weight=weight)
    theirs = np.unique(exact.apply(matrix), return_inverse=True)[1]
    assert error(leaves, response, weight) < error(theirs, response, weight) + 0.005
    assert abs(int(leaves.max()) - int(theirs.max())) <= 4


def test_a_tree_by_hand() -> None:
    column = np.array([1.0, 1, 2, 2, np.nan, np.nan, 5, 5])
    response = np.array([0.0, 0, 0, 0, 9, 9, 9, 9])[:, None]
    tree, leaves = grow([Bins.of(column)], response, np.ones(8), Leaf(2, 2, 0.1), 20.25)
    assert leaves.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert tree.feature.tolist() == [0, -1, -1]
    assert tree.threshold[0] == 3.5  # half way between the values on either side
    # missing values were on the right
    assert tree.apply([np.array([3.4, 3.6, np.nan, -np.inf, np.inf])]).tolist() == [0, 1, 1, 0, 1]
    # where train had none they go with the larger side
    several = np.array([1.0, 1, 2, 2, 2, 2, 2, 2])
    steps = np.array([0.0, 0, 9, 9, 9, 9, 9, 9])[:, None]
    tree, _ = grow([Bins.of(several)], steps, np.ones(8), Leaf(2, 2, 0.1), 15.2)
    assert tree.apply([np.array([1.0, np.nan])]).tolist() == [0, 1]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_come_to_the_leaf_they_were_grown_into(data: st.DataObject) -> None:
    rows = data.draw(st.integers(2, 60))
    value = st.one_of(st.floats(-1e300, 1e300), st.integers(-3, 3), st.just(float("nan")))
    columns = [
        np.array(data.draw(st.lists(value, min_size=rows, max_size=rows)), dtype="float64")
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    response = np.array(data.draw(st.lists(st.integers(-5, 5), min_size=rows, max_size=rows)))
    weight = np.array(data.draw(st.lists(st.integers(1, 4), min_size=rows, max_size=rows)), float)
    leaf = Leaf(data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), 0.5)
    target = response[:, None].astype(float)
    bins = [Bins.of(column) for column in columns]
    tree, leaves = grow(bins, target, weight, leaf, variance(target, weight))
    assert (tree.apply(columns) == leaves).all()
    if leaves.max():
        assert np.bincount(leaves).min() >= leaf.rows
        assert np.bincount(leaves, weights=weight).min() >= leaf.weight


@given(st.lists(st.one_of(st.floats(allow_infinity=False)), min_size=1, max_size=80))
def test_bins_ascend_and_hold_their_values(numbers: list[float]) -> None:
    column = np.array(numbers)
    before, growing.BINS = growing.BINS, 8
    try:
        bins = Bins.of(column)
    finally:
        growing.BINS = before
    assert len(bins.low) <= 8
    assert (bins.low <= bins.high).all()
    assert (bins.high[:-1] < bins.low[1:]).all()
    lacking = np.isnan(column)
    assert (bins.codes[lacking] == len(bins.low)).all()
    known, code = column[~lacking], bins.codes[~lacking]
    assert (bins.low[code] <= known).all()
    assert (known <= bins.high[code]).all()


def test_noise_is_not_split() -> None:
    rng = np.random.default_rng(2)
    bins = [Bins.of(column) for column in rng.random((3, ROWS))]
    response = rng.normal(size=(ROWS, 1))
    assert grow(bins, response, np.ones(ROWS), Leaf(60, 10, 40.0), 1.0)[1].max() == 0


def test_a_constant_response_is_not_split() -> None:
    bins = [Bins.of(np.arange(1_000.0))]
    leaves = grow(bins, np.full((1_000, 1), 0.1), np.full(1_000, 1 / 3), Leaf(10, 1, 0.0), 0.0)[1]
    assert leaves.max() == 0


def test_the_same_draws_again_and_with_bins_that_are_shared(table: Table) -> None:
    matrix, response, _, weight = table
    columns = [matrix[:, i].copy() for i in range(3)]
    binning, drawn = Binning(), []
    for shared in (None, binning, binning):
        model = LeafModel(leaf_rows=60, leaf_entities=10).fit(
            (Variable("y"), response[:, 0]),
            [(Variable(f"x{i}"), column) for i, column in enumerate(columns)],
            weight,
            binning=shared,
        )
        drawn.append(model.draw(columns, ROWS, np.random.default_rng(5)))
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] == drawn[2]).all()
    ranks = [np.argsort(np.argsort(column)) for column in (drawn[0], response[:, 0])]
    assert np.corrcoef(*ranks)[0, 1] > 0.7
