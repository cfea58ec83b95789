"""Records of the release room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from synth_contracts.release.ledger import LedgerEntry

Status = Literal["live", "superseded", "flagged", "revoked"]


@dataclass(frozen=True)
class Release:
    """One released table. ``id`` is the id of the run that made it.

    ``status`` is what the ledger says; ``stored_status`` what stands in the registry's row, equal
    unless somebody edited it. ``statement`` is the DSSE envelope. The card is the analyst's.
    """

    id: str
    table: str
    version: str
    source_key: str
    fingerprint: str
    rows: int
    rows_digest: str
    contract_digest: str
    contract_text: str
    contract_expanded: Mapping[str, Any]
    statement: Mapping[str, Any]
    analyst_card_html: str
    analyst_card_json: str
    promoted_at: str
    status: Status
    stored_status: str

    @property
    def run_id(self) -> str:
        """The run that made it: the id itself."""
        return self.id


@dataclass(frozen=True)
class RunRecord:
    """The newest evaluated build of a table, so that an unchanged one can be skipped.

    ``docs`` is the path of its Data Docs page relative to gx/, None when there is none.
    """

    run_id: str
    fingerprint: str
    outcome: str
    exit_code: int
    message: str
    docs: str | None
    at: str


def standings(entries: list[LedgerEntry]) -> dict[str, Status]:
    """Release id -> status, from the ledger alone; later releases supersede earlier ones."""
    status: dict[str, Status] = {}
    newest: dict[str, str] = {}
    for entry in entries:
        release = str(entry.body.get("release_id", ""))
        if entry.kind == "promoted":
            table = str(entry.body["table"])
            older = newest.get(table)
            if older is not None and status[older] != "revoked":
                status[older] = "superseded"
            newest[table] = release
            status[release] = "live"
        elif entry.kind == "revoked":
            status[release] = "revoked"
        elif entry.kind == "flagged" and status.get(release) == "live":
            status[release] = "flagged"
        elif entry.kind == "flag_cleared" and status.get(release) == "flagged":
            status[release] = "live"
    return status
