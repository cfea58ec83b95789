"""identical_match: typed, at equal sizes, with an interval that holds back from chance."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.privacy.identical_match import _chance
from synth_contracts.tables import Kind

TEXT = {"x": Kind.TEXT, "y": Kind.NUMBER}


def test_by_hand(by_hand):
    """Two of four rows stand in train, one in holdout: .50 - .25."""
    found = measure(
        "identical_match",
        by_hand(
            TEXT,
            (
                {"who": [1, 2, 3], "x": ["a", "b", "c"], "y": [1, 2, 3]},
                {"who": [4, 5, 6], "x": ["d", "e", "f"], "y": [1, 2, 3]},
                {"who": [7, 8, 9, 10], "x": ["a", "b", "d", "z"], "y": [1, 2, 1, 1]},
            ),
        ),
    )
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(0.25)
    assert found.details["share_equal_to_train"] == 0.5
    assert found.details["share_equal_to_holdout"] == 0.25


def test_types_are_compared_not_spellings(by_hand):
    """'1' is not '1.0', null is null, and -0.0 is 0.0."""
    tables = (
        {"x": ["1", None, "m"], "y": [1, np.nan, 0.0]},
        {"x": ["q", "r", "s"], "y": [7, 8, 9]},
        {"x": ["1.0", None, "m"], "y": [1, np.nan, -0.0]},
    )
    found = measure("identical_match", by_hand(TEXT, tables))
    assert isinstance(found, Measurement)
    assert found.details["share_equal_to_train"] == pytest.approx(2 / 3)


def test_keys_do_not_count(toys, remake):
    copies = toys.train.assign(id=toys.train["id"] + 90_000, who=toys.train["who"] + 90_000)
    found = measure("identical_match", remake(synthetic=copies))
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(1.0)
    assert found.bound_lower > 0.95


def test_the_larger_side_is_sampled_down_and_the_excess_brought_back(toys, remake):
    """1 % copies read 1 % at a split of 70/30 too, and fresh rows read 0."""
    holdout = toys.holdout[toys.holdout["who"] < 1094]
    n = len(toys.synthetic) // 10
    planted = toys.synthetic.copy()
    columns = [f.name for f in toys.schema.features]
    planted.loc[planted.index[:n], columns] = toys.train[columns].iloc[:n].to_numpy()
    for frame in (toys, remake(holdout=holdout)):
        clean = measure("identical_match", frame)
        leaky = measure("identical_match", remake(holdout=frame.holdout, synthetic=planted))
        assert clean.bound_lower <= 0.001
        assert leaky.value == pytest.approx(0.1, abs=0.002)
        assert leaky.bound_lower > 0.005


def test_common_rows_are_no_copies(by_hand):
    """Rows that everybody has are in excess of nothing."""
    rows = {"x": ["a"] * 4, "y": [1] * 4}
    found = measure("identical_match", by_hand(TEXT, (rows, rows, rows)))
    assert found.value == 0
    assert found.details["share_equal_to_train"] == 1


def test_chance_by_hand():
    """Of 4 entities 2 are chosen: one holder is among them in 1/2, two in 5/6, three surely."""
    chance = _chance(np.array([0, 1, 2, 3, 4]), 4, 2)
    np.testing.assert_allclose(chance, [0, 1 / 2, 5 / 6, 1, 1])


def test_nothing_but_keys_is_not_measured(by_hand):
    rows = {"who": [1, 2]}
    found = measure("identical_match", by_hand({}, ({"who": [3, 4]}, {"who": [5, 6]}, rows)))
    assert isinstance(found, NotMeasured)
    assert "no column but keys" in found.reason
