"""Attempts: builds until one passes are counted, and too many are refused.

A generator truly at .28 passes a limit of .25 once in 31 %, within ten tries in 97 % (METRICS). So
blocked builds of one source and unit of privacy are counted, since the last promotion or approval.
Another seed, contract, version or split key counts on; the same build run again does not, nor does
one that came to no verdict, unless only luck kept it from one: a bound outside its limit may lie
inside with the next seed. The count lives in the ledger, nowhere else.

A source is known by three marks: the name that the contract declares, the place where its rows lie
and the rows themselves. Entries that share one mark are of one source, and so are entries linked
through others: renaming the server and moving the file one after the other changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synth_contracts.contract.model import Contract
from synth_contracts.errors import Refused, UsageError
from synth_contracts.release.ledger import LedgerEntry
from synth_contracts.release.reasons import read_reason
from synth_contracts.release.records import RunRecord
from synth_contracts.signing.jsontext import dump_canonical

if TYPE_CHECKING:
    from synth_contracts.release.registry import Registry

_BLOCKED = "FAILED"
#: The marks of a source: its declared name, the file it lies in, its rows.
DECLARED, PLACE, CONTENT = "declared", "place", "content"


def source_key(contract: Contract) -> str:
    """The declared mark of a source: server, schema, table and unit (hex SHA-256).

    Raises:
        UsageError: the contract declares no source.
    """
    source = contract.source
    if source is None:
        raise UsageError("the contract names no source", where=str(contract.path))
    named = [source.server, source.schema, source.table, contract.roles.entity_key or ""]
    return _mark({"attempts": [name.casefold() for name in named]})


def source_marks(
    contract: Contract, *, database: str | None = None, digest: str | None = None
) -> dict[str, str]:
    """What attempts on this source are counted under: mark -> hex SHA-256.

    ``declared`` always; ``place`` (file with links resolved, schema, table, unit; case folded, as
    some file systems do) when ``database`` is known; ``content`` (digest of all rows, unit) when
    the rows were read.

    Raises:
        UsageError: the contract declares no source.
    """
    marks = {DECLARED: source_key(contract)}
    assert contract.source is not None  # noqa: S101 - source_key has checked it
    unit = (contract.roles.entity_key or "").casefold()
    if database is not None:
        place = [os.path.realpath(database), contract.source.schema, contract.source.table]
        marks[PLACE] = _mark({"place": [*(part.casefold() for part in place), unit]})
    if digest is not None:
        marks[CONTENT] = _mark({"content": [digest, unit]})
    return marks


def _mark(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(dump_canonical(body)).hexdigest()


def record_attempt(
    registry: Registry,
    *,
    contract: Contract,
    fingerprint: str,
    run_id: str,
    outcome: str,
    exit_code: int,
    message: str,
    broken: Sequence[str],
    card_digest: str,
    docs: str | None = None,
    sources: Mapping[str, str] | None = None,
    undecided: bool = False,
) -> LedgerEntry:
    """Write down a build that was evaluated and not passed (a passed one is promoted instead).

    Args:
        registry: open for writing.
        contract: what was asked.
        fingerprint: of contract, source, split key and versions: what makes a build another one.
        run_id: of this build.
        outcome: FAILED or NOT_EVALUATED.
        exit_code: what the command ended with; a skipped repeat ends with it again.
        message: why, in the contract's words; no values of real rows.
        broken: metric ids that did not hold or were not measured.
        card_digest: SHA-256 of the owner's card.
        docs: path of the Data Docs page relative to gx/.
        sources: ``source_marks`` of the rows that were read; without them the declared one alone.
        undecided: a NOT_EVALUATED build that another seed might have passed; it counts.
    """
    if outcome not in {"FAILED", "NOT_EVALUATED"}:
        raise UsageError(f"{outcome} is not the outcome of a build that was not passed")
    marks = dict(sources or source_marks(contract))
    body = {
        "table": contract.table,
        "source_key": source_key(contract),
        "sources": marks,
        "contract_digest": contract.digest,
        "fingerprint": fingerprint,
        "run_id": run_id,
        "outcome": outcome,
        "undecided": undecided,
        "exit_code": exit_code,
        "message": message,
        "broken": list(broken),
        "card_digest": card_digest,
        "docs": docs,
        "attempt": attempt_number(registry.entries(), marks, fingerprint),
    }
    return registry.append("attempt", body)


def check_attempts(
    registry: Registry,
    contract: Contract,
    fingerprint: str,
    sources: Mapping[str, str] | None = None,
) -> None:
    """Refuse a new build when ``maxAttempts`` blocked ones stand in the ledger.

    Raises:
        Refused: (exit 5) they are used up and this build is none of them.
    """
    blocked = blocked_attempts(registry.entries(), sources or source_marks(contract))
    limit = contract.export.max_attempts
    if len(blocked) >= limit and fingerprint not in {item["fingerprint"] for item in blocked}:
        raise Refused(
            f"attempt {len(blocked) + 1} of {limit}: {len(blocked)} builds of this source were "
            f"blocked and {limit} are allowed (export.maxAttempts): trying until one passes is "
            "not passing",
            where=contract.table,
            mend=f"an approver enters: synth-contracts ledger approve {contract.table} "
            "--reason ...",
        )


def approve(registry: Registry, sources: Mapping[str, str], by: str, reason: str) -> LedgerEntry:
    """An approver's entry: attempts on this source, under whatever mark, count afresh from here.

    Raises:
        UsageError: no reason is given in words.
    """
    told = {"by": by, "reason": read_reason(reason)}
    body = {"source_key": sources[DECLARED], "sources": dict(sources), **told}
    return registry.append("approved", body)


def attempt_number(
    entries: Sequence[LedgerEntry], sources: Mapping[str, str], fingerprint: str
) -> int:
    """Which attempt a build is: one more than the other blocked builds that count."""
    blocked = blocked_attempts(entries, sources)
    return 1 + len([item for item in blocked if item["fingerprint"] != fingerprint])


@dataclass
class _Group:
    """Entries of one source: every mark met so far, and the blocked builds that count."""

    marks: set[str] = field(default_factory=set)
    blocked: dict[str, dict[str, Any]] = field(default_factory=dict)


def blocked_attempts(
    entries: Sequence[LedgerEntry], sources: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Blocked builds of a source that count, oldest first, one per fingerprint (its newest run)."""
    groups: list[_Group] = []
    for entry in entries:
        if entry.kind not in {"attempt", "promoted", "approved"}:
            continue
        marks = marks_of(entry.body)
        group = _linked(groups, marks)
        group.marks |= mark_names(marks)
        if entry.kind == "approved":
            group.blocked = {}
        elif entry.kind == "promoted":
            group.blocked = {
                name: item
                for name, item in group.blocked.items()
                if not _same_rows(marks_of(item), marks)
            }
        elif entry.body["outcome"] == _BLOCKED or entry.body.get("undecided"):
            name = str(entry.body["fingerprint"])
            first = group.blocked.get(name, {}).get("seq", entry.seq)
            group.blocked[name] = {**entry.body, "at": entry.at, "seq": first}
    return list(_linked(groups, sources).blocked.values())


def _linked(groups: list[_Group], marks: Mapping[str, str]) -> _Group:
    """One group made of all that share a mark with ``marks``; it takes their place in the list."""
    names = mark_names(marks)
    touched = [group for group in groups if group.marks & names]
    merged = _Group()
    found = [item for group in touched for item in group.blocked.items()]
    for name, item in sorted(found, key=lambda pair: pair[1]["seq"]):
        merged.blocked[name] = item
    for group in touched:
        merged.marks |= group.marks
        groups.remove(group)
    groups.append(merged)
    return merged


def _same_rows(attempt: Mapping[str, str], promotion: Mapping[str, str]) -> bool:
    """Whether a promotion speaks for the rows that were tried.

    The declared name alone may point at another file in another target, so it counts only where
    one of the two does not know its place.
    """
    if any(mark in attempt and attempt[mark] == promotion.get(mark) for mark in (PLACE, CONTENT)):
        return True
    unplaced = PLACE not in attempt or PLACE not in promotion
    return unplaced and attempt[DECLARED] == promotion[DECLARED]


def marks_of(body: Mapping[str, Any]) -> dict[str, str]:
    """The marks of an entry's source."""
    return {**(body.get("sources") or {}), DECLARED: str(body["source_key"])}


def mark_names(marks: Mapping[str, str]) -> set[str]:
    """Marks as texts that are equal where the marks are."""
    return {f"{mark} {value}" for mark, value in marks.items()}


def last_run(entries: Sequence[LedgerEntry], table: str) -> RunRecord | None:
    """The newest evaluated build of a table, promoted or not; None when there is none."""
    for entry in reversed(entries):
        if entry.kind in {"attempt", "promoted"} and entry.body.get("table") == table:
            body = entry.body
            return RunRecord(
                run_id=str(body["run_id"]),
                fingerprint=str(body["fingerprint"]),
                outcome=str(body["outcome"]),
                exit_code=int(body["exit_code"]),
                message=str(body["message"]),
                docs=body.get("docs"),
                at=entry.at,
            )
    return None
