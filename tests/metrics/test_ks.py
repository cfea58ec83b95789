"""ks: nulls dropped, infinities seen, times allowed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.distributions import ks_two_sample
from synth_contracts.tables import Kind

numbers = st.lists(
    st.floats(allow_nan=False) | st.integers(-3, 3).map(float), min_size=2, max_size=30
)


def test_by_hand(by_hand):
    """1 2 3 4 against 3 4 5 6: at 2 one half lies below, nothing of the other."""
    tables = ({"x": [1, 2]}, {"x": [3, 4, 5, 6]}, {"x": [1, 2, 3, 4]})
    found = measure("ks", by_hand({"x": Kind.NUMBER}, tables), column="x")
    assert isinstance(found, Measurement)
    assert (found.value, found.column) == (0.5, "x")


@given(numbers, numbers)
def test_agrees_with_scipy(left, right):
    found = ks_two_sample(np.array(left), np.array(right))
    with np.errstate(all="ignore"):
        assert found.value == pytest.approx(ks_2samp(left, right, method="asymp").statistic)
    assert abs(found.influence_left.sum()) < 1e-9
    assert 0 <= found.value <= 1


def test_infinities_count(by_hand):
    tables = ({"x": [1, 2]}, {"x": [1, 2, 3, 4]}, {"x": [1, 2, np.inf, np.inf]})
    assert measure("ks", by_hand({"x": Kind.NUMBER}, tables), column="x").value == 0.5


def test_nulls_are_dropped_and_all_null_is_not_measured(by_hand):
    nan = np.nan
    kinds = {"x": Kind.NUMBER}
    tables = ({"x": [1, 2]}, {"x": [1, 2, nan, nan]}, {"x": [1, 1, 2, nan]})
    assert measure("ks", by_hand(kinds, tables), column="x").value == pytest.approx(1 / 6)
    found = measure("ks", by_hand(kinds, (*tables[:2], {"x": [nan, nan]})), column="x")
    assert isinstance(found, NotMeasured)
    assert "null" in found.reason


def test_times_are_compared(toys, remake):
    late = toys.synthetic.assign(at=toys.synthetic["at"] + np.timedelta64(300, "D"))
    assert measure("ks", remake(synthetic=late), column="at").value == 1.0


@pytest.mark.parametrize("column", ["kind", "who", "no such column"])
def test_what_is_no_number_is_not_measured(toys, column):
    assert isinstance(measure("ks", toys, column=column), NotMeasured)


def test_the_interval_is_clustered_by_entity(toys, remake):
    """Ten copies of each entity's rows under its key add rows, not knowledge."""
    shifted = toys.synthetic.assign(amount=toys.synthetic["amount"] * 1.3)
    many = shifted.loc[shifted.index.repeat(10)].reset_index(drop=True)
    once = measure("ks", remake(synthetic=shifted), column="amount")
    ten = measure("ks", remake(synthetic=many), column="amount")
    assert ten.value == pytest.approx(once.value)
    assert ten.upper - ten.lower == pytest.approx(once.upper - once.lower, rel=1e-6)
