"""Records of the release room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from synth_contracts.release.ledger import LedgerEntry

Status = Literal["live", "superseded", "flagged", "expired", "revoked"]


@dataclass(frozen=True)
class Release:
    """One released table. ``id`` is the id of the run that made it.

    ``status`` is what ledger and clock say; ``stored_status`` what stands in the registry's row,
    equal unless somebody edited it, or it expired and no writing command has seen it since.
    ``expires_at`` is the end of its contract's retention (ISO 8601, UTC), None for never.
    ``statement`` is the DSSE envelope. The card is the analyst's.
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
    expires_at: str | None = None

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


def standings(entries: Sequence[LedgerEntry], now: datetime | None = None) -> dict[str, Status]:
    """Release id -> status, from the ledger; later releases supersede earlier ones.

    With ``now``, what is live or flagged beyond its retention is expired. A clock that was put
    back does not help: no moment before the newest entry counts, and what was once entered as
    expired stays so.
    """
    status: dict[str, Status] = {}
    ends: dict[str, str | None] = {}
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
            ends[release] = entry.body.get("expires_at")
        elif entry.kind == "revoked":
            status[release] = "revoked"
        elif entry.kind == "expired" and status.get(release) in {"live", "flagged"}:
            status[release] = "expired"
        elif entry.kind == "flagged" and status.get(release) == "live":
            status[release] = "flagged"
        elif entry.kind == "flag_cleared" and status.get(release) == "flagged":
            status[release] = "live"
    if now is not None:
        moment = max([now, *(datetime.fromisoformat(entry.at) for entry in entries[-1:])])
        for release, end in ends.items():
            over = end is not None and datetime.fromisoformat(end) <= moment
            if over and status[release] in {"live", "flagged"}:
                status[release] = "expired"
    return status
