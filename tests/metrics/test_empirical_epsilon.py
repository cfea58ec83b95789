"""empirical_epsilon: the bound of the audit in one run, on paper, in simulation and on tables."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.metrics.privacy.empirical_epsilon import audit, chance, guessed, refuted

ID = "empirical_epsilon"


def read(comparison: Comparison, **options: object) -> Measurement:
    found = measure(ID, comparison, options=options)
    assert isinstance(found, Measurement), found
    return found


def test_all_guesses_right():
    """A coin flip is right three times in .125 of runs: that refutes nothing at .05.

    Ten of ten: p^10 = .05 at p = .741134, and epsilon = log(p / (1 - p)) = 1.0519.
    """
    assert refuted(20, 3, 3, 0.0, 0.95) == 0
    assert refuted(20, 10, 10, 0.0, 0.95) == pytest.approx(1.0519, abs=1e-4)


def test_the_chance_of_two_right_guesses_of_two():
    """p = 3 / 4 at epsilon = log 3: P(W >= 2) = 9/16, P(W = 1) = 6/16, P(W <= 1) / 2 = 7/32.

    The larger, 6/16, times 2 m delta = 2 * 10 * .01 is .075.
    """
    assert chance(10, 2, 2, math.log(3), 0.0) == pytest.approx(9 / 16)
    assert chance(10, 2, 2, math.log(3), 0.01) == pytest.approx(9 / 16 + 0.075)
    assert chance(10, 2, 0, math.log(3), 0.01) == 1


def test_more_right_guesses_refute_more_and_a_larger_delta_less():
    found = [refuted(1000, 200, right, 1e-6, 0.95) for right in range(100, 201, 10)]
    assert found[0] == found[1] == 0
    assert all(a < b for a, b in pairwise(found[2:]))
    assert refuted(1000, 200, 190, 1e-4, 0.95) < refuted(1000, 200, 190, 1e-6, 0.95)
    assert refuted(1000, 200, 190, 1e-6, 0.99) < refuted(1000, 200, 190, 1e-6, 0.95)
    assert refuted(1000, 200, 200, 1e-2, 0.95) == 0  # 2 m delta = 20: anything may happen


def test_the_most_confident_are_guessed():
    """Scores 9, 8, 7 belong to members, 6 to none: of three guesses three, of four three."""
    score = np.array([1.0, 9, 6, 8, 2, 7])
    member = np.array([False, True, False, True, True, True])
    rng = np.random.default_rng(0)
    three = audit(score, member, 3, 0.0, 0.95, rng)
    assert (three.guesses, three.right) == (3, 3)
    assert three.value == pytest.approx(math.log(3.5 / 0.5))
    four = audit(score, member, 4, 0.0, 0.95, rng)
    assert (four.guesses, four.right) == (4, 3)
    assert four.value == pytest.approx(math.log(3.5 / 1.5))
    assert audit(-score, member, 1, 0.0, 0.95, rng).right == 0


def test_ties_fall_by_lot():
    """Without a score, members first in the table: half of the guesses are right, not all."""
    member = np.arange(2000) < 1000
    right = audit(np.zeros(2000), member, 400, 0.0, 0.95, np.random.default_rng(1)).right
    assert 150 < right < 250


def test_the_number_of_guesses_is_fixed_by_the_number_of_canaries():
    assert [guessed(m) for m in (10, 400, 1200, 2000, 10_000)] == [5, 150, 150, 250, 1250]


def randomised_response(epsilon: float, canaries: int, runs: int, seed: int) -> list[float]:
    """Bounds of audits of a mechanism that says for each canary, rightly with e^eps / (1 + e^eps),
    whether it is in.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(runs):
        member = rng.random(canaries) < 0.5
        told = member == (rng.random(canaries) < 1 / (1 + math.exp(-epsilon)))
        score = told.astype(np.float64)
        found.append(audit(score, member, guessed(canaries), 1e-6, 0.95, rng).lower)
    return found


@pytest.mark.parametrize("epsilon", [1.0, 2.0, 4.0])
def test_randomised_response(epsilon):
    """At or below the truth in at least 93 % of runs, and more than half of it in the median."""
    bounds = np.array(randomised_response(epsilon, 2000, 100, seed=int(epsilon)))
    assert np.mean(bounds <= epsilon) >= 0.93
    assert np.median(bounds) > 0.6 * epsilon


def test_fresh_rows_refute_nothing_and_a_bootstrap_a_claim_of_3(thirds):
    fresh = read(thirds.clean)
    assert fresh.bound_lower <= 0.13
    assert fresh.upper is None
    assert fresh.bound_upper is None
    drawn = np.random.default_rng(4).integers(0, len(thirds.train), len(thirds.train))
    found = read(thirds.compare(thirds.with_fresh_keys(thirds.train.iloc[drawn])))
    assert 3 < found.bound_lower <= found.ceiling < found.value
    assert found.details["right"] == found.details["guesses"] == 150


def test_few_canaries_lower_the_ceiling(toys, remake, make_toy):
    """At 60 entities against 220 both sides give equally many canaries."""
    assert read(toys).n == 440
    few = read(toys, canaries=200)
    assert few.n == 200
    assert few.details["guesses"] == 100
    least = read(toys, canaries=100)
    assert least.details["guesses"] == 50
    assert least.ceiling < few.ceiling <= read(toys).ceiling + 1e-2
    uneven = read(remake(train=make_toy(1, 660)))
    assert uneven.n == 440
    assert uneven.details["member_entities"] == 660
    assert uneven.bound_lower == 0


def test_attacks_are_corrected_for_their_number(toys, remake):
    """Of a attacks each has its bound at 1 - .05 / a, here with 150 right guesses of 150."""
    found = read(remake(synthetic=toys.train))
    attacks = len(found.details["attacks"])
    assert attacks > 1
    assert found.bound_lower == pytest.approx(refuted(440, 150, 150, 1e-6, 1 - 0.05 / attacks))
    assert found.ceiling == found.bound_lower


def test_options_and_too_few_entities(toys, remake, make_toy):
    for options in ({"canaries": 1}, {"delta": 0.1}):
        with pytest.raises(ValueError, match="options"):
            measure(ID, toys, options=options)
    few = measure(ID, remake(holdout=make_toy(2, 199, first=1000)))
    assert isinstance(few, NotMeasured)
    assert "199 entities in holdout" in few.reason
