"""Flag and revoke: taking a release out of analysts' reach, for a while or for good."""

from __future__ import annotations

from synth_contracts.errors import Refused
from synth_contracts.release.ledger import LedgerEntry
from synth_contracts.release.reasons import read_reason
from synth_contracts.release.records import Release
from synth_contracts.release.registry import Registry
from synth_contracts.warehouse import published as sql
from synth_contracts.warehouse.connection import Database


def flag(registry: Registry, table: str, reason: str, by: str, *, clear: bool = False) -> Release:
    """Put the newest release of a table under review, or end the review. Idempotent.

    A flagged release cannot be exported.

    Raises:
        UsageError: (exit 2) no such table, or no reason in words.
        Refused: (exit 5) nothing of it is released, it was revoked, or it is expired.
    """
    reason = read_reason(reason)
    release = registry.released(table)
    if release.status == "revoked":
        raise Refused(f"release {release.id} was revoked", where=table, mend="build a new one")
    if release.status == "expired":
        raise Refused(
            f"release {release.id} is expired since {release.expires_at}: it is not exported, "
            "flagged or not",
            where=table,
            mend=f"`trace {table}` lists who holds it, `revoke {table}` withdraws it for good",
        )
    wanted = "live" if clear else "flagged"
    if release.status == wanted:
        return release

    def change(database: Database) -> None:
        sql.set_status(database, release.id, wanted)

    registry.write("flag_cleared" if clear else "flagged", _body(release, reason, by), change)
    return registry.released(table)


def revoke(registry: Registry, table: str, reason: str, by: str) -> Release:
    """Withdraw the newest release of a table for good. Idempotent.

    Once this returns no export of it starts. Its view leaves schema ``release``; what was
    delivered before cannot be recalled.

    Raises:
        UsageError: (exit 2) no such table, or no reason in words.
        Refused: (exit 5) nothing of it is released.
    """
    reason = read_reason(reason)
    release = registry.released(table)
    if release.status == "revoked":
        return release

    def change(database: Database) -> None:
        sql.set_status(database, release.id, "revoked")
        sql.drop_view(database, table)

    registry.write("revoked", _body(release, reason, by), change)
    return registry.released(table)


def standing_entry(registry: Registry, release: Release) -> LedgerEntry | None:
    """The entry since which a release stands as it does; None where its status needs none.

    A live release that was never flagged stands so since its promotion, a superseded one since
    the promotion of the next: neither was anybody's decision.
    """
    if release.status not in {"flagged", "expired", "revoked"}:
        return None
    about = (e for e in reversed(registry.entries()) if e.body.get("release_id") == release.id)
    return next((entry for entry in about if entry.kind == release.status), None)


def _body(release: Release, reason: str, by: str) -> dict[str, str]:
    return {"release_id": release.id, "table": release.table, "reason": reason, "by": by}
