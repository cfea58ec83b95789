"""Sides at equal numbers of entities, raw and in the protected view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.model import Roles
from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.matching import REPEATS, Matched, protected
from synth_contracts.metrics.results import CannotMeasure
from synth_contracts.tables import Field, Kind, TableSchema

VIEW = ("total_variation", "missingness")
#: groups some shops of the toys and leaves others
VIEWED = Coarsening(30)


def test_sides_are_cut_to_the_smallest(toys, remake, make_toy):
    assert toys.repeats == 1
    comparison = remake(train=make_toy(1, 300), holdout=make_toy(2, 90, first=1000))
    assert comparison.repeats == REPEATS
    for repeat in range(REPEATS):
        for side in comparison.matched_raw(repeat):
            assert side.entities == 90
            assert set(side.entity) == set(range(90))
            assert len(side.frame) == 450
            assert list(side.frame.columns) == ["amount", "at", "items", "kind", "member", "shop"]
    one, other = (comparison.matched_raw(i)[0].frame for i in (0, 1))
    assert not one.equals(other)  # other entities each time


def test_the_view_is_that_of_all_sides_pooled_and_made_once(toys, remake):
    coarsening = Coarsening(30, {"shop": 99})
    comparison = remake(coarsening=coarsening)
    found, raw = comparison.matched(0), comparison.matched_raw(0)
    assert found is comparison.matched(0)
    pooled = pd.concat([side.frame for side in raw], ignore_index=True)
    owner = np.concatenate([side.entity + 220 * i for i, side in enumerate(raw)])
    expected = replace(coarsening, k=90).view(pooled, owner, comparison.schema)
    assert raw[0].frame["shop"].nunique() == 30
    assert 2 < expected["shop"].nunique() < 30  # some are grouped and some are not
    assert "99" in set(expected["shop"])
    assert expected.assign(who=owner).groupby("shop")["who"].nunique().min() >= 90
    start = 0
    for view, side in zip(found, raw, strict=True):
        part = expected.iloc[start : start + len(side.frame)].reset_index(drop=True)
        pd.testing.assert_frame_equal(view.frame, part)
        assert (view.entity == side.entity).all()
        start += len(side.frame)
    assert toys.matched(0) is toys.matched_raw(0)  # no coarsening: the sides as they are


def sided(*kinds: str) -> Matched:
    """One row per entity."""
    frame = pd.DataFrame({"kind": np.array(kinds, dtype=object)})
    return Matched(frame, np.arange(len(kinds), dtype=np.int64), len(kinds))


def test_no_side_gives_itself_away():
    """k = 2, so six entities of twelve must hold a value, whichever side they stand on."""
    schema = TableSchema("t", (Field("kind", Kind.TEXT, "VARCHAR"),), Roles())
    sides = (sided("a", "a", "b", "b"), sided("a", "a", "b", "c"), sided("a", "a", "d", "d"))
    view = protected(sides, Coarsening(2), schema)
    for side in view:  # alone the first would keep its b, the third its d
        assert side.frame["kind"].tolist() == ["a", "a", "other", "other"]
    # a value that one side lacks has the same fate on the others, and the order of sides no say
    sides = (sided("a", "b", "b", "b"), sided("a", "b", "b", "b"), sided("a", "a", "a", "a"))
    view = protected(sides, Coarsening(2), schema)
    assert [side.frame["kind"].tolist() for side in view] == [
        ["a", "b", "b", "b"], ["a", "b", "b", "b"], ["a", "a", "a", "a"],
    ]  # fmt: skip
    turned = protected(sides[1:] + sides[:1], Coarsening(2), schema)
    for one, other in zip(turned, view[1:] + view[:1], strict=True):
        pd.testing.assert_frame_equal(one.frame, other.frame)


def test_too_few_entities_for_two_groups_are_no_view(remake):
    comparison = remake(coarsening=Coarsening(111))  # 220 entities a side
    with pytest.raises(CannotMeasure, match="fewer than two groups of k = 111"):
        comparison.matched(0)
    for metric in VIEW:
        assert isinstance(measure(metric, comparison), NotMeasured)
    assert isinstance(measure("missingness", remake(coarsening=Coarsening(110))), Measurement)
    assert isinstance(measure("missingness", remake(coarsening=Coarsening(111, on=False))),
                      Measurement)  # fmt: skip


@pytest.mark.parametrize("metric", VIEW)
def test_laws_hold_in_the_view(metric, toys, remake):
    parts = {"coarsening": VIEWED, "holdout": toys.holdout[toys.holdout["who"] < 1150]}
    found = measure(metric, remake(**parts))
    r = np.random.default_rng(4)
    shuffled = {
        name: (frame := {**vars(toys), **parts}[name])
        .iloc[r.permutation(len(frame))]
        .reset_index(drop=True)[list(r.permutation(frame.columns))]
        for name in ("train", "holdout", "synthetic")
    }
    assert measure(metric, remake(coarsening=VIEWED, **shuffled)) == found
    same = measure(metric, remake(coarsening=VIEWED, synthetic=toys.holdout))
    assert same.value == pytest.approx(0, abs=1e-12)
    # where nothing is off, the column told may be one that is never missing: look at all
    assert max(column["floor"] for column in same.details["columns"].values()) > 0
