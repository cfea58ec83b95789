"""What the ledger says of exports: one record per token, folded from its entries.

An export leaves the entries ``export_issued``, ``export_started``, ``export_sealed`` and at last
``export_delivered`` or ``export_aborted``, each naming the token's jti.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth_contracts.release import Registry

ISSUED, STARTED, SEALED = "export_issued", "export_started", "export_sealed"
DELIVERED, ABORTED = "export_delivered", "export_aborted"
KINDS = (ISSUED, STARTED, SEALED, DELIVERED, ABORTED)
#: A set of rows was drawn for a token that was then not issued.
REFUSED = "fingerprint_refused"
SETTLED = ("delivered", "aborted")


@dataclass(frozen=True)
class ExportRecord:
    """One export: who, when, for which ticket, what, and how it ended.

    ``at`` is the second of issue (ISO 8601, UTC); ``status`` one of issued, started, sealed,
    delivered, aborted. ``subject`` is the operating-system user in local mode, not authenticated.
    ``ticket_check`` is how the ticket was checked, None in entries of before that was recorded.
    """

    jti: str
    at: str
    subject: str
    ticket: str
    table: str
    release: str
    rows: int
    rows_digest: str
    format: str
    mode: str
    status: str
    expires_at: str
    token_sha256: str
    path: str
    ticket_check: str | None = None
    data_sha256: str | None = None
    data_bytes: int | None = None
    ended_at: str | None = None
    reason: str | None = None

    @property
    def settled(self) -> bool:
        """Whether the export ended, one way or the other."""
        return self.status in SETTLED

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``--json``."""
        return asdict(self)


def exports(registry: Registry) -> dict[str, ExportRecord]:
    """Every export that the ledger knows by its jti, in order of issue."""
    found: dict[str, ExportRecord] = {}
    for entry in registry.entries():
        if entry.kind not in KINDS:
            continue
        body: Mapping[str, Any] = entry.body
        jti = str(body["jti"])
        if entry.kind == ISSUED:
            found[jti] = ExportRecord(status="issued", **body)
            continue
        changes: dict[str, Any] = {"status": entry.kind.removeprefix("export_")}
        if entry.kind == SEALED:
            changes |= {"data_sha256": body["data_sha256"], "data_bytes": body["data_bytes"]}
        if entry.kind in (DELIVERED, ABORTED):
            changes |= {"ended_at": entry.at, "reason": body.get("reason")}
        found[jti] = replace(found[jti], **changes)
    return found


def count_today(
    records: Mapping[str, ExportRecord], *, table: str, ticket: str, now: datetime
) -> int:
    """Exports of ``table`` for ``ticket`` on the UTC day of ``now``; aborted ones do not count."""
    day = now.astimezone(UTC).date().isoformat()
    return sum(
        r.table == table and r.ticket == ticket and r.at[:10] == day and r.status != "aborted"
        for r in records.values()
    )
