"""Sides at equal numbers of entities, raw and in the protected view."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_contracts.coarsening import Coarsening
from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.matching import REPEATS
from synth_contracts.metrics.results import CannotMeasure

VIEW = ("total_variation", "missingness")


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


def test_the_view_is_that_of_each_side_alone_and_made_once(toys, remake):
    coarsening = Coarsening(38, {"shop": 99})
    comparison = remake(coarsening=coarsening)
    found = comparison.matched(0)
    assert found is comparison.matched(0)
    for view, raw in zip(found, comparison.matched_raw(0), strict=True):
        expected = coarsening.view(raw.frame, raw.entity, comparison.schema)
        pd.testing.assert_frame_equal(view.frame, expected)
        shops = view.frame.assign(who=view.entity).groupby("shop")["who"].nunique()
        assert shops.min() >= 38
        assert "99" in shops.index
        assert raw.frame["shop"].nunique() == 30
    assert toys.matched(0) is toys.matched_raw(0)  # no coarsening: the sides as they are


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
    parts = {"coarsening": Coarsening(38), "holdout": toys.holdout[toys.holdout["who"] < 1150]}
    found = measure(metric, remake(**parts))
    r = np.random.default_rng(4)
    shuffled = {
        name: (frame := {**vars(toys), **parts}[name])
        .iloc[r.permutation(len(frame))]
        .reset_index(drop=True)[list(r.permutation(frame.columns))]
        for name in ("train", "holdout", "synthetic")
    }
    assert measure(metric, remake(coarsening=Coarsening(38), **shuffled)) == found
    same = measure(metric, remake(coarsening=Coarsening(38), synthetic=toys.holdout))
    assert same.value == pytest.approx(0, abs=1e-12)
    assert same.floor > 0
