"""The expectations: their names, their required fields, and what they decide."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from great_expectations import ExpectationSuite
from great_expectations.compatibility import pydantic
from hypothesis import given
from hypothesis import strategies as st

from synth_contracts.contract.rules import RULES
from synth_contracts.expectations.binding import bound, lookup
from synth_contracts.expectations.catalog import EXPECTATIONS, replaced
from synth_contracts.expectations.measured import Measuring, result_from_json, result_to_json
from synth_contracts.metrics.measurement import Measurement, NotMeasured

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = {"bound": "comparison"}


def limit_field(kind: Any) -> str:
    return "max_value" if kind.operator == "<=" else "min_value"


def fields(kind: Any) -> dict[str, Any]:
    limit = max(0.5, RULES[kind.metric].lowest)
    found = {limit_field(kind): limit, "judged": "value", "reference": REFERENCE}
    if "_column_" in kind.expectation_type:
        found["column"] = "amount"
    return {**found, **dict.fromkeys(kind.option_keys)}


def test_every_rule_has_its_expectation_and_no_other() -> None:
    offered = [(name, spec) for spec in RULES.values() for name in spec.expectations]
    assert sorted(name for name, _ in offered) == sorted(EXPECTATIONS)
    for name, spec in offered:
        kind = EXPECTATIONS[name]
        assert (kind.expectation_type, kind.metric) == (name, spec.id)
        assert kind.operator == spec.operator
        assert set(kind.option_keys) == set(spec.options)
        words = "".join(word.capitalize() for word in name.split("_"))
        assert kind.__name__ == words
    assert replaced() == []


def test_the_docs_list_every_expectation_with_its_limit() -> None:
    lines = (ROOT / "docs" / "expectations.md").read_text(encoding="utf-8").splitlines()
    listed = [line.split("`")[1::2][:2] for line in lines if line.startswith("| `expect_")]
    assert listed == [[name, limit_field(kind)] for name, kind in EXPECTATIONS.items()]


@pytest.mark.parametrize("kind", EXPECTATIONS.values(), ids=lambda kind: kind.metric)
def test_every_field_that_decides_is_required_and_stored(kind: Any) -> None:
    good = fields(kind)
    stored = kind(**good).configuration.to_json_dict()["kwargs"]
    assert {name: stored[name] for name in good if good[name] is not None} == {
        name: value for name, value in good.items() if value is not None
    }
    for name in {limit_field(kind), "reference", "column"} & {key for key in good if good[key]}:
        with pytest.raises(pydantic.ValidationError, match=name):
            kind(**{key: value for key, value in good.items() if key != name})


@pytest.mark.parametrize("reference", [{}, {"bound": ""}, {"frame": "x"}, {"bound": "a", "b": "c"}])
def test_a_reference_is_a_bound_name(reference: dict[str, str]) -> None:
    kind = EXPECTATIONS["expect_table_ks_mean_to_be_at_most"]
    with pytest.raises(pydantic.ValidationError, match="bound"):
        kind(max_value=0.1, judged="value", reference=reference)


def test_a_suite_comes_back_from_its_json() -> None:
    suite = ExpectationSuite(
        name="all", expectations=[kind(**fields(kind)) for kind in EXPECTATIONS.values()]
    )
    back = ExpectationSuite(**suite.to_json_dict())
    assert back.expectations == suite.expectations
    assert [type(item) for item in back.expectations] == list(EXPECTATIONS.values())


def test_options_reach_the_metric_and_none_stands_for_its_own_choice() -> None:
    kind = EXPECTATIONS["expect_table_autocorrelation_to_be_at_most"]
    item = kind(**{**fields(kind), "aggregate": "sum", "column": "amount", "lags": [1, 7]})
    request = item.get_validation_dependencies().metric_configurations[
        "synth_contracts.measurement"
    ]
    assert request.metric_value_kwargs["options"] == {
        "aggregate": "sum", "column": "amount", "lags": [1, 7],
    }  # fmt: skip
    assert request.metric_value_kwargs["column"] is None


def found(**changes: Any) -> Measurement:
    values: dict[str, Any] = {
        "metric": "ks_mean", "value": 0.1, "n": 3, "unit": "columns",
        "direction": "lower_is_better", "method": "m", "compared_with": "holdout",
    }  # fmt: skip
    return Measurement(**{**values, **changes})


def decide(result: Any, **changes: Any) -> tuple[bool, str]:
    kind = EXPECTATIONS["expect_table_ks_mean_to_be_at_most"]
    item = kind(**{**fields(kind), **changes})
    answer = item._validate(metrics={"synth_contracts.measurement": result})
    assert result_from_json(answer["result"]["details"]["result"]) == result
    return answer["success"], answer["result"]["details"]["state"]


def test_a_limit_is_inclusive() -> None:
    assert decide(found(value=0.5)) == (True, "holds")
    assert decide(found(value=math.nextafter(0.5, 1))) == (False, "broken")


def test_what_was_not_measured_is_no_success() -> None:
    assert decide(NotMeasured("ks_mean", "no numeric column")) == (False, "not measured")
    assert decide(found(), judged="over_floor") == (False, "not measured")


def test_too_few_entities_are_no_success() -> None:
    assert decide(found(bound_upper=0.6), judged="bound") == (False, "not measured")
    assert decide(found(value=0.6, bound_upper=0.7), judged="bound") == (False, "broken")
    assert decide(found(bound_upper=0.5), judged="bound") == (True, "holds")


@given(st.floats(), st.sampled_from(["value", "bound", "lower", "over_floor", "ceiling_share"]))
def test_success_needs_a_number_within_the_limit(value: float, judged: Any) -> None:
    result = found(value=value, bound_lower=value, bound_upper=value, floor=0.0, ceiling=1.0)
    kind = EXPECTATIONS["expect_table_ks_mean_to_be_at_most"]
    item = kind(**{**fields(kind), "judged": judged})
    success = item._validate(metrics={"synth_contracts.measurement": result})["success"]
    assert success == (value <= 0.5)


def test_a_name_is_bound_inside_its_block_alone() -> None:
    measuring: Any = object.__new__(Measuring)
    with pytest.raises(LookupError, match="comparison"):
        lookup("comparison")
    with bound("comparison", measuring):
        assert lookup("comparison") is measuring
    with pytest.raises(LookupError):
        lookup("comparison")


@pytest.mark.parametrize(
    "result", [found(details={"a": [1, None]}), NotMeasured("m", "no", "c", True)]
)
def test_results_come_back_from_their_json(result: Any) -> None:
    assert result_from_json(result_to_json(result)) == result


@pytest.mark.parametrize("record", [{}, {"kind": "measurement"}, {"kind": "x", "metric": "m"}])
def test_foreign_records_are_no_results(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a result"):
        result_from_json(record)
