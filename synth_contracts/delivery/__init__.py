"""Delivery: ticket, token, policy, bundle, export, verification and trace."""

from synth_contracts.delivery.bundle import Bundle
from synth_contracts.delivery.conditions import Condition
from synth_contracts.delivery.explaining import Explanation, explain
from synth_contracts.delivery.exporting import export
from synth_contracts.delivery.journal import ExportRecord
from synth_contracts.delivery.leak import LeakTrace, Suspect
from synth_contracts.delivery.recovery import recover
from synth_contracts.delivery.tracing import trace, trace_release
from synth_contracts.delivery.tracker import Answer, ask
from synth_contracts.delivery.verify import VerifiedBundle, verify_bundle

__all__ = [
    "Answer",
    "Bundle",
    "Condition",
    "Explanation",
    "ExportRecord",
    "LeakTrace",
    "Suspect",
    "VerifiedBundle",
    "ask",
    "explain",
    "export",
    "recover",
    "trace",
    "trace_release",
    "verify_bundle",
]
