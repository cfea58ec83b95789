"""t_closeness: distances of classes worked out by hand, and against sums over every value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.privacy.t_closeness import distances
from synth_contracts.tables import Kind

KINDS = {"zip": Kind.TEXT, "pay": Kind.NUMBER, "ill": Kind.TEXT}
NAN = float("nan")


def table(zips, pay=None, ill=None, who=None, first=0):
    n = len(zips)
    return {
        "who": list(who or range(first, first + n)),
        "zip": list(zips),
        "pay": list(pay or [1.0] * n),
        "ill": list(ill or ["flu"] * n),
    }


REAL = table("ab")
OTHER = table("ab", first=10)


def read(by_hand, synthetic, sensitive=("pay", "ill"), **parts):
    comparison = by_hand(
        KINDS,
        (parts.get("train", REAL), parts.get("holdout", OTHER), synthetic),
        quasi_identifiers=("zip",),
        sensitive=sensitive,
    )
    return measure("t_closeness", comparison)


def test_salaries_of_the_paper(by_hand):
    """Nine salaries, three classes of three: the paper gives .375 for a and .167 for b.

    c holds 7, 9 and 10: nine times |F(c) - F| is 1, 2, 3, 4, 2, 3, 1, 1, 0, so 17 / 9 / 8 = .236.
    """
    found = read(by_hand, table("aaabbbccc", [3, 4, 5, 6, 8, 11, 7, 9, 10], first=20), ("pay",))
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(0.375)
    assert found.details["columns"]["pay"]["mean"] == pytest.approx((0.375 + 1 / 6 + 17 / 72) / 3)
    assert found.details["columns"]["pay"]["entities_of_the_worst_class"] == 3
    assert found.n == 9
    assert found.lower is None


def test_categories_are_equally_far_apart(by_hand):
    """a: flu 1; b: flu 1/3, cold 2/3; all: flu 3/5, cold 2/5. Total variation 2/5 and 4/15."""
    synthetic = table("aabbb", ill=["flu", "flu", "flu", "cold", "cold"], first=20)
    found = read(by_hand, synthetic, ("ill",))
    assert found.value == pytest.approx(0.4)
    assert found.details["columns"]["ill"]["mean"] == pytest.approx(0.4 * 0.4 + 0.6 * 4 / 15)


def test_the_rows_of_an_entity_share_its_weight(by_hand):
    """Person 20 has four rows: a is flu 1, cold 1; b is flu 1, cold 1: nobody stands out."""
    synthetic = table(
        "aaaaabb",
        ill=["flu"] * 4 + ["cold", "flu", "cold"],
        who=[20, 20, 20, 20, 21, 22, 23],
    )
    assert read(by_hand, synthetic, ("ill",)).value == pytest.approx(0)


def test_the_worst_column_counts(by_hand):
    synthetic = table("aabb", pay=[1, 2, 1, 2], ill=["flu", "flu", "cold", "cold"], first=20)
    found = read(by_hand, synthetic)
    assert found.details["columns"]["pay"]["largest"] == pytest.approx(0)
    assert found.value == found.details["columns"]["ill"]["largest"] == pytest.approx(0.5)


def test_null_is_as_far_as_can_be(by_hand):
    """a is null 1/2, b 0, all 1/4. a: 1/4 + 1/2 x |1 - 2/3|; b: 1/4 + 3/4 x |1/2 - 2/3|."""
    synthetic = table("aabb", pay=[1, NAN, 1, 2], first=20)
    found = read(by_hand, synthetic, ("pay",))
    assert found.value == pytest.approx(1 / 4 + 1 / 2 * 1 / 3)
    assert found.details["columns"]["pay"]["mean"] == pytest.approx(
        (1 / 4 + 1 / 6 + 1 / 4 + 3 / 4 * 1 / 6) / 2
    )
    assert read(by_hand, table("ab", pay=[NAN, 1], first=20), ("pay",)).value == pytest.approx(0.5)
    assert read(by_hand, table("ab", pay=[NAN, NAN], first=20), ("pay",)).value == 0
    assert read(by_hand, table("ab", pay=[7, 7], first=20), ("pay",)).value == 0


def by_sums(codes, values, weight, *, ordered):
    """The definition, one class and one value after another."""
    found = []
    count = values.max() + 1
    whole = np.bincount(values, weights=weight, minlength=count) / weight.sum()
    for c in range(codes.max() + 1):
        own = weight * (codes == c)
        gap = np.bincount(values, weights=own, minlength=count) / own.sum() - whole
        steps = np.abs(np.cumsum(gap)).sum() / (count - 1)
        found.append(steps if ordered else np.abs(gap).sum() / 2)
    return found


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_same_as_by_sums(ordered, seed):
    r = np.random.default_rng(seed)
    codes = np.unique(r.integers(0, 30, 300), return_inverse=True)[1]
    values = np.unique(r.geometric(0.05, 300), return_inverse=True)[1]
    weight = r.choice([1.0, 1 / 2, 1 / 3, 1 / 7], 300)
    found = distances(codes, values, weight, ordered=ordered)
    np.testing.assert_allclose(
        found, by_sums(codes, values, weight, ordered=ordered), rtol=0, atol=1e-12
    )


def test_train_and_holdout_stand_beside_it(by_hand):
    """At two entities a side: each is a class, .5 from the whole, and in the synthetic none is."""
    train = table("ab", pay=[1, 2])
    found = read(by_hand, table("aabb", [1, 2, 1, 2], first=20), ("pay",), train=train)
    assert found.value == pytest.approx(0)
    assert found.details["columns"]["pay"]["largest_train"] == pytest.approx(0.5)
    assert found.details["columns"]["pay"]["largest_holdout"] == 0


def test_what_cannot_be_learned_is_left_out(by_hand, toys, remake):
    found = read(by_hand, table("ab", first=20), ("zip", "ill"))
    assert found.details["left_out"] == ["zip"]
    assert set(found.details["columns"]) == {"ill"}
    for sensitive, word in ((("zip",), "zip"), (("who",), "who"), ((), "sensitive")):
        found = read(by_hand, table("ab", first=20), sensitive)
        assert isinstance(found, NotMeasured)
        assert word in found.reason
    fields = tuple(replace(f, excluded=f.name == "shop") for f in toys.schema.fields)
    roles = replace(toys.schema.roles, sensitive=("shop",))
    hidden = remake(schema=replace(toys.schema, fields=fields, roles=roles))
    assert isinstance(measure("t_closeness", hidden), NotMeasured)
    nobody = replace(toys.schema.roles, sensitive=("shop",), quasi_identifiers=())
    found = measure("t_closeness", remake(schema=replace(toys.schema, roles=nobody)))
    assert "quasi-identifier" in found.reason
