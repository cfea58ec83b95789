"""What the ledger says, held against what was signed: every promotion has its signed statement.

The chain alone shows that no entry was changed *after* another one; who wrote it shows in the
statements, each of which names the head of the ledger at its time and is signed by the project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from synth_contracts.errors import Refused
from synth_contracts.release.ledger import LedgerEntry, genesis
from synth_contracts.release.records import standings
from synth_contracts.release.verify import PREDICATE_TYPE, STATEMENT_TYPE, statement_digest
from synth_contracts.signing.dsse import open_envelope
from synth_contracts.signing.keys import PublicKey

if TYPE_CHECKING:
    from synth_contracts.release.registry import Registry


@dataclass(frozen=True)
class LedgerAudit:
    """What a verification of a whole ledger found. ``head`` is the hash of the newest entry.

    ``releases`` counts the promotions, ``signed`` those whose signed statement was checked: both
    are equal, or ``signed`` is None because no public keys were at hand. ``signed_at`` and ``kid``
    are of an exported copy: when and by which key its head was signed; None for the live ledger.
    """

    registry: str
    entries: int
    head: str
    releases: int
    signed: int | None
    signed_at: str | None = None
    kid: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``--json``."""
        return asdict(self)


def audit(registry: Registry) -> LedgerAudit:
    """Verify the open ledger as far as can be; chain and anchor were checked when it was opened.

    Raises:
        Refused: (exit 5) a promotion without its signed statement, a release that the ledger does
            not know, or a status that is not the ledger's.
    """
    entries = registry.entries()
    statements = {}
    status = standings(entries)  # without the clock: what was entered
    for release in registry.releases():
        statements[release.id] = release.statement
        if release.stored_status != status[release.id]:
            raise Refused(
                f"the registry says that release {release.id} is {release.stored_status}, "
                f"the ledger says {status[release.id]}",
                where=release.table,
                mend="somebody edited the published database: put back the newest copy of it",
            )
    promotions = check_statements(entries, statements, registry.id, registry.keys.public_keys())
    return LedgerAudit(registry.id, len(entries), registry.head(), promotions, promotions)


def check_statements(
    entries: Sequence[LedgerEntry],
    statements: Mapping[str, Mapping[str, Any]],
    registry_id: str,
    keys: Mapping[str, PublicKey],
) -> int:
    """Hold every promotion against its signed statement; returns how many there are.

    Args:
        entries: the whole ledger, its chain checked.
        statements: DSSE envelopes by release id.
        registry_id: of the ledger.
        keys: the project's public keys, rotated ones too.

    Raises:
        Refused: (exit 5) a statement is missing, one too many, of another release or place, or
            not signed by these keys; the message names the entry.
    """
    promotions = [entry for entry in entries if entry.kind == "promoted"]
    for entry in promotions:
        release = str(entry.body.get("release_id"))
        if release not in statements:
            raise _refused(entry, f"the signed statement of release {release} is missing")
        try:
            _check_statement(entry, statements[release], registry_id, keys)
        except Refused as error:
            raise _refused(entry, error.message) from error
    surplus = set(statements) - {str(entry.body.get("release_id")) for entry in promotions}
    if surplus:
        raise Refused(
            f"a statement is of release {min(surplus)}, which the ledger does not hold",
            mend="nothing was promoted under that name: do not use it",
        )
    return len(promotions)


def _check_statement(
    entry: LedgerEntry,
    envelope: Mapping[str, Any],
    registry_id: str,
    keys: Mapping[str, PublicKey],
) -> None:
    statement = open_envelope(dict(envelope), keys)
    body = entry.body
    try:
        predicate = statement["predicate"]
        signed = [
            statement["_type"],
            statement["predicateType"],
            statement["subject"],
            predicate["release"],
            predicate["contract"]["digest"],
            predicate["ledger"],
        ]
    except (KeyError, TypeError) as error:
        raise Refused("its statement does not say what was released") from error
    told = [
        STATEMENT_TYPE,
        PREDICATE_TYPE,
        [{"name": body.get("table"), "digest": {"sha256": body.get("rows_digest")}}],
        body.get("release_id"),
        body.get("contract_digest"),
        {"registry": registry_id, "prev": entry.prev},
    ]
    if signed != told or statement_digest(envelope) != body.get("statement_sha256"):
        raise Refused("its statement was signed for something else")


def check_heads(entries: Sequence[LedgerEntry], registry_id: str, heads: Sequence[str]) -> None:
    """Whether each head that somebody noted earlier is one of this ledger's hashes.

    Args:
        entries: the whole ledger, its chain checked.
        registry_id: of the ledger; its beginning counts as a head.
        heads: 64 hex digits each, from a bundle, an exported copy or a note.

    Raises:
        Refused: (exit 5) one is not: entries that stood here once were cut or rewritten.
    """
    known = {genesis(registry_id), *(entry.hash for entry in entries)}
    for head in heads:
        if head not in known:
            raise Refused(
                f"no entry of this ledger has the hash {head}: it was cut or rewritten since that "
                "was noted, or the hash is of another ledger",
                mend="compare with an earlier export of this ledger; nothing was changed now",
            )


def _refused(entry: LedgerEntry, text: str) -> Refused:
    return Refused(
        f"the ledger does not verify at entry {entry.seq} ({entry.kind}): {text}",
        mend="put back the newest copy of what this tool wrote: this release does not count",
    )
