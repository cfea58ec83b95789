"""The searches behind the attacks: every synthetic row, and the reference of the other half."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from synth_contracts.metrics import attacks


@pytest.fixture
def few(make_toy, remake):
    return remake(
        train=make_toy(1, 40), holdout=make_toy(2, 50, first=100), synthetic=make_toy(3, 45)
    )


def test_nobody_is_left_out_and_no_entity_is_its_own_reference(few):
    members, others, synthetic = (v.astype(np.float64) for v in few.vectors)
    real, nearby, people = np.concatenate([members, others]), few.nearby, few.candidates
    to_synthetic = cdist(real, synthetic)
    np.testing.assert_allclose(nearby.near, to_synthetic.min(axis=1), atol=1e-6)
    np.testing.assert_array_equal(nearby.synthetic_row, to_synthetic.argmin(axis=1))
    half = nearby.half[people.entity]
    between = cdist(real, others)
    between[half[:, None] == half[None, nearby.cut :]] = np.inf
    three = np.sort(between, axis=1)[:, : attacks.REFERENCE_NEIGHBOURS]
    np.testing.assert_allclose(nearby.reference, three.mean(axis=1), atol=1e-6)


def test_both_sides_stand_in_both_halves(few):
    nearby, people = few.nearby, few.candidates
    assert nearby.half[: people.members].sum() == people.members // 2
    assert nearby.half[people.members :].sum() == people.others // 2
    assert sum(nearby.reference_rows) == len(few.holdout)


def test_every_score_is_a_number(few):
    for scores in (few.scores, few.entity_scores):
        assert all(np.isfinite(believed).all() for believed in scores.values())
