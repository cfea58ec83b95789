"""membership_inference on real tables: clean for fresh entities, loud for copies of any kind."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.privacy.membership_inference import _precision


def read(comparison) -> Measurement:
    found = measure("membership_inference", comparison)
    assert isinstance(found, Measurement), found
    assert found.lower <= found.value <= found.upper
    assert found.lower <= found.bound_lower <= found.bound_upper <= found.upper
    return found


@pytest.mark.parametrize("table", ["basket_thirds", "flight_thirds"])
def test_fresh_entities_read_clean(table, request):
    thirds = request.getfixturevalue(table)
    found = read(thirds.compare(thirds.fresh))
    assert abs(found.value) < 0.20
    assert found.lower < 0.05


@pytest.mark.parametrize("table", ["basket_thirds", "flight_thirds"])
def test_near_copies_are_seen(table, request):
    thirds = request.getfixturevalue(table)
    found = read(thirds.compare(thirds.near_copies(0.10)))
    assert found.value > 0.45
    assert found.bound_lower > 0.25


def test_isolated_rows_pasted_in_are_seen(basket_thirds):
    assert read(basket_thirds.compare(basket_thirds.isolated(0.01))).value > 0.35


def test_a_bootstrap_of_train_is_recognised_whole(basket_thirds):
    train = basket_thirds.train
    drawn = train.iloc[np.random.default_rng(2).integers(0, len(train), len(train))]
    found = read(basket_thirds.compare(basket_thirds.with_fresh_keys(drawn.copy())))
    assert found.value > 0.95


def test_sizes_do_not_make_members(toys, remake):
    """A holdout of a third of train's size reads as clean as an equal one: like for like."""
    few = toys.holdout[toys.holdout["who"] < 1200]
    assert abs(read(toys).value) < 0.25
    with_few = read(remake(holdout=few, seed=4))
    assert abs(with_few.value) < 0.25
    assert with_few.n == 2 * len(few)


@pytest.mark.parametrize("name", ["train", "holdout"])
def test_fewer_than_200_entities_is_not_measured(name, toys, remake):
    frame = getattr(toys, name)
    keys = frame["who"].drop_duplicates().iloc[:199]
    found = measure("membership_inference", remake(**{name: frame[frame["who"].isin(keys)]}))
    assert isinstance(found, NotMeasured)
    assert f"199 entities in {name}" in found.reason


def test_entities_on_both_sides_are_not_measured(toys, remake):
    found = measure("membership_inference", remake(holdout=toys.train))
    assert isinstance(found, NotMeasured)
    assert "220 entities stand in train and in holdout" in found.reason


def test_null_keys_are_entities_of_their_own(toys, remake):
    holdout = toys.holdout.copy()
    holdout["who"] = None
    found = read(remake(holdout=holdout))
    assert found.details["non_member_entities"] == len(holdout)


def test_precision_by_hand():
    """Weights 1, 1, 2, 2; three guesses take rows 1, 2 and half of the third: 2 of 3 are right."""
    member = np.array([True, False, True, False])
    assert _precision(member, np.array([1.0, 1.0, 2.0, 2.0]), 3.0) == pytest.approx(2 / 3)
