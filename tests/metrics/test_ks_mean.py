"""ks_mean: a column that fails is never averaged away."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.tables import Kind

KINDS = {"x": Kind.NUMBER, "y": Kind.INTEGER}


def test_by_hand(by_hand):
    """x reads .5 and y reads 1: .75."""
    tables = (
        {"x": [1, 2], "y": [1, 2]},
        {"x": [3, 4, 5, 6], "y": [1, 2, 3, 4]},
        {"x": [1, 2, 3, 4], "y": [7, 8, 8, 9]},
    )
    found = measure("ks_mean", by_hand(KINDS, tables))
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(0.75)
    assert found.details["columns"] == {"x": 0.5, "y": 1.0}


def test_one_column_that_cannot_be_compared_stops_it(by_hand):
    """SDMetrics reports 1.0 when one of two columns could not be computed (measured)."""
    nan = np.nan
    tables = ({"x": [1, 2], "y": [1, 2]}, {"x": [1, 2], "y": [1, 2]}, {"x": [1, 2], "y": [nan] * 2})
    found = measure("ks_mean", by_hand(KINDS, tables))
    assert isinstance(found, NotMeasured)
    assert "y" in found.reason


def test_a_column_null_everywhere_is_named(by_hand):
    rows = {"x": [1, 2], "y": [np.nan, np.nan]}
    found = measure("ks_mean", by_hand(KINDS, (rows, rows, rows)))
    assert found.value == 0
    assert found.details["empty"] == ["y"]


def test_no_numeric_column_is_not_measured(by_hand):
    rows = {"x": ["a", "b"]}
    found = measure("ks_mean", by_hand({"x": Kind.TEXT}, (rows, rows, rows)))
    assert isinstance(found, NotMeasured)
    assert "no numeric column" in found.reason


def test_fresh_entities_read_at_the_floor(basket_thirds):
    found = measure("ks_mean", basket_thirds.compare(basket_thirds.fresh))
    assert found.lower < 0.05
    assert abs(found.value - found.floor) < 0.03
