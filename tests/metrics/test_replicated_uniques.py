"""replicated_uniques: who is unique, before recoding, in excess of as many unseen entities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.coarsening import Coarsening
from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.tables import Kind

KINDS = {"zip": Kind.TEXT, "age": Kind.NUMBER}
ROLES = {"quasi_identifiers": ("zip", "age")}


def read(by_hand, train, holdout, synthetic, **roles):
    return measure(
        "replicated_uniques", by_hand(KINDS, (train, holdout, synthetic), **(roles or ROLES))
    )


def people(first, *cells):
    """One row per (person, zip, age)."""
    who, zips, ages = zip(*cells, strict=True)
    return {"who": [first + w for w in who], "zip": list(zips), "age": list(ages)}


def test_by_hand(by_hand):
    """Of four trained people three are unique; (b, 2) and (c, 3) are unique in synthetic: 2/4.

    Of the holdout's four (b, 2) alone is both: 1/4.
    """
    found = read(
        by_hand,
        people(0, (0, "a", 1), (1, "a", 1), (2, "b", 2), (3, "c", 3)),
        people(10, (0, "b", 2), (1, "x", 9), (2, "d", 1), (3, "d", 1)),
        people(20, (0, "b", 2), (1, "c", 3), (2, "d", 1), (3, "a", 1)),
    )
    assert isinstance(found, Measurement)
    assert found.details["raw"] == 0.5
    assert found.details["share_at_equal_size_holdout"] == 0.25
    assert found.value == 0.25
    assert found.n == 4
    assert found.lower < 0.25 < found.upper


def test_rows_of_one_entity_count_once(by_hand):
    """Two rows of one person are one holder, and two unique combinations one entity."""
    train = people(0, (0, "a", 1), (0, "a", 1), (0, "b", 2), (1, "c", 3), (2, "c", 3), (3, "e", 0))
    other = people(10, (0, "x", 1), (1, "x", 2), (2, "x", 3), (3, "x", 4))
    synthetic = people(20, (0, "a", 1), (0, "a", 1), (1, "b", 2), (2, "c", 3))
    found = read(by_hand, train, other, synthetic)
    assert found.details["replicated_entities"] == 1
    assert found.details["raw"] == 0.25
    assert found.details["unique_train_entities"] == 0.5


def test_a_person_who_comes_twice_is_alone_with_the_combination(by_hand):
    train = people(0, (0, "a", 1), (0, "a", 1), (1, "c", 3), (2, "c", 3))
    other = people(10, (0, "x", 1), (1, "x", 2), (2, "x", 3))
    found = read(by_hand, train, other, people(20, (0, "a", 1), (0, "a", 1), (1, "c", 3)))
    assert found.details["replicated_entities"] == 1
    assert found.details["unique_train_entities"] == pytest.approx(1 / 3)


def test_a_combination_of_two_made_people_points_to_nobody(by_hand):
    train = people(0, (0, "a", 1), (1, "b", 2))
    other = people(10, (0, "x", 1), (1, "x", 2))
    assert read(by_hand, train, other, people(20, (0, "a", 1), (1, "a", 1))).value == 0
    assert read(by_hand, train, other, people(20, (0, "a", 1), (0, "a", 1))).value == 0.5


def test_recoding_does_not_hide_it(toys, remake):
    """The released table is k-anonymous, the candidate before recoding was a copy of train."""
    names = ("shop", "items", "kind", "amount")
    schema = replace(toys.schema, roles=replace(toys.schema.roles, quasi_identifiers=names))
    who = np.unique(toys.train["who"].to_numpy(), return_inverse=True)[1]
    released = Coarsening(3).recode(toys.train, who, schema)
    before = toys.train[["who", *names]]
    blind = measure("replicated_uniques", remake(schema=schema, synthetic=released))
    seen = measure(
        "replicated_uniques", remake(schema=schema, synthetic=released, uncoarsened=before)
    )
    assert blind.value < 0.02
    assert "as released" in blind.method
    assert seen.value > 0.95
    assert "before recoding" in seen.method
    assert seen.details["before_recoding"] is True
    for lacking in (before.drop(columns="shop"), before.drop(columns="who"), before.iloc[:0]):
        found = measure("replicated_uniques", remake(schema=schema, uncoarsened=lacking))
        assert isinstance(found, NotMeasured)


def test_the_larger_side_is_sampled_down(toys, remake, make_toy):
    """Three times as many trained entities are not three times as unique: fresh ones read 0."""
    names = ("shop", "items", "kind")
    schema = replace(toys.schema, roles=replace(toys.schema.roles, quasi_identifiers=names))
    comparison = remake(schema=schema, train=make_toy(1, 660), holdout=make_toy(2, 220, first=1000))
    found = measure("replicated_uniques", comparison)
    assert abs(found.value) < 0.08
    assert found.details["train_entities"] == 660
    assert found.n == 220


def test_no_quasi_identifier_is_not_measured(by_hand):
    rows = [people(i, (0, "a", 1), (1, "b", 2)) for i in (0, 10, 20)]
    found = read(by_hand, *rows, sensitive=("age",))
    assert isinstance(found, NotMeasured)
    assert "quasi-identifier" in found.reason


def test_one_entity_a_side_is_not_measured(by_hand):
    rows = [people(i, (0, "a", 1)) for i in (0, 10, 20)]
    assert isinstance(read(by_hand, *rows), NotMeasured)


def test_real_households(basket_thirds):
    quasi = ("store_id", "age", "income")
    roles = replace(basket_thirds.schema.roles, quasi_identifiers=quasi)
    schema = replace(basket_thirds.schema, roles=roles)

    def value(synthetic):
        comparison = Comparison(
            basket_thirds.train, basket_thirds.holdout, synthetic, schema, seed=3
        )
        return measure("replicated_uniques", comparison)

    fresh = value(basket_thirds.fresh)
    assert fresh.value <= 0.05
    assert fresh.lower <= 0 <= fresh.upper
    copies = value(basket_thirds.train)
    assert copies.value > 0.10
    assert copies.value == pytest.approx(
        copies.details["raw"] - copies.details["share_at_equal_size_holdout"]
    )
    planted = pd.concat(
        [basket_thirds.fresh, basket_thirds.train.assign(
            household_id=basket_thirds.train["household_id"].map(lambda key: f"p{key}"))],
        ignore_index=True,
    )  # fmt: skip
    assert value(planted).value > fresh.value + 0.05
