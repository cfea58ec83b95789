"""Laws that every registered metric obeys, whatever it measures."""

from __future__ import annotations

import math
from dataclasses import replace

import laws
import numpy as np
import pandas as pd
import pytest
import sabotage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import CLEAN

from synth_contracts.contract.rules import RULES
from synth_contracts.metrics import METRICS, Measurement, NotMeasured, measure
from synth_contracts.tables import NUMERIC, TEMPORAL, TableSchema

IDS = sorted(METRICS)


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
def test_each_metric_has_its_page_its_tests_its_rule_its_laws_and_its_patch(metric):
    assert laws.lacking(metric) == []


@pytest.mark.parametrize("family", ["privacy", "fidelity"])
def test_a_metric_that_lacks_them_is_seen(family, monkeypatch, tmp_path):
    fake = replace(METRICS["k_anonymity"], id="fake", family=family)
    monkeypatch.setitem(METRICS, "fake", fake)
    of_privacy = ["not covered by the law 'null'", "not covered by the law 'worst'"]
    assert laws.lacking("fake") == [
        "no docs page",
        "no test file",
        "no rule",
        *(of_privacy if family == "privacy" else []),
        "no patch of `make sabotage` breaks it",
    ]
    assert ("fake" in laws.under("best")) == (family == "fidelity")
    # each check for itself: whatever else is there, what is missing is told
    page, tests = (tmp_path / part / "metrics" for part in ("docs", "tests"))
    page.mkdir(parents=True)
    tests.mkdir(parents=True)
    monkeypatch.setitem(RULES, "fake", replace(RULES["k_anonymity"], id="fake", family=family))
    monkeypatch.setitem(laws.CLEAN, "fake", 0.1)
    patch = replace(sabotage.patches()[0], metric="fake")
    monkeypatch.setattr(sabotage, "patches", lambda: [patch])
    (tests / "test_fake.py").touch()
    assert laws.lacking("fake", tmp_path) == ["no docs page"]
    (page / "fake.md").write_text("# fake\n" + "\n".join(laws.PARTS[:-1]))
    assert laws.lacking("fake", tmp_path) == [f"its docs page has no part {laws.PARTS[-1]!r}"]
    (page / "fake.md").write_text("# fake\n" + "\n".join(laws.PARTS))
    assert laws.lacking("fake", tmp_path) == []
    (tests / "test_fake.py").unlink()
    assert laws.lacking("fake", tmp_path) == ["no test file"]
    (tests / "test_fake.py").touch()
    monkeypatch.delitem(laws.CLEAN, "fake")
    assert laws.lacking("fake", tmp_path) == (of_privacy if family == "privacy" else [])
    monkeypatch.setitem(laws.CLEAN, "fake", 0.1)
    monkeypatch.setattr(sabotage, "patches", list)
    assert laws.lacking("fake", tmp_path) == ["no patch of `make sabotage` breaks it"]


def test_what_no_law_is_asked_of_is_registered_and_says_why():
    for law, exempt in laws.EXEMPT.items():
        assert set(laws.under(law)).isdisjoint(exempt)
        for metric, reason in exempt.items():
            assert METRICS[metric].family == laws.LAWS[law]
            assert len(reason) > 20
    assert laws.under("worst") == laws.under("null") == sorted(CLEAN)


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


@pytest.mark.parametrize("metric", IDS)
def test_a_brief_comparison_reads_the_same_value_and_limits(metric, toys):
    """What the null leaves out is nothing that it prints."""
    whole, brief = read(metric, toys), read(metric, replace(toys, brief=True))
    assert type(whole) is type(brief)
    if isinstance(whole, Measurement):
        for name in ("value", "lower", "upper", "bound_lower", "bound_upper", "n", "method"):
            assert getattr(whole, name) == getattr(brief, name)


@pytest.mark.parametrize("metric", laws.under("best"))
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
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
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
