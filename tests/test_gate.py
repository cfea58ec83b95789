"""The gate: every way in which a number can be missing, wrong or broken."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_contracts.contract.model import (
    Contract,
    ExportPolicy,
    GeneratorSpec,
    NotAsked,
    Roles,
    Rule,
)
from synth_contracts.errors import NotEvaluatedError, ReleaseBlocked
from synth_contracts.gate import Outcome, blocked, judge, limit_text, number_text
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured


def rule(metric: str = "membership_inference", **changes: Any) -> Rule:
    values: dict[str, Any] = {
        "id": metric,
        "metric": metric,
        "expectation": f"expect_table_{metric}_to_be_at_most",
        "column": None,
        "operator": "<=",
        "threshold": 0.25,
        "judged": "value",
        "severity": "error",
        "family": "privacy",
    }
    return Rule(**{**values, **changes})


def measurement(
    value: Any = 0.1, metric: str = "membership_inference", **changes: Any
) -> Measurement:
    values: dict[str, Any] = {
        "metric": metric,
        "value": value,
        "n": 400,
        "unit": "entities",
        "direction": "lower_is_better",
        "method": "m",
        "compared_with": "holdout",
    }
    return Measurement(**{**values, **changes})


def contract(*rules: Rule, not_asked: tuple[NotAsked, ...] = ()) -> Contract:
    return Contract(
        path=Path("t.odcs.yaml"), text="", id="t", table="t", version="1.0.0", description={},
        source=None, columns=(), preset="standard", k=10, roles=Roles(), codes=(), holdout=0.3,
        generator=GeneratorSpec(), rules=rules, not_asked=not_asked, report_only=(),
        export=ExportPolicy(), expanded={}, digest="c" * 64,
    )  # fmt: skip


def evaluation(results: dict[str, Any], **changes: Any) -> Evaluation:
    values: dict[str, Any] = {
        "contract_digest": "c" * 64, "rows_digest": "r", "train_digest": "t", "holdout_digest": "h",
        "seed": 1, "n_train": 1, "n_holdout": 1, "n_synthetic": 1, "entities_train": 1,
        "entities_holdout": 1, "results": results,
    }  # fmt: skip
    return Evaluation(**{**values, **changes})


def outcome(rules: list[Rule], results: dict[str, Any]) -> Outcome:
    return judge(contract(*rules), evaluation(results)).outcome


MEMBER = rule()


def test_a_value_inside_its_limit_passes_and_at_the_limit_too() -> None:
    assert outcome([MEMBER], {MEMBER.id: measurement(0.1)}) is Outcome.PASSED
    assert outcome([MEMBER], {MEMBER.id: measurement(0.25)}) is Outcome.PASSED
    assert outcome([MEMBER], {MEMBER.id: measurement(math.nextafter(0.25, 1))}) is Outcome.FAILED


def test_a_broken_rule_reads_in_the_contracts_words() -> None:
    found = measurement(0.31, lower=0.24, upper=0.38)
    verdict = judge(contract(MEMBER), evaluation({MEMBER.id: found}))
    assert verdict.outcome is Outcome.FAILED
    error = blocked(contract(MEMBER), verdict)
    assert isinstance(error, ReleaseBlocked)
    assert isinstance(error, RuntimeError)
    assert str(error) == (
        "Synthetic release blocked: "
        "membership_inference 0.31 (95 % interval 0.24 to 0.38) is above 0.25"
    )
    (reason,) = verdict.reasons
    assert (reason.metric, reason.column, reason.value, reason.threshold) == (
        "membership_inference", None, 0.31, 0.25,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "found", "words"),
    [
        (
            rule("identical_match", threshold=0.005, judged="lower"),
            measurement(0.021, "identical_match", bound_lower=0.018),
            "identical_match 0.021 (its lower 95 % bound 0.018 is above 0.005)",
        ),
        (
            rule("autocorrelation", threshold=0.1, judged="over_floor", family="fidelity"),
            measurement(0.42, "autocorrelation", floor=0.13),
            "autocorrelation 0.42, 0.29 over the floor 0.13, is above 0.10",
        ),
        (
            rule("calendar", threshold=0.4, judged="ceiling_share", operator=">="),
            measurement(0.15, "calendar", ceiling=0.6, direction="higher_is_better"),
            "calendar 0.15, 0.25 of the ceiling 0.60, is below 0.40",
        ),
        (
            rule("k_anonymity", threshold=10.0, operator=">="),
            measurement(3, "k_anonymity", direction="higher_is_better"),
            "k_anonymity 3 is below 10",
        ),
        (
            rule("ks", id="ks-amount", column="amount", threshold=0.04),
            measurement(0.0404, "ks", column="amount"),
            "ks of amount 0.0404 is above 0.04",
        ),
    ],
)
def test_every_judged_number_has_its_sentence(asked: Rule, found: Measurement, words: str) -> None:
    verdict = judge(
        contract(MEMBER, asked), evaluation({MEMBER.id: measurement(), asked.id: found})
    )
    assert verdict.outcome is Outcome.FAILED
    assert [reason.text for reason in verdict.reasons] == [words]


WRONG = [
    math.nan, None, math.inf, -math.inf, True, False, "0.1", np.bool_(True), np.nan, [0.1], object(),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_what_is_no_number_is_never_a_pass(wrong: Any) -> None:
    for operator, direction in (("<=", "lower_is_better"), (">=", "higher_is_better")):
        asked = rule("extra", operator=operator, threshold=0.0)
        found = measurement(wrong, "extra", direction=direction)
        results = {MEMBER.id: measurement(), "extra": found}
        assert outcome([MEMBER, asked], results) is Outcome.NOT_EVALUATED


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize(
    ("judged", "slot"),
    [("bound", "bound_upper"), ("lower", "bound_lower"), ("over_floor", "floor"),
     ("ceiling_share", "ceiling")],
)  # fmt: skip
def test_the_judged_number_itself_must_be_one(judged: Any, slot: str, wrong: Any) -> None:
    asked = rule(judged=judged, threshold=1000.0)
    found = measurement(0.1, **{slot: wrong})
    assert outcome([asked], {asked.id: found}) is Outcome.NOT_EVALUATED


@pytest.mark.parametrize(
    "result",
    [
        None, 0.1, {"value": 0.1}, ValueError("boom"),
        NotMeasured("membership_inference", "fewer than 200 holdout entities"),
        NotMeasured("membership_inference", "error: ValueError", error=True),
        measurement(0.1, "another"), measurement(0.1, column="amount"),
        measurement(0.1, direction="higher_is_better"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_measurement_of_the_rule_is_not_measured(result: Any) -> None:
    verdict = judge(contract(MEMBER), evaluation({MEMBER.id: result}))
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert verdict.states[0].status == "not_measured"
    assert verdict.reasons[0].text.startswith("membership_inference was not measured: ")
    error = blocked(contract(MEMBER), verdict)
    assert isinstance(error, NotEvaluatedError)
    assert error.exit_code == 3


def test_missing_and_extra_rules_are_not_evaluated() -> None:
    other = rule("ks_mean", family="fidelity", severity="warning")
    good = {MEMBER.id: measurement()}
    assert outcome([MEMBER, other], good) is Outcome.NOT_EVALUATED
    extra = {**good, "unknown": measurement(0.0, "unknown")}
    assert outcome([MEMBER], extra) is Outcome.NOT_EVALUATED
    assert outcome([MEMBER], {}) is Outcome.NOT_EVALUATED
    assert outcome([MEMBER, MEMBER], good) is Outcome.NOT_EVALUATED


def test_an_evaluation_of_another_contract_proves_nothing() -> None:
    for value in (0.1, 0.9):
        found = evaluation({MEMBER.id: measurement(value)}, contract_digest="d" * 64)
        verdict = judge(contract(MEMBER), found)
        assert verdict.outcome is Outcome.NOT_EVALUATED
        assert "another contract" in verdict.reasons[0].text


def test_without_a_blocking_privacy_rule_there_is_no_verdict() -> None:
    fidelity = rule("ks_mean", family="fidelity")
    assert outcome([fidelity], {"ks_mean": measurement(0.1, "ks_mean")}) is Outcome.NOT_EVALUATED
    lax = rule(severity="warning")
    assert outcome([lax], {lax.id: measurement()}) is Outcome.NOT_EVALUATED
    assert outcome([], {}) is Outcome.NOT_EVALUATED


def test_a_broken_rule_outranks_an_unmeasured_one() -> None:
    other = rule("ks_mean", family="fidelity")
    results = {MEMBER.id: NotMeasured(MEMBER.id, "no"), "ks_mean": measurement(0.9, "ks_mean")}
    verdict = judge(contract(MEMBER, other), evaluation(results))
    assert verdict.outcome is Outcome.FAILED
    assert [reason.metric for reason in verdict.reasons] == ["ks_mean", "membership_inference"]


def test_a_bound_outside_means_too_few_entities() -> None:
    strict = rule(judged="bound", threshold=0.3)
    verdict = judge(contract(strict), evaluation({strict.id: measurement(0.2, bound_upper=0.35)}))
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert verdict.reasons[0].text.endswith("too few entities")
    assert outcome([strict], {strict.id: measurement(0.2, bound_upper=0.3)}) is Outcome.PASSED
    assert outcome([strict], {strict.id: measurement(0.31, bound_upper=0.4)}) is Outcome.FAILED


def test_warnings_do_not_block_but_are_listed() -> None:
    soft = rule("ks_mean", family="fidelity", severity="warning")
    broken = {MEMBER.id: measurement(), "ks_mean": measurement(0.9, "ks_mean")}
    verdict = judge(contract(MEMBER, soft), evaluation(broken))
    assert verdict.outcome is Outcome.PASSED
    assert [state.rule_id for state in verdict.warnings] == ["ks_mean"]
    unmeasured = {MEMBER.id: measurement(), "ks_mean": NotMeasured("ks_mean", "no numeric column")}
    verdict = judge(contract(MEMBER, soft), evaluation(unmeasured))
    assert verdict.outcome is Outcome.PASSED
    assert [state.status for state in verdict.states] == ["passed", "not_measured"]


def test_what_was_not_asked_is_listed_last() -> None:
    skipped = NotAsked("hour_profile", "no time index")
    verdict = judge(contract(MEMBER, not_asked=(skipped,)), evaluation({MEMBER.id: measurement()}))
    assert [state.status for state in verdict.states] == ["passed", "not_asked"]
    assert verdict.states[1].reason == "not asked, no time index"


@pytest.mark.parametrize("limit", [math.nan, math.inf, -math.inf, None, True, "0.25"], ids=repr)
def test_a_limit_that_is_no_number_judges_nothing(limit: Any) -> None:
    asked = rule(threshold=limit)
    assert outcome([asked], {asked.id: measurement(-5.0)}) is Outcome.NOT_EVALUATED


def test_an_unknown_severity_blocks_like_an_error() -> None:
    odd = rule("ks_mean", family="fidelity", severity="info")
    results = {MEMBER.id: measurement(), "ks_mean": measurement(0.9, "ks_mean")}
    assert outcome([MEMBER, odd], results) is Outcome.FAILED
    results["ks_mean"] = NotMeasured("ks_mean", "no")  # type: ignore[assignment]
    assert outcome([MEMBER, odd], results) is Outcome.NOT_EVALUATED


def test_a_passed_verdict_blocks_nothing() -> None:
    verdict = judge(contract(MEMBER), evaluation({MEMBER.id: measurement()}))
    with pytest.raises(ValueError, match="PASSED"):
        blocked(contract(MEMBER), verdict)


ANY = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.integers(-2, 2),
    st.floats(allow_nan=True, allow_infinity=True), st.floats(-1, 1),
)  # fmt: skip
JUDGED = st.sampled_from(["value", "bound", "lower", "over_floor", "ceiling_share"])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Rule], dict[str, Any]]:
    rules, results = [], {}
    for name in draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=4)):
        operator = draw(st.sampled_from(["<=", ">="]))
        rules.append(
            rule(
                name, operator=operator, threshold=draw(st.floats(-1, 1)), judged=draw(JUDGED),
                severity=draw(st.sampled_from(["error", "warning"])),
                family=draw(st.sampled_from(["privacy", "fidelity"])),
            )
        )  # fmt: skip
        direction = "lower_is_better" if operator == "<=" else "higher_is_better"
        numbers = st.one_of(st.floats(-1, 1), ANY)
        slots = ("lower", "upper", "bound_lower", "bound_upper", "floor", "ceiling")
        results[name] = measurement(
            draw(numbers), name, direction=direction, **{slot: draw(numbers) for slot in slots}
        )
    if draw(st.booleans()):
        results[draw(st.sampled_from("abcde"))] = draw(ANY)
    return rules, results


@given(pairs())
def test_passed_means_every_blocking_rule_has_a_finite_number_within_its_limit(
    pair: tuple[list[Rule], dict[str, Any]],
) -> None:
    rules, results = pair
    verdict = judge(contract(*rules), evaluation(results))
    if verdict.outcome is not Outcome.PASSED:
        assert verdict.reasons
        return
    assert set(results) == {asked.id for asked in rules}
    for asked in rules:
        if asked.severity != "error":
            continue
        found = results[asked.id]
        number = found.number(asked.judged)
        for slot in (found.value, number):
            assert isinstance(slot, (int, float))
            assert not isinstance(slot, bool)
            assert math.isfinite(slot)
        assert number <= asked.threshold if asked.operator == "<=" else number >= asked.threshold
    assert not verdict.reasons


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_number_never_reads_like_a_limit_that_it_is_not(value: float, limit: float) -> None:
    asked = rule(threshold=round(limit, 4))
    verdict = judge(contract(asked), evaluation({asked.id: measurement(value)}))
    words = verdict.states[0].reason.split()
    if value > asked.threshold + 1e-9:
        assert float(words[1]) > asked.threshold, words
    assert float(words[-1]) == pytest.approx(asked.threshold, abs=1e-10)


def test_numbers_read_as_people_write_them() -> None:
    texts = [number_text(n) for n in (0.31, 0.021, 0.018, 0.0, 3, 3.0, 1.0, -0.07, 12.5)]
    assert texts == ["0.31", "0.021", "0.018", "0.00", "3", "3", "1.00", "-0.070", "12.50"]
    assert [limit_text(n) for n in (0.25, 0.1, 0.005, 10.0, 0.0)] == [
        "0.25",
        "0.10",
        "0.005",
        "10",
        "0",
    ]


def test_the_state_holds_the_numbers_that_were_judged() -> None:
    found = measurement(0.2, lower=0.1, upper=0.3)
    state = judge(contract(MEMBER), evaluation({MEMBER.id: found})).states[0]
    assert (state.value, state.number, state.lower, state.upper) == (0.2, 0.2, 0.1, 0.3)
    state = judge(contract(MEMBER), evaluation({MEMBER.id: replace(found, lower=math.nan)})).states[
        0
    ]
    assert state.lower is None
    assert state.reason == "membership_inference 0.20 is at most 0.25"
