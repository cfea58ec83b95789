"""The report card of one attempt: facts as JSON, and a self-contained HTML page."""

from synth_contracts.report.card import Card, build_card
from synth_contracts.report.rules import Audience

__all__ = ["Audience", "Card", "build_card"]
