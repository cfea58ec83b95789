"""The gate: every way in which a number can be missing, wrong or broken."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_contracts.contract import load_contract, settle
from synth_contracts.contract.model import (
    Contract,
    ExportPolicy,
    GeneratorSpec,
    NotAsked,
    Roles,
    Rule,
)
from synth_contracts.errors import NotEvaluatedError, ReleaseBlocked
from synth_contracts.gate import (
    Outcome,
    blocked,
    entities_needed,
    judge,
    level_at,
    limit_text,
    number_text,
    reason_text,
    repeated_tries,
)
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
    math.nan, None, math.inf, -math.inf, True, False, "0.1", np.bool_(True), np.nan, [0.1], object,
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
    (state,) = judge(contract(MEMBER), evaluation({})).states
    assert state.status == "not_measured"
    assert "holds no result" in state.reason
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
    assert verdict.undecided
    assert not judge(contract(strict), evaluation({strict.id: measurement(0.4)})).undecided
    assert not judge(contract(strict), evaluation({})).undecided
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert verdict.reasons[0].text.endswith("too few entities")
    assert outcome([strict], {strict.id: measurement(0.31, bound_upper=0.29)}) is Outcome.FAILED
    assert outcome([strict], {strict.id: measurement(0.2, bound_upper=0.3)}) is Outcome.PASSED
    assert outcome([strict], {strict.id: measurement(0.31, bound_upper=0.4)}) is Outcome.FAILED


def test_too_few_entities_says_how_many_would_do() -> None:
    """.2 with a bound at .4 under .3: half the width, so four times the entities."""
    strict = rule(judged="bound", threshold=0.3)
    found = measurement(0.2, bound_upper=0.4, details={"non_member_entities": 270})
    assert entities_needed(strict, found) == 1080
    (reason,) = judge(contract(strict), evaluation({strict.id: found})).reasons
    assert reason.text == (
        "membership_inference 0.20 is within 0.30, but its one-sided 95 % bound 0.40 is above "
        "0.30: too few entities, about 1,100 holdout entities would be needed (now 270, "
        "extrapolated from the width of the bound)"
    )
    for details in ({}, {"non_member_entities": None}, {"non_member_entities": 0}):
        assert entities_needed(strict, replace(found, details=details)) is None
    assert entities_needed(strict, replace(found, value=0.3)) is None, "no number is enough"
    floor = {"non_member_entities": 270, "guess_floor": 2.0}
    assert entities_needed(strict, replace(found, details=floor)) == 2160


@pytest.mark.parametrize(
    ("attempt", "level", "expected"),
    [
        (1, None, Outcome.PASSED),
        (1, 0.95, Outcome.PASSED),
        (2, None, Outcome.NOT_EVALUATED),
        (2, 0.95, Outcome.NOT_EVALUATED),
        (2, 0.974, Outcome.NOT_EVALUATED),
        (2, 0.975, Outcome.PASSED),
        (2, 0.99, Outcome.PASSED),
        (5, 0.98, Outcome.NOT_EVALUATED),
        (5, 0.99, Outcome.PASSED),
        (2, math.nan, Outcome.NOT_EVALUATED),
        (2, "0.99", Outcome.NOT_EVALUATED),
    ],
)
def test_attempt_n_is_judged_on_a_bound_at_its_level(
    attempt: int, level: Any, expected: Outcome
) -> None:
    strict = rule(judged="bound", threshold=0.3)
    details = {} if level is None else {"bound_level": level}
    found = evaluation(
        {strict.id: measurement(0.1, bound_upper=0.25, details=details)}, attempt=attempt
    )
    verdict = judge(contract(strict), found)
    assert verdict.outcome is expected
    if expected is Outcome.NOT_EVALUATED:
        assert f"attempt {attempt} is judged at" in verdict.reasons[0].text
    outside = measurement(0.5, bound_upper=0.6, details=details)
    broken = judge(contract(strict), evaluation({strict.id: outside}, attempt=attempt))
    assert broken.outcome is Outcome.FAILED, "a value outside is broken at any level"
    by_value = judge(contract(MEMBER), replace(found, results={MEMBER.id: measurement(0.1)}))
    assert by_value.outcome is Outcome.PASSED


@pytest.mark.parametrize("attempt", [0, -1, 1.0, "2", True, None, math.nan], ids=repr)
def test_an_evaluation_of_no_attempt_is_not_a_pass(attempt: Any) -> None:
    found = evaluation({MEMBER.id: measurement()}, attempt=attempt)
    assert judge(contract(MEMBER), found).outcome is Outcome.NOT_EVALUATED


def test_levels_of_attempts() -> None:
    assert [level_at(n) for n in (1, 2, 5)] == pytest.approx([0.95, 0.975, 0.99])


def test_what_repeated_tries_come_to_is_said_from_the_runs_own_interval() -> None:
    """A standard error of .06: truly at .28, one try in 31 %, four in 77 %, five in 84 %."""
    width = 1.959964 * 0.06
    found = measurement(0.2, lower=0.2 - width, upper=0.2 + width)
    assert repeated_tries(contract(MEMBER), evaluation({MEMBER.id: found}), 4) == (
        "With this run's standard error of 0.060 a generator truly at 0.28 passes the limit 0.25 "
        "of membership_inference once in 31 %, at least once in 4 tries in 77 %, in 5 tries in "
        "84 % (independent tries)."
    )
    blocked_one = replace(found, value=0.31)
    said = repeated_tries(contract(MEMBER), evaluation({MEMBER.id: blocked_one}), 1)
    assert said is not None
    assert "truly at 0.31, where this one reads, passes" in said
    assert "once in 16 %, in 5 tries in 58 %" in said
    two = replace(found, details={"attacks": {"a": {}, "b": {}}})
    said = repeated_tries(contract(MEMBER), evaluation({MEMBER.id: two}), 1)
    assert said is not None
    assert "standard error of 0.052" in said, "an interval for two attacks is wider"
    for silent in (measurement(0.2), NotMeasured(MEMBER.id, "no"), None):
        assert repeated_tries(contract(MEMBER), evaluation({MEMBER.id: silent}), 2) is None


def test_under_a_bound_the_chance_of_tries_has_a_ceiling() -> None:
    strict = rule(judged="bound", threshold=0.3)
    found = measurement(0.2, bound_upper=0.4, details={"bound_level": 0.975})
    said = repeated_tries(contract(strict), evaluation({strict.id: found}, attempt=2), 2)
    assert said == (
        "Attempt 2 is judged on a bound that holds at 97.5 %. A generator truly at 0.30 or above "
        "passes membership_inference at least once in 2 tries in at most 7.4 %, in 5 tries in at "
        "most 11 % (independent tries)."
    )


def test_a_contract_is_settled_by_the_kinds_it_was_evaluated_with() -> None:
    """Only kinds that lead to the evaluated digest count; others leave a foreign evaluation."""
    loaded = load_contract(Path(__file__).parent / "data" / "flights.odcs.yaml")
    kinds = {"time_hour": "date", "distance": "number"}
    settled = settle(loaded, kinds)
    assert settled.digest != loaded.digest
    results = {
        r.id: measurement(r.threshold, r.metric, direction="lower_is_better"
                          if r.operator == "<=" else "higher_is_better")
        for r in settled.rules
    }  # fmt: skip
    found = evaluation(results, contract_digest=settled.digest, kinds=kinds)
    verdict = judge(loaded, found)
    assert verdict == judge(settled, found)
    assert verdict.contract_digest == settled.digest
    assert not any("another contract" in reason.text for reason in verdict.reasons)
    for other in ({}, {"time_hour": "date"}, {"distance": 1}, 5, None):
        foreign = judge(loaded, replace(found, kinds=other))  # type: ignore[arg-type]
        assert foreign.outcome is Outcome.NOT_EVALUATED
        assert "another contract" in foreign.reasons[0].text
        assert foreign.contract_digest == loaded.digest


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


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no finding
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


def planted(smallest: Any = 20, **changes: Any) -> dict[str, Any]:
    """A positive control in which every leak was blocked from ``smallest`` entities on."""
    kinds = [
        {"kind": kind, "among": among, "smallest": smallest, "largest_tried": 500, "reason": None}
        for kind in ("exact", "noisy", "interpolated", "whole_entities")
        for among in ("random", "isolated")
    ]
    return {"power": 0.8, "kinds": kinds, **changes}


def seen(controls: Any, *, blind_above: int | None = 30, preset: str = "strict") -> Any:
    asked = replace(
        contract(MEMBER), preset=preset, blind_above=blind_above, roles=Roles(entity_key="who")
    )
    return judge(asked, evaluation({MEMBER.id: measurement(0.1)}, controls=controls))


def test_a_run_that_sees_leaks_as_small_as_asked_is_not_blind() -> None:
    for controls in (planted(20), planted(30), planted(0)):
        verdict = seen(controls)
        assert verdict.outcome is Outcome.PASSED
        assert verdict.blind == ()
    assert seen(None, blind_above=None).outcome is Outcome.PASSED


def test_a_blind_run_comes_to_no_verdict_under_strict_alone() -> None:
    verdict = seen(planted(31))
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert verdict.reasons[0].text == (
        "the run is blind: exact rows (random): blocked from 31 entities on, and the contract "
        "asks for 30"
    )
    # noisy and interpolated rows do not count
    assert len(verdict.blind) == 4
    standard = seen(planted(31), preset="standard")
    assert standard.outcome is Outcome.PASSED
    assert standard.blind == verdict.blind


BLIND: list[Any] = [
    None, {}, [], "seen", {"reason": "error: ValueError"}, {"kinds": None}, {"kinds": {}},
    {"kinds": []}, {"kinds": [None, 3]}, planted(None), planted(math.nan), planted(True),
    planted("20"), planted(-1), planted(20.0),
    {"kinds": planted()["kinds"][:2]}, {"kinds": planted()["kinds"][2:]},
    {"kinds": [{**item, "reason": "no room"} for item in planted()["kinds"]]},
    {"kinds": [{**item, "kind": ["exact"]} for item in planted()["kinds"]]},
]  # fmt: skip


@pytest.mark.parametrize("controls", BLIND, ids=lambda c: repr(c)[:60])
def test_a_control_that_is_missing_or_odd_is_blind(controls: Any) -> None:
    verdict = seen(controls)
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert verdict.blind
    assert all("blind" in reason.text for reason in verdict.reasons)


def test_without_an_entity_key_whole_entities_need_not_be_seen() -> None:
    controls = {"kinds": planted()["kinds"][:2]}
    asked = replace(contract(MEMBER), preset="strict", blind_above=30)
    found = judge(asked, evaluation({MEMBER.id: measurement(0.1)}, controls=controls))
    assert found.outcome is Outcome.PASSED


def test_a_broken_rule_fails_a_blind_run_too() -> None:
    asked = replace(contract(MEMBER), preset="strict", blind_above=30)
    verdict = judge(asked, evaluation({MEMBER.id: measurement(0.9)}))
    assert verdict.outcome is Outcome.FAILED
    assert "blind" in verdict.reasons[1].text


@pytest.mark.parametrize(
    ("judged", "threshold", "alone", "said"),
    [
        ("value", 0.25, {"value": 0.1}, True),
        ("value", 0.25, {"value": 0.28}, False),
        ("value", 0.5, {"value": 0.1}, False),
        ("lower", 0.15, {"value": 0.3, "bound_lower": 0.05}, True),
        ("lower", 0.15, {"value": 0.3, "bound_lower": 0.18}, False),
    ],
)
def test_a_rule_broken_together_alone_says_what_the_table_reads_alone(
    judged: Any, threshold: float, alone: dict[str, float], said: bool
) -> None:
    """Only where the table alone holds the rule, and with earlier releases breaks it."""
    found = measurement(0.31, bound_lower=0.2, details={"alone": alone, "beside": {"releases": 2}})
    text = reason_text(rule(threshold=threshold, judged=judged), found)
    ending = ", together with 2 earlier releases of the same source (alone it reads "
    assert (ending in text) is said
    plain = reason_text(rule(threshold=threshold, judged=judged), replace(found, details={}))
    assert text.startswith(plain)


# Exports that omit a part


def marked(*rules: Rule) -> Contract:
    return replace(contract(*rules), export=ExportPolicy(fingerprint=True))


def told(subsets: Any = 5, **changes: Any) -> dict[str, Any]:
    return {"subsets": subsets, "one_of": 10, "key": "k", **changes}


def on_subsets(value: float = 0.01, metric: str = "ks_mean", subsets: int = 5) -> Measurement:
    details = {"subsets": {"whole": value, "values": [value] * subsets}}
    return measurement(value, metric, details=details)


def test_a_fingerprint_is_passed_with_its_subsets_alone() -> None:
    rules = [rule(), rule("ks_mean", family="fidelity")]
    results = {"membership_inference": measurement(), "ks_mean": on_subsets()}
    verdict = judge(marked(*rules), evaluation(results, thinned=told()))
    assert verdict.outcome is Outcome.PASSED
    # without a fingerprint nobody asks for subsets
    assert outcome(rules, {**results, "ks_mean": measurement(0.01, "ks_mean")}) is Outcome.PASSED


@pytest.mark.parametrize(
    "record", [{}, None, told(4), told("5"), told(True), told(5.0), told(one_of=20), told(key=None)]
)
def test_a_fingerprint_without_enough_subsets_is_not_evaluated(record: Any) -> None:
    results = {"membership_inference": measurement(), "ks_mean": on_subsets()}
    rules = [rule(), rule("ks_mean", family="fidelity")]
    verdict = judge(marked(*rules), evaluation(results, thinned=record))
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert "no subset was looked at" in verdict.reasons[0].text


def test_fidelity_and_k_of_the_whole_alone_are_not_enough() -> None:
    rules = [rule(), rule("ks_mean", family="fidelity"), rule("k_anonymity", operator=">=")]
    low = measurement(12, "k_anonymity", direction="higher_is_better")
    results = {
        "membership_inference": measurement(), "ks_mean": on_subsets(subsets=4), "k_anonymity": low,
    }  # fmt: skip
    verdict = judge(marked(*rules), evaluation(results, thinned=told()))
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert verdict.reasons[0].text == (
        "measured on the whole alone, not on subsets: ks_mean, k_anonymity"
    )
