"""membership_inference on real tables: clean for fresh entities, loud for copies of any kind."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.neighbours import search
from synth_contracts.metrics.tails import precision

FEATURES = ("at", "items", "amount", "shop", "kind", "member")


def read(comparison) -> Measurement:
    found = measure("membership_inference", comparison)
    assert isinstance(found, Measurement), found
    assert found.lower <= found.value <= found.upper
    assert found.lower <= found.bound_lower <= found.bound_upper <= found.upper
    attacks = found.details["attacks"]
    assert found.value == attacks[found.details["attack"]]["value"]
    assert found.value >= max(attacks[name]["value"] for name in ("distance", "calibrated"))
    return found


def test_fresh_entities_read_clean(thirds):
    found = read(thirds.clean)
    assert abs(found.value) < 0.20
    assert found.lower < 0.05


def test_near_copies_are_seen(thirds):
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


def test_holes_around_train_rows_are_seen(thirds):
    """A fifth of the train rows is avoided: nothing comes nearer than other real rows do."""
    whole = thirds.clean
    train, _, fresh = whole.vectors
    near = whole.nearby
    avoided = np.random.default_rng(3).permutation(near.cut)[: near.cut // 5]
    distance, rows = search(train[avoided], fresh, 30)
    radius = 1.2 * near.reference[avoided]
    gone = np.unique(rows[distance < radius[:, None]])
    kept = whole.synthetic_side.frame.drop(index=gone).reset_index(drop=True)
    assert len(kept) > 300
    found = read(thirds.compare(kept))
    assert found.details["attack"].endswith("_hole")
    assert found.value > 0.25
    assert max(found.details["attacks"][name]["value"] for name in ("distance", "calibrated")) < 0


def test_both_directions_are_mirrors(toys, remake):
    attacks = read(remake()).details["attacks"]
    names = {"distance", "calibrated", "agreement"}
    assert set(attacks) == names | {f"{name}_hole" for name in names}
    for name in names:
        near, hole = attacks[name], attacks[f"{name}_hole"]
        assert hole["value"] == pytest.approx(-near["value"])
        assert hole["lower"] == pytest.approx(-near["upper"])


def test_sizes_do_not_make_members(toys, make_toy, remake):
    """Four members for each non-member read as clean as equal sides: like for like."""
    many = make_toy(8, entities=880, first=3000)
    found = read(remake(train=many))
    assert abs(found.value) < 0.25
    assert found.n == 2 * len(toys.holdout)
    swapped = read(remake(holdout=many))
    assert abs(swapped.value) < 0.25


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


def test_copies_in_a_void_are_seen_among_many_equal_rows(toys, remake):
    """Most rows coincide, so distance alone ranks nothing; the reference tells who is rare."""
    frames = {}
    for seed, name in enumerate(("train", "holdout", "synthetic")):
        frame = getattr(toys, name).assign(shop="1", kind="a", member="true", items=1.0, amount=1.0)
        frame["at"] = np.datetime64("2024-01-01", "ns")
        rare = frame.index[::8]
        frame.loc[rare, "amount"] = 1e4 * np.random.default_rng(seed).lognormal(size=len(rare))
        frames[name] = frame
    frames["synthetic"].loc[rare, "amount"] = frames["train"].loc[rare, "amount"]
    found = read(remake(**frames))
    assert found.details["attacks"]["calibrated"]["value"] > 0.3
    assert found.value > 0.3
    assert found.details["attacks"]["distance"]["value"] < 0.25


def test_ties_are_broken_by_lot(toys, remake):
    """Rows that are all alike give the attacker nothing, in whatever order they stand."""
    alike = {
        name: getattr(toys, name).assign(**dict.fromkeys(FEATURES))
        for name in ("train", "holdout", "synthetic")
    }
    for frame in alike.values():
        frame["at"] = np.datetime64("2024-01-01", "ns")
        frame[["items", "amount"]] = 1.0
    assert abs(read(remake(**alike)).value) < 0.25


def test_null_keys_are_entities_of_their_own(toys, remake):
    holdout = toys.holdout.copy()
    holdout["who"] = None
    found = read(remake(holdout=holdout))
    assert found.details["non_member_entities"] == len(holdout)


def test_precision_by_hand():
    """Weights 1, 1, 2, 2; three guesses take rows 1, 2 and half of the third: 2 of 3 are right."""
    member = np.array([True, False, True, False])
    assert precision(member, np.array([1.0, 1.0, 2.0, 2.0]), 3.0) == pytest.approx(2 / 3)
