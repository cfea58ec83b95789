"""What the gate says: an outcome, the reasons for it and the state of every rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from synth_contracts.contract.model import Contract, Judged, Severity
from synth_contracts.errors import NotEvaluatedError, ReleaseBlocked


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
