"""``work.duckdb``: schema ``staging`` holds candidate tables, schema ``runs`` says whose they are.

It holds synthetic rows only. Dropped candidates leave fragments in a DuckDB file (measured), so
real rows have no business here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from synth_contracts.errors import WarehouseError
from synth_contracts.tables import rows_digest_in_parts
from synth_contracts.warehouse.connection import Database
from synth_contracts.warehouse.identifiers import qualified, quote

_ALIAS = "work_db"
_SCHEMAS = {"staging", "runs"}
_UNNOTED = (
    "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'staging' "
    "AND table_name NOT IN (SELECT table_name || '__' || run_id FROM runs.candidates)"
)


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


def put(database: Database, table: str, run_id: str, chunks: Iterable[pa.Table]) -> list[int]:
    """Store the rows of a candidate, all of them or none; returns how many each chunk has.

    It is no candidate before it is noted. What an earlier run left without a note, because it was
    killed between the two, is dropped.
    """
    target = _name(table, run_id)
    rows: list[int] = []
    with database.transaction():
        for (name,) in database.rows(_UNNOTED, [_ALIAS]):
            database.execute(f"DROP TABLE {qualified('staging', str(name))}")
        database.execute(f"DROP TABLE IF EXISTS {target}")
        database.execute(
            "DELETE FROM runs.candidates WHERE table_name = ? AND run_id = ?", [table, run_id]
        )
        for chunk in chunks:
            if rows:
                database.append_to(target, chunk)
            else:
                database.create_from(target, chunk)
            rows.append(chunk.num_rows)
    return rows


def digest(database: Database, table: str, run_id: str) -> str:
    """SHA-256 of the rows of a stored table, of which a part at a time is in memory."""
    target = _name(table, run_id)
    empty = database.arrow(f"SELECT * FROM {target} LIMIT 0")  # noqa: S608 - the name is quoted
    ((rows,),) = database.rows(f"SELECT count(*) FROM {target}")  # noqa: S608
    names = [quote(name) for name in empty.column_names]

    def column(place: int) -> pa.ChunkedArray:
        return database.arrow(f"SELECT {names[place]} FROM {target}").column(0)  # noqa: S608

    def part(numbers: np.ndarray) -> pa.Table:
        if len(numbers) == rows:
            return get(database, table, run_id)
        return database.arrow_of_rows(target, numbers)

    return rows_digest_in_parts(empty.schema, int(rows), column, part)


def stored(database: Database, table: str, run_id: str, first: int, rows: int) -> pa.Table:
    """``rows`` rows of a stored table from number ``first`` (0) on, in any order."""
    return database.arrow(
        f"SELECT * FROM {_name(table, run_id)} WHERE rowid >= {first:d} "  # noqa: S608
        f"AND rowid < {first + rows:d}"
    )


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
    """Whether a candidate of that table and run is stored and noted."""
    return bool(
        database.rows(
            "SELECT 1 FROM duckdb_tables() AS t JOIN runs.candidates AS c "
            "ON t.table_name = c.table_name || '__' || c.run_id "
            "WHERE t.database_name = ? AND t.schema_name = 'staging' "
            "AND c.table_name = ? AND c.run_id = ?",
            [_ALIAS, table, run_id],
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
