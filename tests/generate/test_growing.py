"""Large trees are grown in two steps; their leaves hold what small ones' do."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.generate import growing
from synth_contracts.generate.growing import Leaf, grow
from synth_contracts.generate.trees import LeafModel, Variable

ROWS, ENTITIES = 12_000, 400


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A matrix, a response that follows its first two columns, entities and weights."""
    rng = np.random.default_rng(0)
    owner = np.sort(rng.integers(0, ENTITIES, ROWS))
    matrix = rng.random((ROWS, 3)).astype(np.float32)
    matrix[owner < 5, 0] += 10  # a few entities far out
    response = (np.floor(8 * matrix[:, 0]) + 4 * matrix[:, 1] + rng.normal(size=ROWS))[:, None]
    return matrix, response, owner, 1 / np.bincount(owner, minlength=ENTITIES)[owner]


def small(monkeypatch) -> None:
    monkeypatch.setattr(growing, "WHOLE", 5_000)
    monkeypatch.setattr(growing, "SAMPLE", 3_000)
    monkeypatch.setattr(growing, "PART", 2_000)


def test_leaves_of_parts_hold_rows_and_entities(table, monkeypatch) -> None:
    small(monkeypatch)
    matrix, response, owner, weight = table
    tree = grow(matrix, response, weight, Leaf(60, 10, 6.0, 1), float(response.var()))
    assert isinstance(tree, growing._Parted)
    assert len(tree.parts) >= 3
    leaves = tree.apply(matrix)
    assert leaves.max() < tree.size
    for leaf in np.unique(leaves):
        inside = leaves == leaf
        assert inside.sum() >= 60
        assert weight[inside].sum() >= 10 - 1e-9
        assert len(np.unique(owner[inside])) >= 10
    # a leaf is a leaf of one part, and a row's leaf does not depend on the rows beside it
    one = np.concatenate([tree.apply(matrix[[row]]) for row in range(0, ROWS, 1_999)])
    assert (one == leaves[::1_999]).all()


def test_two_steps_explain_as_much_as_one(table, monkeypatch) -> None:
    matrix, response, _, weight = table
    left = {}
    for name in ("one", "two"):
        if name == "two":
            small(monkeypatch)
        tree = grow(matrix, response, weight, Leaf(60, 10, 6.0, 1), float(response.var()))
        leaves = np.unique(tree.apply(matrix), return_inverse=True)[1]
        means = np.bincount(leaves, weights=response[:, 0]) / np.bincount(leaves)
        left[name] = float(((response[:, 0] - means[leaves]) ** 2).mean() / response.var())
    assert left["two"] < left["one"] + 0.01
    assert left["one"] < 0.5


def test_noise_is_split_in_neither(monkeypatch) -> None:
    small(monkeypatch)
    rng = np.random.default_rng(2)
    matrix = rng.random((ROWS, 3)).astype(np.float32)
    response = rng.normal(size=(ROWS, 1))
    tree = grow(matrix, response, np.ones(ROWS), Leaf(60, 10, 40.0, 1), 1.0)
    assert len(np.unique(tree.apply(matrix))) == 1


def test_the_same_draws_again(table, monkeypatch) -> None:
    small(monkeypatch)
    matrix, response, _, weight = table
    drawn = []
    for _ in (1, 2):
        model = LeafModel(leaf_rows=60, leaf_entities=10, seed=4).fit(
            (Variable("y"), response[:, 0]),
            [(Variable(f"x{i}"), matrix[:, i]) for i in range(3)],
            weight,
        )
        columns = [matrix[:, i] for i in range(3)]
        drawn.append(model.draw(columns, ROWS, np.random.default_rng(5)))
    assert (drawn[0] == drawn[1]).all()
    ranks = [np.argsort(np.argsort(column)) for column in (drawn[0], response[:, 0])]
    assert np.corrcoef(*ranks)[0, 1] > 0.7
