"""linkability: both halves of a record lead to one synthetic entity, beyond unseen records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.metrics.cells import Side
from synth_contracts.metrics.guessing import Rate, gain
from synth_contracts.metrics.privacy.linkability import Links, of_entities, share, targets
from synth_contracts.tables import Kind

KINDS = {"zip": Kind.TEXT, "age": Kind.NUMBER}


@pytest.fixture
def few_are_enough(monkeypatch):
    monkeypatch.setattr("synth_contracts.metrics.results.FEWEST_ENTITIES", 2)


def people(first, *cells):
    """One row per (person, zip, age)."""
    who, zips, ages = zip(*cells, strict=True)
    return {"who": [first + w for w in who], "zip": list(zips), "age": list(ages)}


def read(by_hand, train, holdout, synthetic, options=None, **roles):
    comparison = by_hand(KINDS, (train, holdout, synthetic), quasi_identifiers=("zip",), **roles)
    return measure("linkability", comparison, options=options)


def test_by_hand(by_hand, few_are_enough):
    """Made people: (a, 10), (b, 50), (b, 90), (c, 130). The zip leads to all who live there.

    Train: (a, 11) and (b, 89) join, (c, 52) leads to (b, 50) and does not, (a, 131) neither: 2/4.
    Holdout: (c, 129) joins, the other three lead elsewhere: 1/4. Gain (1/2 - 1/4) / (3/4) = 1/3.
    """
    found = read(
        by_hand,
        people(0, (0, "a", 11), (1, "b", 89), (2, "c", 52), (3, "a", 131)),
        people(10, (0, "c", 129), (1, "c", 10), (2, "a", 90), (3, "b", 10)),
        people(20, (0, "a", 10), (1, "b", 50), (2, "b", 90), (3, "c", 130)),
    )
    assert isinstance(found, Measurement)
    assert found.details["rate_train"] == 0.5
    assert found.details["rate_control"] == 0.25
    assert found.value == pytest.approx(1 / 3)
    assert found.n == 4
    assert found.lower < found.bound_lower < found.value < found.bound_upper < found.upper


def test_less_than_the_control_is_negative(by_hand, few_are_enough):
    """No trained half joins, and all unseen ones do but one: (0 - 3/4) / (1/4)."""
    found = read(
        by_hand,
        people(0, (0, "a", 90), (1, "b", 10), (2, "c", 10), (3, "c", 90)),
        people(10, (0, "a", 10), (1, "b", 90), (2, "c", 130), (3, "c", 10)),
        people(20, (0, "a", 10), (1, "b", 90), (2, "c", 130)),
    )
    assert found.value == pytest.approx(-3)
    assert found.lower < -3


def test_two_rows_of_one_made_person_join(by_hand, few_are_enough):
    """The halves of (a, 50) stand in two rows: of one made person, then of two."""
    real = people(0, (0, "a", 50), (1, "a", 50)), people(10, (0, "b", 90), (1, "b", 90))
    one = people(20, (0, "a", 10), (0, "b", 50), (1, "c", 90))
    two = people(20, (0, "a", 10), (2, "b", 50), (1, "c", 90))
    assert read(by_hand, *real, one).details["rate_train"] == 1
    assert read(by_hand, *real, two).details["rate_train"] == 0


def test_equal_rows_are_one_neighbour(by_hand, few_are_enough):
    """Three made people of zip a are equally near; whatever the age, its holder is among them."""
    real = people(0, (0, "a", 10), (1, "a", 30), (2, "a", 50))
    other = people(10, (0, "b", 9), (1, "b", 9), (2, "b", 9))
    made = people(20, (0, "a", 10), (1, "a", 30), (2, "a", 50), (3, "b", 70))
    found = read(by_hand, real, other, made)
    assert found.details["rate_train"] == 1
    assert found.value == 1


def test_many_rows_of_one_person_are_one_vote(by_hand, few_are_enough):
    """Three rows of one trained person join, the only row of the other does not: 1/2, not 3/4."""
    train = people(0, (0, "a", 10), (0, "a", 11), (0, "a", 12), (1, "b", 90))
    other = people(10, (0, "b", 90), (1, "b", 91))
    made = people(20, (0, "a", 10), (1, "b", 50), (2, "c", 90))
    found = read(by_hand, train, other, made)
    assert found.details["guesses"] == [4, 2]
    assert found.details["rate_train"] == 0.5


def test_a_null_is_a_value_and_not_the_end_of_the_distance(by_hand, few_are_enough):
    real = people(0, (0, "a", None), (1, None, 10)), people(10, (0, "b", 10), (1, "b", 50))
    made = people(20, (0, "a", None), (1, None, 10), (2, "b", 90))
    assert read(by_hand, *real, made).details["rate_train"] == 1


def test_blind_guesses_join_the_halves_of_two_people(by_hand, few_are_enough):
    """Each of the two trained people is copied; half of one with half of the other joins none."""
    real = people(0, (0, "a", 10), (1, "b", 90)), people(10, (0, "c", 10), (1, "c", 90))
    found = read(by_hand, *real, people(20, (0, "a", 10), (1, "b", 90)))
    assert found.details["rate_train"] == 1
    assert found.details["rate_blind"] == 0


def test_an_attacker_knows_what_the_contract_says(by_hand, few_are_enough):
    tables = [people(i, (0, "a", 1), (1, "b", 2)) for i in (0, 10, 20)]
    assert isinstance(read(by_hand, *tables, options={"aux_columns": ["age"]}), Measurement)
    for options in ({"aux_columns": ["zip", "age"]}, {"aux_columns": ["who"]}):
        found = read(by_hand, *tables, options=options)
        assert isinstance(found, NotMeasured)
        assert "two sets" in found.reason
    comparison = by_hand(KINDS, tuple(tables))
    assert isinstance(measure("linkability", comparison), NotMeasured)


def test_too_few_or_shared_entities_are_not_measured(by_hand):
    tables = [people(i, (0, "a", 1), (1, "b", 2)) for i in (0, 10, 20)]
    assert "200" in read(by_hand, *tables).reason
    assert "by entity" in read(by_hand, tables[0], tables[0], tables[2]).reason


def test_gain_by_hand():
    """(.5 - .2) / .8; its variance (.01 + (.5 / .8)^2 .01) / .64 by the delta method."""
    found = gain(Rate(0.5, 0.01), Rate(0.2, 0.01), attempt=5)
    sd = np.sqrt((0.01 + (0.5 / 0.8) ** 2 * 0.01) / 0.64)
    assert found.value == pytest.approx(0.375)
    assert found.interval.upper == pytest.approx(0.375 + 1.959964 * sd)
    assert found.interval.bound_lower == pytest.approx(0.375 - stats.norm.ppf(0.99) * sd)
    # of twice as many trained entities half are looked at: the same surplus is twice the gain
    half = gain(Rate(0.5, 0.01), Rate(0.2, 0.01), reach=0.5)
    assert half.value == pytest.approx(0.75)


def test_a_control_that_is_always_right_leaves_nothing_to_gain():
    found = gain(Rate(1.0, 1e-4), Rate(1.0, 1e-4))
    assert found.value == 0
    assert found.interval.upper == 1


def test_the_bound_follows_the_attempt(toys, remake):
    schema = replace(toys.schema, roles=replace(toys.schema.roles, quasi_identifiers=("shop",)))
    once, tenth = (measure("linkability", remake(schema=schema, attempt=a)) for a in (1, 10))
    assert once.details["bound_level"] == 0.95
    assert tenth.details["bound_level"] == 0.995
    assert tenth.bound_upper > once.bound_upper
    assert tenth.upper == once.upper


def test_more_trained_than_unseen_entities(toys, remake, make_toy):
    schema = replace(
        toys.schema, roles=replace(toys.schema.roles, quasi_identifiers=("shop", "items"))
    )
    train = make_toy(1, 660)
    fresh = measure("linkability", remake(schema=schema, train=train))
    assert fresh.n == 220
    assert abs(fresh.value) < 0.1
    copy = measure("linkability", remake(schema=schema, train=train, synthetic=train))
    assert copy.value == pytest.approx(1)


def test_groups_larger_than_a_block(monkeypatch):
    """What is listed in pieces is what is listed at once."""
    r = np.random.default_rng(3)
    side = Side(None, (), None, None, r.integers(0, 300, 600), 300, frozenset())
    known, other = r.integers(0, 25, 600), r.integers(0, 30, 600)
    asked = r.integers(0, 25, 200), r.integers(0, 30, 200)
    held = [set(zip(g.tolist(), side.entity.tolist(), strict=True)) for g in (known, other)]
    expected = [
        any((a, e) in held[0] and (b, e) in held[1] for e in range(300))
        for a, b in zip(*asked, strict=True)
    ]
    assert 0 < sum(expected) < 200
    for block in (10, 4_000_000):
        monkeypatch.setattr("synth_contracts.metrics.privacy.linkability._BLOCK", block)
        assert Links(side, known, other).joined(*asked).tolist() == expected


def test_one_row_of_each_entity_before_a_second_one(toys):
    """Five rows each: 100 entities, then 20 of them again; no row twice."""
    side = toys.train_side
    rows = targets(side, 100, 120, toys.rng("targets"))
    assert len(rows) == len(np.unique(rows)) == 120
    assert len(np.unique(side.entity[rows[:100]])) == 100
    assert np.bincount(side.entity[rows]).max() == 2
    assert len(np.unique(side.entity[targets(side, 100, 9999, toys.rng("targets"))])) == 100


def test_an_entity_with_many_rows_counts_once():
    """Right in 3 of its 3 rows and wrong in the only row of the other: one half, not 3/4."""
    means = of_entities(np.array([1.0, 1.0, 1.0, 0.0]), np.array([2, 2, 2, 5]))
    assert means.tolist() == [1.0, 0.0]
    # with an entity of each answer more: variance of (1, 0, 0, 1) is 1/4, of their mean 1/16
    assert share(means) == Rate(0.5, 1 / 16)


def test_several_rows_where_the_gain_is_uncertain(toys, remake):
    """On (kind, member) halves join often: 5 rows of each of 220 entities are asked about."""
    found = measure("linkability", toys)
    assert found.details["rate_control"] > 0.2
    assert found.details["guesses"] == [1100, 1100]
    assert found.n == 220
    few = measure("linkability", toys, options={"attacks": 100})
    assert few.n == 100
    assert few.details["guesses"] == [400, 400]
    assert few.upper - few.value > found.upper - found.value
    copy = measure("linkability", remake(synthetic=toys.train))
    assert copy.value == pytest.approx(1)


def test_real_households(basket_thirds):
    roles = replace(basket_thirds.schema.roles, quasi_identifiers=("store_id", "age", "income"))
    schema = replace(basket_thirds.schema, roles=roles)

    def value(synthetic):
        comparison = Comparison(
            basket_thirds.train, basket_thirds.holdout, synthetic, schema, seed=3
        )
        return measure("linkability", comparison)

    fresh = value(basket_thirds.fresh)
    assert abs(fresh.value) <= 0.09
    assert fresh.lower <= 0 <= fresh.upper
    assert value(basket_thirds.train).value == pytest.approx(1)
    n = len(basket_thirds.fresh)
    some = basket_thirds.planted(basket_thirds.train.iloc[: n // 5])
    assert value(some).bound_lower > 0
