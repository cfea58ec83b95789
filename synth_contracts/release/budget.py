"""The lifetime budget of a source: every fit under a guarantee is paid before noise is drawn.

Two places keep what was spent, and what either of them knows counts: the ledger of the registry,
and a chained log in the key folder, which outlives ``target/``, the warehouse and the registry.
Nothing is ever given back: a fit that was killed, blocked or thrown away has drawn its noise.

    check -> log in the key folder (fsync) -> its head (fsync) -> ledger -> noise

A source is known by five marks, and entries with one mark in common, directly or through others,
share one budget. Three name the table without its unit (as declared, by place, by content), two the
database with the unit (as declared, by place): releases from several tables of one database whose
unit is the same may tell of the same people, and a table renamed in its database stays in.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from synth_contracts.contract.guarantee import Guarantee
from synth_contracts.contract.model import Contract
from synth_contracts.errors import Refused, UsageError
from synth_contracts.signing.jsontext import dump_canonical, load_strict
from synth_contracts.signing.keys import KeyFolder

if TYPE_CHECKING:
    from synth_contracts.release.registry import Registry

LOG = "budget"
KIND = "budget_spent"
_START = hashlib.sha256(b"synth-contracts budget v1").hexdigest()
#: Sums of decimal fractions are a hair off.
_HAIR = 1e-9


@dataclass(frozen=True)
class Spent:
    """What the fits of one source have spent: sums, and the smallest lifetime that was declared."""

    fits: int = 0
    epsilon: float = 0.0
    delta: float = 0.0
    lifetime: float | None = None
    units: frozenset[str] = frozenset()


def budget_marks(contract: Contract, *, database: str, digest: str) -> tuple[str, ...]:
    """The marks of a source, each a hex SHA-256 (see module), sorted.

    Args:
        contract: declares the source and the unit.
        database: the file that was read.
        digest: of all rows of the table.

    Raises:
        UsageError: the contract declares no source.
    """
    source = contract.source
    if source is None:
        raise UsageError("the contract names no source", where=str(contract.path))
    unit = _unit(contract)
    place = os.path.realpath(database).casefold()
    table = [source.schema.casefold(), source.table.casefold()]
    named = {
        "declared": [source.server.casefold(), *table],
        "place": [place, *table],
        "content": [digest],
        "server": [source.server.casefold(), unit],
        "database": [place, unit],
    }
    return tuple(
        sorted(
            hashlib.sha256(dump_canonical({"budget": kind, "of": parts})).hexdigest()
            for kind, parts in named.items()
        )
    )


def spent(registry: Registry, keys: KeyFolder, marks: Sequence[str]) -> Spent:
    """What both places know of the source with these marks.

    Raises:
        Refused: (exit 5) the log beside the keys was cut, edited or deleted.
    """
    return _sum(_known(registry, _read(keys)), marks)


def check_budget(
    registry: Registry, keys: KeyFolder, contract: Contract, marks: Sequence[str]
) -> None:
    """Refuse a fit for which not enough is left; nothing is spent.

    Raises:
        Refused: (exit 5) the budget is spent, or was kept for another unit.
    """
    asked = _asked(contract)
    _refuse(contract, asked, spent(registry, keys, marks))


def reserve(
    registry: Registry,
    keys: KeyFolder,
    contract: Contract,
    marks: Sequence[str],
    *,
    run_id: str,
    details: Mapping[str, Any],
) -> None:
    """Spend what a fit is about to use; durable in both places when this returns.

    Args:
        registry: open for writing.
        keys: beside which the log is kept.
        contract: its guarantee is what is spent.
        marks: of the source.
        run_id: of the build.
        details: of the mechanism (rho, pairs), kept with the entry.

    Raises:
        Refused: (exit 5) as ``check_budget``; nothing was spent then.
    """
    asked = _asked(contract)
    with keys.exclusive():
        log = _read(keys)
        _refuse(contract, asked, _sum(_known(registry, log), marks))
        body = {
            "id": uuid.uuid4().hex,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "table": contract.table,
            "run_id": run_id,
            "marks": list(marks),
            "unit": _unit(contract),
            "epsilon": asked.epsilon,
            "delta": asked.delta,
            "lifetime": asked.lifetime_epsilon,
            "rows_per_entity": asked.rows_per_entity,
            "details": dict(details),
        }
        _append(keys, log, body)
        registry.append(KIND, body)


def _asked(contract: Contract) -> Guarantee:
    asked = contract.generator.guarantee
    if asked is None:
        raise UsageError("the contract declares no guarantee", where=str(contract.path))
    return asked


def _unit(contract: Contract) -> str:
    return (contract.roles.entity_key or "row").casefold()


def _refuse(contract: Contract, asked: Guarantee, known: Spent) -> None:
    unit = _unit(contract)
    others = sorted(known.units - {unit})
    if others:
        raise Refused(
            f"the budget of this source is kept for the unit {others[0]}, and the contract's unit "
            f"is {unit}: what was spent on one does not add up with the other",
            where=contract.table,
            mend=f"keep the unit {others[0]}",
        )
    lifetime = min(asked.lifetime_epsilon, known.lifetime or asked.lifetime_epsilon)
    left = lifetime - known.epsilon
    if asked.epsilon <= left + _HAIR:
        return
    mend = "what is released stays released; the budget of a source never comes back"
    if left > _HAIR:
        mend = f"ask for epsilon {left:.6g} or less; {mend}"
    if asked.lifetime_epsilon > lifetime:
        mend += f" (lifetimeEpsilon was first declared as {lifetime:g} and can only be lowered)"
    raise Refused(
        f"this fit asks for epsilon {asked.epsilon:g} per {unit}, and of the source's lifetime "
        f"budget of {lifetime:g} the {known.fits} fits so far have spent {known.epsilon:g}",
        where=contract.table,
        mend=mend,
    )


def _known(registry: Registry, log: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Entries of both places, each once."""
    found = {str(body["id"]): body for body in log}
    for entry in registry.entries(KIND):
        found.setdefault(str(entry.body["id"]), entry.body)
    return list(found.values())


def _sum(entries: Sequence[Mapping[str, Any]], marks: Sequence[str]) -> Spent:
    """The sum over all entries linked with ``marks``, directly or through others."""
    linked, left = set(marks), list(entries)
    mine: list[Mapping[str, Any]] = []
    while True:
        near = [body for body in left if linked & set(body["marks"])]
        if not near:
            break
        mine += near
        left = [body for body in left if not linked & set(body["marks"])]
        linked |= {mark for body in near for mark in body["marks"]}
    return Spent(
        fits=len(mine),
        epsilon=sum(float(body["epsilon"]) for body in mine),
        delta=sum(float(body["delta"]) for body in mine),
        lifetime=min((float(body["lifetime"]) for body in mine), default=None),
        units=frozenset(str(body["unit"]) for body in mine),
    )


def _read(keys: KeyFolder) -> list[dict[str, Any]]:
    """The log, verified against its chain and the head noted apart from it."""
    entries: list[dict[str, Any]] = []
    before, last = _START, _START
    for line in keys.read_log(LOG):
        entry = load_strict(line, "the budget log")
        body = entry.get("body") if isinstance(entry, dict) else None
        if not isinstance(body, dict) or entry.get("hash") != _hash(last, body):
            raise _damaged(keys, "was edited")
        before, last = last, str(entry["hash"])
        entries.append(body)
    head = keys.read_head(LOG)
    # the head is written after the log: a crash in between leaves it one entry behind
    if head not in {last, before if entries else None} and not (head is None and len(entries) <= 1):
        raise _damaged(keys, "was cut, or an older copy of it was put back")
    return entries


def _append(keys: KeyFolder, log: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> None:
    last = _START
    lines = []
    for item in (*log, body):
        last = _hash(last, item)
        lines.append(dump_canonical({"body": dict(item), "hash": last}))
    keys.write_log(LOG, lines)
    keys.write_head(LOG, last)


def _hash(before: str, body: Mapping[str, Any]) -> str:
    return hashlib.sha256(before.encode() + dump_canonical(dict(body))).hexdigest()


def _damaged(keys: KeyFolder, what: str) -> Refused:
    return Refused(
        f"the log of spent privacy budgets {what}",
        where=str(keys.path / f"{LOG}.jsonl"),
        mend="put back the newest copy of it: without it nobody knows what is left",
    )
