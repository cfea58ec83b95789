"""constraint_violations: cells of the synthetic table that break what the contract declares."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts import tables
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, need_rows
from synth_contracts.tables import NUMERIC, TEMPORAL, Field, Kind

ID = "constraint_violations"
Mask = npt.NDArray[np.bool_]


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Number of violations: cells against each declared constraint, rows against the primary key.

    Checked: required, unique, enum, minimum, maximum and their exclusive forms, pattern, whole
    numbers in integer columns, finite numbers in required ones, the (composite) primary key, and
    the conditions of ``synthetic.constraints``, each once per row.

    Raises:
        CannotMeasure: an empty table, or a declared limit that its column cannot be compared with.
    """
    need_rows(comparison, "synthetic")
    frame, schema = comparison.synthetic, comparison.schema
    broken: dict[str, int] = {}
    cells = 0
    for field in schema.released:
        for constraint, mask in _checks(frame[field.name], field, schema.roles.timezone):
            cells += len(mask)
            if mask.any():
                broken[f"{field.name}: {constraint}"] = int(mask.sum())
    keys = [f.name for f in schema.released if f.declared and f.declared.primary_key]
    if keys:
        cells += len(frame)
        twice = int(frame.duplicated(subset=keys, keep="first").sum())
        if twice:
            broken[f"primary key ({', '.join(keys)}): unique"] = twice
    for condition in schema.constraints:
        rows = tables.broken(condition, frame, schema)
        cells += len(rows)
        if rows.any():
            broken[f"{condition.id}: {condition.check}"] = int(rows.sum())
    return Measurement(
        metric=ID,
        value=float(sum(broken.values())),
        n=cells,
        unit="cells checked",
        direction="lower_is_better",
        method="count of cells and rows that break a constraint; exact, so it has no interval",
        compared_with="the constraints that the contract declares",
        details={"broken": broken},
    )


def _checks(column: pd.Series, field: Field, zone: str | None) -> list[tuple[str, Mask]]:
    """(name of the constraint, mask of the rows that break it) for all that ``field`` declares."""
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
        allowed = {_value(item, field, zone) for item in declared.enum}
        found.append(("enum", ~null & ~column.isin(allowed).to_numpy()))
    for name, limit, breaks in (
        ("minimum", declared.minimum, operator.lt),
        ("maximum", declared.maximum, operator.gt),
        ("exclusiveMinimum", declared.exclusive_minimum, operator.le),
        ("exclusiveMaximum", declared.exclusive_maximum, operator.ge),
    ):
        if limit is not None:
            values, least = _ordered(column, field), _limit(limit, field, zone)
            found.append((name, ~null & np.asarray(breaks(values, least), dtype=np.bool_)))
    if declared.pattern is not None:
        shape = re.compile(declared.pattern)
        uniques = {v: shape.search(str(v)) is None for v in column.dropna().unique()}
        found.append(("pattern", ~null & column.map(uniques).eq(True).to_numpy()))
    return found


def _value(item: Any, field: Field, zone: str | None) -> Any:
    """An enum item as the canonical frame holds it."""
    if item is None or field.key:
        return item
    if field.kind in NUMERIC or field.kind in TEMPORAL:
        return _limit(item, field, zone)
    if field.kind is Kind.CODE and not isinstance(item, str):
        return str(int(item))
    return str(item).lower() if field.kind is Kind.BOOLEAN else str(item)


def _limit(limit: Any, field: Field, zone: str | None) -> Any:
    try:
        if field.kind in TEMPORAL:
            stamp = pd.Timestamp(limit)
            return stamp.tz_convert(zone or "UTC").tz_localize(None) if stamp.tz else stamp
        return float(limit)
    except (TypeError, ValueError) as error:
        raise CannotMeasure(f"{field.name}: {limit!r} cannot be compared: {error}") from error


def _ordered(column: pd.Series, field: Field) -> pd.Series:
    """The column in a form that has an order; nulls stay null."""
    if field.kind in TEMPORAL and not field.key:
        return column
    if field.kind in {Kind.TEXT, Kind.BOOLEAN}:
        raise CannotMeasure(f"{field.name}: a {field.kind} column has no bounds")
    return pd.to_numeric(column, errors="coerce")
