"""Earlier releases as the metrics read them: those columns of the schema that can be compared."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pyarrow as pa

from synth_contracts.errors import SourceError
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
