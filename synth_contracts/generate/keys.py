"""Fresh keys: nothing of a real key reaches a synthetic table."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.errors import GenerationError
from synth_contracts.tables.schema import TEMPORAL, Field, Kind, TableSchema

#: Largest number that each type of integer holds.
_LARGEST = {
    "TINYINT": 2**7, "SMALLINT": 2**15, "INTEGER": 2**31, "BIGINT": 2**63, "HUGEINT": 10**38,
    "UTINYINT": 2**8, "USMALLINT": 2**16, "UINTEGER": 2**32, "UBIGINT": 2**64,
}  # fmt: skip


def made_afresh(field: Field) -> bool:
    """Whether a released column is not learned: keys, and unique columns other than times."""
    unique = field.declared is not None and field.declared.unique
    return field.key or (unique and field.kind not in TEMPORAL)


def fresh_keys(
    field: Field,
    count: int,
    rng: np.random.Generator,
    *,
    first: int = 0,
    total: int | None = None,
) -> np.ndarray:
    """``count`` distinct new values for a key column, as an object array.

    Integers, decimals and doubles count from 1, or from the declared minimum; texts read
    ``e000001`` (wide enough for all), UUIDs are drawn from ``rng`` (version 4). A declared enum is
    dealt from: its values stand in the contract.

    Args:
        field: the key column.
        count: how many.
        rng: source of all randomness.
        first: how many were made before; with another ``rng`` each time.
        total: how many there will be in the end; none but these where None.

    Raises:
        GenerationError: booleans, dates and times cannot be fresh keys, or the declared domain (or
            the type) has too few values, or it has a pattern that counted texts do not match.
    """
    values: list[Any]
    declared = field.declared
    if declared is not None and declared.enum is not None:
        values = _dealt([item for item in declared.enum if item is not None], field, count, rng)
    elif field.physical_type == "UUID":
        raw = rng.bytes(16 * count)
        values = [str(uuid.UUID(bytes=raw[16 * i : 16 * i + 16], version=4)) for i in range(count)]
    elif field.kind in (Kind.INTEGER, Kind.CODE, Kind.NUMBER):
        values = _counted(field, count, first, total or count)
    elif field.kind is Kind.TEXT:
        width = max(6, len(str(total or count)))
        values = [f"e{i:0{width}d}" for i in range(first + 1, first + count + 1)]
        if declared is not None and declared.pattern is not None:
            _match(declared.pattern, values, field)
    else:
        raise GenerationError(
            f"a key of type {field.physical_type} cannot be made afresh",
            where=field.name,
            mend="make the key an integer or a text, or take primaryKey off the column",
        )
    keys = np.empty(count, dtype=object)
    keys[:] = values
    return keys


def numbered_column(schema: TableSchema) -> str | None:
    """The integer that is the primary key together with the entity key, None where none is."""
    primary = [f for f in schema.released if f.declared and f.declared.primary_key]
    rest = [f for f in primary if f.name != schema.roles.entity_key]
    if len(primary) != 2 or len(rest) != 1:
        return None
    field = rest[0]
    bounded = field.declared is not None and (
        field.declared.unique
        or field.declared.enum is not None
        or field.declared.minimum not in (None, 0, 1)
    )
    return field.name if field.kind is Kind.INTEGER and not bounded else None


def numbered_keys(owner: np.ndarray) -> np.ndarray:
    """1, 2, 3 .. within each entity, in the order of the rows."""
    keys = np.empty(len(owner), dtype=object)
    keys[:] = (pd.Series(owner).groupby(owner).cumcount() + 1).tolist()
    return keys


def _counted(field: Field, count: int, made: int, total: int) -> list[Any]:
    """Whole numbers from the declared minimum on, after the ``made`` ones of ``total``."""
    declared = field.declared
    first, last = 1, _LARGEST.get(field.physical_type, 2**53) - 1
    if field.physical_type.startswith("DECIMAL"):
        precision, scale = field.physical_type.strip("DECIMAL()").split(",")
        last = 10 ** (int(precision) - int(scale)) - 1
    if declared is not None:
        if declared.minimum is not None:
            first = int(np.ceil(declared.minimum))
        if declared.exclusive_minimum is not None:
            first = max(first, int(np.floor(declared.exclusive_minimum)) + 1)
        if declared.maximum is not None:
            last = min(last, int(np.floor(declared.maximum)))
        if declared.exclusive_maximum is not None:
            last = min(last, int(np.ceil(declared.exclusive_maximum)) - 1)
        if last < first and declared.minimum is None:
            first = last - total + 1  # a domain below 1
    if last - first + 1 < total:
        raise _too_few(field, max(last - first + 1, 0), total)
    first += made
    number: type = int
    if field.kind is Kind.NUMBER:
        number = Decimal if field.physical_type.startswith("DECIMAL") else float
    return [number(i) for i in range(first, first + count)]


def _dealt(items: list[Any], field: Field, count: int, rng: np.random.Generator) -> list[Any]:
    if len(items) < count:
        raise _too_few(field, len(items), count)
    return [items[i] for i in rng.permutation(len(items))[:count]]


def _match(pattern: str, values: list[str], field: Field) -> None:
    shape = re.compile(pattern)
    if all(shape.search(value) for value in (values[0], values[-1])):
        return
    raise GenerationError(
        f"fresh keys read {values[0]} and do not match the pattern {pattern}",
        where=field.name,
        mend="take the pattern off the column, or name the column in roles.exclude",
    )


def _too_few(field: Field, held: int, count: int) -> GenerationError:
    return GenerationError(
        f"{count} rows need keys of their own, and what is declared allows {held}",
        where=field.name,
        mend="ask for fewer generator.rows, or widen what the contract or the type allows",
    )
