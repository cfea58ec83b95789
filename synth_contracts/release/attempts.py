"""Attempts: builds until one passes are counted, and too many are refused.

A generator truly at .28 passes a limit of .25 once in 31 %, within ten tries in 97 % (METRICS). So
blocked builds are counted per declared source, table and unit of privacy, since the last promotion
or approval. Another seed, contract, version or split key counts on; the same build run again does
not, nor does one that came to no verdict. The count lives in the ledger, nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from synth_contracts.contract.model import Contract
from synth_contracts.errors import Refused, UsageError
from synth_contracts.release.ledger import LedgerEntry
from synth_contracts.release.records import RunRecord
from synth_contracts.signing.jsontext import dump_canonical

if TYPE_CHECKING:
    from synth_contracts.release.registry import Registry

_BLOCKED = "FAILED"


def source_key(contract: Contract) -> str:
    """What attempts are counted under: the declared server, table and unit (hex SHA-256).

    Raises:
        UsageError: the contract declares no source.
    """
    source = contract.source
    if source is None:
        raise UsageError("the contract names no source", where=str(contract.path))
    named = [source.server, source.schema, source.table, contract.roles.entity_key or ""]
    folded = [name.casefold() for name in named]
    return hashlib.sha256(dump_canonical({"attempts": folded})).hexdigest()


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
    """
    if outcome not in {"FAILED", "NOT_EVALUATED"}:
        raise UsageError(f"{outcome} is not the outcome of a build that was not passed")
    body = {
        "table": contract.table,
        "source_key": source_key(contract),
        "contract_digest": contract.digest,
        "fingerprint": fingerprint,
        "run_id": run_id,
        "outcome": outcome,
        "exit_code": exit_code,
        "message": message,
        "broken": list(broken),
        "card_digest": card_digest,
        "docs": docs,
    }
    return registry.append("attempt", body)


def check_attempts(registry: Registry, contract: Contract, fingerprint: str) -> None:
    """Refuse a new build when ``maxAttempts`` blocked ones stand in the ledger.

    Raises:
        Refused: (exit 5) they are used up and this build is none of them.
    """
    blocked = blocked_attempts(registry.entries(), source_key(contract))
    limit = contract.export.max_attempts
    if len(blocked) >= limit and fingerprint not in {item["fingerprint"] for item in blocked}:
        raise Refused(
            f"{len(blocked)} builds of this source were blocked and {limit} are allowed "
            "(export.maxAttempts): trying until one passes is not passing",
            where=contract.table,
            mend=f"an approver enters: synth-contracts ledger approve {contract.table} "
            "--reason ...",
        )


def approve(registry: Registry, key: str, by: str, reason: str) -> LedgerEntry:
    """An approver's entry: attempts of this source key count afresh from here.

    Raises:
        UsageError: no reason is given.
    """
    if not reason.strip():
        raise UsageError("an approval needs a reason", mend="--reason ...")
    return registry.append("approved", {"source_key": key, "by": by, "reason": reason})


def blocked_attempts(entries: Sequence[LedgerEntry], key: str) -> list[dict[str, Any]]:
    """Blocked builds that count, oldest first, one per fingerprint (its newest run)."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.body.get("source_key") != key:
            continue
        if entry.kind in {"promoted", "approved"}:
            found = {}
        elif entry.kind == "attempt" and entry.body["outcome"] == _BLOCKED:
            found[str(entry.body["fingerprint"])] = {**entry.body, "at": entry.at}
    return list(found.values())


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
