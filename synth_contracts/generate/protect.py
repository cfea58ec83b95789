"""Protections of train before anything is fitted: rare categories and numeric tails.

Both count entities, not rows, and read train alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.model import Contract
from synth_contracts.generate.keys import made_afresh
from synth_contracts.tables.schema import CATEGORICAL, TEMPORAL, TableSchema


def protect(
    train: pd.DataFrame, entities: np.ndarray, schema: TableSchema, contract: Contract
) -> pd.DataFrame:
    """A copy of ``train`` with rare categories grouped and numeric tails coded.

    Args:
        train: canonical features.
        entities: integer entity of each row (each row its own where there is no entity key).
        schema: the table's columns.
        contract: its ``k`` and ``generator.outliers`` switches.
    """
    out = Coarsening.of(contract).group(train.copy(), entities, schema)
    if not contract.generator.outliers.top_code:
        return out
    for field in schema.features:
        if made_afresh(field) or field.name not in out.columns:
            continue
        if field.kind in CATEGORICAL or field.name == schema.roles.time_index:
            continue
        column = train[field.name]
        out[field.name] = _top_code(column, entities, contract.k, field.kind in TEMPORAL)
    return out


def _top_code(column: pd.Series, entities: np.ndarray, k: int, temporal: bool) -> np.ndarray:
    """Cut both tails at the value of the k-th most extreme entity."""
    values = column.to_numpy()
    known = ~column.isna().to_numpy()
    numbers = values[known].astype("int64") if temporal else values[known]
    if not len(numbers):
        return values
    owner = pd.Series(numbers).groupby(entities[known])
    highest, lowest = np.sort(owner.max().to_numpy()), np.sort(owner.min().to_numpy())
    rank = min(k, len(highest))
    cut = np.clip(numbers, lowest[rank - 1], max(highest[-rank], lowest[rank - 1]))
    out = values.copy()
    out[known] = cut.astype("datetime64[ns]") if temporal else cut
    return out
