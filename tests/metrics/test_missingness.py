"""missingness: null shares by hand, in pairs, coarsened alike, and where a table lost its nulls."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.model import Column
from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.tables import Kind

KINDS = {"x": Kind.TEXT, "y": Kind.NUMBER}
NAN = float("nan")


def test_by_hand(by_hand):
    """x: .5 for .25; y: .5 for .5; both missing in .5 of the rows for .25."""
    tables = (
        {"x": list("abcd"), "y": [NAN, 2, 3, 4]},
        {"x": ["a", "b", "c", None], "y": [NAN, 2, 3, NAN]},
        {"x": ["a", "b", None, None], "y": [1, 2, NAN, NAN]},
    )
    found = measure("missingness", by_hand(KINDS, tables))
    assert isinstance(found, Measurement)
    assert (found.details["worst"], found.value, found.floor) == ("x", 0.25, 0.25)
    assert found.details["columns"]["y"] == {"value": 0, "floor": 0.25}
    assert found.details["pair"] == 0.25
    assert found.details["pair_columns"] == ["x", "y"]


def test_a_table_without_nulls_reads_0(by_hand):
    rows = {"x": list("ab"), "y": [1, 2]}
    found = measure("missingness", by_hand(KINDS, (rows, rows, rows)))
    assert (found.value, found.floor, found.details["pair"]) == (0, 0, 0)
    one = by_hand({"x": Kind.TEXT}, ({"x": ["a"]}, {"x": ["b"]}, {"x": ["c"]}))
    assert measure("missingness", one).details["pair_columns"] == []


def test_keys_alone_are_not_measured(by_hand):
    rows = ({"who": [1]}, {"who": [2]}, {"who": [3]})
    assert isinstance(measure("missingness", by_hand({}, rows)), NotMeasured)


def test_nulls_on_other_rows_show_in_pairs_alone(toys, remake):
    """Same shares, but two columns no longer go missing together."""

    def with_nulls(frame, apart):
        n = len(frame) // 4
        frame = frame.copy()
        frame.loc[frame.index[:n], "amount"] = np.nan
        frame.loc[frame.index[2 * n : 3 * n] if apart else frame.index[:n], "kind"] = None
        frame.loc[frame.index[3 * n :], "kind"] = "a"
        return frame

    same = {name: with_nulls(getattr(toys, name), False) for name in ("train", "holdout")}
    good, bad = (
        measure("missingness", remake(**same, synthetic=with_nulls(toys.synthetic, apart)))
        for apart in (False, True)
    )
    assert good.details["pair"] < 0.03
    assert bad.details["pair"] > 0.15
    assert bad.details["columns"]["amount"]["value"] == pytest.approx(0, abs=1e-9)


def test_nulls_that_stand_for_grouped_values_are_no_fault(by_hand):
    """A domain without ``other``: the rare b went missing in the candidate, as it does in a view.

    k = 2 of 5 entities a side: a 4, b 1 on the real sides.
    """
    real = {"x": list("aaaab")}
    tables = (real, {"x": list("aabaa")}, {"x": ["a", "a", "a", "a", None]})
    comparison = by_hand({"x": Kind.TEXT}, tables, {"x": Column("x", enum=("a", "b"))})
    assert measure("missingness", comparison).value == pytest.approx(0.2)
    comparison.coarsening = Coarsening(2)
    comparison._matched.clear()
    found = measure("missingness", comparison)
    assert found.value == 0
    assert found.details["raw"] == pytest.approx(0.2)


def test_a_column_whose_nulls_were_filled_is_far_over(basket_thirds):
    fresh = basket_thirds.compare(basket_thirds.fresh)
    clean = measure("missingness", fresh)
    assert clean.value <= 0.10
    filled = basket_thirds.fresh.assign(age=basket_thirds.fresh["age"].fillna("45-54"))
    found = measure("missingness", basket_thirds.compare(filled))
    assert found.details["worst"] == "age"
    assert found.bound_lower > 0.2
