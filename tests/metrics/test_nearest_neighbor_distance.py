"""nearest_neighbor_distance: ties split evenly, sides equal."""

from __future__ import annotations

import pytest

from synth_contracts.metrics import Measurement, measure
from synth_contracts.tables import Kind

NUMBER = {"x": Kind.NUMBER}


def value(comparison) -> float:
    found = measure("nearest_neighbor_distance", comparison)
    assert isinstance(found, Measurement), found
    return found.value


def test_by_hand(by_hand):
    """0 and 10 lie nearer to train, 21 nearer to holdout, 15 between both: 2.5 of 4."""
    tables = ({"x": [0, 10]}, {"x": [20, 30]}, {"x": [0, 10, 21, 15]})
    # one more real row on each side keeps the scale symmetric around 15
    assert value(by_hand(NUMBER, tables)) == pytest.approx(0.625)


def test_ties_are_not_nearer_to_the_holdout(by_hand):
    """SDMetrics counts them so: all-categorical tables score a perfect 1.0 there."""
    kinds = {"x": Kind.TEXT, "y": Kind.BOOLEAN}
    rows = {"x": ["a", "b", "c", "d"], "y": ["true", "false", "true", "false"]}
    assert value(by_hand(kinds, (rows, rows, rows))) == 0.5


def test_five_per_cent_of_copies_do_not_score_better(toys, remake):
    fresh = value(toys)
    planted = toys.synthetic.copy()
    columns = [f.name for f in toys.schema.features]
    n = len(planted) // 20
    planted.loc[planted.index[:n], columns] = toys.train[columns].iloc[:n].to_numpy()
    assert value(remake(synthetic=planted)) > fresh + 0.01


def test_whole_copies_read_near_one_even_from_categories(toys, remake):
    """SDMetrics with subsampling reads .73 for 100 % copies."""
    assert value(remake(synthetic=toys.train)) > 0.99


def test_a_small_holdout_is_not_farther(toys, remake):
    """The plain share of fresh rows reads .685 at 70/30 (measured); like for like about .5."""
    few = toys.holdout[toys.holdout["who"] < 1066]
    found = measure("nearest_neighbor_distance", remake(holdout=few))
    assert found.lower - 0.03 < 0.5 < found.upper + 0.03
    assert found.details["rows_train"] == found.details["rows_holdout"]
