"""The gate: (Contract, Evaluation) -> Verdict. Pure, fail-closed, without Great Expectations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from synth_contracts.contract.model import Judged, Severity


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
    """Outcome, the reasons for it, and the state of every rule of the contract."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    states: tuple[RuleState, ...]
    contract_digest: str
    rows_digest: str

    @property
    def warnings(self) -> tuple[RuleState, ...]:
        """Rules of severity warning that did not hold."""
        return tuple(state for state in self.states if state.status == "warned")
