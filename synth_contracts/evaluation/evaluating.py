"""``evaluate()``: three tables and a contract in, an Evaluation out. No warehouse, no GX."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa

from synth_contracts import metrics
from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.expand import settle
from synth_contracts.contract.model import Contract
from synth_contracts.errors import SourceError
from synth_contracts.expectations.measured import Measuring
from synth_contracts.metrics.measurement import Evaluation, Result
from synth_contracts.tables import (
    TableSchema,
    canonical,
    duckdb_types,
    resolve,
    rows_digest,
    to_arrow,
)


@dataclass(frozen=True)
class Digests:
    """Digests of the rows (hex SHA-256) that an evaluation is bound to."""

    rows: str
    train: str
    holdout: str


def evaluate(
    contract: Contract,
    *,
    train: pd.DataFrame | pa.Table,
    holdout: pd.DataFrame | pa.Table,
    synthetic: pd.DataFrame | pa.Table,
    seed: int,
    controls: bool = True,
) -> Evaluation:
    """Measure ``synthetic`` by every rule of ``contract``.

    Args:
        contract: the loaded contract; its rules say what is measured. Those that the column types
            of ``train`` cannot be asked are taken out, as ``build`` does.
        train: what the generator saw; its column types count for all three tables.
        holdout: entities that the generator never saw, of the same source.
        synthetic: the candidate.
        seed: seeds every sample that a metric draws; the same seed gives the same numbers.
        controls: whether leaks are planted into copies of the candidate, to see what the run would
            have blocked. Without them a contract of the preset strict that sets ``blindAbove``
            comes to no verdict.

    Returns:
        The Evaluation, without seal: ``judge`` comes to a verdict on it, a release does not.
        What could not be measured is a ``NotMeasured`` with its reason.

    Raises:
        SourceError: a table lacks columns, or its values do not fit the types of ``train``.
    """
    tables = {
        "train": to_arrow(train),
        "holdout": to_arrow(holdout),
        "synthetic": to_arrow(synthetic),
    }
    schema = resolve(contract, duckdb_types(tables["train"]))
    contract = _settled(contract, kinds_of(schema))
    for name, table in tables.items():
        _require(name, table, schema)
    comparison = metrics.Comparison(
        train=canonical(tables["train"], schema),
        holdout=canonical(tables["holdout"], schema),
        synthetic=canonical(tables["synthetic"], schema),
        schema=schema,
        k=contract.k,
        seed=seed,
        coarsening=Coarsening.of(contract),
    )
    digests = Digests(
        rows=rows_digest(tables["synthetic"]),
        train=rows_digest(tables["train"]),
        holdout=rows_digest(tables["holdout"]),
    )
    started = time.perf_counter()
    measuring = Measuring(comparison)
    results = {
        rule.id: measuring.measure(rule.metric, rule.column, rule.options)
        for rule in contract.rules
    }
    reported = report_only(contract, measuring)
    found = measuring.control(contract.rules, results, contract.report_only) if controls else None
    total = round(time.perf_counter() - started, 4)
    return replace(assemble(contract, measuring, digests, results, reported, total), controls=found)


def report_only(contract: Contract, measuring: Measuring) -> dict[str, Result]:
    """What the contract's preset measures without judging it."""
    return {metric: measuring.measure(metric) for metric in contract.report_only}


def assemble(
    contract: Contract,
    measuring: Measuring,
    digests: Digests,
    results: Mapping[str, Result],
    reported: Mapping[str, Result],
    seconds: float,
) -> Evaluation:
    """The record of one evaluation; ``seconds`` is the wall time of all measuring."""
    comparison = measuring.comparison
    return Evaluation(
        contract_digest=contract.digest,
        rows_digest=digests.rows,
        train_digest=digests.train,
        holdout_digest=digests.holdout,
        seed=comparison.seed,
        n_train=len(comparison.train),
        n_holdout=len(comparison.holdout),
        n_synthetic=len(comparison.synthetic),
        entities_train=_entities(comparison.train, comparison.schema),
        entities_holdout=_entities(comparison.holdout, comparison.schema),
        results=dict(results),
        reported=dict(reported),
        timings={**measuring.timings, "total": seconds},
        attempt=comparison.attempt,
        kinds=kinds_of(comparison.schema),
    )


def _settled(contract: Contract, kinds: Mapping[str, str]) -> Contract:
    """``contract`` without the rules that the kinds rule out.

    One that was put together by hand has rules that no preset gives it; it stays as it is.
    """
    settled = settle(contract, kinds)
    known = {rule.id for rule in settled.rules} | {item.id for item in settled.not_asked}
    asked = {rule.id for rule in contract.rules}
    whole = asked <= known and {rule.id for rule in settled.rules} <= asked
    return settled if whole else contract


def kinds_of(schema: TableSchema) -> dict[str, str]:
    """Column name -> kind, as ``settle`` takes them."""
    return {item.name: str(item.kind) for item in schema.fields}


def _entities(frame: pd.DataFrame, schema: TableSchema) -> int:
    key = schema.roles.entity_key
    return len(frame) if key is None else int(frame[key].nunique())


def _require(name: str, table: pa.Table, schema: TableSchema) -> None:
    missing = [f.name for f in schema.released if f.name not in table.column_names]
    if missing:
        raise SourceError(
            f"the {name} table lacks the columns {', '.join(missing)}",
            where=schema.table,
            mend=f"it holds: {', '.join(table.column_names)}; all three tables need the same ones",
        )
