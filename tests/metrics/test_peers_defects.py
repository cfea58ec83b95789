"""What public tools for synthetic data were seen to read wrongly, and our metrics read rightly.

The tables are those of tools/defects.py; docs/benchmarks.md has the peers' figures beside ours.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache

import defects
import numpy as np
import pytest

from synth_contracts.metrics import Comparison, Measurement, measure
from synth_contracts.metrics.neighbours import search
from synth_contracts.tables import Kind


@cache
def compared(name: str) -> Comparison:
    return defects.comparison(defects.made(name))


def read(metric: str, name: str) -> Measurement:
    found = measure(metric, compared(name))
    assert isinstance(found, Measurement), found
    return found


# Ties and copies.


@pytest.mark.parametrize(("name", "share"), [("copies-5", 0.05), ("copies-20", 0.20)])
def test_some_copies_are_not_perfect(name, share):
    """SDMetrics' DCR overfitting protection scores 5 and 20 % exact copies 1.000, its best.

    Where many rows are equally far from both sides, ties hide the copies. The share of nearer rows
    rises here by half of the copies, a weak witness: so it is not the only one.
    """
    fresh, copies = (read("nearest_neighbor_distance", n).value for n in ("fresh", name))
    assert copies - fresh == pytest.approx(share / 2, abs=0.02)
    assert read("recognized_entities", "fresh").bound_lower <= 0
    assert read("recognized_entities", name).bound_lower > 0.3 * share * defects.ROWS
    assert read("identical_match", "fresh").bound_lower <= 0 < read("identical_match", name).value
    assert read("identical_match", name).bound_lower > share / 2
    assert read("linkability", name).bound_lower > 0 >= read("linkability", "fresh").bound_lower
    before, after = (read("membership_inference", n).value for n in ("fresh", name))
    assert after > before + 0.1


@pytest.mark.parametrize("name", ["copies-100", "many-levels"])
def test_copies_of_everything_read_at_the_end_of_the_scale(name):
    """SDMetrics with ``num_rows_subsample`` samples all three tables: copies lose their sources.

    100 % copies score .73 to 1.00 of 1 then. Here train and holdout are never sampled but to equal sizes.
    """
    assert read("nearest_neighbor_distance", name).value > 0.999
    assert read("membership_inference", name).value == 1
    assert read("outlier_membership_inference", name).value == 1
    assert read("recognized_entities", name).bound_lower > 180
    assert read("identical_match", name).value > 0.99


def test_ties_are_no_sign_of_either_side():
    """SDMetrics counts ties as nearer to the holdout: all-categorical tables score a perfect 1.0.

    Where every combination is in every table nothing tells trained people from others. One half
    says that; neither 0 (never nearer to train) nor 1 would be true.
    """
    assert read("nearest_neighbor_distance", "few-levels").value == 0.5
    membership = read("membership_inference", "few-levels")
    assert membership.lower < 0 < membership.upper
    assert abs(membership.value) < 0.1
    assert abs(read("outlier_membership_inference", "few-levels").value) < 0.01
    assert read("recognized_entities", "few-levels").bound_lower <= 0


# Inference and nulls.


def test_a_negative_guess_is_no_success():
    """anonymeter's inference divides by the signed guess: every negative one counts as right.

    Nothing tells of the secret, and half of all guesses are negative.
    """
    found = read("attribute_disclosure", "negative")
    assert found.details["raw"] < 0.10  # one in ten bins is hit by chance
    assert found.lower < 0 < found.upper
    for metric in ("singling_out", "linkability"):
        other = read(metric, "negative")
        assert other.lower < 0 < other.upper
        assert other.details["rate_train"] < 0.30


def test_negative_numbers_are_read_as_their_mirror_images():
    """Were a negative guess a success (anonymeter), the same table upside down would read lower."""
    tables = defects.made("negative")
    sides = {
        name: getattr(tables, name).assign(change=lambda frame: -frame["change"])
        for name in ("train", "holdout", "synthetic")
    }
    mirrored = measure("attribute_disclosure", defects.comparison(replace(tables, **sides)))
    assert isinstance(mirrored, Measurement)
    found = read("attribute_disclosure", "negative")
    assert mirrored.details["raw"] == pytest.approx(found.details["raw"], abs=0.01)


def test_a_null_in_every_row_does_not_end_the_distances():
    """anonymeter's Gower distance becomes NaN by one null, and nothing is near any more.

    Copies with a null in each row are still copies, and fresh people with nulls are still clean.
    """
    assert read("singling_out", "nulls-copied").bound_lower > 0.9
    assert read("linkability", "nulls-copied").bound_lower > 0.9
    assert read("membership_inference", "nulls-copied").bound_lower > 0.9
    assert read("nearest_neighbor_distance", "nulls-copied").value > 0.95
    copied, fresh = (read("attribute_disclosure", n) for n in ("nulls-copied", "nulls"))
    assert copied.bound_lower > 0 > fresh.value
    for metric in ("singling_out", "linkability", "membership_inference"):
        assert read(metric, "nulls").bound_lower < 0


# Encoding and distances.


def test_a_perfect_generator_is_clean_on_thousands_of_levels():
    """An encoder fitted on train alone reads fresh people as copied (.28 to .47 measured so)."""
    membership = read("membership_inference", "wide-categories")
    assert membership.lower < 0 < membership.upper
    assert abs(membership.value) < 0.1
    share = read("nearest_neighbor_distance", "wide-categories")
    assert share.lower < 0.5 < share.upper
    tables = defects.made("wide-categories")
    swapped = defects.comparison(replace(tables, train=tables.holdout, holdout=tables.train))
    other = measure("nearest_neighbor_distance", swapped)
    # fitted on both, neither side is favoured: what is nearer to one is not nearer to the other
    assert share.value + other.value == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("far", [0, 1_000, 30_000])
def test_equal_rows_are_exactly_zero_apart(far):
    """Distances from products of float32 (x2 + y2 - 2xy) read .0067 for .010, and no zero."""
    rng = np.random.default_rng(1)
    reference = rng.normal(far, 1, (2_000, 12)).astype(np.float32)
    distances, rows = search(reference[:300].copy(), reference)
    assert (distances[:, 0] == 0).all()
    assert (rows[:, 0] == np.arange(300)).all()


# Rounding, classes, cost.


def test_the_precision_of_an_attack_is_not_rounded():
    """NeMo's evaluation rounds the precision of attacks to one digit: 2 PPV - 1 in steps of .2.

    Here one copy more among the 200 most confident guesses is a hundredth at most.
    """
    values = [
        measure("membership_inference", defects.comparison(defects.copied(count))).value
        for count in (90, 100, 110, 120)
    ]
    steps = np.diff(values)
    assert (steps > 0).all()
    assert (steps < 0.2).all()
    assert any(abs(value * 5 - round(value * 5)) > 0.05 for value in values)


def test_k_is_the_smallest_class_of_people_not_of_clusters(by_hand):
    """synthcity's k-anonymity is the size of the smallest cluster that k-means finds.

    Eight people in two heaps far apart: a cluster is a heap, and who differ in it count together.
    Within a heap all ages differ but two, so that k is 1.
    """
    ages = [20, 20, 21, 22, 80, 81, 82, 83]
    rows = {"who": list(range(8)), "age": ages}
    found = measure(
        "k_anonymity", by_hand({"age": Kind.NUMBER}, (rows, rows, rows), quasi_identifiers=("age",))
    )
    assert found.value == 1
    # four people twice, in two classes: k counts two people, not four rows
    rows = {"who": [0, 1, 2, 3] * 2, "age": [20, 20, 80, 80] * 2}
    found = measure(
        "k_anonymity", by_hand({"age": Kind.NUMBER}, (rows, rows, rows), quasi_identifiers=("age",))
    )
    assert found.value == 2


def test_t_closeness_of_ten_thousand_rows_is_cheap():
    """pycanon 1.3.6 reads the same number of this table after 160 CPU seconds (measured).

    What is counted is calls, which no busy machine changes: fewer than one for each row.
    """
    comparison = compared("rows-10000")
    count = 0

    def seen(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        found = measure("t_closeness", comparison)
    finally:
        sys.setprofile(before)
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(0.13616979305953175, rel=1e-9)
    assert count < 10_000
