"""l_diversity: distinct sensitive values of a class, no more than it has entities."""

from __future__ import annotations

import math

import numpy as np
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.sensitive import BINS, cuts
from synth_contracts.tables import Kind

KINDS = {"zip": Kind.TEXT, "pay": Kind.NUMBER, "ill": Kind.TEXT}
NAN = float("nan")


def table(zips, ill, pay=None, who=None, first=20):
    n = len(zips)
    return {
        "who": list(who or range(first, first + n)),
        "zip": list(zips),
        "pay": list(pay or [1.0] * n),
        "ill": list(ill),
    }


REAL = table("aabb", "xyzz", first=0)
OTHER = table("aabb", "xxzz", first=10)


def read(by_hand, synthetic, sensitive=("ill",)):
    return measure(
        "l_diversity",
        by_hand(KINDS, (REAL, OTHER, synthetic), quasi_identifiers=("zip",), sensitive=sensitive),
    )


def test_by_hand(by_hand):
    """a holds x, y, z and b x, x, y, y: 2. The entropy of b is log 2, of a log 3."""
    found = read(by_hand, table("aaabbbb", "xyzxxyy"))
    assert isinstance(found, Measurement)
    assert found.value == 2
    assert found.details["entropy"] == pytest.approx(2)
    assert found.details["entities_below_2"] == 0
    assert found.details["classes"] == 2
    assert found.n == 7
    assert found.lower is None


def test_one_value_for_all_of_a_class(by_hand):
    """All of b hold x: 2 of 5 people are given away."""
    found = read(by_hand, table("aaabb", "xyzxx"))
    assert found.value == 1
    assert found.details["entropy"] == pytest.approx(1)
    assert found.details["entities_below_2"] == 2 / 5


def test_an_uneven_class_has_less_entropy_than_values(by_hand):
    """Shares 3/4 and 1/4: e^H = 4 / 3^(3/4) = 1.75, and 2 values."""
    found = read(by_hand, table("aaaa", "xxxy"))
    assert found.value == 2
    assert found.details["entropy"] == pytest.approx(4 / 3**0.75)


def test_many_rows_of_one_entity_are_not_many_people(by_hand):
    """Class a is one person with three rows and three values: l is 1, not 3."""
    found = read(by_hand, table("aaabbb", "xyzxyz", who=[20, 20, 20, 21, 22, 23]))
    assert found.value == 1
    assert found.details["entropy"] == 1
    assert found.details["entities_below_2"] == 1 / 4


def test_null_is_a_value(by_hand):
    assert read(by_hand, table("aa", ["x", None])).value == 2
    assert read(by_hand, table("aa", [None, None])).value == 1
    found = read(by_hand, table("aa", "xx", pay=[NAN, 1]), ("pay",))
    assert found.value == 2


def test_the_worst_column_counts(by_hand):
    found = read(by_hand, table("aabb", "xyxy", pay=[1, 2, 3, 3]), ("ill", "pay"))
    assert found.details["columns"]["ill"]["distinct"] == 2
    assert found.details["columns"]["pay"]["distinct"] == 1
    assert found.value == 1


def test_real_tables_stand_beside_it(by_hand):
    """Equal sizes. Train: b alone has one value, 2 of 4. Holdout: both classes have one."""
    column = read(by_hand, table("aabb", "xyxy")).details["columns"]["ill"]
    assert column["entities_below_2_train"] == 0.5
    assert column["entities_below_2_holdout"] == 1.0


def test_bins_hold_equal_values_together():
    r = np.random.default_rng(1)
    many = r.normal(size=1000)
    found = cuts(many, np.ones(1000))
    assert len(found) == BINS - 1
    assert np.bincount(np.searchsorted(found, many)).tolist() == [100] * BINS
    mostly_zero = np.append(np.zeros(900), np.arange(1, 101))
    assert cuts(mostly_zero, np.ones(1000)).tolist() == [0]
    assert cuts(np.array([3.0, 1, NAN, 2, 2]), np.ones(5)).tolist() == [1, 2]
    # the rows of one entity weigh as much as one row of another
    ten = np.append(np.arange(11.0), np.full(1000, 20.0))
    assert cuts(ten, np.append(np.ones(11), np.full(1000, 1e-3)))[-1] < 11
    assert len(cuts(np.array([math.inf, -math.inf, NAN]), np.ones(3))) == 1
    assert len(cuts(np.full(3, NAN), np.ones(3))) == 0


def test_without_roles_it_is_not_measured(by_hand):
    for sensitive in ((), ("zip",), ("who",)):
        assert isinstance(read(by_hand, table("aa", "xy"), sensitive), NotMeasured)
    found = read(by_hand, table("aa", "xy"), ("zip", "ill"))
    assert found.details["left_out"] == ["zip"]
