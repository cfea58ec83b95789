"""Earlier releases as the metrics read them: those columns of the schema that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa

from synth_contracts.errors import SourceError
from synth_contracts.evaluation.inputs import Unfit
from synth_contracts.metrics.composition import comparable
from synth_contracts.tables import TableSchema, canonical, to_arrow


def earlier_frame(table: pd.DataFrame | pa.Table, schema: TableSchema) -> pd.DataFrame:
    """The canonical columns that ``table`` has in common with ``schema``; others are left out.

    A column of that name whose values do not fit the schema's kind (another contract may have
    released it as another type) is left out as well.

    Raises:
        SourceError: the table itself cannot be read.
    """
    arrow = to_arrow(table)
    columns = {}
    for field in schema.released:
        if field.name not in arrow.column_names:
            continue
        try:
            one = canonical(arrow.select([field.name]), replace(schema, fields=(field,)))
        except SourceError:
            continue
        columns[field.name] = one[field.name]
    return pd.DataFrame(columns, index=pd.RangeIndex(arrow.num_rows))


def read_earlier(
    tables: Sequence[pd.DataFrame | pa.Table], schema: TableSchema
) -> tuple[tuple[pd.DataFrame, ...], dict[str, Any]]:
    """The frames that can be compared, and what Evaluation.beside tells; nothing without tables.

    Tables that nobody promoted have no id: they are told by their place, ``earlier 1`` and on.

    Raises:
        Unfit: one of them cannot be read.
    """
    if not tables:
        return (), {}
    frames: list[pd.DataFrame] = []
    told: dict[str, Any] = {
        "releases": [], "other_columns": [], "not_compared": [], "other_split": [], "revoked": 0,
    }  # fmt: skip
    for number, table in enumerate(tables, start=1):
        name = f"earlier {number}"
        try:
            frame = earlier_frame(table, schema)
        except SourceError as error:
            raise Unfit(f"the table {name} cannot be read") from error
        told["releases"].append(name)
        shared = len(comparable(frame, schema))
        if not shared:
            told["not_compared"].append(name)
            continue
        frames.append(frame)
        if shared < len(schema.features):
            told["other_columns"].append(name)
    return tuple(frames), told
