"""Whether a stored release is what was evaluated, signed and entered in the ledger. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth_contracts.contract.expand import digest_of
from synth_contracts.contract.retention import expiry
from synth_contracts.errors import Refused
from synth_contracts.release.ledger import LedgerEntry
from synth_contracts.release.records import Release
from synth_contracts.signing.dsse import open_envelope
from synth_contracts.signing.jsontext import dump_canonical
from synth_contracts.signing.keys import PublicKey

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:synth-contracts:release:v1"


def sha256(text: str | bytes) -> str:
    """Hex SHA-256 of a text (UTF-8) or bytes."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def statement_digest(envelope: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the canonical JSON of a DSSE envelope."""
    return sha256(dump_canonical(dict(envelope)))


def signed_fingerprint(release: Release, keys: Mapping[str, PublicKey]) -> Mapping[str, Any]:
    """What the signed statement tells of the fingerprint (omission/subsets.py); empty without one.

    Raises:
        Refused: the statement is not signed by one of ``keys``.
    """
    predicate = open_envelope(dict(release.statement), keys).get("predicate")
    told = predicate.get("fingerprint") if isinstance(predicate, Mapping) else None
    return told if isinstance(told, Mapping) else {}


def check_rows_digest(release: Release, rows_digest: str) -> None:
    """Hold the digest of the stored rows against a release whose statement was found right.

    Raises:
        Refused: (exit 5) they are not the rows that were released.
    """
    if rows_digest != release.rows_digest:
        raise _refused(release, _OTHER_ROWS)


_OTHER_ROWS = "its rows are not the rows that were evaluated and signed"


def check_signed(
    release: Release,
    rows: int,
    *,
    entries: Sequence[LedgerEntry],
    registry_id: str,
    keys: Mapping[str, PublicKey],
    view_is_right: bool,
) -> None:
    """Hold registry row, signed statement, view and ledger against each other.

    Of the rows as they are stored, ``rows`` is their number; their digest is for
    :func:`check_rows_digest`, whoever reads them.

    Raises:
        Refused: (exit 5) anything does not match; the message says what.
    """
    statement = open_envelope(dict(release.statement), keys)
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        raise _refused(release, "its statement is not about a release")
    predicate = statement["predicate"]
    expected = {
        "subject": [{"name": release.table, "digest": {"sha256": release.rows_digest}}],
        "release": release.id,
        "rows": release.rows,
        "promoted_at": release.promoted_at,
        "registry": registry_id,
        "contract digest": release.contract_digest,
        "contract version": release.version,
        "contract text": sha256(release.contract_text),
        "expanded contract": digest_of(release.contract_expanded),
        "analyst's card (HTML)": sha256(release.analyst_card_html),
        "analyst's card (JSON)": sha256(release.analyst_card_json),
    }
    signed = {
        "subject": statement["subject"],
        "release": predicate["release"],
        "rows": predicate["rows"],
        "promoted_at": predicate["promoted_at"],
        "registry": predicate["ledger"]["registry"],
        "contract digest": predicate["contract"]["digest"],
        "contract version": predicate["contract"]["version"],
        "contract text": predicate["contract"]["text_sha256"],
        "expanded contract": predicate["contract"]["digest"],
        "analyst's card (HTML)": predicate["cards"]["analyst"]["html"],
        "analyst's card (JSON)": predicate["cards"]["analyst"]["json"],
    }
    for name, value in expected.items():
        if signed[name] != value:
            raise _refused(release, f"the stored {name} is not the one that was signed")
    if rows != release.rows:
        raise _refused(release, _OTHER_ROWS)
    if release.stored_status != release.status:
        raise _refused(
            release,
            f"the registry says {release.stored_status}, the ledger says {release.status}",
        )
    if not view_is_right:
        raise _refused(release, f"the view release.{release.table} does not show it")
    _check_ledger(release, predicate, entries)


def _check_ledger(
    release: Release, predicate: Mapping[str, Any], entries: Sequence[LedgerEntry]
) -> None:
    promotions = [
        entry
        for entry in entries
        if entry.kind == "promoted" and entry.body.get("release_id") == release.id
    ]
    if len(promotions) != 1:
        raise _refused(release, "the ledger holds no promotion of it")
    body = promotions[0].body
    same = {
        "table": release.table,
        "rows_digest": release.rows_digest,
        "contract_digest": release.contract_digest,
        "source_key": release.source_key,
        "fingerprint": release.fingerprint,
        "statement_sha256": statement_digest(release.statement),
        "expires_at": _expiry(release),
    }
    for name, value in same.items():
        if body.get(name) != value:
            raise _refused(release, f"its {name} is not the one in the ledger")
    if predicate["ledger"]["prev"] != promotions[0].prev:
        raise _refused(release, "its statement was signed at another place of the ledger")


def check_cards(folder: Path, table: str, entries: Sequence[LedgerEntry]) -> None:
    """Hold the owner's cards of a table that still lie in ``folder`` against the ledger.

    ``folder`` holds a folder for each run. A card that was removed says nothing and is no fault.

    Raises:
        Refused: (exit 5) a card is not the one that was entered for its run.
    """
    for entry in entries:
        body = entry.body
        if entry.kind not in {"attempt", "promoted"} or body.get("table") != table:
            continue
        card = folder / str(body["run_id"]) / "report-card.html"
        try:
            found = sha256(card.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            continue
        if found != body["card_digest"]:
            raise Refused(
                f"the report card of run {body['run_id']} is not the one in the ledger",
                where=str(card),
                mend="it was edited or exchanged: remove it, and build again for another",
            )


def _expiry(release: Release) -> str | None:
    try:
        return expiry(release.contract_expanded, release.promoted_at)
    except ValueError as error:
        raise _refused(release, str(error)) from error


def _refused(release: Release, text: str) -> Refused:
    return Refused(
        f"release {release.id} does not verify: {text}",
        where=release.table,
        mend="somebody edited the published database: put back the newest copy of it, or build "
        "again with --full-refresh",
    )
