"""``work.duckdb``: schema ``staging`` holds candidate tables, schema ``runs`` says whose they are.

It holds synthetic rows only. Dropped candidates leave fragments in a DuckDB file (measured), so
real rows have no business here.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from synth_contracts.errors import WarehouseError
from synth_contracts.warehouse.connection import Database
from synth_contracts.warehouse.identifiers import qualified

_ALIAS = "work_db"
_SCHEMAS = {"staging", "runs"}


def open_work(path: Path, *, read_only: bool = False) -> Database:
    """Attach work.duckdb; it is made, with its schemas, when missing and not ``read_only``.

    Raises:
        WarehouseError: locked, not a DuckDB file, or the file holds other schemas than ours.
    """
    database = Database.open(path, _ALIAS, read_only=read_only)
    try:
        refuse_foreign(database, _ALIAS, _SCHEMAS, "work database")
        if not read_only:
            with database.transaction():
                database.execute("CREATE SCHEMA IF NOT EXISTS staging")
                database.execute("CREATE SCHEMA IF NOT EXISTS runs")
                database.execute(
                    "CREATE TABLE IF NOT EXISTS runs.candidates (seq BIGINT, table_name VARCHAR, "
                    "run_id VARCHAR, row_count BIGINT, rows_digest VARCHAR, staged_at VARCHAR)"
                )
    except BaseException:
        database.close()
        raise
    return database


def refuse_foreign(database: Database, alias: str, ours: set[str], what: str) -> None:
    """Raise WarehouseError when the file holds tables that are not ours: a mistyped path."""
    found = database.rows(
        "SELECT DISTINCT schema_name FROM duckdb_tables() WHERE database_name = ?", [alias]
    )
    foreign = sorted({str(row[0]) for row in found} - ours)
    if foreign:
        raise WarehouseError(
            f"this file is no {what}: it holds tables in schema {', '.join(foreign)}",
            where=str(database.path),
            mend="give it a file of its own in synth-contracts.yml",
        )


def put(database: Database, table: str, run_id: str, rows: pa.Table) -> pa.Table:
    """Store a candidate, replacing one of the same run, and return it as it was stored."""
    target = _name(table, run_id)
    with database.transaction():
        database.execute(f"DROP TABLE IF EXISTS {target}")
        database.execute(
            "DELETE FROM runs.candidates WHERE table_name = ? AND run_id = ?", [table, run_id]
        )
        database.create_from(target, rows)
    return get(database, table, run_id)


def note(database: Database, table: str, run_id: str, *, digest: str, rows: int, at: str) -> None:
    """Record a stored candidate in ``runs.candidates``."""
    database.execute(
        "INSERT INTO runs.candidates SELECT coalesce(max(seq), 0) + 1, ?, ?, ?, ?, ? "
        "FROM runs.candidates",
        [table, run_id, rows, digest, at],
    )


def get(database: Database, table: str, run_id: str) -> pa.Table:
    """The rows of a candidate. Raises WarehouseError when there is none."""
    return database.arrow(f"SELECT * FROM {_name(table, run_id)}")  # noqa: S608 - the name is quoted


def exists(database: Database, table: str, run_id: str) -> bool:
    """Whether a candidate of that table and run is stored."""
    return bool(
        database.rows(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'staging' "
            "AND table_name = ?",
            [_ALIAS, f"{table}__{run_id}"],
        )
    )


def prune(database: Database, table: str, keep: int) -> None:
    """Drop all but the newest ``keep`` candidates of a table."""
    old = database.rows(
        "SELECT run_id FROM runs.candidates WHERE table_name = ? ORDER BY seq DESC OFFSET ?",
        [table, keep],
    )
    with database.transaction():
        for (run_id,) in old:
            database.execute(f"DROP TABLE IF EXISTS {_name(table, str(run_id))}")
            database.execute(
                "DELETE FROM runs.candidates WHERE table_name = ? AND run_id = ?", [table, run_id]
            )


def _name(table: str, run_id: str) -> str:
    return qualified("staging", f"{table}__{run_id}")
