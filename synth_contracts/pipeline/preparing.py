"""Everything before the first fit: contract, source and split, met and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from synth_contracts.contract import Contract, settle
from synth_contracts.contract.rules import SAME_DAYS
from synth_contracts.errors import NotEvaluatedError, UsageError
from synth_contracts.pipeline.results import versions
from synth_contracts.release import budget_marks, source_marks
from synth_contracts.settings import Settings
from synth_contracts.signing import KeyFolder, derive
from synth_contracts.source import (
    DEMO_SECRET,
    SourceTable,
    Split,
    check_constraints,
    read_source,
    refuse_public_secret,
    split,
)
from synth_contracts.tables import TableSchema, canonical
from synth_contracts.warehouse import separate_files


@dataclass(frozen=True)
class Prepared:
    """A contract met with its source: everything before the first fit.

    ``source`` says what was read and holds none of its rows any more: they are in ``split``.
    ``sources`` are the marks under which attempts on these rows are counted, ``budget`` those under
    which what a guarantee spends is summed.
    """

    contract: Contract
    source: SourceTable
    split: Split
    secret: bytes
    fingerprint: str
    sources: Mapping[str, str]
    budget: tuple[str, ...] = ()


def prepare(settings: Settings, contract: Contract, keys: KeyFolder) -> Prepared:
    """Read and check the source and split it.

    Raises:
        UsageError: the contract names no server, or no database is known for it (2).
        SourceError: missing, empty, locked, or not what the contract declares (3).
        NotEvaluatedError: too few entities for any membership attack (3).
        Refused: the public split key over another source than the demo's (5).
    """
    where = str(contract.path)
    if contract.source is None:
        raise UsageError(
            "the contract names no server", where=where, mend="add a `servers` entry to it"
        )
    database = settings.source_database(contract.source.server, contract.source.database, where)
    separate_files(
        source=Path(database), work=settings.target.work, published=settings.target.published
    )
    source = read_source(contract, database)
    contract = settle(contract, {f.name: str(f.kind) for f in source.schema.fields})
    secret = DEMO_SECRET if settings.demo_split else keys.secret()
    refuse_public_secret(secret, source.digest)
    check_constraints(source, contract)
    _check_period(source, contract)
    parts = split(source, contract, secret)
    body = {
        "contract": contract.digest,
        "source": source.digest,
        "split": derive(secret, "fingerprint").hex(),
        "versions": versions(),
    }
    fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    sources = source_marks(contract, database=database, digest=source.digest)
    budget = budget_marks(contract, database=database, digest=source.digest)
    source = replace(source, arrow=source.arrow.schema.empty_table())  # the rows are in the parts
    return Prepared(contract, source, parts, secret, fingerprint, sources, budget)


def _check_period(source: SourceTable, contract: Contract) -> None:
    """Refuse, before the fit, rules that the contract's own period makes unanswerable.

    Raises:
        NotEvaluatedError: the period shares no day with the source, and rules that compare the
            same days are asked.
    """
    period, time = contract.generator.period, source.schema.roles.time_index
    if period is None or time is None:
        return
    times = canonical(source.arrow.select([time]), _only(source.schema, time))[time].dropna()
    if times.empty:
        return
    first, last = times.min().date(), times.max().date()
    start, end = period.between(first, last)
    asked = [rule.id for rule in contract.rules if rule.metric in SAME_DAYS]
    if asked and (start > last or end < first):
        raise NotEvaluatedError(
            f"{', '.join(asked)} compare the same days of train and of the synthetic table, and "
            f"generator.period ({start} to {end}) has none in common with the source's "
            f"({first} to {last})",
            where=str(contract.path),
            mend=f"write `disable: [{', '.join(asked)}]`, or choose days that the source covers",
        )


def _only(schema: TableSchema, name: str) -> TableSchema:
    fields = tuple(field for field in schema.fields if field.name == name)
    return replace(schema, fields=fields, constraints=())
