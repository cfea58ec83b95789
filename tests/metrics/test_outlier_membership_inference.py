"""outlier_membership_inference: the unusual entities alone, in both directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, attacks, measure


def read(comparison) -> Measurement:
    found = measure("outlier_membership_inference", comparison)
    assert isinstance(found, Measurement), found
    assert found.lower <= found.value <= found.upper
    return found


def with_isolated(thirds, share: float) -> pd.DataFrame:
    """Fresh entities with the train rows added that are farthest from the reference."""
    whole = thirds.clean
    count = int(share * len(thirds.fresh))
    far = np.argsort(-whole.nearby.reference[: whole.nearby.cut])[:count]
    rows = thirds.with_fresh_keys(whole.train_side.frame.iloc[far])
    return pd.concat([thirds.fresh, rows], ignore_index=True)


def test_fresh_entities_read_clean(thirds):
    found = read(thirds.clean)
    assert 0 <= found.value < 0.25
    assert found.lower < 0.1
    assert found.n >= 200


def test_isolated_rows_pasted_in_are_seen(thirds):
    found = read(thirds.compare(with_isolated(thirds, 0.01)))
    assert found.value > 0.25
    assert found.details["attack"] == "calibrated"


def test_holes_around_the_unusual_are_seen(basket_thirds):
    """Nothing comes near the isolated members, as after rejection: the other direction tells."""
    whole = basket_thirds.clean
    near = whole.nearby
    moved = near.near.copy()
    far = np.argsort(-near.reference[: near.cut])[: near.cut // 10]
    moved[far] *= 1.4
    dug = basket_thirds.compare(basket_thirds.fresh)
    dug.__dict__["nearby"] = replace(near, near=moved)
    found = read(dug)
    assert found.details["attack"] == "calibrated_hole"
    assert found.value > 0.25
    assert found.bound_lower > 0


def test_the_synthetic_table_does_not_choose_the_unusual(toys, remake):
    first, second = remake(), remake(synthetic=toys.train)
    chosen = [attacks.isolated(c.nearby, c.candidates, 200)[0] for c in (first, second)]
    assert np.array_equal(*chosen)


def test_one_score_per_entity_by_hand():
    """Entity 0 has two far rows, 1 and 2 one each, 3 none: three scores, means of far rows."""
    nearby = attacks.Nearby(
        near=np.array([1.0, 2.0, 1.0, 4.0, 1.0]),
        synthetic_row=np.zeros(5, dtype=np.int64),
        reference=np.array([4.0, 4.0, 4.0, 4.0, 0.1]),
        cut=3,
        half=np.zeros(4, dtype=bool),
        reference_rows=(1, 1),
    )
    people = attacks.Candidates(np.array([0, 0, 1, 2, 3]), 2, 2, np.zeros(1, dtype=np.int64))
    chosen, scores = attacks.isolated(nearby, people, 3)
    assert chosen.tolist() == [0, 1, 2]
    assert scores == pytest.approx([1.5 * np.log(2), np.log(4), 0.0], abs=2e-3)


def test_few_entities_are_not_measured(toys, remake):
    keys = toys.holdout["who"].drop_duplicates().iloc[:199]
    few = toys.holdout[toys.holdout["who"].isin(keys)]
    found = measure("outlier_membership_inference", remake(holdout=few))
    assert isinstance(found, NotMeasured)
    assert "199 entities in holdout" in found.reason
