"""hour_profile: total variation of hours."""

from __future__ import annotations

import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.tables import Kind

KINDS = {"at": Kind.TIMESTAMP}


def read(by_hand, *tables):
    return measure(
        "hour_profile", by_hand(KINDS, tuple({"at": t} for t in tables), time_index="at")
    )


def test_by_hand(by_hand):
    """Half of the rows at 9, half at 10 against all at 9, minutes and days aside: .5."""
    nine, ten = ["2024-01-01 09:10", "2024-01-02 09:59"], ["2024-01-01 10:00", "2024-01-09 10:30"]
    found = read(by_hand, nine, nine * 2, nine + ten)
    assert isinstance(found, Measurement)
    assert found.value == 0.5
    assert found.floor == 0
    assert found.details["hours_invented"] == 1


def test_dates_have_no_hours(by_hand):
    days = ["2024-01-01", "2024-01-02"]
    found = read(by_hand, days, days, ["2024-01-01 09:00", "2024-01-02"])
    assert isinstance(found, NotMeasured)
    assert "no hours" in found.reason


def test_a_synthetic_table_at_midnight_is_measured(by_hand):
    found = read(by_hand, ["2024-01-01 09:00"] * 2, ["2024-01-01 09:00"] * 2, ["2024-01-01"] * 2)
    assert found.value == 1


def test_no_time_index_and_no_times(by_hand, toys, remake):
    rows = {"at": ["2024-01-01 09:00"]}
    assert "no time index" in measure("hour_profile", by_hand(KINDS, (rows, rows, rows))).reason
    found = measure("hour_profile", remake(synthetic=toys.synthetic.assign(at=None)))
    assert isinstance(found, NotMeasured)


def test_fresh_entities_read_at_the_floor(toys, remake):
    found = measure("hour_profile", toys)
    assert abs(found.value - found.floor) < 0.05
    night = toys.synthetic.copy()
    night["at"] = night["at"].dt.floor("D") + (night["at"] - night["at"].dt.floor("D")) / 4
    worse = measure("hour_profile", remake(synthetic=night))
    assert worse.value > 0.9
    assert worse.lower > 0.85


def test_the_value_is_signed_by_no_order(by_hand):
    early, late = ["2024-01-01 03:00"] * 4, ["2024-01-01 04:00"] * 4
    forth = read(by_hand, early, early, late).value
    assert forth == read(by_hand, late, late, early).value == pytest.approx(1)
