"""What the contract declares of the source, checked before anything is fitted.

Violations are counted, never quoted: a message must not carry a value of a real row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from synth_contracts.contract.model import Column, Contract
from synth_contracts.errors import SourceError
from synth_contracts.source.snapshot import SourceTable
from synth_contracts.tables import NUMERIC, TEMPORAL, Field, Kind, broken, canonical

_LOGICAL: dict[str, frozenset[Kind]] = {
    "string": frozenset({Kind.TEXT}),
    "boolean": frozenset({Kind.BOOLEAN}),
    "integer": frozenset({Kind.INTEGER, Kind.CODE}),
    "number": frozenset({Kind.INTEGER, Kind.NUMBER, Kind.CODE}),
    # before v3.1 ODCS had no timestamp: `date` said both
    "date": frozenset({Kind.DATE, Kind.TIMESTAMP}),
    "timestamp": frozenset({Kind.TIMESTAMP}),
}
_ALIASES = {
    "INT": "INTEGER", "INT4": "INTEGER", "SIGNED": "INTEGER", "INT8": "BIGINT", "LONG": "BIGINT",
    "INT2": "SMALLINT", "SHORT": "SMALLINT", "INT1": "TINYINT", "TEXT": "VARCHAR",
    "STRING": "VARCHAR", "CHAR": "VARCHAR", "BPCHAR": "VARCHAR", "CHARACTER VARYING": "VARCHAR",
    "FLOAT8": "DOUBLE", "DOUBLE PRECISION": "DOUBLE", "FLOAT4": "FLOAT", "REAL": "FLOAT",
    "BOOL": "BOOLEAN", "LOGICAL": "BOOLEAN", "DATETIME": "TIMESTAMP",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP", "TIMESTAMP_US": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "NUMERIC": "DECIMAL",
}  # fmt: skip

_Bound = tuple[str, str, Any, Callable[[Any, Any], Any]]


def check_constraints(source: SourceTable, contract: Contract) -> None:
    """Check declared types, required, unique, primary key, enum, bounds and pattern.

    Raises:
        SourceError: some do not hold; the message lists all of them with counts of rows.
    """
    found = violations(source, contract)
    if found:
        raise SourceError(
            f"the source breaks {len(found)} declared constraint{'s' * (len(found) > 1)}:\n"
            + "\n".join(f"  - {line}" for line in found),
            where=contract.table,
            mend="correct the source, or the contract where it is wrong",
        )


def violations(source: SourceTable, contract: Contract) -> list[str]:
    """One line per declared constraint that does not hold, in the contract's order."""
    found: list[str] = []
    primary: list[str] = []
    fields = {field.name.casefold(): field for field in source.schema.fields}
    for column in contract.columns:
        field = fields[column.name.casefold()]
        values = source.arrow.column(field.name)
        if column.primary_key:
            primary.append(field.name)
        wrong_type = _type_violation(column, field)
        if wrong_type:
            found.append(f"{field.name}: {wrong_type}")
            continue
        found += [
            f"{field.name}: {text}"
            for text in _value_violations(column, field, values, source.schema.roles.timezone)
        ]
    if primary:
        repeated = _repeated(source.arrow, primary)
        if repeated:
            found.append(f"primary key ({', '.join(primary)}): {_rows(repeated)} repeat a key")
    if source.schema.constraints and not found:
        frame = canonical(source.arrow, source.schema)
        for constraint in source.schema.constraints:
            rows = int(broken(constraint, frame, source.schema).sum())
            if rows:
                found.append(f"{constraint.id}: {_rows(rows)} break {constraint.check}")
    return found


def _type_violation(column: Column, field: Field) -> str:
    logical = column.logical_type
    if logical is not None and field.excluded is False:
        allowed = _LOGICAL.get(logical)
        whole = field.physical_type.startswith("DECIMAL") and field.physical_type.endswith(",0)")
        if allowed is None:
            return f"logicalType {logical} cannot be released; exclude the column"
        if field.kind not in allowed and not (logical == "integer" and whole):
            return f"declared {logical}, the source holds {field.physical_type}"
    declared = column.physical_type
    if declared is not None and _folded(declared, field) != field.physical_type:
        return f"declared physicalType {declared}, the source holds {field.physical_type}"
    return ""


def _folded(declared: str, field: Field) -> str:
    """DuckDB's own name of a declared physical type; lengths of text are ignored as it does."""
    text = re.sub(r"\s+", " ", declared.strip().upper())
    base, _, arguments = text.partition("(")
    base = _ALIASES.get(base.strip(), base.strip())
    if base == "VARCHAR" or not arguments:
        if base == "DECIMAL" and field.physical_type.startswith("DECIMAL"):
            return field.physical_type  # declared without precision: any will do
        if base == "ENUM" and field.physical_type.startswith("ENUM"):
            return field.physical_type
        return base
    if base == "ENUM":
        return field.physical_type if field.physical_type.startswith("ENUM") else text
    return f"{base}({arguments.replace(' ', '')}"


def _value_violations(
    column: Column, field: Field, values: pa.ChunkedArray, zone: str | None
) -> list[str]:
    found = []
    if (column.required or column.primary_key) and values.null_count:
        found.append(f"{_rows(values.null_count)} of {len(values)} are null, none may be")
    present = values.drop_null()
    if column.unique and not column.primary_key:
        repeated = len(present) - pc.count_distinct(present).as_py()
        if repeated:
            found.append(f"{_rows(repeated)} repeat a value, each must be unique")
    if column.enum is not None:
        allowed = {_comparable(value) for value in column.enum}
        outside = _count(present, lambda value: _comparable(value) not in allowed)
        if outside:
            found.append(f"{_rows(outside)} hold a value that `enum` does not list")
    found += _bound_violations(column, field, present, zone)
    if column.pattern is not None:
        pattern = re.compile(column.pattern)
        outside = _count(present, lambda value: pattern.search(str(value)) is None)
        if outside:
            found.append(f"{_rows(outside)} do not match pattern {column.pattern}")
    return found


def _bound_violations(
    column: Column, field: Field, present: pa.ChunkedArray, zone: str | None
) -> list[str]:
    bounds: tuple[_Bound, ...] = (
        ("below the minimum", "minimum", column.minimum, pc.greater_equal),
        ("above the maximum", "maximum", column.maximum, pc.less_equal),
        ("not above", "exclusiveMinimum", column.exclusive_minimum, pc.greater),
        ("not below", "exclusiveMaximum", column.exclusive_maximum, pc.less),
    )
    found = []
    for words, name, limit, holds in bounds:
        if limit is None:
            continue
        try:
            numbers, scalar = _bounded(present, field, limit, zone)
        except (ValueError, TypeError, InvalidOperation, pa.ArrowException):
            found.append(f"{name} {limit} cannot be compared with {field.physical_type}")
            continue
        # NaN compares false: it is outside of every bound
        inside = pc.sum(holds(numbers, scalar)).as_py() or 0
        if inside < len(present):
            found.append(f"{_rows(len(present) - inside)} are {words} {limit}")
    return found


def _bounded(
    present: pa.ChunkedArray, field: Field, limit: Any, zone: str | None
) -> tuple[pa.ChunkedArray, pa.Scalar]:
    if field.kind in NUMERIC or field.kind is Kind.CODE:
        if isinstance(limit, bool) or not isinstance(limit, (int, float, Decimal)):
            raise TypeError("not a number")
        if pa.types.is_integer(present.type) and isinstance(limit, int):
            return present, pa.scalar(limit, pa.int64())
        return present.cast(pa.float64()), pa.scalar(float(limit), pa.float64())
    if field.kind in TEMPORAL:
        moment = _moment(limit)
        if pa.types.is_timestamp(present.type) and present.type.tz:
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=ZoneInfo(zone or "UTC"))
            return present.cast(pa.timestamp("us", "UTC")), pa.scalar(
                moment, pa.timestamp("us", "UTC")
            )
        if moment.tzinfo is not None:
            moment = moment.astimezone(ZoneInfo(zone or "UTC")).replace(tzinfo=None)
        return present.cast(pa.timestamp("us"), safe=False), pa.scalar(moment, pa.timestamp("us"))
    raise TypeError("a text has no bounds")


def _moment(limit: Any) -> datetime:
    if isinstance(limit, datetime):
        return limit
    if isinstance(limit, date):
        return datetime(limit.year, limit.month, limit.day)  # noqa: DTZ001 - naive as declared
    return datetime.fromisoformat(str(limit))


def _count(present: pa.ChunkedArray, wrong: Callable[[Any], bool]) -> int:
    """Rows whose value is wrong; each distinct value is judged once."""
    return sum(
        item["counts"] for item in pc.value_counts(present).to_pylist() if wrong(item["values"])
    )


def _comparable(value: Any) -> Any:
    """1, 1.0 and Decimal(1) are one value; ``"1"`` and True are others; dates as ISO text."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, (int, float, Decimal)):
        return ("number", Decimal(str(value)).normalize())
    if isinstance(value, (date, datetime)):
        return ("text", value.isoformat())
    return ("text", str(value))


def _repeated(table: pa.Table, names: list[str]) -> int:
    keys = table.select(names).rename_columns([str(i) for i in range(len(names))])
    groups = keys.group_by(keys.column_names).aggregate([]).num_rows
    return int(table.num_rows - groups)


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"
