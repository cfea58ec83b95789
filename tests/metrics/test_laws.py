"""Laws that every registered metric obeys, whatever it measures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_contracts.contract.rules import RULES
from synth_contracts.metrics import METRICS, Measurement, NotMeasured, measure
from synth_contracts.tables import NUMERIC, TEMPORAL, TableSchema

ROOT = Path(__file__).resolve().parents[2]
IDS = sorted(METRICS)
PRIVACY = [m for m in IDS if METRICS[m].family == "privacy"]
#: The largest value of a clean table; RULES' limits under the preset standard.
CLEAN = {
    "membership_inference": 0.25,
    "recognized_entities": 5,
    "entity_membership_inference": 0.40,
    "outlier_membership_inference": 0.25,
    "nearest_neighbor_distance": 0.60,
    "identical_match": 0.005,
    "replicated_uniques": 0.05,
    "empirical_epsilon": 0.13,
    "singling_out": 0.09,
    "linkability": 0.09,
    "attribute_disclosure": 0.05,
}


def read(metric, comparison):
    # the toy's own quasi-identifiers are too coarse: nobody is unique on them
    if metric in {"replicated_uniques", "linkability"}:
        roles = replace(comparison.schema.roles, quasi_identifiers=("shop", "items", "amount"))
        comparison = replace(comparison, schema=replace(comparison.schema, roles=roles))
    if metric in {"attribute_disclosure", "l_diversity", "t_closeness"}:
        fine = metric == "attribute_disclosure"
        roles = replace(
            comparison.schema.roles,
            quasi_identifiers=("shop", "items", "amount") if fine else ("kind", "member"),
            sensitive=("kind", "at") if fine else ("shop", "amount"),
        )
        comparison = replace(comparison, schema=replace(comparison.schema, roles=roles))
    column = "amount" if METRICS[metric].scope == "column" else None
    return measure(metric, comparison, column=column)


@pytest.mark.parametrize("metric", IDS)
def test_each_metric_has_its_page_its_tests_and_its_rule(metric):
    page = (ROOT / "docs" / "metrics" / f"{metric}.md").read_text()
    assert page.startswith(f"# {metric}\n")
    for part in ("## In plain words", "## Definition", "## Interval", "## Choosing the limit",
                 "## What it cannot see"):  # fmt: skip
        assert part in page
    assert (ROOT / "tests" / "metrics" / f"test_{metric}.py").exists()
    assert RULES[metric].family == METRICS[metric].family
    assert RULES[metric].scope == METRICS[metric].scope


def test_every_rule_has_its_metric():
    assert set(RULES) == set(METRICS)


@pytest.mark.parametrize("metric", IDS)
def test_order_of_rows_and_columns_changes_no_bit(metric, toys, remake):
    r = np.random.default_rng(5)
    shuffled = {
        name: (frame := getattr(toys, name))
        .iloc[r.permutation(len(frame))]
        .reset_index(drop=True)[list(r.permutation(frame.columns))]
        for name in ("train", "holdout", "synthetic")
    }
    fields = tuple(reversed(toys.schema.fields))
    other = remake(**shuffled, schema=TableSchema("toy", fields, toys.schema.roles))
    assert read(metric, other) == read(metric, toys)


@pytest.mark.parametrize("metric", IDS)
def test_the_same_seed_gives_the_same_bits(metric, toys, remake):
    assert read(metric, remake()) == read(metric, toys)


@pytest.mark.parametrize("metric", IDS)
def test_a_proper_table_is_measured(metric, toys):
    found = read(metric, toys)
    assert isinstance(found, Measurement), found
    assert found.metric == metric
    assert found.unit
    assert found.method
    assert found.compared_with
    higher = metric in {"k_anonymity", "l_diversity", "calendar_correlation"}
    assert found.direction == ("higher_is_better" if higher else "lower_is_better")


@pytest.mark.parametrize("metric", sorted(CLEAN))
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_fresh_entities_are_clean_and_a_copy_of_train_is_the_worst(metric, seed, toys, remake):
    fresh = read(metric, remake(seed=seed))
    by_lower = metric in {"empirical_epsilon", "identical_match", "recognized_entities"}
    judged = fresh.bound_lower if by_lower else fresh.value
    assert judged <= CLEAN[metric]
    half = toys.synthetic.copy()
    features = [f.name for f in toys.schema.features]
    half.loc[half.index[::2], features] = toys.train[features].iloc[::2].to_numpy()
    some, worst = (read(metric, remake(seed=seed, synthetic=s)) for s in (half, toys.train))
    assert fresh.value < some.value <= worst.value
    assert worst.value > CLEAN[metric]
    assert worst.value > 0.95


@pytest.mark.parametrize("metric", [m for m in IDS if METRICS[m].family == "fidelity"])
def test_a_copy_of_the_reference_is_the_best(metric, toys, remake):
    of_train = metric in {"autocorrelation", "calendar_correlation", "forecast_utility"}
    found = read(metric, remake(synthetic=toys.train if of_train else toys.holdout))
    if metric == "calendar_correlation":
        assert found.value == pytest.approx(1)
        assert found.ceiling < found.value
        return
    if metric == "forecast_utility":  # the same forecaster errs as much as itself
        assert found.value == 1
        return
    if metric == "detection":  # a twin stands on the other side: the guess is worse than a coin's
        assert found.value <= 0.5
        return
    assert found.value == pytest.approx(0, abs=1e-12)
    # in toys no column but one is ever null, and all entities have five rows
    assert found.floor > 0 or metric in {"missingness", "entity_profile"}


def spoil(frame: pd.DataFrame, schema: TableSchema, how: str, column: str) -> pd.DataFrame:
    """``frame`` with one fault."""
    frame = frame.copy()
    kind = schema.field(column).kind
    if how == "empty":
        return frame.iloc[:0]
    if how == "one row":
        return frame.iloc[:1]
    if how == "all null":
        frame[column] = np.nan if kind in NUMERIC else None
        if kind in TEMPORAL:
            frame[column] = frame[column].astype("datetime64[ns]")
    if how == "some null":
        frame.loc[frame.index[::3], column] = np.nan if kind in NUMERIC else None
    if how == "null keys":
        frame["who"] = None
    if how == "one entity":
        frame["who"] = 1
    if kind in NUMERIC:
        changed = {"negative": -frame[column], "infinite": np.inf, "huge": frame[column] * 1e300}
        frame[column] = changed.get(how, frame[column])
    if kind not in NUMERIC | TEMPORAL and how == "unseen":
        frame[column] = "never seen"
    return frame


FAULTS = ["empty", "one row", "all null", "some null", "null keys", "one entity", "negative",
          "infinite", "huge", "unseen"]  # fmt: skip
FEATURES = ["at", "items", "amount", "shop", "kind", "member"]


@pytest.mark.parametrize("metric", IDS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    faults=st.lists(
        st.tuples(
            st.sampled_from(["train", "holdout", "synthetic"]),
            st.sampled_from(FAULTS),
            st.sampled_from(FEATURES),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_bad_data_give_a_value_or_a_reason(metric, faults, toys):
    spoilt = replace(toys)
    for name, how, column in faults:
        frame = spoil(getattr(spoilt, name), toys.schema, how, column)
        spoilt = replace(spoilt, **{name: frame})
    found = read(metric, spoilt)
    if isinstance(found, NotMeasured):
        assert found.reason
        assert not found.error
        return
    assert isinstance(found, Measurement)
    numbers = [found.value, found.lower, found.upper, found.bound_lower, found.bound_upper,
               found.floor]  # fmt: skip
    assert all(number is None or math.isfinite(number) for number in numbers)


@pytest.mark.parametrize("metric", IDS)
def test_a_table_without_rows_is_not_measured(metric, toys, remake):
    assert isinstance(read(metric, remake(synthetic=toys.synthetic.iloc[:0])), NotMeasured)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_not_measured(value, toys, monkeypatch):
    clean = measure("k_anonymity", toys)
    broken = replace(METRICS["k_anonymity"], measure=lambda *_: replace(clean, value=value))
    monkeypatch.setitem(METRICS, "k_anonymity", broken)
    found = measure("k_anonymity", toys)
    assert isinstance(found, NotMeasured)
    assert str(value) in found.reason


def test_a_floor_or_ceiling_that_is_not_there_is_no_number(toys):
    found = measure("missingness", toys)
    assert found.number("over_floor") == found.value - found.floor
    assert replace(found, floor=None).number("over_floor") is None
    for ceiling in (None, 0.0, -0.1, math.nan):
        assert replace(found, ceiling=ceiling).number("ceiling_share") is None
    assert replace(found, value=0.3, ceiling=0.6).number("ceiling_share") == 0.5


def test_unknown_metrics_columns_and_options_are_mistakes_of_the_caller(toys):
    with pytest.raises(ValueError, match="no metric"):
        measure("membership", toys)
    with pytest.raises(ValueError, match="column"):
        measure("ks", toys)
    with pytest.raises(ValueError, match="column"):
        measure("ks_mean", toys, column="amount")
    with pytest.raises(ValueError, match="options"):
        measure("ks_mean", toys, options={"lags": [1]})
