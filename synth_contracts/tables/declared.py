"""Which cells of a canonical frame break what their column declares."""

from __future__ import annotations

import operator
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.tables.schema import NUMERIC, TEMPORAL, Field, Kind

Mask = npt.NDArray[np.bool_]


def breaches(column: pd.Series, field: Field, zone: str | None) -> list[tuple[str, Mask]]:
    """(name of the constraint, mask of the rows that break it) for all that ``field`` declares.

    Args:
        column: of a canonical frame.
        field: that column.
        zone: the contract's time zone, for limits that name another.

    Raises:
        ValueError: a declared limit that the column cannot be compared with.
    """
    null = column.isna().to_numpy()
    numeric = field.kind in NUMERIC and not field.key
    found: list[tuple[str, Mask]] = []
    if numeric and field.kind is Kind.INTEGER:
        numbers = column.to_numpy(dtype=np.float64)
        finite = np.isfinite(numbers)
        found.append(("integer", finite & (np.rint(np.where(finite, numbers, 0)) != numbers)))
    if field.required:
        found.append(("required", null))
        if numeric:
            found.append(("finite", np.isinf(column.to_numpy(dtype=np.float64))))
    declared = field.declared
    if declared is None:
        return found
    if declared.unique and not declared.primary_key:
        found.append(("unique", (column.duplicated(keep="first") & ~null).to_numpy()))
    if declared.enum is not None:
        allowed = {plain_value(item, field, zone) for item in declared.enum}
        found.append(("enum", ~null & ~column.isin(allowed).to_numpy()))
    for name, limit, breaks in (
        ("minimum", declared.minimum, operator.lt),
        ("maximum", declared.maximum, operator.gt),
        ("exclusiveMinimum", declared.exclusive_minimum, operator.le),
        ("exclusiveMaximum", declared.exclusive_maximum, operator.ge),
    ):
        if limit is not None:
            values, least = _ordered(column, field), plain_limit(limit, field, zone)
            found.append((name, ~null & np.asarray(breaks(values, least), dtype=np.bool_)))
    if declared.pattern is not None:
        shape = re.compile(declared.pattern)
        uniques = {v: shape.search(str(v)) is None for v in column.dropna().unique()}
        found.append(("pattern", ~null & column.map(uniques).eq(True).to_numpy()))
    return found


def plain_value(item: Any, field: Field, zone: str | None) -> Any:
    """An enum item as the canonical frame holds it."""
    if item is None or field.key:
        return item
    if field.kind in NUMERIC or field.kind in TEMPORAL:
        return plain_limit(item, field, zone)
    if field.kind is Kind.CODE and not isinstance(item, str):
        return str(int(item))
    return str(item).lower() if field.kind is Kind.BOOLEAN else str(item)


def plain_limit(limit: Any, field: Field, zone: str | None) -> Any:
    """A declared bound as the canonical frame holds it. Raises ValueError."""
    try:
        if field.kind in TEMPORAL:
            stamp = pd.Timestamp(limit)
            return stamp.tz_convert(zone or "UTC").tz_localize(None) if stamp.tz else stamp
        return float(limit)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{field.name}: {limit!r} cannot be compared: {error}") from error


def _ordered(column: pd.Series, field: Field) -> pd.Series:
    """The column in a form that has an order; nulls stay null."""
    if field.kind in TEMPORAL and not field.key:
        return column
    if field.kind in {Kind.TEXT, Kind.BOOLEAN}:
        raise ValueError(f"{field.name}: a {field.kind} column has no bounds")
    return pd.to_numeric(column, errors="coerce")
