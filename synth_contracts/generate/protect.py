"""Protections of train before anything is fitted: rare categories and numeric tails.

Both count entities, not rows, and read train alone.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract
from synth_contracts.tables.schema import CATEGORICAL, TEMPORAL, Field, Kind, TableSchema

OTHER = "other"


def other_token(field: Field, contract: Contract) -> tuple[bool, str | None]:
    """What stands for a grouped value of ``field``: (True, value) or (False, None).

    Text takes ``other`` and codes the contract's ``otherValue`` (default -1) where the declared
    domain allows it; else missing, where the column may be missing; else there is no such value
    and the caller takes the commonest one.
    """
    token: str | None = None
    if field.kind is Kind.TEXT:
        token = OTHER
    elif field.kind is Kind.CODE:
        token = str(contract.generator.outliers.other_value.get(field.name, -1))
    if token is not None and _allowed(field, token):
        return True, token
    return (False, None) if field.required else (True, None)


def _allowed(field: Field, token: str) -> bool:
    physical = field.physical_type
    if physical == "UUID" or (physical.startswith("ENUM") and f"'{token.upper()}'" not in physical):
        return False
    if physical.startswith("U") and token.startswith("-"):  # UINTEGER and its kin
        return False
    declared = field.declared
    if declared is None:
        return True
    if declared.enum is not None and token not in {str(v) for v in declared.enum}:
        return False
    if field.kind is Kind.TEXT and declared.pattern is not None:
        return re.search(declared.pattern, token) is not None
    if field.kind is not Kind.CODE:
        return True
    value = int(token)
    return not (
        (declared.minimum is not None and value < declared.minimum)
        or (declared.maximum is not None and value > declared.maximum)
        or (declared.exclusive_minimum is not None and value <= declared.exclusive_minimum)
        or (declared.exclusive_maximum is not None and value >= declared.exclusive_maximum)
    )


def entities_per_value(codes: np.ndarray, entities: np.ndarray, size: int) -> np.ndarray:
    """How many distinct entities hold each code 0..size-1 (negative codes are left out)."""
    kept = codes >= 0
    width = int(entities.max(initial=0)) + 1
    pairs = np.unique(codes[kept].astype(np.int64) * width + entities[kept])
    return np.bincount(pairs // width, minlength=size)


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
    out = train.copy()
    for field in schema.features:
        column = train[field.name]
        if field.declared is not None and field.declared.unique:
            continue  # made afresh, never fitted
        if field.kind in CATEGORICAL:
            if contract.generator.outliers.rare_category:
                out[field.name] = _group(column, entities, field, contract)
        elif contract.generator.outliers.top_code and field.name != schema.roles.time_index:
            out[field.name] = _top_code(column, entities, contract.k, field.kind in TEMPORAL)
    return out


def _group(column: pd.Series, entities: np.ndarray, field: Field, contract: Contract) -> np.ndarray:
    codes, labels = pd.factorize(column, sort=True)
    if not len(labels):
        return column.to_numpy()
    held = entities_per_value(codes, entities, len(labels))
    rare = held < contract.k
    values = np.array([*labels, None], dtype=object)
    if rare.any():
        has_token, token = other_token(field, contract)
        pooled = np.append(rare, False)[codes] | (column == token).to_numpy()
        alone = len(np.unique(entities[pooled])) < contract.k
        if not has_token or (alone and token is not None):
            token = labels[int(np.bincount(codes[codes >= 0]).argmax())]
        values[:-1][rare] = token
    return np.asarray(values[codes])


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
