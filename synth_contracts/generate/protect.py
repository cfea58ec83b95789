"""Protections of train before anything is fitted: rare categories, what tells them, numeric tails.

They count entities, not rows, and read train alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from synth_contracts.coarsening import Coarsening, entities_per_value
from synth_contracts.contract.model import Contract
from synth_contracts.generate.dependencies import determines
from synth_contracts.generate.keys import made_afresh
from synth_contracts.generate.protection import differing
from synth_contracts.tables.schema import CATEGORICAL, NUMERIC, TEMPORAL, TableSchema

_MIN_ROWS = 10  # rows per value on average: below, that others determine it is an accident


@dataclass(frozen=True)
class Protected:
    """Protected train.

    Args:
        frame: as it is learned.
        uncoded: the same before tails were coded.
        joined: how many cells were joined to a neighbouring value, by column.
    """

    frame: pd.DataFrame
    uncoded: pd.DataFrame
    joined: dict[str, int]


def protect(
    train: pd.DataFrame,
    entities: np.ndarray,
    schema: TableSchema,
    contract: Contract,
) -> Protected:
    """A copy of ``train`` with rare categories grouped, their tells joined and tails coded.

    Args:
        train: canonical features.
        entities: integer entity of each row (each row its own where there is no entity key).
        schema: the table's columns.
        contract: its ``k`` and ``generator.outliers`` switches.
    """
    out = Coarsening.of(contract).group(train.copy(), entities, schema)
    joined = _join_tells(train, out, entities, schema, contract.k)
    uncoded = out.copy(deep=False)
    if not contract.generator.outliers.top_code:
        return Protected(out, uncoded, joined)
    for field in schema.features:
        if made_afresh(field) or field.name not in out.columns:
            continue
        if field.kind in CATEGORICAL or field.name == schema.roles.time_index:
            continue
        column = out[field.name]
        out[field.name] = _top_code(column, entities, contract.k, field.kind in TEMPORAL)
    return Protected(out, uncoded, joined)


def _join_tells(
    train: pd.DataFrame,
    grouped: pd.DataFrame,
    entities: np.ndarray,
    schema: TableSchema,
    k: int,
) -> dict[str, int]:
    """Join numbers that a grouped category determined to the nearest that k entities hold.

    A destination that reads ``other`` beside its own distance is not grouped. A number counts as
    determined when one or two categories do so in train but for a few rows; it tells where one of
    them was grouped and no others, left as they are, determine it as well. Joined to a neighbour it
    still goes with the other columns of its row. Writes into ``grouped``; returns how many cells
    differ, by column.
    """
    features = [f for f in schema.features if f.name in train.columns]
    rare = {
        f.name: mask
        for f in features
        if f.kind in CATEGORICAL and (mask := differing(train[f.name], grouped[f.name])).any()
    }
    if not rare:
        return {}
    coded = {
        f.name: pd.factorize(train[f.name], use_na_sentinel=False)[0].astype(np.int64)
        for f in features
        if f.kind in CATEGORICAL or f.kind in NUMERIC
    }
    sizes = {name: int(codes.max()) + 1 for name, codes in coded.items()}
    usable = [f for f in features if 2 <= sizes.get(f.name, 0) <= len(train) / _MIN_ROWS]
    named = [f.name for f in usable if f.kind in CATEGORICAL]
    sets: list[tuple[str, ...]] = [(name,) for name in named]
    sets += combinations(named, 2)
    joined: dict[str, int] = {}
    for dependent in (f.name for f in usable if f.kind in NUMERIC):
        told, free = np.zeros(len(train), dtype=bool), np.zeros(len(train), dtype=bool)
        for names in sets:
            if determines(names, dependent, coded, sizes, {}):
                lost = np.zeros(len(train), dtype=bool)
                for name in names:
                    lost |= rare.get(name, False)
                told |= lost
                free |= ~lost
        told &= ~free
        if told.any():
            values = grouped[dependent].to_numpy()
            fresh = _joined(values, told, entities, k)
            joined[dependent] = int((fresh != values)[~np.isnan(values)].sum())
            grouped[dependent] = fresh
    return {name: count for name, count in joined.items() if count}


def _joined(values: np.ndarray, told: np.ndarray, entities: np.ndarray, k: int) -> np.ndarray:
    """``values`` with those of the rows ``told`` as the nearest that k entities hold elsewhere.

    Where no value is held so often, they take the median of them all.
    """
    codes, labels = pd.factorize(values[~told], sort=True)
    common = labels[entities_per_value(codes, entities[~told], len(labels)) >= k]
    out = values.copy()
    rows = np.flatnonzero(told & ~np.isnan(values))
    if not len(common):
        out[rows] = np.median(values[rows]) if len(rows) else out[rows]
        return out
    above = np.searchsorted(common, values[rows]).clip(1, max(len(common) - 1, 1))
    low, high = common[above - 1], common[np.minimum(above, len(common) - 1)]
    out[rows] = np.where(values[rows] - low <= high - values[rows], low, high)
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
