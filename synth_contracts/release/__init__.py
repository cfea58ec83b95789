"""Release: promotion, registry and ledger, attempts, flag and revoke."""

from typing import TYPE_CHECKING, Any

from synth_contracts.release.attempts import (
    approve,
    check_attempts,
    record_attempt,
    source_key,
    source_marks,
)
from synth_contracts.release.beside import Beside, stand_beside
from synth_contracts.release.budget import budget_marks, check_budget, reserve
from synth_contracts.release.ledger import LedgerEntry
from synth_contracts.release.records import Release, RunRecord
from synth_contracts.release.registry import Registry
from synth_contracts.release.standing import flag, revoke, standing_entry
from synth_contracts.release.verify import check_cards

if TYPE_CHECKING:
    from synth_contracts.release.promoting import promote

__all__ = [
    "Beside",
    "LedgerEntry",
    "Registry",
    "Release",
    "RunRecord",
    "approve",
    "budget_marks",
    "check_attempts",
    "check_budget",
    "check_cards",
    "flag",
    "promote",
    "record_attempt",
    "reserve",
    "revoke",
    "source_key",
    "source_marks",
    "stand_beside",
    "standing_entry",
]


def __getattr__(name: str) -> Any:
    # promotion needs the gate, the seal and the card; flag, verify and export need none of them
    if name == "promote":
        from importlib import import_module

        return import_module("synth_contracts.release.promoting").promote
    raise AttributeError(name)
