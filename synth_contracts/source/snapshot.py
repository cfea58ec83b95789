"""A read-only snapshot of the real table and its digest."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from synth_contracts.contract.model import Contract, SourceRef
from synth_contracts.errors import SourceError, UsageError
from synth_contracts.tables import TableSchema, resolve, rows_digest
from synth_contracts.warehouse import snapshot as sql
from synth_contracts.warehouse.connection import Database
from synth_contracts.warehouse.identifiers import quote

_READABLE = re.compile(
    r"U?(TINYINT|SMALLINT|INTEGER|BIGINT)|HUGEINT|FLOAT|DOUBLE|BOOLEAN|DATE|VARCHAR|UUID"
    r"|DECIMAL\(\d+,\d+\)|TIMESTAMP(_S|_MS|_NS| WITH TIME ZONE)?|ENUM\(.*\)",
    re.DOTALL,
)


@dataclass(frozen=True)
class SourceTable:
    """The whole source table as it stood when it was read.

    ``arrow`` holds every column, excluded ones too (of a type that has no other form, as text);
    ``digest`` is the SHA-256 of all its rows (tables.rows_digest).
    """

    schema: TableSchema
    arrow: pa.Table
    digest: str
    rows: int
    database: str


def read_source(contract: Contract, database: str) -> SourceTable:
    """Read the table that the contract names from the DuckDB file ``database``, read-only.

    Raises:
        SourceError: no source declared; missing file, table or column; empty table; a type that
            cannot be released.
        WarehouseError: the file is locked (says by whom) or is not a DuckDB file.
    """
    source = contract.source
    if source is None:
        raise SourceError(
            "the contract names no source", where=str(contract.path), mend="add a `servers` entry"
        )
    path = Path(database)
    if not path.exists():
        raise SourceError(
            "the source database does not exist",
            where=database,
            mend=_close(path.name, _neighbours(path))
            or f"create it, or name another file for server {source.server!r} in the target",
        )
    with sql.open_source(path) as opened:
        types = _types(opened, source, database)
        as_text = _unreadable(contract, types)
        schema = resolve(contract, [(n, "VARCHAR" if n in as_text else t) for n, t in types])
        arrow = sql.read(opened, source.schema, source.table, [n for n, _ in types], as_text)
    if arrow.num_rows == 0:
        raise SourceError(
            "the source table is empty",
            where=f"{source.schema}.{source.table}",
            mend=f"load rows into {database}",
        )
    arrow = _plain(arrow)
    return SourceTable(schema, arrow, rows_digest(arrow), arrow.num_rows, database)


def _types(opened: Database, source: SourceRef, database: str) -> list[tuple[str, str]]:
    held = sql.tables(opened)
    folded = {(s.casefold(), t.casefold()) for s, t in held}
    if (source.schema.casefold(), source.table.casefold()) not in folded:
        wanted = f"{source.schema}.{source.table}"
        names = [f"{s}.{t}" for s, t in held]
        raise SourceError(
            f"the source holds no table {wanted}",
            where=database,
            mend=_close(wanted, names) or f"the database holds: {_listed(names)}",
        )
    types = sql.describe(opened, source.schema, source.table)
    for name, _ in types:
        try:
            quote(name)
        except UsageError as error:
            raise SourceError(
                f"the column name {name!r} holds control characters",
                where=f"{source.schema}.{source.table}",
                mend="rename the column in the source, or in a view over it",
            ) from error
    return types


def _unreadable(contract: Contract, types: Sequence[tuple[str, str]]) -> set[str]:
    """Excluded columns of nested, binary or other types: read as text, never released."""
    excluded = {name.casefold() for name in contract.roles.exclude}
    return {
        name
        for name, physical in types
        if name.casefold() in excluded and not _READABLE.fullmatch(physical.upper())
    }


def _plain(table: pa.Table) -> pa.Table:
    """Enumerations as text and -0.0 as 0.0: equal values are then equal bytes."""
    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            columns.append(column.cast(kind.value_type))
        elif pa.types.is_floating(kind):
            zero = pa.scalar(0.0, kind)
            columns.append(pc.if_else(pc.equal(column, zero), zero, column))
        else:
            columns.append(column)
    return pa.table(columns, names=table.column_names).combine_chunks()


def _neighbours(path: Path) -> list[str]:
    try:
        return sorted(item.name for item in path.parent.iterdir() if item.suffix == ".duckdb")
    except OSError:
        return []


def _close(wanted: str, names: Iterable[str]) -> str:
    found = difflib.get_close_matches(wanted, list(names), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(found)}?" if found else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "") if names else "no table"
