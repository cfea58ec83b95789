"""The gate: (Contract, Evaluation) -> Verdict. Pure, fail-closed, without Great Expectations.

- An evaluation of another contract, or of other rules than the contract's, is never a pass.
- A rule holds only if its measurement is of the rule's own metric and column and the number judged
  is a finite int or float within the limit. Everything else is "not measured", and a rule of
  severity error that was not measured makes the verdict NOT_EVALUATED.
- A broken rule of severity error makes it FAILED, whatever else could not be measured.
- A contract without a privacy rule of severity error comes to no verdict.
- Attempt n is judged on bounds that hold at 1 - .05 / n; one of a lower level is "not measured".
- A run is blind when a leak of the contract's ``blindAbove`` entities could have passed unseen, or
  nobody tried. Under the preset strict a blind run comes to no verdict.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Any, Literal, get_args

from synth_contracts.contract.expand import settle
from synth_contracts.contract.model import Contract, Judged, Rule, Severity
from synth_contracts.errors import NotEvaluatedError, ReleaseBlocked
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured
from synth_contracts.metrics.words import against, limit_text, number_text, title

__all__ = [
    "Outcome",
    "Reason",
    "RuleState",
    "Verdict",
    "blocked",
    "entities_needed",
    "judge",
    "level_at",
    "limit_text",
    "number_text",
    "reason_text",
    "repeated_tries",
    "title",
]


class Outcome(StrEnum):
    """The three outcomes. NOT_EVALUATED is neither a pass nor a block."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    NOT_EVALUATED = "NOT_EVALUATED"


RuleStatus = Literal["passed", "failed", "warned", "not_measured", "not_asked"]


@dataclass(frozen=True)
class RuleState:
    """What became of one rule. ``number`` is the number judged, ``reason`` says it in words."""

    rule_id: str
    metric: str
    column: str | None
    status: RuleStatus
    severity: Severity | None
    operator: str | None
    threshold: float | None
    judged: Judged | None
    value: float | None
    number: float | None
    lower: float | None
    upper: float | None
    reason: str


@dataclass(frozen=True)
class Reason:
    """Why a candidate was not passed: a broken or unmeasured rule, in words."""

    metric: str
    column: str | None
    value: float | None
    threshold: float | None
    text: str


@dataclass(frozen=True)
class Verdict:
    """Outcome, the reasons for it, and the state of every rule of the contract.

    ``blind`` says of which leaks the run would have missed more than the contract's ``blindAbove``.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    states: tuple[RuleState, ...]
    contract_digest: str
    rows_digest: str
    blind: tuple[str, ...] = ()

    @property
    def undecided(self) -> bool:
        """Whether a value lies inside its limit and only its bound outside: luck may turn it."""
        return any(
            state.status == "not_measured" and state.number is not None for state in self.states
        )

    @property
    def warnings(self) -> tuple[RuleState, ...]:
        """Rules of severity warning that did not hold."""
        return tuple(state for state in self.states if state.status == "warned")


def judge(contract: Contract, evaluation: Evaluation) -> Verdict:
    """The verdict on an evaluation by the rules of ``contract``; see the module for the law.

    Never raises for what an evaluation may hold: NaN, None, infinities, text, missing or foreign
    results are "not measured".

    A contract whose columns' types were open when it was loaded is settled by the kinds that the
    evaluation was made with; those count only if they lead to the digest that was evaluated.
    """
    contract = _settled(contract, evaluation)
    attempt = evaluation.attempt if _is_attempt(evaluation.attempt) else 1
    states = tuple(
        _state(rule, evaluation.results.get(rule.id), attempt) for rule in contract.rules
    )
    failed = [_reason(s) for s in states if s.status == "failed"]
    unmeasured = [
        _reason(s) for s in states if s.status == "not_measured" and s.severity != "warning"
    ]
    foreign = contract.digest != evaluation.contract_digest
    blind = _blind(contract, evaluation.controls)
    faults = [Reason("contract", None, None, None, text) for text in _faults(contract, evaluation)]
    if contract.preset == "strict":
        faults += [Reason("contract", None, None, None, f"the run is blind: {t}") for t in blind]
    if foreign or not failed:
        # the numbers of another contract's evaluation prove nothing, not even a failure
        reasons = [*faults, *unmeasured, *failed]
        outcome = Outcome.NOT_EVALUATED if reasons else Outcome.PASSED
    else:
        reasons = [*failed, *faults, *unmeasured]
        outcome = Outcome.FAILED
    return Verdict(
        outcome=outcome,
        reasons=tuple(reasons),
        states=(*states, *_not_asked(contract)),
        contract_digest=contract.digest,
        rows_digest=evaluation.rows_digest,
        blind=blind,
    )


#: Leaks that every run must be able to see. Noisy and interpolated rows do not count: on a table of
#: few columns they are like any fresh row, and no limit tells them apart.
BLIND_KINDS = ("exact", "whole_entities")


def _blind(contract: Contract, controls: Any) -> tuple[str, ...]:
    """Of which leaks more than ``blindAbove`` entities could have passed; empty without that key.

    Never raises: a control that is missing, or not as control() makes it, was not made.
    """
    most = contract.blind_above
    if most is None:
        return ()
    if not isinstance(controls, Mapping) or not isinstance(controls.get("kinds"), list):
        why = controls.get("reason") if isinstance(controls, Mapping) else None
        return (f"no leak was planted ({why or 'the positive control was not made'})",)
    planted = {
        (str(item.get("kind")), str(item.get("among"))): item
        for item in controls["kinds"]
        if isinstance(item, Mapping)
    }
    found = []
    for kind in BLIND_KINDS:
        if kind == "whole_entities" and contract.roles.entity_key is None:
            continue
        for among in ("random", "isolated"):
            text = _missed(planted.get((kind, among)), most)
            if text is not None:
                found.append(f"{_LEAK_WORDS[kind]} ({among}): {text}")
    return tuple(found)


_LEAK_WORDS = {"exact": "exact rows", "whole_entities": "whole entities"}


def _missed(item: Mapping[str, Any] | None, most: int) -> str | None:
    """How more than ``most`` entities of one leak could have passed; None when not."""
    if item is None or item.get("reason"):
        return f"not planted ({(item or {}).get('reason') or 'no record of it'})"
    smallest = item.get("smallest")
    if smallest is None:
        return f"not even {item.get('largest_tried')} entities would have been blocked"
    if not isinstance(smallest, int) or isinstance(smallest, bool) or smallest < 0:
        return f"the smallest leak blocked is {smallest!r}, which is no number"
    if smallest > most:
        return f"blocked from {smallest} entities on, and the contract asks for {most}"
    return None


def blocked(contract: Contract, verdict: Verdict) -> ReleaseBlocked | NotEvaluatedError:
    """The error that says in the contract's words why ``verdict`` releases nothing.

    Raises:
        ValueError: the verdict is PASSED.
    """
    words = "; ".join(reason.text for reason in verdict.reasons)
    if verdict.outcome is Outcome.FAILED:
        return ReleaseBlocked(f"Synthetic release blocked: {words}")
    if verdict.outcome is Outcome.NOT_EVALUATED:
        return NotEvaluatedError(
            f"Synthetic release not evaluated: {words}",
            mend=f"nothing of {contract.table} was released; mend what could not be measured "
            "and build again",
        )
    raise ValueError("the verdict is PASSED: nothing is blocked")


def level_at(attempt: int) -> float:
    """The level that one-sided bounds of attempt ``attempt`` (1 or more) must hold at."""
    return 1 - 0.05 / attempt


def _is_attempt(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _settled(contract: Contract, evaluation: Evaluation) -> Contract:
    kinds = evaluation.kinds
    told = isinstance(kinds, Mapping) and all(isinstance(kind, str) for kind in kinds.values())
    if contract.digest == evaluation.contract_digest or not kinds or not told:
        return contract
    settled = settle(contract, evaluation.kinds)
    return settled if settled.digest == evaluation.contract_digest else contract


def _faults(contract: Contract, evaluation: Evaluation) -> list[str]:
    """Why the evaluation as a whole does not answer the contract."""
    faults = []
    if not _is_attempt(evaluation.attempt):
        faults.append(f"the evaluation is of attempt {evaluation.attempt!r}, which is no number")
    if contract.digest != evaluation.contract_digest:
        faults.append(
            f"the evaluation was made for another contract ({evaluation.contract_digest[:12]}, "
            f"not {contract.digest[:12]})"
        )
    asked = Counter(rule.id for rule in contract.rules)
    twice = sorted(rule_id for rule_id, count in asked.items() if count > 1)
    if twice:
        faults.append(f"the contract names rules twice: {', '.join(twice)}")
    missing = [rule_id for rule_id in asked if rule_id not in evaluation.results]
    if missing:
        faults.append(f"rules of the contract were not evaluated: {', '.join(missing)}")
    extra = [rule_id for rule_id in evaluation.results if rule_id not in asked]
    if extra:
        faults.append(f"rules were evaluated that the contract does not hold: {', '.join(extra)}")
    if not any(r.family == "privacy" and r.severity == "error" for r in contract.rules):
        faults.append("the contract has no privacy rule of severity error")
    return faults


def _state(rule: Rule, result: Any, attempt: int) -> RuleState:
    status: RuleStatus
    measurement = result if isinstance(result, Measurement) else None
    number = None
    problem = _problem(rule, result, attempt)
    if problem is None and measurement is not None:
        number = measurement.number(rule.judged)
        reason = reason_text(rule, measurement)
        # a bound inside a limit that the value breaks is no bound
        if _within(rule, number) and (rule.judged != "bound" or _within(rule, measurement.value)):
            status = "passed"
        elif rule.judged == "bound" and _within(rule, measurement.value):
            status = "not_measured"
        else:
            status = "warned" if rule.severity == "warning" else "failed"
    else:
        status = "not_measured"
        reason = f"{title(rule.metric, rule.column)} was not measured: {problem}"
    return RuleState(
        rule_id=rule.id,
        metric=rule.metric,
        column=rule.column,
        status=status,
        severity=rule.severity,
        operator=rule.operator,
        threshold=rule.threshold,
        judged=rule.judged,
        value=_finite(measurement.value) if measurement else None,
        number=_finite(number),
        lower=_finite(measurement.lower) if measurement else None,
        upper=_finite(measurement.upper) if measurement else None,
        reason=reason,
    )


def _problem(rule: Rule, result: Any, attempt: int) -> str | None:
    """Why ``result`` cannot be judged by ``rule``; None when it can."""
    if _finite(rule.threshold) is None or rule.operator not in ("<=", ">="):
        return f"its limit ({rule.operator} {rule.threshold}) is not a finite number"
    if isinstance(result, NotMeasured):
        return result.reason or "no reason given"
    if result is None:
        return "the evaluation holds no result for it"
    if not isinstance(result, Measurement):
        return f"the result is no measurement but {type(result).__name__}"
    if (result.metric, result.column) != (rule.metric, rule.column):
        return f"the result is of {title(result.metric, result.column)}"
    if result.direction != ("lower_is_better" if rule.operator == "<=" else "higher_is_better"):
        return f"{result.direction} cannot be judged by {rule.operator}"
    if _finite(result.value) is None:
        return f"its value is {result.value!r}"
    if rule.judged not in get_args(Judged):
        return f"there is no number called {rule.judged}"
    # what the judged number is made of: an infinite ceiling would make any share 0
    part = _PARTS.get(rule.judged)
    if part is not None and _finite(getattr(result, part)) is None:
        return f"its {part} is {getattr(result, part)!r}"
    if _finite(result.number(rule.judged)) is None:
        return f"it has no finite {_JUDGED_WORDS[rule.judged]}"
    # a value outside is broken at any level
    if rule.judged == "bound" and _within(rule, result.value):
        level = _level(result)
        if level is None or level < level_at(attempt) - 1e-9:
            said = "an unknown level" if level is None else f"{_percent(level)} %"
            return (
                f"its one-sided bound holds at {said}, and attempt {attempt} is judged at "
                f"{_percent(level_at(attempt))} %"
            )
    return None


def _level(measurement: Measurement) -> float | None:
    """The level that the one-sided bounds hold at: .95 unless ``bound_level`` says another."""
    return _finite(_details(measurement).get("bound_level", 0.95))


def _details(measurement: Measurement) -> Mapping[str, Any]:
    return measurement.details if isinstance(measurement.details, Mapping) else {}


def _percent(level: float) -> str:
    return f"{100 * level:.6g}" if level > 0.999 else f"{100 * level:.4g}"


_PARTS = {"over_floor": "floor", "ceiling_share": "ceiling"}


def _finite(number: Any) -> float | None:
    """The number, if it is a finite int or float and no bool; else None."""
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    return number if math.isfinite(number) else None


def _within(rule: Rule, number: Any) -> bool:
    if _finite(number) is None:
        return False
    holds = number <= rule.threshold if rule.operator == "<=" else number >= rule.threshold
    return bool(holds)


def _reason(state: RuleState) -> Reason:
    return Reason(state.metric, state.column, state.value, state.threshold, state.reason)


def _not_asked(contract: Contract) -> tuple[RuleState, ...]:
    return tuple(
        RuleState(
            rule_id=item.id,
            metric=item.id,
            column=None,
            status="not_asked",
            severity=None,
            operator=None,
            threshold=None,
            judged=None,
            value=None,
            number=None,
            lower=None,
            upper=None,
            reason=f"not asked, {item.reason}",
        )
        for item in contract.not_asked
    )


# Words. The report uses the same ones.

_JUDGED_WORDS: dict[str, str] = {
    "value": "value",
    "bound": "one-sided bound",
    "lower": "lower 95 % bound",
    "over_floor": "value over its floor",
    "ceiling_share": "share of its ceiling",
}


def reason_text(rule: Rule, measurement: Measurement) -> str:
    """What ``rule`` says of ``measurement`` in one clause, in the contract's words.

    Args:
        rule: the rule; its threshold is a finite number.
        measurement: of the rule's metric, with a finite value and a finite judged number.
    """
    return f"{_clause(rule, measurement)}{_together(rule, measurement)}"


def _together(rule: Rule, measurement: Measurement) -> str:
    """Said where the table alone holds a rule that it breaks together with earlier releases."""
    alone, beside = (_details(measurement).get(name) for name in ("alone", "beside"))
    if not isinstance(alone, Mapping) or not isinstance(beside, Mapping):
        return ""
    by = {"lower": "bound_lower", "bound": "bound_upper"}.get(rule.judged, "value")
    held = _within(rule, alone.get(by)) and (by != "bound_upper" or _within(rule, alone["value"]))
    number = measurement.number(rule.judged)
    broken = not _within(rule, number) or (
        by == "bound_upper" and not _within(rule, measurement.value)
    )
    if not (held and broken):
        return ""
    count = beside.get("releases")
    many = "1 earlier release" if count == 1 else f"{count} earlier releases"
    alone_it = against(alone[by], rule.threshold)
    return f", together with {many} of the same source (alone it reads {alone_it})"


def _clause(rule: Rule, measurement: Measurement) -> str:
    value, limit = measurement.value, rule.threshold
    judged = measurement.number(rule.judged)
    assert judged is not None  # noqa: S101 - see Args: callers have checked it
    name = title(rule.metric, rule.column)
    holds = _within(rule, judged)
    if rule.operator == "<=":
        relation = "is at most" if holds else "is above"
    else:
        relation = "is at least" if holds else "is below"
    words = f"{relation} {limit_text(limit)}"
    number = against(judged, limit)
    if rule.judged == "lower":
        return f"{name} {number_text(value)} (its lower 95 % bound {number} {words})"
    if rule.judged == "over_floor":
        floor = number_text(_finite(measurement.floor) or 0.0)
        return f"{name} {number_text(value)}, {number} over the floor {floor}, {words}"
    if rule.judged == "ceiling_share":
        ceiling = number_text(_finite(measurement.ceiling) or 0.0)
        return f"{name} {number_text(value)}, {number} of the ceiling {ceiling}, {words}"
    if rule.judged == "bound" and _within(rule, value):
        bound = f"its one-sided {_percent(_level(measurement) or 0.95)} % bound {number} {words}"
        if holds:
            return f"{name} {number_text(value)} ({bound})"
        return (
            f"{name} {number_text(value)} is within {limit_text(limit)}, but {bound}: "
            f"too few entities{_needed_words(rule, measurement)}"
        )
    if rule.judged == "bound":
        words = f"is {'above' if rule.operator == '<=' else 'below'} {limit_text(limit)}"
    return f"{name} {against(value, limit)}{_interval(measurement)} {words}"


def _interval(measurement: Measurement) -> str:
    lower, upper = _finite(measurement.lower), _finite(measurement.upper)
    if lower is None or upper is None:
        return ""
    return f" (95 % interval {number_text(lower)} to {number_text(upper)})"


def entities_needed(rule: Rule, measurement: Measurement) -> int | None:
    """Holdout entities at which the bound would meet the limit; None when nothing tells.

    An extrapolation: the bound keeps its distance to the value as 1 / sqrt(entities), and the value
    stays where it is. ``measurement.details`` holds the number now (``non_member_entities``) and,
    where an attack makes more guesses than its share of a small table, how many times more
    (``guess_floor``): until the table has grown by that much, it makes no more of them.
    """
    now = _finite(_details(measurement).get("non_member_entities"))
    bound, value = _finite(measurement.number("bound")), _finite(measurement.value)
    if now is None or now < 1 or bound is None or value is None:
        return None
    room = rule.threshold - value
    if room * (bound - value) <= 0:  # at the limit already, or on its other side
        return None
    floor = max(_finite(_details(measurement).get("guess_floor")) or 1.0, 1.0)
    needed = now * floor * ((bound - value) / room) ** 2
    return math.ceil(round(needed, 6)) if math.isfinite(needed) else None


def _needed_words(rule: Rule, measurement: Measurement) -> str:
    needed = entities_needed(rule, measurement)
    if needed is None:
        return ""
    now = int(_details(measurement)["non_member_entities"])
    return (
        f", about {_about(needed):,} holdout entities would be needed (now {now:,}, extrapolated "
        "from the width of the bound)"
    )


def _about(number: int) -> int:
    """``number`` rounded up to two digits: an extrapolation knows no more."""
    unit: int = 10 ** max(len(str(number)) - 2, 0)
    return -(-number // unit) * unit


def repeated_tries(contract: Contract, evaluation: Evaluation, attempt: int) -> str | None:
    """What trying until it passes comes to, from this run's own interval; None without one.

    The rule looked at is the first privacy rule of severity error whose metric has an interval
    (membership_inference, where it is asked). Under a rule that judges the value, the standard
    error is read off the interval and the generator is taken to be truly over the limit by half of
    it, or where this run reads if that is more; tries are taken as independent. Under a rule that
    judges the bound the chance has a ceiling, whatever the generator.

    Args:
        contract: settled, as it was evaluated.
        evaluation: of this attempt.
        attempt: its number, 1 or more.
    """
    most = max(contract.export.max_attempts, attempt)
    for rule in contract.rules:
        found = evaluation.results.get(rule.id)
        if rule.family != "privacy" or rule.severity != "error" or rule.operator != "<=":
            continue
        if not isinstance(found, Measurement) or _problem(rule, found, attempt) is not None:
            continue
        if rule.judged == "bound":
            return _tries_of_bounds(rule, attempt, most)
        spread = _standard_error(found)
        if rule.judged == "value" and spread:
            return _tries_of_values(rule, found.value, spread, attempt, most)
    return None


def _tries_of_bounds(rule: Rule, attempt: int, most: int) -> str:
    def ceiling(tries: int) -> str:
        missed = math.prod(level_at(n) for n in range(1, tries + 1))
        return _percent(math.ceil(round(1000 * (1 - missed), 6)) / 1000)

    later = f", in {most} tries in at most {ceiling(most)} %" if most > attempt else ""
    tries = "" if attempt == 1 else f" at least once in {attempt} tries"
    return (
        f"Attempt {attempt} is judged on a bound that holds at {_percent(level_at(attempt))} %. A "
        f"generator truly at {limit_text(rule.threshold)} or above passes {rule.metric}{tries} in "
        f"at most {ceiling(attempt)} %{later} (independent tries)."
    )


def _tries_of_values(rule: Rule, value: float, spread: float, attempt: int, most: int) -> str:
    limit = rule.threshold
    truly = max(value, limit + spread / 2)
    once = NormalDist().cdf((limit - truly) / spread)

    def chance(tries: int) -> str:
        percent = 100 * (1 - (1 - once) ** tries)
        return "under 1 %" if percent < 1 else "over 99 %" if percent > 99 else f"{percent:.0f} %"

    like = ", where this one reads," if truly == value else ""
    later = f", in {most} tries in {chance(most)}" if most > attempt else ""
    tries = "" if attempt == 1 else f", at least once in {attempt} tries in {chance(attempt)}"
    return (
        f"With this run's standard error of {number_text(spread)} a generator truly at "
        f"{against(truly, limit)}{like} passes the limit {limit_text(limit)} of {rule.metric} once "
        f"in {chance(1)}{tries}{later} (independent tries)."
    )


def _standard_error(measurement: Measurement) -> float | None:
    """From the two-sided interval, which is widened for the number of attacks looked at."""
    lower, upper = _finite(measurement.lower), _finite(measurement.upper)
    if lower is None or upper is None or not upper > lower:
        return None
    attacks = _details(measurement).get("attacks")
    tests = max(len(attacks), 1) if isinstance(attacks, Mapping) else 1
    return (upper - lower) / (2 * NormalDist().inv_cdf(1 - 0.025 / tests))
