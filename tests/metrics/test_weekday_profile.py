"""weekday_profile: total variation of weekdays."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.series import _slots
from synth_contracts.tables import Kind

KINDS = {"at": Kind.DATE}


def read(by_hand, *tables):
    return measure(
        "weekday_profile", by_hand(KINDS, tuple({"at": t} for t in tables), time_index="at")
    )


def test_by_hand(by_hand):
    """Mondays only against three Mondays and one Tuesday: .25."""
    mondays = ["2024-01-01", "2024-01-08", "2024-01-15"]
    found = read(by_hand, mondays, [*mondays, "2024-01-02"], mondays)
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(0.25)


def test_weekdays_are_those_of_the_calendar(toys):
    slot, _ = _slots(toys.synthetic_side, "at", "weekday")
    np.testing.assert_array_equal(slot, toys.synthetic_side.frame["at"].dt.weekday)


def test_times_before_1970(by_hand):
    friday, saturday = ["1969-12-26"] * 2, ["1969-12-27"] * 2
    assert read(by_hand, friday, friday, friday).value == 0
    assert read(by_hand, friday, friday, saturday).value == 1


def test_a_flattened_week_is_seen(toys, remake):
    flat = toys.synthetic.copy()
    days = np.random.default_rng(3).integers(0, 140, len(flat))
    flat["at"] = np.datetime64("2024-01-01", "ns") + days.astype("timedelta64[D]")
    assert measure("weekday_profile", toys).value < 0.06
    assert measure("weekday_profile", remake(synthetic=flat)).lower > 0.1


def test_no_time_is_not_measured(toys, remake):
    found = measure("weekday_profile", remake(holdout=toys.holdout.assign(at=None)))
    assert isinstance(found, NotMeasured)
