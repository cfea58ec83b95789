"""pair_association: joint distributions of pairs of columns."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.metrics import NotMeasured, measure
from synth_contracts.metrics.fidelity import pair_association
from synth_contracts.tables import Kind

KINDS = {"a": Kind.TEXT, "b": Kind.TEXT}


def test_by_hand(by_hand):
    """Both columns keep their shares, and every second row has moved to the other diagonal."""
    real = {"a": ["x", "y"] * 2, "b": ["u", "v"] * 2}
    mixed = {"a": ["x", "y", "x", "y"], "b": ["u", "v", "v", "u"]}
    found = measure("pair_association", by_hand(KINDS, (real, real, mixed)))
    assert found.value == pytest.approx(0.5)
    assert found.floor == 0
    assert found.details["worst_pair"] == ["a", "b"]


def test_one_column_is_no_pair(by_hand):
    rows = {"a": ["x", "y"], "b": ["u", "u"]}
    found = measure("pair_association", by_hand(KINDS, (rows, rows, rows)))
    assert isinstance(found, NotMeasured)
    assert "no pair" in found.reason


def test_a_value_that_fills_a_bin_is_a_bin():
    column = np.array([0.0] * 90 + [-1.0] * 5 + [1.0] * 5)
    codes = pair_association._quantiles([column, column, np.array([np.nan, 0.0])], 4)
    assert len(np.unique(codes[0])) == 3
    assert codes[2][0] == 0
    assert codes[2][1] == codes[0][0]


def test_real_households_and_a_broken_relation(basket_thirds):
    fresh = measure("pair_association", basket_thirds.compare(basket_thirds.fresh))
    assert fresh.value < 0.13
    assert fresh.lower <= fresh.value <= fresh.upper
    broken = basket_thirds.fresh.copy()
    for i, field in enumerate(basket_thirds.schema.features):
        order = np.random.default_rng(i).permutation(len(broken))
        broken[field.name] = broken[field.name].to_numpy()[order]
    found = measure("pair_association", basket_thirds.compare(broken))
    assert found.value > fresh.value + 0.03
    assert found.details["correlation_difference"] > 0.5
