"""The gate: what an evaluation comes to by the rules of its contract."""

from synth_contracts.gate.blindness import BLIND_KINDS
from synth_contracts.gate.holding import level_at
from synth_contracts.gate.judging import judge
from synth_contracts.gate.tries import repeated_tries
from synth_contracts.gate.verdict import Outcome, Reason, RuleState, Verdict, blocked
from synth_contracts.gate.words import entities_needed, reason_text
from synth_contracts.metrics.words import limit_text, number_text, title

__all__ = [
    "BLIND_KINDS",
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
