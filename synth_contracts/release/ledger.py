"""The ledger: append-only and hash-chained.

Each entry's hash is SHA-256 over the canonical JSON of its number, time, kind, body and the hash
before it; the first one's predecessor is made of the registry's id. Changing, dropping or
reordering an entry breaks every later hash. A chain rewritten whole is consistent again, which is
why the newest hash is kept beside the keys too (anchor.py) and goes into every statement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from synth_contracts.errors import Refused
from synth_contracts.signing.jsontext import dump_canonical, load_strict

#: What may stand in a ledger.
KINDS = frozenset({
    "attempt", "promoted", "flagged", "flag_cleared", "revoked", "expired", "approved",
    "budget_spent",
    "export_issued", "export_started", "export_sealed", "export_delivered", "export_aborted",
    "fingerprint_refused",
})  # fmt: skip


@dataclass(frozen=True)
class LedgerEntry:
    """One fact. ``seq`` counts from 1; ``at`` is UTC in ISO 8601; hashes are 64 hex digits."""

    seq: int
    at: str
    kind: str
    body: Mapping[str, Any]
    prev: str
    hash: str

    def row(self) -> tuple[Any, ...]:
        """The entry as it is stored."""
        body = dump_canonical(dict(self.body)).decode()
        return (self.seq, self.at, self.kind, body, self.prev, self.hash)


def genesis(registry_id: str) -> str:
    """What stands before the first entry."""
    return _hash({"registry": registry_id})


def make_entry(seq: int, at: str, kind: str, body: Mapping[str, Any], prev: str) -> LedgerEntry:
    """The entry that follows ``prev``.

    Raises:
        ValueError: an unknown kind, or a body that is not finite JSON.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a kind of ledger entry")
    body = load_strict(dump_canonical(dict(body)), "the ledger entry")  # as it will be read back
    return LedgerEntry(seq, at, kind, body, prev, _digest(seq, at, kind, body, prev))


def read_chain(registry_id: str, rows: Iterable[tuple[Any, ...]]) -> list[LedgerEntry]:
    """Check stored rows (oldest first) and return them as entries.

    Raises:
        Refused: an entry is missing, out of order, edited, or not in canonical form.
    """
    entries: list[LedgerEntry] = []
    prev = genesis(registry_id)
    for expected, row in enumerate(rows, start=1):
        entry = _read_entry(expected, row, prev)
        entries.append(entry)
        prev = entry.hash
    return entries


def _read_entry(expected: int, row: tuple[Any, ...], prev: str) -> LedgerEntry:
    """One stored row as the entry ``expected`` that follows ``prev``. Raises Refused."""
    seq, at, kind, text, before, claimed = row
    if type(seq) is not int or seq != expected:
        found = f"entry {seq}" if type(seq) is int else "one without a number"
        raise _broken(expected, f"{found} stands in its place")
    if not all(isinstance(value, str) for value in (at, kind, text, before, claimed)):
        raise _broken(expected, "a part of it is missing or is not text")
    if before != prev:
        after = f"entry {expected - 1}" if expected > 1 else "the registry's beginning"
        raise _broken(expected, f"it does not follow {after}")
    try:
        body = load_strict(text, "its body")
    except Refused as error:
        raise _broken(expected, error.message) from error
    if not isinstance(body, dict) or dump_canonical(body).decode() != text:
        raise _broken(expected, "its body is not as this tool writes it")
    if claimed != _digest(seq, at, kind, body, prev):
        raise _broken(expected, "its hash is not that of what it says")
    return LedgerEntry(seq, at, kind, body, before, claimed)


def _broken(number: int, text: str) -> Refused:
    return Refused(
        f"the ledger is broken at entry {number}: it was edited, cut or reordered ({text})",
        mend="put back the newest copy of what this tool wrote: nothing from this entry on counts",
    )


def _digest(seq: int, at: str, kind: str, body: Mapping[str, Any], prev: str) -> str:
    return _hash({"seq": seq, "at": at, "kind": kind, "body": dict(body), "prev": prev})


def _hash(document: dict[str, Any]) -> str:
    return hashlib.sha256(dump_canonical(document)).hexdigest()
