"""``published.duckdb``: schemas ``release`` (one view per table), ``release_data``, ``registry``.

``release_data`` holds one immutable table per release; the view of a table points at the newest
one. Written in storage version 1.4.0 so that older DuckDB reads it. The registry's tables have no
indexes on purpose: DuckDB checks them too eagerly when a row is updated in the transaction that
wrote it, and uniqueness is held by the one writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth_contracts.errors import Refused
from synth_contracts.warehouse.connection import Database
from synth_contracts.warehouse.identifiers import qualified, quote
from synth_contracts.warehouse.staging import refuse_foreign
from synth_contracts.warehouse.streaming import StoredRows, stored_rows

_ALIAS = "published_db"
_FORMAT = "1"
_SCHEMAS = {"release", "release_data", "registry"}
#: Columns of registry.releases, all text but the counts.
RELEASE_COLUMNS = (
    "id", "table_name", "version", "source_key", "fingerprint", "row_count", "rows_digest",
    "contract_digest", "contract_text", "contract_expanded", "statement", "analyst_card_html",
    "analyst_card_json", "promoted_at", "status",
)  # fmt: skip
#: Columns of registry.ledger; seq is a number, the rest text.
LEDGER_COLUMNS = ("seq", "recorded_at", "kind", "body", "prev", "hash")


def open_published(path: Path, *, read_only: bool) -> Database:
    """Attach published.duckdb; a missing file is made empty when not ``read_only``.

    Raises:
        WarehouseError: missing, locked, not a DuckDB file, or it holds other schemas than ours.
    """
    database = Database.open(path, _ALIAS, read_only=read_only, storage_version="v1.4.0")
    try:
        refuse_foreign(database, _ALIAS, _SCHEMAS, "published database")
    except BaseException:
        database.close()
        raise
    return database


def registry_id(database: Database) -> str | None:
    """The id of the registry in this file; None when the file is new.

    Raises:
        Refused: the table of its id, or a part of it, is gone from a file that holds more.
    """
    if not _is_table(database, "registry", "meta"):
        if database.rows("SELECT 1 FROM duckdb_tables() WHERE database_name = ?", [_ALIAS]):
            raise _altered(database, "the registry's id is gone")
        return None
    found = dict(database.rows("SELECT key, value FROM registry.meta"))
    if found.get("format") != _FORMAT or not found.get("id"):
        raise Refused(
            "the registry is of a format this version does not read, or was edited",
            where=str(database.path),
        )
    return str(found["id"])


def _refuse_altered(database: Database, table: str, columns: tuple[str, ...], what: str) -> None:
    """Refuse when a table of schema ``registry`` is not the one that this tool made."""
    found = database.rows(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = ? "
        "AND schema_name = 'registry' AND table_name = ? ORDER BY column_index",
        [_ALIAS, table],
    )
    if not _is_table(database, "registry", table) or found != [(name,) for name in columns]:
        raise _altered(database, f"the {what} table is gone or was altered")


def _altered(database: Database, text: str) -> Refused:
    return Refused(
        text,
        where=str(database.path),
        mend="put back the newest copy of published.duckdb that this tool wrote",
    )


def create(database: Database, identifier: str) -> None:
    """Make the schemas and tables of a new registry in one transaction."""
    columns = ", ".join(
        f"{name} {'BIGINT' if name == 'row_count' else 'VARCHAR'}" for name in RELEASE_COLUMNS
    )
    with database.transaction():
        for schema in sorted(_SCHEMAS):
            database.execute(f"CREATE SCHEMA {quote(schema)}")
        database.execute("CREATE TABLE registry.meta (key VARCHAR, value VARCHAR)")
        database.execute(f"CREATE TABLE registry.releases ({columns}, touched BIGINT)")
        database.execute(
            "CREATE TABLE registry.ledger (seq BIGINT, recorded_at VARCHAR, kind VARCHAR, "
            "body VARCHAR, prev VARCHAR, hash VARCHAR)"
        )
        database.execute(
            "INSERT INTO registry.meta VALUES ('id', ?), ('format', ?)", [identifier, _FORMAT]
        )


def ledger(database: Database) -> list[tuple[Any, ...]]:
    """(seq, recorded_at, kind, body, prev, hash) of every entry, oldest first.

    Raises:
        Refused: the table is gone, or it is not the one that this tool made.
    """
    _refuse_altered(database, "ledger", LEDGER_COLUMNS, "ledger's")
    return database.rows(f"SELECT {', '.join(LEDGER_COLUMNS)} FROM registry.ledger ORDER BY seq")  # noqa: S608 - constant names


def head(database: Database) -> str | None:
    """The hash of the newest entry; None when there is none."""
    found = database.rows("SELECT hash FROM registry.ledger ORDER BY seq DESC LIMIT 1")
    return str(found[0][0]) if found else None


def add_entry(database: Database, row: tuple[Any, ...]) -> None:
    """Append one ledger row (in the caller's transaction)."""
    database.execute("INSERT INTO registry.ledger VALUES (?, ?, ?, ?, ?, ?)", row)


def releases(database: Database) -> list[dict[str, Any]]:
    """Every row of registry.releases by column name, in the order of promotion.

    Raises:
        Refused: the table is gone, or it is not the one that this tool made.
    """
    _refuse_altered(database, "releases", (*RELEASE_COLUMNS, "touched"), "registry's")
    rows = database.rows(
        f"SELECT {', '.join(RELEASE_COLUMNS)} FROM registry.releases "  # noqa: S608 - constant names
        "ORDER BY promoted_at, rowid"
    )
    return [dict(zip(RELEASE_COLUMNS, row, strict=True)) for row in rows]


def add_release(database: Database, row: Mapping[str, Any], rows: pa.Table) -> None:
    """Write the table, point the view at it, add the registry row (in the caller's transaction)."""
    table, identifier = str(row["table_name"]), str(row["id"])
    database.create_from(_data(table, identifier), rows)
    database.execute(
        f"CREATE OR REPLACE VIEW {qualified('release', table)} AS {_select(table, identifier)}"
    )
    database.execute(
        "UPDATE registry.releases SET status = 'superseded' "
        "WHERE table_name = ? AND status IN ('live', 'flagged', 'expired')",
        [table],
    )
    marks = ", ".join("?" for _ in RELEASE_COLUMNS)
    database.execute(
        f"INSERT INTO registry.releases VALUES ({marks}, 0)",  # noqa: S608 - question marks only
        [row[name] for name in RELEASE_COLUMNS],
    )


def read_release(database: Database, table: str, identifier: str) -> pa.Table:
    """The rows of one release, in memory. Raises as :func:`released_rows`."""
    _refuse_missing(database, table, identifier)
    return database.arrow(_select(table, identifier))


@contextmanager
def released_rows(database: Database, table: str, identifier: str) -> Iterator[StoredRows]:
    """The rows of one release, batch by batch, as they are now until the block is left.

    Raises:
        Refused: the immutable table is gone, or something else stands in its place.
    """
    _refuse_missing(database, table, identifier)
    with stored_rows(database, _data(table, identifier)) as rows:
        yield rows


def _refuse_missing(database: Database, table: str, identifier: str) -> None:
    if not _is_table(database, "release_data", f"{table}__{identifier}"):
        raise Refused(
            f"the rows of release {identifier} are gone",
            where=table,
            mend="somebody edited the published database; build again",
        )


def set_status(database: Database, identifier: str, status: str) -> None:
    """Set the status of one release (in the caller's transaction)."""
    database.execute(
        "UPDATE registry.releases SET status = ?, touched = touched + 1 WHERE id = ?",
        [status, identifier],
    )


def touch_live(database: Database, identifier: str) -> bool:
    """Touch the row of a live release, so that a revoke at the same time conflicts with us.

    Returns whether exactly one live release of that id was there.
    """
    touched = database.rows(
        "UPDATE registry.releases SET touched = touched + 1 WHERE id = ? AND status = 'live' "
        "RETURNING id",
        [identifier],
    )
    return len(touched) == 1


def drop_view(database: Database, table: str) -> None:
    """Take the table out of schema ``release`` (in the caller's transaction)."""
    database.execute(f"DROP VIEW IF EXISTS {qualified('release', table)}")


def view_is_right(database: Database, table: str, identifier: str) -> bool:
    """Whether ``release.<table>`` is the plain view of that release and of nothing else.

    DuckDB is asked to write down the view we would make, so that its spelling is compared.
    """
    found = database.rows(
        "SELECT sql FROM duckdb_views() WHERE database_name = ? AND schema_name = 'release' "
        "AND view_name = ?",
        [_ALIAS, table],
    )
    database.execute(f"CREATE OR REPLACE TEMP VIEW {quote(table)} AS {_select(table, identifier)}")
    wanted = database.rows(
        "SELECT sql FROM duckdb_views() WHERE database_name = 'temp' AND view_name = ?", [table]
    )
    database.execute(f"DROP VIEW temp.{quote(table)}")
    if len(found) != 1 or len(wanted) != 1:
        return False
    spelled = str(wanted[0][0]).replace("CREATE TEMP VIEW ", 'CREATE VIEW "release".', 1)
    return str(found[0][0]) == spelled


def _select(table: str, identifier: str) -> str:
    # no catalog in front: the file is attached under other names by its readers
    return f"SELECT * FROM {_data(table, identifier)}"  # noqa: S608 - every name is quoted


def _data(table: str, identifier: str) -> str:
    return qualified("release_data", f"{table}__{identifier}")


def _is_table(database: Database, schema: str, table: str) -> bool:
    return bool(
        database.rows(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? "
            "AND table_name = ?",
            [_ALIAS, schema, table],
        )
    )
