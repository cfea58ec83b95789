"""What ``evaluate`` is given, made comparable, or the reason why it cannot be compared.

Tables that differ in columns or types are compared nowhere: a metric that looked at the rest would
read well and leave out what matters. Reasons name tables, columns and types, never a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from synth_contracts.contract.model import Contract
from synth_contracts.errors import SourceError
from synth_contracts.tables import TableSchema, canonical, duckdb_types, resolve, to_arrow

Given: TypeAlias = pd.DataFrame | pa.Table | None
#: Faults that one reason names; of a wide table that fits nowhere, more would help nobody.
_TOLD = 8
#: What values raise that Arrow cannot hold: too large, lone surrogates, mixed, of foreign types.
_UNREADABLE = (
    SourceError, ValueError, TypeError, OverflowError, NotImplementedError, AttributeError,
    RecursionError,
)  # fmt: skip


class Unfit(Exception):
    """The tables cannot be compared as a whole; the message is the reason."""


@dataclass(frozen=True)
class Inputs:
    """Three tables that can be compared: as Arrow for their digests, canonical for the metrics."""

    schema: TableSchema
    arrow: Mapping[str, pa.Table]
    frames: Mapping[str, pd.DataFrame]


def read(contract: Contract, *, train: Given, holdout: Given, synthetic: Given) -> Inputs:
    """The tables with the schema that the columns of ``train`` resolve to.

    A holdout of None is an empty one: what needs unseen rows says so, the rest is measured.

    Raises:
        Unfit: a table is missing or cannot be read, or its columns or types are not train's.
    """
    given = {"train": train, "holdout": holdout, "synthetic": synthetic}
    _raise([f"there is no {name} table" for name in ("train", "synthetic") if given[name] is None])
    tables = {name: _arrow(name, table) for name, table in given.items() if table is not None}
    tables.setdefault("holdout", tables["train"].slice(0, 0))
    try:
        schema = resolve(contract, duckdb_types(tables["train"]))
    except SourceError as error:
        raise Unfit(f"the train table does not fit the contract: {_words(error)}") from error
    known = [name for name in tables["holdout"].column_names if name in _names(schema)]
    tables["holdout"] = tables["holdout"].select(known)
    _raise(
        [
            fault
            for name in ("holdout", "synthetic")
            for fault in _differences(name, tables[name], tables["train"], schema)
        ]
    )
    frames = {}
    for name, table in tables.items():
        try:
            frames[name] = canonical(table, schema)
        except _UNREADABLE as error:
            raise Unfit("; ".join(_misfits(name, table, schema))) from error
    return Inputs(schema=schema, arrow=tables, frames=frames)


def _raise(faults: list[str]) -> None:
    if faults:
        more = len(faults) - _TOLD
        words = faults[:_TOLD] + ([f"and {more} more"] if more > 0 else [])
        raise Unfit("; ".join(words))


def _names(schema: TableSchema) -> set[str]:
    return {field.name for field in schema.fields}


def _words(error: SourceError) -> str:
    return f"{error.where}: {error.message}" if error.where else error.message


# Reading.


def _arrow(name: str, table: pd.DataFrame | pa.Table) -> pa.Table:
    names = [str(column) for column in (table.columns if _is_frame(table) else table.column_names)]
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise Unfit(f"the {name} table has several columns named {_listed(twice)}")
    if isinstance(table, pa.Table):
        return table
    folded = [
        f"the {name} table mixes {kinds} in the column {column!r}"
        for i, column in enumerate(names)
        if (kinds := _folded(table.iloc[:, i]))
    ]
    _raise(folded)
    try:
        return to_arrow(table)
    except _UNREADABLE as error:
        _raise([fault for i in range(len(names)) if (fault := _column_fault(name, table, i))])
        raise Unfit(f"the {name} table cannot be read") from error


def _is_frame(table: Any) -> bool:
    return isinstance(table, pd.DataFrame)


def _folded(column: pd.Series) -> str | None:
    """Kinds of moments that Arrow would silently make one of, losing hours or the zone."""
    if column.dtype != object or not len(column):
        return None
    values = column.to_numpy(dtype=object)
    if not any(issubclass(kind, date) for kind in set(map(type, values))):
        return None
    moments = [value for value in values if isinstance(value, date) and not pd.isna(value)]
    kinds = {
        "dates" if not isinstance(value, datetime)
        else "times without a zone" if value.tzinfo is None
        else "times with a zone"
        for value in moments
    }  # fmt: skip
    return " and ".join(sorted(kinds)) if len(kinds) > 1 else None


def _column_fault(name: str, table: pd.DataFrame, place: int) -> str | None:
    column = table.iloc[:, place]
    try:
        to_arrow(column.to_frame())
    except _UNREADABLE:
        label = str(table.columns[place])
        if column.dtype != object:
            kinds = str(column.dtype)
        else:
            kinds = ", ".join(sorted({type(v).__name__ for v in column if not _missing(v)})[:5])
        return f"the {name} table cannot be read in the column {label!r}: it holds {kinds}"
    return None


def _missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


# Comparing with train.


def _differences(name: str, table: pa.Table, train: pa.Table, schema: TableSchema) -> list[str]:
    """Columns that ``table`` lacks, that nobody would look at, and those of another type."""
    released = {field.name: field for field in schema.released}
    held = set(table.column_names)
    faults = []
    lacking = [column for column in released if column not in held]
    if lacking:
        told = ", ".join(f"{column!r} ({train.schema.field(column).type})" for column in lacking)
        faults.append(f"the {name} table lacks columns that train has: {told}")
    if name == "synthetic":
        # whoever took the table would take these along, unmeasured
        foreign = [column for column in table.column_names if column not in _names(schema)]
        if foreign:
            faults.append(f"the synthetic table has columns that train lacks: {_listed(foreign)}")
        excluded = [c for c in table.column_names if c in _names(schema) - set(released)]
        if excluded:
            faults.append(
                f"the synthetic table has columns that the contract excludes: {_listed(excluded)}"
            )
    for column in table.column_names:
        if column not in _names(schema):
            continue
        kind, wanted = table.schema.field(column).type, train.schema.field(column).type
        key = column in released and released[column].key
        if not _comparable(kind, wanted, key=key, zoned=schema.roles.timezone is not None):
            faults.append(
                f"the column {column!r} is {kind} in the {name} table and {wanted} in train"
            )
    return faults


def _comparable(kind: pa.DataType, wanted: pa.DataType, *, key: bool, zoned: bool) -> bool:
    ours, theirs = _family(kind), _family(wanted)
    if "nothing" in (ours, theirs):
        return True
    if key or ours != theirs:  # keys are compared as they are: a date is no time, nor 1 a "1"
        return ours == theirs and _zone(kind) == _zone(wanted) and _dated(kind) == _dated(wanted)
    # without a zone in the contract nobody knows which moment a time without one is
    return ours != "time" or zoned or _dated(kind) or _dated(wanted) or _zone(kind) == _zone(wanted)


def _family(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _family(kind.value_type)
    if pa.types.is_null(kind):
        return "nothing"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "time"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    return str(kind)


def _zone(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.tz is not None)


def _dated(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind))


def _misfits(name: str, table: pa.Table, schema: TableSchema) -> list[str]:
    """The columns whose values do not fit the kind that train's types give them."""
    faults = []
    for field in schema.released:
        try:
            canonical(table.select([field.name]), _only(schema, field.name))
        except _UNREADABLE:
            kind = table.schema.field(field.name).type
            faults.append(
                f"the column {field.name!r} of the {name} table holds {kind} values that cannot be "
                f"read as {field.kind} ({field.physical_type} in train)"
            )
    return faults[:_TOLD] or [f"the {name} table cannot be read"]


def _only(schema: TableSchema, name: str) -> TableSchema:
    return replace(schema, fields=(schema.field(name),))


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
