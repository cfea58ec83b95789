"""constraint_violations: cells of the synthetic table that break what the contract declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts import tables
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, need_rows
from synth_contracts.tables import Field

ID = "constraint_violations"


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
        for constraint, mask in _breaches(frame[field.name], field, schema.roles.timezone):
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


def _breaches(
    column: pd.Series, field: Field, zone: str | None
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    try:
        return tables.breaches(column, field, zone)
    except ValueError as error:
        raise CannotMeasure(str(error)) from error
