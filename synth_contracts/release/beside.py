"""Which releases stand beside a candidate: what somebody may hold of the same source.

- The live and flagged releases of other tables: they can be exported, now or after the review.
- Of the table itself, and of whatever was superseded, those that somebody began to export. A
  promotion closes the door on the others: nobody holds them, and nobody will.
- An expired one only where somebody began to export it.
- Never a revoked one. It is counted where it was exported: what it gave away cannot be called back,
  and no later build could ever mend it.

"The same source" is told by the marks under which attempts are counted (attempts.py), and by the
declared server, schema and table whatever the unit: a contract with another entity key, or without
one, reads the same people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synth_contracts.contract.model import Contract
from synth_contracts.release.attempts import mark_names, marks_of
from synth_contracts.release.ledger import LedgerEntry
from synth_contracts.release.records import Release, standings

if TYPE_CHECKING:
    from synth_contracts.release.registry import Registry

#: From here on rows are written outside; an export that was aborted later may have left them.
_EXPORTED = "export_started"


@dataclass(frozen=True)
class Beside:
    """Releases of the same source in the order of promotion, and how many were left out.

    ``revoked`` counts the revoked ones that somebody had begun to export.
    """

    releases: tuple[Release, ...]
    revoked: int


def stand_beside(registry: Registry, contract: Contract, sources: Mapping[str, str]) -> Beside:
    """What stands beside a candidate of ``contract`` whose source has the marks ``sources``."""
    entries = registry.entries()
    linked = _linked(entries, sources)
    status = standings(entries)
    exported = {str(entry.body.get("release_id")) for entry in entries if entry.kind == _EXPORTED}
    found, revoked = [], 0
    for release in registry.releases():
        if release.id not in linked and not _declared(release.contract_expanded, contract):
            continue
        stands = status[release.id]
        if stands == "revoked":
            revoked += release.id in exported
        elif release.id in exported or (
            stands in ("live", "flagged") and release.table != contract.table
        ):
            found.append(release)
    return Beside(tuple(found), revoked)


def _linked(entries: Sequence[LedgerEntry], sources: Mapping[str, str]) -> set[str]:
    """Releases of the source with these marks, by marks in common, directly or through others."""
    known = mark_names(sources)
    left = [e for e in entries if e.kind in {"attempt", "promoted", "approved"}]
    found: set[str] = set()
    while True:
        met = [entry for entry in left if known & mark_names(marks_of(entry.body))]
        if not met:
            return found
        for entry in met:
            known |= mark_names(marks_of(entry.body))
            if entry.kind == "promoted":
                found.add(str(entry.body["release_id"]))
        left = [entry for entry in left if entry not in met]


def _declared(expanded: Mapping[str, Any], contract: Contract) -> bool:
    """Whether a stored contract declares the source of ``contract``, whatever its unit."""
    source, told = contract.source, expanded.get("source")
    if source is None or not isinstance(told, Mapping):
        return False
    here = (source.server, source.schema, source.table)
    there = (told.get("server"), told.get("schema"), told.get("table"))
    return [str(name).casefold() for name in here] == [str(name).casefold() for name in there]
