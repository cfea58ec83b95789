"""Canonical frames: the one pandas form that generators and metrics read.

A canonical frame holds the columns of a TableSchema under their own names with these dtypes:

===========================  ==============================================================
kind                         dtype, missing value
===========================  ==============================================================
INTEGER, NUMBER              float64, NaN (infinities are kept: a rule must see them)
TEXT, CODE, BOOLEAN          object holding str, None (CODE as ``"366"``, BOOLEAN ``"true"``)
TIMESTAMP, DATE              datetime64[ns], NaT; naive, in the contract's time zone
key columns                  object as Arrow gives them (int, str), None
===========================  ==============================================================

[ns] matters: SDV 2.0 samples ``datetime64[us]`` as January 1970 (measured).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synth_contracts.errors import SourceError
from synth_contracts.tables.schema import NUMERIC, TEMPORAL, Field, Kind, TableSchema

_ARROW = {
    "TINYINT": pa.int8(), "SMALLINT": pa.int16(), "INTEGER": pa.int32(), "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(), "USMALLINT": pa.uint16(), "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(), "HUGEINT": pa.decimal128(38, 0), "FLOAT": pa.float32(),
    "REAL": pa.float32(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_(), "DATE": pa.date32(),
    "VARCHAR": pa.string(), "UUID": pa.string(),
    "TIMESTAMP_S": pa.timestamp("s"), "TIMESTAMP_MS": pa.timestamp("ms"),
    "TIMESTAMP": pa.timestamp("us"), "TIMESTAMP_NS": pa.timestamp("ns"),
}  # fmt: skip


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type that DuckDB reads back as the field's physical type."""
    physical = field.physical_type
    if physical.startswith("DECIMAL"):
        precision, scale = physical.removeprefix("DECIMAL").strip("()").split(",")
        return pa.decimal128(int(precision), int(scale))
    if physical.startswith("TIMESTAMP WITH TIME ZONE") or physical == "TIMESTAMPTZ":
        return pa.timestamp("us", tz="UTC")
    if physical.startswith("ENUM"):
        return pa.string()
    return _ARROW[physical]


def to_arrow(frame: pd.DataFrame | pa.Table) -> pa.Table:
    """A DataFrame as an Arrow table (no index); an Arrow table as it is.

    Raises:
        SourceError: two columns share a name, or a column mixes types that Arrow cannot hold.
    """
    if isinstance(frame, pa.Table):
        return frame
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(
            f"the frame has duplicate columns: {', '.join(twice)}", mend="rename them"
        )
    arrays = []
    for name, (_, column) in zip(names, frame.items(), strict=True):
        try:
            # from_pandas: NaN in a float column is a missing value in pandas
            arrays.append(pa.Array.from_pandas(column))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise SourceError(
                f"cannot be read: {error}", where=name, mend="give the column one type"
            ) from error
    arrays = [a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays]
    return pa.table(dict(zip(names, arrays, strict=True)))


def duckdb_types(table: pa.Table) -> list[tuple[str, str]]:
    """(name, DuckDB type name) of each column of an Arrow table.

    Raises:
        SourceError: a column of nested, binary or otherwise unreleasable type.
    """
    return [(f.name, _duckdb_type(f.name, f.type)) for f in table.schema]


def _duckdb_type(name: str, kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _duckdb_type(name, kind.value_type)
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE" if kind.tz else "TIMESTAMP"
    if pa.types.is_date(kind):
        return "DATE"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "VARCHAR"
    if pa.types.is_null(kind):
        return "VARCHAR"
    if pa.types.is_float16(kind):
        return "FLOAT"
    for physical, arrow in _ARROW.items():
        if arrow == kind and physical not in {"REAL", "UUID"}:
            return physical
    raise SourceError(f"type {kind} cannot be used", where=name, mend="cast or drop the column")


def canonical(table: pd.DataFrame | pa.Table, schema: TableSchema) -> pd.DataFrame:
    """The canonical frame (see module) of ``table``: released fields in schema order.

    Raises:
        SourceError: a released column is missing or has values that do not fit its kind.
    """
    arrow = to_arrow(table)
    columns: dict[str, Any] = {}
    for field in schema.released:
        if field.name not in arrow.column_names:
            raise SourceError(
                "the column is missing",
                where=f"{schema.table}.{field.name}",
                mend=f"the table holds: {', '.join(arrow.column_names)}",
            )
        values = arrow.column(field.name)
        try:
            columns[field.name] = _column(values, field, schema.roles.timezone)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, TypeError) as error:
            raise SourceError(
                f"values of type {values.type} cannot be read as {field.kind}: {error}",
                where=f"{schema.table}.{field.name}",
                mend=f"the contract's source holds {field.physical_type}",
            ) from error
    return pd.DataFrame(columns, columns=[f.name for f in schema.released])


def _column(values: pa.ChunkedArray, field: Field, timezone: str | None) -> Any:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if field.key:
        return np.array(values.to_pylist(), dtype=object)
    if field.kind in NUMERIC:
        if pa.types.is_decimal(values.type):
            # by way of text: the direct cast is off by one bit in every third value (measured), and
            # a copied 12.3 would not be equal to the real one
            values = values.cast(pa.string())
        return values.cast(pa.float64(), safe=False).to_numpy().astype("float64")
    if field.kind in TEMPORAL:
        if pa.types.is_timestamp(values.type) and values.type.tz:
            values = pc.local_timestamp(values.cast(pa.timestamp("us", tz=timezone or "UTC")))
        return values.cast(pa.timestamp("us")).to_pandas().astype("datetime64[ns]").to_numpy()
    if field.kind is Kind.CODE and pa.types.is_floating(values.type):
        # a nullable integer column that went through pandas arrives as float
        values = values.cast(pa.int64())
    text = values if pa.types.is_string(values.type) else values.cast(pa.string())
    return text.to_pandas().astype(object).where(lambda s: s.notna(), None).to_numpy()


def restore(frame: pd.DataFrame, schema: TableSchema) -> pa.Table:
    """A canonical frame as an Arrow table of the source's physical types.

    Integers are rounded to nearest. A local time that the time zone skips takes the later of its
    readings; of those that it repeats the first takes the earlier, the next the later, and so on.

    Raises:
        SourceError: a value does not fit its physical type (overflow, infinite integer).
    """
    arrays, fields = [], []
    for field in schema.released:
        target = arrow_type(field)
        try:
            arrays.append(_restore(frame[field.name], field, target, schema.roles.timezone))
        except (pa.ArrowInvalid, OverflowError, ValueError) as error:
            raise SourceError(
                f"a generated value does not fit {field.physical_type}: {error}",
                where=f"{schema.table}.{field.name}",
            ) from error
        fields.append(pa.field(field.name, target))
    return pa.table(arrays, schema=pa.schema(fields))


def _instants(stamps: pa.Array, zone: str) -> pa.Array:
    """Wall times as moments; both readings of a repeated hour get their share of the rows."""
    early, late = (
        pc.assume_timezone(stamps, zone, ambiguous=which, nonexistent="latest")
        for which in ("earliest", "latest")
    )
    twice = np.asarray(pc.fill_null(pc.not_equal(early, late), False))
    if not twice.any():
        return early
    # by turns over rows in order of time: two rows of an hourly series are its two hours
    order = np.flatnonzero(twice)
    order = order[np.argsort(np.asarray(stamps.cast(pa.int64()))[order], kind="stable")]
    second = np.zeros(len(twice), dtype=bool)
    second[order[1::2]] = True
    return pc.if_else(pa.array(second), late, early)


def _restore(column: pd.Series, field: Field, target: pa.DataType, zone: str | None) -> pa.Array:
    if field.kind in TEMPORAL and not field.key:
        stamps = pa.array(column.astype("datetime64[us]"), type=pa.timestamp("us"))
        if pa.types.is_timestamp(target) and target.tz:
            return _instants(stamps, zone or "UTC").cast(target)
        return stamps.cast(target, safe=False)
    if field.kind in NUMERIC and not field.key:
        numbers = column.to_numpy(dtype="float64")
        missing = np.isnan(numbers)
        if field.kind is Kind.INTEGER:
            whole = np.where(missing, 0, np.rint(numbers)).astype("int64")
            if not np.isfinite(numbers[~missing]).all():
                raise ValueError("infinite integer")
            return pa.array(whole, mask=missing).cast(target)
        if pa.types.is_decimal(target):
            text = [
                None if m else f"{v:.{target.scale}f}"
                for v, m in zip(numbers, missing, strict=True)
            ]
            return pa.array(text, type=pa.string()).cast(target)
        return pa.array(numbers, mask=missing).cast(target)
    values: Sequence[Any] = column.tolist()
    if field.key:
        return pa.array(values, type=target)
    return pa.array(values, type=pa.string()).cast(target)
