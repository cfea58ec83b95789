"""Candidates: what a generator produced, stored under its run until it is promoted or pruned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
    """:func:`stage_chunks` of a table that is in memory."""
    return stage_chunks(work, table, run_id, [rows])


def stage_chunks(work: Path, table: str, run_id: str, chunks: Iterable[pa.Table]) -> str:
    """Store a candidate as ``staging."<table>__<run_id>"`` in work.duckdb, chunk by chunk.

    It is a candidate once all its rows are stored and were read back as they were written; a run
    that ends before leaves nothing that a later step takes for one. Older candidates of the table
    are dropped. Returns the SHA-256 of the rows as stored.

    Args:
        work: the path of work.duckdb.
        table: the contract's table.
        run_id: of the run.
        chunks: at least one, all of one schema; drawn from one by one. What they raise is raised.

    Raises:
        UsageError: a run id that is not letters, digits, ``-`` and single ``_``.
        WarehouseError: work.duckdb is locked or foreign, a column changes when it is stored, or
            memory is used up.
    """
    check_run_id(run_id)
    try:
        return _stage(work, table, run_id, chunks)
    except MemoryError as error:
        raise WarehouseError(
            f"memory is used up: {error or 'no more is to be had'}",
            where=f"{table} of run {run_id}",
            mend="ask for fewer generator.rows, or give the process more memory",
        ) from error


def _stage(work: Path, table: str, run_id: str, chunks: Iterable[pa.Table]) -> str:
    written: list[str] = []

    def told() -> Iterator[pa.Table]:
        for chunk in chunks:
            written.append(rows_digest(chunk))
            yield chunk

    with staging.open_work(work) as database:
        sizes = staging.put(database, table, run_id, told())
        first = 0
        for digest, rows in zip(written, sizes, strict=True):
            if rows_digest(staging.stored(database, table, run_id, first, rows)) != digest:
                raise WarehouseError(
                    "the rows read back from staging are not the rows that were written",
                    where=f"{table} of run {run_id}",
                    mend="a column type does not survive DuckDB; cast it in the source",
                )
            first += rows
        digest = written[0] if len(sizes) == 1 else staging.digest(database, table, run_id)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        staging.note(database, table, run_id, digest=digest, rows=first, at=at)
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
