"""detection: a classifier two-sample test, folds split by entity."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.coarsening import Coarsening
from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.metrics.fidelity import detection


def read(comparison: Comparison) -> Measurement:
    found = measure("detection", comparison)
    assert isinstance(found, Measurement), found
    return found


def test_auc_by_hand():
    """One fold: 3 of 4 pairs in order; the other: a tie counts half of its one pair."""
    scores = np.array([1.0, 3.0, 2.0, 4.0, 5.0, 5.0])
    truth = np.array([0, 0, 1, 1, 0, 1])
    fold = np.array([0, 0, 0, 0, 1, 1])
    value, variance = detection._auc(scores, truth, fold, np.arange(6))
    assert value == pytest.approx((3 + 0.5) / 5)
    assert variance > 0


def test_fresh_entities_and_shuffled_columns(toys, remake):
    fresh = read(toys)
    assert fresh.value < 0.6
    assert fresh.lower <= fresh.value <= fresh.upper
    told = toys.synthetic.assign(items=toys.synthetic["items"] + 5)
    assert read(remake(synthetic=told)).value > 0.8


def test_all_rows_of_an_entity_stand_in_one_fold(toys):
    side = toys.matched_raw(0)[1]
    fold = detection._fold_of(np.random.default_rng(1), side)
    assert len(np.unique(fold)) == detection.FOLDS
    assert len(np.unique(np.column_stack([side.entity, fold]), axis=0)) == side.entities


def test_folds_are_by_entity(basket_thirds, monkeypatch):
    """Split by row, the household's own columns give real fresh rows away."""
    comparison = basket_thirds.compare(basket_thirds.fresh)
    _, holdout, fresh = comparison.matched_raw(0)
    honest = detection.told_apart(comparison, holdout, fresh, "value")
    assert honest.value < 0.62
    rows = np.random.default_rng(1)
    monkeypatch.setattr(
        detection, "_fold_of", lambda _rng, side: rows.integers(0, 2, len(side.frame))
    )
    assert detection.told_apart(comparison, holdout, fresh, "value").value > honest.value + 0.08


def test_the_view_gives_no_side_away(basket_thirds):
    comparison = basket_thirds.compare(basket_thirds.fresh)
    comparison.coarsening = Coarsening(10)
    _, holdout, _ = comparison.matched_raw(0)
    view = comparison.matched(0)[1:]
    for side in view:
        assert side.frame["store_id"].nunique() < holdout.frame["store_id"].nunique()
    assert set(view[0].frame["store_id"]) <= set(view[1].frame["store_id"]) | set(
        holdout.frame["store_id"]
    ) | {"-1", "other", None}
    assert read(comparison).value < 0.62


def test_few_entities_are_not_measured(make_toy, remake):
    few = remake(synthetic=make_toy(3, 59, 5, 2000))
    assert isinstance(measure("detection", few), NotMeasured)


def test_copies_of_train_are_nearer_to_train(toys, remake):
    assert not read(toys).details["nearer_to_train"]
    assert read(remake(synthetic=toys.train)).details["nearer_to_train"]
