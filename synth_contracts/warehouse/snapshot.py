"""Reading a table of the user's own database: attached read-only, never written."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from synth_contracts.warehouse.connection import Database
from synth_contracts.warehouse.identifiers import qualified, quote

# not a name that a schema of the user's database would have: two-part names are ambiguous then
_ALIAS = "synth_contracts_source"


def open_source(path: Path) -> Database:
    """Attach the source read-only. Raises WarehouseError (missing, locked, not DuckDB)."""
    return Database.open(path, _ALIAS, read_only=True)


def tables(database: Database) -> list[tuple[str, str]]:
    """(schema, table) of every table and view of the source, sorted."""
    found = database.rows(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? UNION "
        "SELECT schema_name, view_name FROM duckdb_views() "
        "WHERE database_name = ? AND NOT internal ORDER BY ALL",
        [_ALIAS, _ALIAS],
    )
    return [(str(schema), str(table)) for schema, table in found]


def describe(database: Database, schema: str, table: str) -> list[tuple[str, str]]:
    """(column name, DuckDB type name) in table order."""
    found = database.rows(f"DESCRIBE {qualified(_ALIAS, schema, table)}")
    return [(str(row[0]), str(row[1])) for row in found]


def read(
    database: Database,
    schema: str,
    table: str,
    columns: Collection[str],
    as_text: Collection[str] = (),
) -> pa.Table:
    """The whole table as Arrow; columns named in ``as_text`` are cast to VARCHAR."""
    selected = ", ".join(
        f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}" if name in as_text else quote(name)
        for name in columns
    )
    return database.arrow(f"SELECT {selected} FROM {qualified(_ALIAS, schema, table)}")  # noqa: S608 - every name is quoted
