"""Candidates: what a generator produced, stored under its run until it is promoted or pruned."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from synth_contracts.errors import UsageError, WarehouseError
from synth_contracts.tables import rows_digest
from synth_contracts.warehouse import staging

#: Candidates kept per table, the one just staged among them.
KEPT = 2
_RUN = re.compile(r"(?!.*__)[A-Za-z0-9][A-Za-z0-9_-]{0,120}[A-Za-z0-9]")


def stage(work: Path, table: str, run_id: str, rows: pa.Table) -> str:
    """Store a candidate as ``staging."<table>__<run_id>"`` in work.duckdb.

    Older candidates of the table are dropped. Returns the SHA-256 of the rows as stored.

    Raises:
        UsageError: a run id that is not letters, digits, ``-`` and single ``_``.
        WarehouseError: work.duckdb is locked or foreign, or a column changes when it is stored.
    """
    check_run_id(run_id)
    with staging.open_work(work) as database:
        digest = rows_digest(staging.put(database, table, run_id, rows))
        if digest != rows_digest(rows):
            raise WarehouseError(
                "the rows read back from staging are not the rows that were written",
                where=f"{table} of run {run_id}",
                mend="a column type does not survive DuckDB; cast it in the source",
            )
        at = datetime.now(UTC).isoformat(timespec="seconds")
        staging.note(database, table, run_id, digest=digest, rows=rows.num_rows, at=at)
        staging.prune(database, table, KEPT)
    return digest


def staged(work: Path, table: str, run_id: str) -> pa.Table:
    """The rows of a candidate; work.duckdb is opened read-only.

    Raises:
        WarehouseError: no such candidate, or work.duckdb is missing or locked.
    """
    check_run_id(run_id)
    with staging.open_work(work, read_only=True) as database:
        if not staging.exists(database, table, run_id):
            raise WarehouseError(
                f"staging holds no candidate of run {run_id}",
                where=table,
                mend="build again: older candidates are dropped",
            )
        return staging.get(database, table, run_id)


def check_run_id(run_id: str) -> None:
    """Raise UsageError unless ``<table>__<run_id>`` can be read one way only."""
    if not _RUN.fullmatch(run_id):
        raise UsageError(
            f"{run_id!r} cannot be a run id", mend="letters, digits, `-` and single `_`"
        )
