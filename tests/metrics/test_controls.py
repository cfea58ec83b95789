"""Planted leaks: the short way reads what the metrics read, and more leak reads as more."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_contracts.contract.model import Rule
from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.metrics.controls import DOSES, POWER, REPLICATES, control, run
from synth_contracts.metrics.controls.bookkeeping import Bookkeeping, agreeing, copy_with
from synth_contracts.metrics.controls.growing import Growing
from synth_contracts.metrics.controls.null import halved, null
from synth_contracts.metrics.controls.plants import (
    AMONG,
    KINDS,
    Train,
    make,
    nearest_other,
    planted,
    pool,
)
from synth_contracts.metrics.controls.probes import PROBES, Reading
from synth_contracts.metrics.controls.reach import Targets
from synth_contracts.tables import NUMERIC, TEMPORAL

LIMITS = {
    "membership_inference": (0.25, "value"),
    "recognized_entities": (5.0, "lower"),
    "entity_membership_inference": (0.40, "value"),
    "outlier_membership_inference": (0.25, "value"),
    "identical_match": (0.005, "lower"),
}


def rule(metric: str, **changes: Any) -> Rule:
    threshold, judged = LIMITS[metric]
    values: dict[str, Any] = {
        "id": metric, "metric": metric, "expectation": f"expect_table_{metric}_to_be_at_most",
        "column": None, "operator": "<=", "threshold": threshold, "judged": judged,
        "severity": "error", "family": "privacy",
    }  # fmt: skip
    return Rule(**{**values, **changes})


RULES = [rule(metric) for metric in LIMITS]


@pytest.fixture(scope="module")
def few(basket_thirds: Any) -> Comparison:
    """Real baskets, eight of each household, fresh households as the candidate."""

    def cut(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.groupby("household_id").head(8).reset_index(drop=True)

    return Comparison(
        cut(basket_thirds.train), cut(basket_thirds.holdout), cut(basket_thirds.fresh),
        basket_thirds.schema, seed=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def by_row(few: Comparison) -> Comparison:
    """The same tables without an entity key: each row is its own entity."""
    fields = tuple(f for f in few.schema.fields if f.name != "household_id")
    schema = replace(few.schema, fields=fields, roles=replace(few.schema.roles, entity_key=None))
    frames = {
        name: getattr(few, name).drop(columns="household_id")
        for name in ("train", "holdout", "synthetic")
    }
    return Comparison(**frames, schema=schema, seed=4)


@pytest.fixture(scope="module")
def results(few: Comparison) -> dict[str, Any]:
    return {metric: measure(metric, few) for metric in LIMITS}


@pytest.fixture(scope="module")
def record(few: Comparison, results: Mapping[str, Any]) -> dict[str, Any]:
    return control(few, RULES, results)


def _equal_to_the_metrics(comparison: Comparison, kind: Any, among: Any, units: list[int]) -> None:
    books = Bookkeeping(comparison)
    train = Train(comparison)
    plants = make(train, kind, among, pool(train, among, max(units) + 5))
    targets = Targets(np.concatenate(comparison.vectors[:2]), comparison.nearby.near)
    agree = agreeing(comparison, plants)
    copy = copy_with(plants, targets.reached(plants.vectors), agree, np.array(units))
    really = planted(comparison, plants, units)
    assert really.synthetic_side.entities == comparison.synthetic_side.entities + len(units)
    ours, theirs = books.entity_scores(copy), really.entity_scores
    assert list(ours) == list(theirs)
    for name in theirs:  # each attack, also where another one is the best
        assert ours[name] == pytest.approx(theirs[name], abs=1e-9), name
    measured = 0
    for metric, probe in PROBES.items():
        found, reading = measure(metric, really), probe(books).read(copy)
        if isinstance(found, NotMeasured):
            assert comparison.schema.roles.entity_key is None
            continue
        measured += 1
        assert reading.value == pytest.approx(found.value, abs=1e-9), metric
        if reading.lower is not None:
            assert reading.lower == pytest.approx(found.bound_lower, abs=1e-9), metric
    assert measured >= 4


@pytest.mark.parametrize(
    ("kind", "among", "units"),
    [
        ("exact", "random", list(range(0, 60, 2))),
        ("exact", "isolated", [4]),
        ("noisy", "isolated", list(range(25))),
        ("interpolated", "random", list(range(40))),
        ("whole_entities", "random", [0, 7, 8, 9, 20]),
        ("whole_entities", "isolated", list(range(30))),
    ],
)
def test_a_copy_reads_what_the_metrics_read_on_the_planted_table(
    few: Comparison, kind: str, among: str, units: list[int]
) -> None:
    _equal_to_the_metrics(few, kind, among, units)


@pytest.mark.parametrize("kind", ["exact", "noisy"])
def test_so_it_does_where_each_row_is_an_entity(by_row: Comparison, kind: str) -> None:
    _equal_to_the_metrics(by_row, kind, "random", list(range(30)))


def test_so_it_does_where_a_hole_is_the_best_attack(few: Comparison, basket_thirds: Any) -> None:
    # rows of the holdout among the candidate's: near rows tell non-members
    rows = basket_thirds.with_fresh_keys(few.holdout.iloc[::6])
    hollow = replace(few, synthetic=pd.concat([few.synthetic, rows], ignore_index=True))
    found = measure("membership_inference", hollow)
    assert isinstance(found, Measurement)
    assert found.details["attack"].endswith("_hole")
    assert found.value > 0.5
    _equal_to_the_metrics(hollow, "exact", "random", list(range(10)))


@pytest.mark.parametrize("share", [4, 400])
def test_so_it_does_beside_earlier_releases(
    few: Comparison, basket_thirds: Any, share: int
) -> None:
    """Every fourth train row was released before, or a few of them: either family reads worse."""
    leak = basket_thirds.with_fresh_keys(few.train.iloc[::share])
    other = few.holdout.iloc[::7].drop(columns=["amount", "store_id"])
    beside = replace(few, earlier=(leak, basket_thirds.with_fresh_keys(other)))
    _equal_to_the_metrics(beside, "exact", "random", list(range(25)))


def test_every_blocking_attack_has_a_probe() -> None:
    assert set(PROBES) == set(LIMITS)


def test_at_dose_nothing_the_candidates_own_numbers_are_read(
    record: Mapping[str, Any], results: Mapping[str, Any]
) -> None:
    for kind in record["kinds"]:
        first = kind["curve"][0]
        assert (first["entities"], first["rows"], first["power"]) == (0, 0, 0.0)
        for metric, (_, judged) in LIMITS.items():
            assert first["readings"][metric] == pytest.approx(
                results[metric].number(judged), abs=1e-9
            )


def test_readings_and_power_rise_with_the_dose(record: Mapping[str, Any]) -> None:
    for kind in record["kinds"]:
        curve = kind["curve"]
        doses = [point["entities"] for point in curve]
        assert doses == sorted(set(doses))
        for before, after in itertools.pairwise(curve):
            assert after["rows"] > before["rows"]
            assert after["power"] >= before["power"] - 0.1
            for metric, value in after["readings"].items():
                # read in both directions: where the candidate keeps away from isolated members,
                # copies first make up for that
                if metric == "outlier_membership_inference":
                    continue
                slack = 3.0 if metric == "recognized_entities" else 0.03
                assert value >= before["readings"][metric] - slack, (kind["kind"], metric)
    for kind in ("exact", "whole_entities"):
        (curve,) = [
            k["curve"] for k in record["kinds"] if (k["kind"], k["among"]) == (kind, "random")
        ]
        for metric in ("membership_inference", "recognized_entities", "identical_match"):
            assert curve[-1]["readings"][metric] > curve[0]["readings"][metric]


def test_the_smallest_leak_is_where_the_power_is_reached(record: Mapping[str, Any]) -> None:
    assert [(k["kind"], k["among"]) for k in record["kinds"]] == [
        (kind, among) for kind in KINDS for among in AMONG
    ]
    for kind in record["kinds"]:
        assert kind["unit"] == "entities"
        assert kind["largest_tried"] == kind["curve"][-1]["entities"]
        reached = [p["entities"] for p in kind["curve"] if p["power"] >= POWER]
        if kind["smallest"] is None:
            assert not reached
            assert kind["blocked_by"] == []
        else:
            assert kind["smallest"] == min(reached)
            assert set(kind["blocked_by"]) <= set(LIMITS)
            assert kind["blocked_by"]
    seen = {(k["kind"], k["among"]): k["smallest"] for k in record["kinds"]}
    assert seen["exact", "random"] is not None
    assert 0 < seen["whole_entities", "random"] <= seen["exact", "random"]
    assert record["power"] == 0.8
    assert record["replicates"] == REPLICATES >= 20
    assert set(record["rules"]) == set(LIMITS)


class Planted:
    """Stands in for a pool of plants and for a probe: which copies are blocked is given."""

    def __init__(self, blocked: Mapping[int, Sequence[bool]]) -> None:
        self.blocked, self.read_of = blocked, dict.fromkeys(blocked, 0)
        self.largest = max(blocked)

    def copies(self, dose: int) -> Iterator[Any]:
        for leaks in self.blocked.get(dose, [False] * REPLICATES):
            self.read_of[dose] = self.read_of.get(dose, 0) + 1
            yield SimpleNamespace(rows=[0] * dose, leaks=leaks)

    def read(self, copy: Any) -> Any:
        return Reading(1.0 if copy.leaks else 0.0)


ASKED = [rule("identical_match", threshold=0.5, judged="value")]


@given(st.lists(st.booleans(), min_size=REPLICATES, max_size=REPLICATES))
def test_reading_stops_where_the_rest_could_not_change_the_decision(blocked: list[bool]) -> None:
    fake = Planted({5: blocked})
    point = run.Point(fake, ASKED, {"identical_match": fake}, 5, frozenset())
    assert point.decide() == (sum(blocked) >= POWER * REPLICATES)
    told, read = point.told(), blocked[: fake.read_of[5]]
    assert told["plantings"] == len(read)
    assert told["power"] == pytest.approx(sum(read) / len(read))
    assert (told["power"] >= POWER) == point.decide()
    # and not later: one reading less would have left it open
    before = read[:-1]
    assert sum(before) < POWER * REPLICATES
    assert sum(before) + REPLICATES - len(before) >= POWER * REPLICATES


@given(st.lists(st.integers(0, len(DOSES)), min_size=REPLICATES, max_size=REPLICATES))
def test_the_search_ends_where_reading_every_copy_of_every_dose_would(first: list[int]) -> None:
    """Each replicate is blocked from a dose of its own on, as larger copies hold the smaller."""
    fake = Planted({dose: [at <= place for at in first] for place, dose in enumerate(DOSES)})
    probes = {"identical_match": fake}
    nothing = run.Point(fake, ASKED, probes, 0, frozenset())
    nothing.read()
    found = run._search(fake, "exact", "random", ASKED, probes, nothing)
    enough = [
        dose for place, dose in enumerate(DOSES)
        if sum(at <= place for at in first) >= POWER * REPLICATES
    ]  # fmt: skip
    assert found["smallest"] == (enough[0] if enough else None)
    told = {point["entities"]: point for point in found["curve"]}
    if enough and enough[0] != DOSES[0]:
        # what it says of the smallest it knows of the one before as well
        assert told[DOSES[DOSES.index(enough[0]) - 1]]["power"] < POWER
    if not enough:
        assert found["largest_tried"] == DOSES[-1]
    assert all(
        point["plantings"] >= REPLICATES - POWER * REPLICATES
        for dose, point in told.items()
        if dose
    ), "the curve has no point that is not decided"


def test_the_record_is_json_and_holds_no_value_of_a_row(
    few: Comparison, record: Mapping[str, Any]
) -> None:
    text = json.dumps(record, allow_nan=False)
    for name in ("top_department", "age", "income"):
        for value in few.train[name].dropna().unique():
            assert f'"{value}"' not in text


def test_what_no_limit_blocks_is_never_called_seen(
    few: Comparison, results: Mapping[str, Any]
) -> None:
    one = [rule("membership_inference", threshold=1.0, id="wide")]
    found = control(few, one, {"wide": results["membership_inference"]})
    exact = found["kinds"][0]
    assert exact["smallest"] is None
    assert exact["blocked_by"] == []
    assert exact["largest_tried"] in DOSES
    assert {point["power"] for point in exact["curve"]} == {0.0}
    assert found["rules"] == {"wide": {"judged": "value", "operator": "<=", "threshold": 1.0}}


def test_neither_order_of_rows_nor_of_columns_changes_the_record(
    few: Comparison, results: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DOSES", (1, 5, 20))
    rules = [rule("identical_match"), rule("recognized_entities")]
    shuffled = Comparison(
        *(
            getattr(few, name).sample(frac=1, random_state=5)[few.train.columns[::-1]]
            for name in ("train", "holdout", "synthetic")
        ),
        schema=few.schema,
        seed=3,
    )
    found = [control(c, rules, results) for c in (few, shuffled)]
    assert found[0]["kinds"] == found[1]["kinds"]


def test_a_candidate_that_is_blocked_already_says_so(few: Comparison) -> None:
    leaky = replace(few, synthetic=few.train)
    rules = [rule("identical_match"), rule("membership_inference")]
    found = control(leaky, rules, {r.id: measure(r.metric, leaky) for r in rules})
    for kind in found["kinds"]:
        assert kind["smallest"] == 0
        assert kind["blocked_by"] == ["identical_match", "membership_inference"] or (
            kind["blocked_by"] == ["membership_inference", "identical_match"]
        )
        assert "blocked as it is" in kind["note"]
        assert kind["curve"][0]["power"] == 1.0


def test_without_an_entity_key_whole_entities_are_left_out(
    by_row: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DOSES", (5,))
    rules = [rule("identical_match")]
    found = control(by_row, rules, {"identical_match": measure("identical_match", by_row)})
    whole = [kind for kind in found["kinds"] if kind["kind"] == "whole_entities"]
    assert len(whole) == 2
    for kind in whole:
        assert "no entity key" in kind["reason"]
        assert (kind["smallest"], kind["curve"]) == (None, [])


def test_rules_that_cannot_block_make_no_control(few: Comparison) -> None:
    warning = [rule("membership_inference", severity="warning")]
    results = {"membership_inference": measure("membership_inference", few)}
    found = control(few, warning, results)
    assert "no rule of severity error" in found["reason"]
    assert "kinds" not in found
    missing = {"identical_match": NotMeasured("identical_match", "no rows")}
    assert "was measured" in control(few, [rule("identical_match")], missing)["reason"]


def test_copies_of_larger_doses_hold_the_smaller_ones(few: Comparison) -> None:
    targets = Targets(np.concatenate(few.vectors[:2]), few.nearby.near)
    growing = Growing(Train(few), targets, "exact", "random", 3)
    small, large = list(growing.copies(12)), list(growing.copies(120))
    for one, two in zip(small, large, strict=True):
        assert len(one.units) == 12
        assert len(two.units) == len(set(two.units)) == 120
        assert set(one.units) <= set(two.units)
    assert len({tuple(copy.units) for copy in large}) == 3


@pytest.mark.parametrize("grouped", [False, True])
def test_reach_is_every_pair_that_is_nearer_than_the_nearest(grouped) -> None:
    rng = np.random.default_rng(2)
    # long vectors: float32 products of them are far from exact
    real = (rng.normal(size=(5_000, 8)) * 30).astype(np.float32)
    rows = np.concatenate([real[:20], rng.normal(size=(30, 8)) * 30]).astype(np.float32)
    near = rng.uniform(0, 40, len(real))
    near[:20] = 1e-3  # copies of rows that have a near synthetic row already
    gap = np.sqrt(((rows[:, None, :] - real[None]) ** 2).sum(axis=2, dtype=np.float64))
    expected = {(int(p), int(r)) for p, r in zip(*np.nonzero(gap < near), strict=True)}
    reach = Targets(real, near, grouped=grouped).reached(rows)
    assert Targets(real, near, grouped=grouped).reached(rows[:0]).start.tolist() == [0]
    found_real, distance, plant = reach.of(np.arange(50))
    assert set(zip(plant.tolist(), found_real.tolist(), strict=True)) == expected
    assert distance == pytest.approx(gap[plant, found_real], abs=1e-5)
    own = {(p, r): d for p, r, d in zip(plant, found_real, distance, strict=True)}
    assert all(own[i, i] == 0.0 for i in range(20))
    some = reach.of(np.array([7, 3]))
    assert set(some[2].tolist()) <= {7, 3}


def test_groups_that_no_planted_row_reaches_are_left_out_and_no_pair_with_them() -> None:
    rng = np.random.default_rng(6)
    centres = rng.normal(size=(40, 6)) * 100  # far from each other, all rows near their own
    real = (centres[rng.integers(0, 40, 8_000)] + rng.normal(size=(8_000, 6))).astype(np.float32)
    near = rng.uniform(0, 3, len(real))
    rows = (real[:60] + rng.normal(size=(60, 6)) * 0.3).astype(np.float32)
    every, fewer = (Targets(real, near, grouped=grouped).reached(rows) for grouped in (False, True))
    assert len(every.real) > 500
    for name in ("real", "distance", "start"):
        assert np.array_equal(getattr(every, name), getattr(fewer, name)), name


def test_noise_is_as_large_as_it_says(few: Comparison) -> None:
    plants = make(Train(few), "noisy", "random", pool(Train(few), "random", 200))
    source = few.train_side.frame.iloc[plants.source].reset_index(drop=True)
    ratio = np.log(plants.frame["amount"] / source["amount"]).replace([np.inf, -np.inf], np.nan)
    assert ratio.dropna().std() == pytest.approx(0.05, abs=0.015)
    off = (plants.frame["transaction_timestamp"] - source["transaction_timestamp"]).dt
    seconds = off.total_seconds().abs()
    assert seconds.between(86_400 - 300, 86_400 + 300).all()
    changed = {
        field.name: float((plants.frame[field.name] != source[field.name]).mean())
        for field in few.schema.features
        if field.kind not in NUMERIC | TEMPORAL and source[field.name].notna().all()
    }
    assert max(changed, key=lambda name: changed[name]) == "store_id"
    assert changed["store_id"] == pytest.approx(0.5, abs=0.12)
    assert sum(share > 0 for share in changed.values()) == 1


def test_a_mixture_lies_half_way_to_the_nearest_other_row(few: Comparison) -> None:
    plants = make(Train(few), "interpolated", "random", pool(Train(few), "random", 50))
    train = few.train_side.frame
    other = nearest_other(few.vectors[0], plants.source)
    assert (other != plants.source).all()
    gap = np.linalg.norm(few.vectors[0][plants.source[0]] - few.vectors[0], axis=1)
    gap[plants.source[0]] = np.inf
    assert gap[other[0]] == pytest.approx(gap.min(), abs=1e-5)
    amounts = [train["amount"].to_numpy()[rows] for rows in (plants.source, other)]
    assert plants.frame["amount"].to_numpy() == pytest.approx((amounts[0] + amounts[1]) / 2)
    stores = train["store_id"].to_numpy()[plants.source]
    assert (plants.frame["store_id"].to_numpy() == stores).all()


def test_the_isolated_are_those_far_from_the_reference(few: Comparison) -> None:
    chosen = pool(Train(few), "isolated", 1_000)
    reference = few.nearby.reference[: few.nearby.cut]
    farthest = pd.Series(reference).groupby(few.train_side.entity).max()
    assert len(chosen) == 100
    assert farthest.loc[chosen].min() >= farthest.drop(chosen).max()
    plants = make(Train(few), "exact", "isolated", chosen)
    assert reference[plants.source] == pytest.approx(farthest.loc[chosen].to_numpy())


def test_the_null_compares_halves_of_the_holdout(few: Comparison) -> None:
    found, what = halved(few)
    keys = [set(frame["household_id"]) for frame in (found.train, found.holdout, found.synthetic)]
    assert len(keys[0]) == len(keys[1]) == len(keys[2])
    assert not keys[1] & keys[2]
    assert keys[1] | keys[2] <= set(few.holdout["household_id"])
    assert keys[0] <= set(few.train["household_id"])
    assert what.startswith(f"{len(keys[2])} holdout entities as the synthetic table")


def test_the_null_reads_as_clean_or_says_why_not(few: Comparison) -> None:
    rules = [*RULES, replace(rule("identical_match"), id="ks_mean", metric="ks_mean")]
    found = null(few, rules, ["hour_profile"])
    assert found["reason"] is None
    readings = found["readings"]
    assert list(readings) == [*LIMITS, "ks_mean", "hour_profile"]
    # half of 275 holdout households are too few for an attack
    assert "the attack needs 200" in readings["membership_inference"]["reason"]
    assert abs(readings["identical_match"]["value"]) < 0.005
    assert readings["ks_mean"]["value"] < 0.1


def test_the_null_of_a_large_holdout_is_read_by_the_attacks(few: Comparison) -> None:
    many = replace(
        few, train=few.train, holdout=pd.concat([few.holdout, few.synthetic], ignore_index=True)
    )
    found = null(many, RULES, [])
    for metric, reading in found["readings"].items():
        assert "value" in reading, reading
        assert reading["value"] <= 2 * LIMITS[metric][0] + 0.1


def test_hardly_any_holdout_is_a_reason(by_hand: Any) -> None:
    from synth_contracts.tables import Kind

    table: dict[str, list[object]] = {"who": [1, 2, 3], "x": [1.0, 2.0, 3.0]}
    hand = by_hand({"x": Kind.NUMBER}, (table, {"who": [7, 8], "x": [1.0, 2.0]}, table))
    found = null(hand, [], [])
    assert found["reason"] == "2 entities in the holdout"
    assert found["readings"] == {}
