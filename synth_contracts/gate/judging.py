"""The gate: (Contract, Evaluation) -> Verdict. Pure, fail-closed, without Great Expectations.

- An evaluation of another contract, or of other rules than the contract's, is never a pass.
- A rule holds only if its measurement is of the rule's own metric and column and the number judged
  is a finite int or float within the limit. Everything else is "not measured", and a rule of
  severity error that was not measured makes the verdict NOT_EVALUATED.
- A broken rule of severity error makes it FAILED, whatever else could not be measured.
- A contract without a privacy rule of severity error comes to no verdict.
- Attempt n is judged on bounds that hold at 1 - .05 / n; one of a lower level is "not measured".
- Where exports omit a part of the rows, fidelity and properties of the table were measured on
  subsets as well.
- A run is blind when a leak of the contract's ``blindAbove`` entities could have passed unseen, or
  nobody tried. Under the preset strict a blind run comes to no verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from synth_contracts.contract.expand import settle
from synth_contracts.contract.model import Contract, Rule
from synth_contracts.gate.blindness import blind_to
from synth_contracts.gate.holding import finite, is_attempt, why_unjudged, within
from synth_contracts.gate.verdict import Outcome, Reason, RuleState, RuleStatus, Verdict
from synth_contracts.gate.words import reason_text
from synth_contracts.metrics.measurement import Evaluation, Measurement
from synth_contracts.metrics.thinned import is_rechecked, is_worst_of
from synth_contracts.metrics.words import title
from synth_contracts.omission import SUBSETS, is_told


def judge(contract: Contract, evaluation: Evaluation) -> Verdict:
    """The verdict on an evaluation by the rules of ``contract``; see the module for the law.

    Never raises for what an evaluation may hold: NaN, None, infinities, text, missing or foreign
    results are "not measured".

    A contract whose columns' types were open when it was loaded is settled by the kinds that the
    evaluation was made with; those count only if they lead to the digest that was evaluated.
    """
    contract = _settled(contract, evaluation)
    attempt = evaluation.attempt if is_attempt(evaluation.attempt) else 1
    states = tuple(
        _state(rule, evaluation.results.get(rule.id), attempt) for rule in contract.rules
    )
    failed = [_reason(s) for s in states if s.status == "failed"]
    unmeasured = [
        _reason(s) for s in states if s.status == "not_measured" and s.severity != "warning"
    ]
    foreign = contract.digest != evaluation.contract_digest
    blind = blind_to(contract, evaluation.controls)
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
    if not is_attempt(evaluation.attempt):
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
    faults += _unthinned(contract, evaluation)
    if not any(r.family == "privacy" and r.severity == "error" for r in contract.rules):
        faults.append("the contract has no privacy rule of severity error")
    return faults


def _unthinned(contract: Contract, evaluation: Evaluation) -> list[str]:
    """Why nobody knows how exports fare that each omit a part of what was evaluated."""
    if not contract.export.fingerprint:
        return []
    if not is_told(evaluation.thinned):
        return [
            "each export omits a part of the rows (export.fingerprint), and no subset was looked at"
        ]
    alone = [
        rule.id
        for rule in contract.rules
        if is_rechecked(rule.metric)
        and isinstance(evaluation.results.get(rule.id), Measurement)
        and not is_worst_of(evaluation.results[rule.id], SUBSETS)
    ]
    return [f"measured on the whole alone, not on subsets: {', '.join(alone)}"] if alone else []


def _state(rule: Rule, result: Any, attempt: int) -> RuleState:
    status: RuleStatus
    measurement = result if isinstance(result, Measurement) else None
    number = None
    problem = why_unjudged(rule, result, attempt)
    if problem is None and measurement is not None:
        number = measurement.number(rule.judged)
        reason = reason_text(rule, measurement)
        # a bound inside a limit that the value breaks is no bound
        if within(rule, number) and (rule.judged != "bound" or within(rule, measurement.value)):
            status = "passed"
        elif rule.judged == "bound" and within(rule, measurement.value):
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
        value=finite(measurement.value) if measurement else None,
        number=finite(number),
        lower=finite(measurement.lower) if measurement else None,
        upper=finite(measurement.upper) if measurement else None,
        reason=reason,
    )


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
