"""Protections of train before anything is fitted: rare categories, what tells them, numeric tails.

They count entities, not rows, and read train alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from synth_contracts.coarsening import Coarsening
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
        swapped: how many cells changed hands, by column.
    """

    frame: pd.DataFrame
    uncoded: pd.DataFrame
    swapped: dict[str, int]


def protect(
    train: pd.DataFrame,
    entities: np.ndarray,
    schema: TableSchema,
    contract: Contract,
    rng: np.random.Generator,
) -> Protected:
    """A copy of ``train`` with rare categories grouped, their tells swapped and tails coded.

    Args:
        train: canonical features.
        entities: integer entity of each row (each row its own where there is no entity key).
        schema: the table's columns.
        contract: its ``k`` and ``generator.outliers`` switches.
        rng: source of the swaps.
    """
    out = Coarsening.of(contract).group(train.copy(), entities, schema)
    swapped = _swap_tells(train, out, entities, schema, rng)
    uncoded = out.copy(deep=False)
    if not contract.generator.outliers.top_code:
        return Protected(out, uncoded, swapped)
    for field in schema.features:
        if made_afresh(field) or field.name not in out.columns:
            continue
        if field.kind in CATEGORICAL or field.name == schema.roles.time_index:
            continue
        column = out[field.name]
        out[field.name] = _top_code(column, entities, contract.k, field.kind in TEMPORAL)
    return Protected(out, uncoded, swapped)


def _swap_tells(
    train: pd.DataFrame,
    grouped: pd.DataFrame,
    entities: np.ndarray,
    schema: TableSchema,
    rng: np.random.Generator,
) -> dict[str, int]:
    """Let numbers that a grouped category determined change hands among the rows of its group.

    A destination that reads ``other`` beside its own distance is not grouped. A number counts as
    determined when one or two categories do so in train but for a few rows; it tells where one of
    them was grouped and no others, left as they are, determine it as well. What is constant within
    entities stays so: it changes hands among entities. Writes into ``grouped``; returns how many
    cells differ, by column.
    """
    names = [f.name for f in schema.features if f.name in train.columns]
    rare = {
        name: mask
        for name in names
        if schema.field(name).kind in CATEGORICAL
        and (mask := differing(train[name], grouped[name])).any()
    }
    if not rare:
        return {}
    kinds = {name: schema.field(name).kind for name in names}
    coded = {
        name: pd.factorize(train[name], use_na_sentinel=False)[0].astype(np.int64)
        for name in names
        if kinds[name] in CATEGORICAL or kinds[name] in NUMERIC
    }
    sizes = {name: int(codes.max()) + 1 for name, codes in coded.items()}
    usable = [name for name, size in sizes.items() if 2 <= size <= len(train) / _MIN_ROWS]
    named = [name for name in usable if kinds[name] in CATEGORICAL]
    sets: list[tuple[str, ...]] = [(name,) for name in named]
    sets += combinations(named, 2)
    swapped: dict[str, int] = {}
    for dependent in (name for name in usable if kinds[name] in NUMERIC):
        told, free = np.zeros(len(train), dtype=bool), np.zeros(len(train), dtype=bool)
        for several in sets:
            if determines(several, dependent, coded, sizes, {}):
                masks = [rare[name] for name in several if name in rare]
                lost = np.logical_or.reduce(masks) if masks else np.zeros(len(train), dtype=bool)
                told |= lost
                free |= ~lost
        told &= ~free
        if told.any():
            fresh = _swapped(grouped[dependent].to_numpy(copy=True), told, entities, rng)
            swapped[dependent] = int(differing(grouped[dependent], pd.Series(fresh)).sum())
            grouped[dependent] = fresh
    return {name: count for name, count in swapped.items() if count}


def _swapped(
    values: np.ndarray, told: np.ndarray, entities: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """``values`` with those of the rows ``told`` dealt anew among them."""
    each = pd.Series(values).groupby(entities)
    if len(each) < len(values) and each.nunique(dropna=False).max() == 1:
        # every row of an entity follows, whichever of them was grouped
        owners = np.unique(entities[told])
        first = pd.Series(values).groupby(entities).first()
        dealt = first.copy()
        dealt.loc[owners] = first.loc[rng.permutation(owners)].to_numpy()
        return np.asarray(dealt.loc[entities].to_numpy())
    rows = np.flatnonzero(told)
    values[rows] = values[rng.permutation(rows)]
    return values


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
