"""calendar_correlation: the real busy days, relative to what a holdout reaches."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure

ID = "calendar_correlation"


def read(comparison: Comparison, **options: object) -> Measurement:
    found = measure(ID, comparison, options=options)
    assert isinstance(found, Measurement), found
    return found


def test_fresh_households_reach_the_ceiling(basket_thirds):
    found = read(basket_thirds.compare(basket_thirds.fresh))
    assert 0.6 < found.number("ceiling_share") < 1.5
    assert found.lower <= found.value <= found.upper
    assert not found.details["above_ceiling"]


def test_like_for_like(basket_thirds):
    """Twice the entities: unthinned it correlates better, thinned it reads about the same."""
    thirds = basket_thirds
    keys = thirds.holdout["household_id"].unique()
    half = thirds.holdout[thirds.holdout["household_id"].isin(keys[: len(keys) // 2])]
    found = read(Comparison(thirds.train, half, thirds.fresh, thirds.schema, seed=3))
    assert found.details["entities_thinned_to"] == len(keys) // 2
    assert found.value < found.details["unthinned"] - 0.03


def test_days_of_another_year_and_published_totals(basket_thirds):
    thirds, time = basket_thirds, "transaction_timestamp"
    moved = thirds.fresh.copy()
    days = moved[time].dt.floor("D")
    moved[time] = np.random.default_rng(1).permutation(days.to_numpy())
    low = days.min().to_datetime64()
    span = (days.max() - days.min()).days
    drawn = np.random.default_rng(2).integers(0, span, len(moved))
    moved[time] = low + drawn.astype("timedelta64[D]")
    assert read(thirds.compare(moved)).number("ceiling_share") < 0.3
    copied = read(thirds.compare(thirds.train))
    assert copied.details["above_ceiling"]
    assert copied.number("ceiling_share") > 1.2


def test_no_ceiling_no_figure(toys, remake):
    flat = toys.holdout.copy()
    days = np.random.default_rng(3).integers(0, 140, len(flat))
    flat["at"] = np.datetime64("2024-01-01", "ns") + days.astype("timedelta64[D]")
    found = measure(ID, remake(holdout=flat))
    assert isinstance(found, NotMeasured)
    assert "no rhythm" in found.reason
    short = toys.train[toys.train["at"] < np.datetime64("2024-02-20")]
    assert "fewer than 60 days" in measure(ID, remake(train=short)).reason


def test_options(toys):
    assert read(toys, aggregate="sum", column="items").value != read(toys).value
    for options in ({"aggregate": "sum"}, {"frequency": "week"}):
        with pytest.raises(ValueError, match=ID):
            measure(ID, toys, options=options)
