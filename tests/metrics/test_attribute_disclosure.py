"""attribute_disclosure: classes that name one sensitive value, rightly, beyond unseen entities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.coarsening import Coarsening
from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.metrics.privacy.attribute_disclosure import KNOWN
from synth_contracts.tables import Kind

KINDS = {"zip": Kind.TEXT, "ill": Kind.TEXT, "pay": Kind.NUMBER}
NAN = float("nan")


def table(first, zips, ill, pay=None, who=None):
    n = len(zips)
    return {
        "who": [first + w for w in (who or range(n))],
        "zip": list(zips),
        "ill": list(ill),
        "pay": list(pay or [1.0] * n),
    }


def read(by_hand, *tables, sensitive=("ill",), **parts):
    comparison = by_hand(KINDS, tables, quasi_identifiers=("zip",), sensitive=sensitive)
    return measure("attribute_disclosure", replace(comparison, **parts))


def test_by_hand(by_hand):
    """Synthetic a is all x, b is x and y, c is all y.

    Train: a/x rightly named, a/y wrongly, b/x not named, c/y rightly: 2/4. Holdout: a/x alone: 1/4.
    """
    found = read(
        by_hand,
        table(0, "aabc", "xyxy"),
        table(10, "abcd", "xxxx"),
        table(20, "aabbc", "xxxyy"),
    )
    assert isinstance(found, Measurement)
    column = found.details["columns"]["ill"]
    assert column["train"] == column["raw_train"] == found.details["raw"] == 0.5
    assert column["holdout"] == 0.25
    assert column["classes_with_one_value"] == 2
    assert found.details["classes"] == 3
    assert found.value == 0.25
    assert found.n == 8
    assert found.lower < found.bound_lower < 0.25 < found.bound_upper < found.upper
    assert found.details["train_entities_with_look_alikes"] == 1.0
    assert found.details["holdout_entities_with_look_alikes"] == 0.75


def test_an_entity_is_disclosed_when_any_of_its_rows_is(by_hand):
    """Person 0 has three rows of which one is named: 1 of 2 people, not 1 of 4 rows."""
    found = read(
        by_hand,
        table(0, "aadb", "xyyx", who=[0, 0, 0, 1]),
        table(10, "dd", "xy"),
        table(20, "abb", "xxy"),
    )
    assert found.value == 0.5


def test_sides_of_different_size_are_compared_by_share(by_hand):
    """Two of four against one of two: nobody is disclosed for having been in training."""
    found = read(by_hand, table(0, "aabb", "xxyy"), table(10, "ab", "xy"), table(20, "abb", "xxy"))
    assert found.value == 0


def test_null_is_a_value_that_can_be_given_away(by_hand):
    train = table(0, "aabb", [None, "x", "y", "x"])
    found = read(by_hand, train, table(10, "dd", "xy"), table(20, "aab", [None, None, "x"]))
    assert found.details["columns"]["ill"]["train"] == 0.5


def test_the_worst_column_is_judged_at_its_own_level(by_hand):
    """pay names both people of a, ill nobody; two columns were looked at: wider limits."""
    tables = (
        table(0, "aabb", "xyxy", pay=[1, 1, 2, 3]),
        table(10, "dddd", "xyxy", pay=[1, 2, 3, 4]),
        table(20, "aabb", "xyxy", pay=[1, 1, 2, 3]),
    )
    alone = read(by_hand, *tables, sensitive=("pay",))
    both = read(by_hand, *tables, sensitive=("ill", "pay"))
    assert alone.value == both.value == 0.5
    assert both.details["columns"]["ill"]["value"] == 0
    assert both.upper > alone.upper
    assert both.bound_lower < alone.bound_lower
    # shares 3/6 and 1/6 with one entity of each answer added; z of .975 is 1.96
    assert alone.lower == pytest.approx(0.5 - 1.959964 * ((1 / 4 + 5 / 36) / 6) ** 0.5, abs=1e-6)


def test_numbers_are_named_by_bins(by_hand):
    """1 .. 40 in tenths of four: 2 and 4 name the bin 1 .. 4, and 3 of zip a is in it."""
    numbers = list(range(1, 41))
    train = table(0, ["e", "e", "a", *"e" * 37], "x" * 40, pay=numbers)
    other = table(100, "d" * 40, "x" * 40, pay=numbers)

    def value(pay):
        made = table(200, "a" * len(pay), "x" * len(pay), pay=pay)
        found = read(by_hand, train, other, made, sensitive=("pay",))
        assert found.details["columns"]["pay"]["bins"] == 10
        return found.value

    assert value([2, 4]) == 1 / 40
    assert value([2, 5]) == 0
    assert value([5, 6]) == 0
    assert value([NAN, 2]) == 0


def test_what_nearly_everybody_has_is_counted_apart(by_hand):
    """39 of 40 hold x: to name it for the copied people gives nothing away; y does."""
    letters = "abcdefghijklmnopqrst"
    train = table(0, letters, "x" * 19 + "y")
    other = table(100, letters.upper(), "x" * 20)
    found = read(by_hand, train, other, table(200, letters, "x" * 19 + "y"))
    column = found.details["columns"]["ill"]
    assert column["raw_train"] == 1
    assert column["trivial_train"] == found.details["trivial"] == 0.95
    assert found.value == pytest.approx(0.05)


def test_what_one_quasi_identifier_says_of_everybody_is_counted_apart(by_hand):
    """In zip a all hold x, in zip b all y; that is known where enough people hold the zip."""

    def of(first, people):
        return table(first, "ab" * people, "xy" * people)

    enough, few = KNOWN // 2, KNOWN // 2 - 1
    found = read(by_hand, of(0, enough), of(1000, enough), of(2000, 3))
    column = found.details["columns"]["ill"]
    assert column["raw_train"] == column["raw_holdout"] == column["trivial_train"] == 1
    assert column["train"] == column["holdout"] == found.value == 0
    found = read(by_hand, of(0, few), of(1000, few), of(2000, 3))
    assert found.details["columns"]["ill"]["trivial_train"] == 0
    assert found.details["columns"]["ill"]["train"] == 1


def test_a_value_grouped_away_is_looked_up_under_its_group(by_hand):
    """Nobody in the released table lives in q: whoever looks for q looks under ``other``."""
    tables = (
        table(0, "qqbb", "xxxy"),
        table(10, "dddd", "yyyy"),
        table(20, ["other", "other", "b", "b"], "xxxy"),
    )
    assert read(by_hand, *tables).value == 0
    found = read(by_hand, *tables, coarsening=Coarsening(2))
    assert found.value == 0.5
    assert found.details["holdout_entities_with_look_alikes"] == 1


def test_the_released_table_is_attacked(toys, remake):
    """A copy of train recoded to classes of ten entities names hardly anybody's value."""
    roles = replace(
        toys.schema.roles, quasi_identifiers=("shop", "items"), sensitive=("kind", "amount")
    )
    schema = replace(toys.schema, roles=roles)
    who = np.unique(toys.train["who"].to_numpy(), return_inverse=True)[1]
    coarsening = Coarsening(10)
    released = coarsening.recode(toys.train, who, schema)
    before = toys.train[["who", "shop", "items"]]
    copy = measure("attribute_disclosure", remake(schema=schema, synthetic=toys.train))
    safe = measure(
        "attribute_disclosure",
        remake(schema=schema, synthetic=released, coarsening=coarsening, uncoarsened=before),
    )
    assert copy.lower > 0.1
    assert abs(safe.value) < 0.02
    assert safe.upper < copy.lower


def test_without_roles_or_people_it_is_not_measured(by_hand):
    train, other, made = table(0, "ab", "xy"), table(10, "ab", "xy"), table(20, "ab", "xy")
    for sensitive in ((), ("zip",), ("who",)):
        assert isinstance(read(by_hand, train, other, made, sensitive=sensitive), NotMeasured)
    found = read(by_hand, train, other, made, sensitive=("zip", "ill"))
    assert found.details["left_out"] == ["zip"]
    shared = read(by_hand, train, table(1, "ab", "xy"), made)
    assert isinstance(shared, NotMeasured)
    assert isinstance(read(by_hand, table(0, "a", "x"), other, made), NotMeasured)


def test_real_households(basket_thirds):
    roles = replace(
        basket_thirds.schema.roles,
        quasi_identifiers=("store_id", "age", "income"),
        sensitive=("amount", "top_department"),
    )
    schema = replace(basket_thirds.schema, roles=roles)

    def value(synthetic):
        comparison = Comparison(
            basket_thirds.train, basket_thirds.holdout, synthetic, schema, seed=3
        )
        return measure("attribute_disclosure", comparison)

    fresh = value(basket_thirds.fresh)
    assert fresh.value <= 0.05
    assert fresh.lower <= 0 <= fresh.upper
    copy = value(basket_thirds.train)
    assert copy.value > 0.10
    assert copy.bound_lower > 0.05
    planted = pd.concat(
        [basket_thirds.fresh, basket_thirds.with_fresh_keys(basket_thirds.train.iloc[::20])],
        ignore_index=True,
    )
    assert fresh.value < value(planted).value < copy.value
