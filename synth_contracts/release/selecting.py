"""Which table an entry of the ledger is about, and the entries that a reader asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from synth_contracts.errors import UsageError
from synth_contracts.release.attempts import mark_names, marks_of
from synth_contracts.release.ledger import LedgerEntry

#: Digits of a hash that name an entry; fewer could be its number.
_FEWEST_DIGITS = 8


def tables_of(entries: Sequence[LedgerEntry]) -> dict[int, frozenset[str]]:
    """Number of each entry -> the tables that it is about.

    Most entries name their table. Steps of an export name its token or release, whose table
    stands in an earlier entry; an approval names the marks of a source, and is about every table
    that was built from it.
    """
    by_name: dict[str, str] = {}
    by_mark: dict[str, set[str]] = {}
    for entry in entries:
        table = entry.body.get("table")
        if not isinstance(table, str):
            continue
        for key in ("release_id", "jti"):
            if isinstance(entry.body.get(key), str):
                by_name[entry.body[key]] = table
        if entry.kind in {"attempt", "promoted"}:
            for mark in mark_names(marks_of(entry.body)):
                by_mark.setdefault(mark, set()).add(table)
    return {entry.seq: _tables(entry, by_name, by_mark) for entry in entries}


def _tables(
    entry: LedgerEntry, by_name: Mapping[str, str], by_mark: Mapping[str, set[str]]
) -> frozenset[str]:
    body = entry.body
    if isinstance(body.get("table"), str):
        return frozenset({body["table"]})
    named = {by_name[body[key]] for key in ("release_id", "jti") if body.get(key) in by_name}
    if entry.kind == "approved":
        for mark in mark_names(marks_of(body)):
            named |= by_mark.get(mark, set())
    return frozenset(named)


def select(
    entries: Sequence[LedgerEntry],
    *,
    table: str | None = None,
    kinds: Collection[str] = (),
    since: datetime | None = None,
) -> list[LedgerEntry]:
    """The entries about ``table``, of ``kinds``, not older than ``since``; each may be left out.

    Raises:
        UsageError: (exit 2) no entry is about a table of that name.
    """
    found = list(entries)
    if table is not None:
        about = tables_of(entries)
        known = sorted({name for names in about.values() for name in names})
        if table not in known:
            raise UsageError(
                f"the ledger holds nothing about a table {table}",
                mend=f"tables: {', '.join(known) or 'none yet'}",
            )
        found = [entry for entry in found if table in about[entry.seq]]
    if kinds:
        found = [entry for entry in found if entry.kind in kinds]
    if since is not None:
        found = [entry for entry in found if datetime.fromisoformat(entry.at) >= since]
    return found


def find(entries: Sequence[LedgerEntry], what: str) -> LedgerEntry:
    """One entry by its number, or by its hash (at least its first eight digits).

    Raises:
        UsageError: (exit 2) there is none, or more than one.
    """
    word = what.strip().casefold()
    if word.isdecimal() and word.isascii() and len(word) < _FEWEST_DIGITS:
        found = [entry for entry in entries if entry.seq == int(word)]
    elif len(word) >= _FEWEST_DIGITS:
        found = [entry for entry in entries if entry.hash.startswith(word)]
    else:
        found = []
    if len(found) != 1:
        held = f"1 to {len(entries)}" if entries else "none yet"
        raise UsageError(
            f"the ledger holds {'no' if not found else 'more than one'} entry {what[:80]!r}",
            mend=f"name it by its number ({held}), or by {_FEWEST_DIGITS} or more digits of its "
            "hash",
        )
    return found[0]
