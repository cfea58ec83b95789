"""total_variation: by hand, coarsened alike, at the floor for real tables, far over for bad."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.model import Column, Roles
from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.tables import Kind

KINDS = {"x": Kind.TEXT, "y": Kind.CODE}
TABLES = (
    {"x": list("aabb"), "y": ["1"] * 4},
    {"x": ["a", "a", "b", None], "y": ["1"] * 4},
    {"x": ["a", "c", "c", None], "y": ["1", "1", "1", "2"]},
)


def test_by_hand(by_hand):
    """x: a .25 for .5, b 0 for .25, c .5 for 0, null equal: .5 in all. y: .25."""
    comparison = by_hand(KINDS, TABLES)
    found = measure("total_variation", comparison)
    assert isinstance(found, Measurement)
    assert (found.details["worst"], found.value, found.floor) == ("x", 0.5, 0.25)
    assert found.details["columns"]["y"]["value"] == 0.25
    assert found.details["invented_categories"] == 1
    assert found.details["invented_rows"] == 0.5
    assert found.details["lost_categories"] == 1
    assert found.details["lost_rows"] == 0.25
    alone = measure("total_variation", comparison, column="y")
    assert (alone.column, alone.value, alone.floor) == ("y", 0.25, 0)
    assert "columns" not in alone.details


def test_null_is_a_category(by_hand):
    rows = ({"x": list("aaab")}, {"x": list("aaab")}, {"x": [None, None, None, "b"]})
    found = measure("total_variation", by_hand({"x": Kind.TEXT}, rows))
    assert (found.value, found.details["invented_categories"]) == (0.75, 1)


def test_the_worst_column_is_the_one_furthest_over_its_floor(by_hand):
    """x reads .5 where train reads .5 too; y reads .25 where train reads 0."""
    tables = (
        {"x": list("aaaa"), "y": ["1"] * 4},
        {"x": list("aabb"), "y": ["1"] * 4},
        {"x": list("aaaa"), "y": ["1", "1", "1", "2"]},
    )
    found = measure("total_variation", by_hand(KINDS, tables))
    assert (found.details["worst"], found.value, found.floor) == ("y", 0.25, 0)
    assert found.number("over_floor") == 0.25


def test_what_is_no_column_of_categories_is_not_measured(by_hand):
    numbers = by_hand({"x": Kind.NUMBER}, ({"x": [1]}, {"x": [1]}, {"x": [1]}))
    assert isinstance(measure("total_variation", numbers), NotMeasured)
    assert isinstance(measure("total_variation", numbers, column="x"), NotMeasured)
    unique = {"x": Column("x", unique=True)}
    afresh = by_hand(KINDS, TABLES, unique)  # made afresh: no value is shared, none is compared
    assert measure("total_variation", afresh).details["worst"] == "y"
    assert isinstance(measure("total_variation", afresh, column="x"), NotMeasured)


def test_names_of_categories_stay_out_of_the_details(toys, remake):
    marked = toys.synthetic.assign(kind="never to be printed")
    assert "never to be printed" not in repr(measure("total_variation", remake(synthetic=marked)))


def test_a_protected_candidate_reads_at_the_floor_and_raw_beside_it(toys, remake):
    """Fresh entities whose rare shops were grouped: over the floor raw, at it in the view.

    Five shops hold .7 of the rows, twenty-five the rest, each with about 13 entities; k = 38.
    """
    chances = np.r_[np.full(5, 0.14), np.full(25, 0.012)]

    def skewed(frame, seed):
        drawn = np.random.default_rng(seed).choice(30, len(frame), p=chances)
        return frame.assign(shop=drawn.astype(str).astype(object))

    real = {"train": skewed(toys.train, 1), "holdout": skewed(toys.holdout, 2)}
    fresh = skewed(toys.synthetic, 3)
    coarsening = Coarsening(38, {"shop": 99})
    who = np.unique(fresh["who"].to_numpy(), return_inverse=True)[1]
    grouped = coarsening.view(fresh, who, toys.schema)
    found = measure("total_variation", remake(**real, synthetic=grouped, coarsening=coarsening),
                    column="shop")  # fmt: skip
    assert found.value - found.floor < 0.05
    assert found.details["raw"] - found.details["raw_floor"] > 0.2
    assert found.details["holdout_rows_coarsened"] == pytest.approx(0.3, abs=0.03)
    assert found.details["invented_categories"] == 0  # the token is no invention
    plain = measure("total_variation", remake(**real, synthetic=grouped), column="shop")
    assert plain.value == pytest.approx(found.details["raw"])
    assert plain.details["invented_categories"] == 1


def test_half_samples_do_not_shift_the_interval(toys, remake):
    """Of equal distributions halves read 1.4 of the whole: their distance from 0 or from the value
    would give limits several times as wide as their spread."""
    covered = 0
    for seed in range(12):
        fresh = toys.synthetic.assign(
            shop=np.random.default_rng(seed).integers(0, 30, 1100).astype(str).astype(object)
        )
        found = measure("total_variation", remake(synthetic=fresh, seed=seed), column="shop")
        assert found.lower <= found.value <= found.upper
        assert found.upper - found.value < 0.6 * found.value
        assert found.upper - found.value == pytest.approx(
            (found.bound_upper - found.value) * 1.96 / 1.645, rel=0.01
        )
        covered += found.lower <= found.floor <= found.upper
    assert covered >= 9


def test_intervals_are_clustered_by_entity(toys, remake):
    """All rows of an entity in one shop: as many rows, a fifth of the information."""

    def spread(frame):
        found = measure("total_variation", remake(**frame), column="shop")
        return found.upper - found.value

    def loyal(frame):
        return frame.assign(shop=frame.groupby("who")["shop"].transform("first"))

    wide = {name: loyal(getattr(toys, name)) for name in ("train", "holdout", "synthetic")}
    assert spread(wide) > 1.4 * spread({})


@pytest.mark.parametrize("thirds", ["basket_thirds", "flight_thirds"])
def test_fresh_thirds_pass_and_a_uniform_column_does_not(thirds, request):
    real = request.getfixturevalue(thirds)
    quasi, column = {
        "basket_thirds": (("store_id", "age", "income"), "store_id"),
        "flight_thirds": (("carrier", "origin", "dest"), "dest"),
    }[thirds]
    schema = replace(real.schema, roles=replace(real.schema.roles, quasi_identifiers=quasi))

    def over(synthetic):
        comparison = Comparison(real.train, real.holdout, synthetic, schema, seed=3,
                                coarsening=Coarsening(10))  # fmt: skip
        found = measure("total_variation", comparison)
        assert isinstance(found, Measurement)
        return found.number("over_floor")

    assert isinstance(schema.roles, Roles)
    assert over(real.fresh) <= 0.10
    values = np.array(sorted(real.train[column].dropna().unique()), dtype=object)
    drawn = np.random.default_rng(2).choice(values, len(real.fresh))
    assert over(real.fresh.assign(**{column: drawn})) > 0.15
