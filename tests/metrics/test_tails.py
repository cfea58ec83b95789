"""Tails of attacks: clustered by entity, and never narrower than what is known of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata

from synth_contracts.metrics.controls.probes import _Sides
from synth_contracts.metrics.intervals import Interval, korn_graubard
from synth_contracts.metrics.tails import (
    HalfSamples,
    Ranking,
    advantage,
    coin_flips,
    mid_ranks,
    precision,
)


def ranking(members: np.ndarray, others: np.ndarray, owners: np.ndarray) -> Ranking:
    return Ranking.of(members, owners, others, owners, float(len(owners)), np.random.default_rng(1))


def halved(members: np.ndarray, others: np.ndarray, seed: int = 2) -> HalfSamples:
    mass = float(min(len(members), len(others)))
    return HalfSamples.of(np.random.default_rng(seed), members, others, mass)


def test_equal_values_share_the_mean_of_their_ranks():
    assert mid_ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [2.5, 1.0, 2.5, 4.0]
    values = np.append(np.random.default_rng(2).integers(0, 50, 400), [np.inf, -np.inf, np.inf])
    assert mid_ranks(values).tolist() == rankdata(values).tolist()
    assert mid_ranks(np.empty(0)).shape == (0,)
    assert np.isnan(mid_ranks(np.array([1.0, np.nan, 2.0]))).all()


def test_rows_of_one_entity_are_one_witness():
    """Twenty rows of each entity share a score: taken for themselves they would be too sure."""
    r = np.random.default_rng(3)
    owners = np.repeat(np.arange(100), 20)
    members, others = r.random(100)[owners], r.random(100)[owners]
    clustered = ranking(members, others, owners).measure(400, halved(owners, owners), tests=1)
    rows = np.arange(2000)
    by_row = ranking(members, others, rows).measure(400, halved(rows, rows), tests=1)
    assert clustered.value == by_row.value

    def width(tail):
        return tail.interval.upper - tail.interval.lower

    assert width(clustered) > 2 * width(by_row)


def test_half_samples_by_hand():
    """Two members of three and one rows, four non-members of one row each, 4 of weight a side."""
    drawn = HalfSamples.of(np.random.default_rng(9), np.array([0, 0, 1, 0]), np.arange(4), mass=4.0)
    assert drawn.members == 2
    assert drawn.held[:2].sum(axis=0).tolist() == [1] * drawn.held.shape[1]
    assert drawn.held[2:].sum(axis=0).tolist() == [2] * drawn.held.shape[1]
    # a half weighs 2: three rows of the first member, or the one row of the second
    assert set(zip(drawn.held[0], drawn.each[0], strict=True)) == {(True, 2 / 3), (False, 2.0)}
    assert set(drawn.each[1]) == {1.0}


def test_sides_weigh_the_same():
    """Four members for each non-member: the expectation of a coin flip stays 0."""
    members, others = np.zeros(4000), np.zeros(1000)
    sides = np.arange(4000), np.arange(1000)
    rng = np.random.default_rng(4)
    found = Ranking.of(members, sides[0], others, sides[1], 1000.0, rng)
    assert abs(found.measure(400, halved(*sides), tests=1).value) < 0.2
    assert found.weight[found.member].sum() == pytest.approx(found.weight[~found.member].sum())


@pytest.mark.parametrize("unknown", [math.nan, math.inf])
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_an_unknown_variance_knows_nothing(unknown, share):
    assert korn_graubard(share, unknown, 200, tests=2, attempt=3) == Interval(0.0, 1.0, 0.0, 1.0)


@pytest.mark.filterwarnings("error")
def test_a_tail_of_one_entity_is_no_evidence():
    """All surest rows belong to one entity, which half of the half-samples do not hold."""
    owners = np.repeat(np.arange(10), 1000)
    members, others = np.zeros(10_000), np.zeros(10_000)
    members[:1000] = 1.0
    one = ranking(members, others, owners)
    for tail in one.both(200, halved(owners, owners), tests=2):
        limits = tail.interval
        assert (limits.lower, limits.upper) == (-1, 1)
        assert (limits.bound_lower, limits.bound_upper) == (-1, 1)
    assert math.isnan(precision(np.array([True]), np.array([0.0]), 1.0))


def test_coin_flips_by_hand():
    """Two entities of three rows are two flips; of one with three rows and three alone three."""
    assert coin_flips(np.array([3, 3]), 1.0, 1.0, 6.0, 0.5) == pytest.approx(2)
    assert coin_flips(np.array([3, 1, 1, 1]), 1.0, 1.0, 6.0, 0.5) == pytest.approx(3)
    # a non-member's row weighs twice a member's: 4 members and 2 non-members, 8 of weight
    assert coin_flips(np.ones(6), 1.0, 2.0, 8.0, 0.5) == pytest.approx(64 / 12)


def test_a_heavy_entity_takes_its_own_weight_and_no_more():
    """300 guesses of as many entities at 60 %, and beside them one entity of 90 rows."""
    alone = coin_flips(np.ones(300), 1.0, 1.0, 300.0, 0.6)
    assert 290 < alone <= 300
    rows = np.append(np.ones(300), 90)
    beside = coin_flips(rows, 1.0, 1.0, 390.0, (180 + 90) / 390)
    even = coin_flips(rows, 1.0, 1.0, 390.0, 0.5)
    # 135 too many, 45 of them the one entity's: 90 others are beyond chance, and stay so
    assert even == pytest.approx(390**2 / 8400)
    limits = korn_graubard((180 + 90) / 390, 1e-6, beside, tests=2)
    assert limits.bound_lower > 0.5
    # the same excess by heavy entities alone is luck
    few = coin_flips(np.full(4, 90), 1.0, 1.0, 360.0, 0.75)
    assert korn_graubard(0.75, 1e-6, few, tests=2).bound_lower < 0.5


def test_a_few_heavy_entities_are_no_certain_leak():
    """Ten entities fill the tail by what they are, whoever is a member."""
    r = np.random.default_rng(11)
    owner = np.concatenate([np.repeat(np.arange(10), 30), np.arange(10, 1510)])
    score = np.where(owner < 10, 5 + r.random(len(owner)), r.random(len(owner)))
    leaks, tables = 0, 80
    for _ in range(tables):
        member = (r.permutation(1510) < 1208)[owner]
        sides = [np.unique(owner[side], return_inverse=True)[1] for side in (member, ~member)]
        mass = float((~member).sum())
        found = Ranking.of(score[member], sides[0], score[~member], sides[1], mass, r)
        drawn = HalfSamples.of(r, *sides, mass)
        leaks += any(tail.interval.bound_lower > 0 for tail in found.both(250, drawn, tests=2))
    # two bounds at .05 in sum
    assert leaks / tables <= 0.05


@pytest.mark.filterwarnings("error")
def test_nor_is_it_in_the_positive_control(toys):
    owners = np.repeat(np.arange(10), 1000)
    sides = _Sides(toys, "label", owners, owners, 10_000.0, 1)
    rows = np.concatenate([np.arange(10_000, 11_000), np.arange(10_000), np.arange(11_000, 20_000)])
    assert not sides.certain(rows, 0.9, 200, 2)
    spread = np.random.default_rng(7).permutation(np.arange(10_000, 20_000))
    assert sides.certain(spread, 0.9, 200, 2)


def test_one_score_on_a_side_ranks_nothing():
    value, variance = advantage(np.array([1.0]), np.array([0.0, 0.5]))
    assert (value, variance) == (1.0, math.inf)
