"""What every generator's job reads and writes. Only pandas and NumPy needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def arguments() -> tuple[str, pd.DataFrame, dict[str, Any], int, Path]:
    """(model that is asked for, train, roles, seed, file for the synthetic rows)."""
    model, folder, seed, answer = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    train = pd.read_parquet(folder / "train.parquet")
    return model, train, json.loads((folder / "roles.json").read_text()), seed, Path(answer)


def features(train: pd.DataFrame, roles: dict[str, Any]) -> pd.DataFrame:
    """Train without keys: a model of single rows would take them for values."""
    return train.drop(columns=[*roles["primary"], *([roles["entity"]] if roles["entity"] else [])])


def seeded(seed: int) -> None:
    """Seed what the libraries draw from; none of them takes a seed of its own."""
    import random

    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def write(
    answer: Path, made: pd.DataFrame, train: pd.DataFrame, roles: dict[str, Any], seed: int
) -> None:
    """Rows with the columns of train; keys that a model does not make are dealt.

    Entities are dealt at random, in train's proportion of rows to entities.
    """
    made = made.reset_index(drop=True)
    rows, entity = len(made), roles["entity"]
    rng = np.random.default_rng([seed, 23])
    if entity and entity not in made:
        count = max(1, round(rows * train[entity].nunique() / len(train)))
        made[entity] = _like(rng.permutation(np.arange(rows) % count) + 1, train[entity])
    for name in roles["primary"]:
        made[name] = _like(np.arange(rows) + 1, train[name])
    made[train.columns].to_parquet(answer, index=False)


def _like(numbers: np.ndarray, column: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column):
        return numbers.astype(column.dtype)
    return np.array([f"e{number:07d}" for number in numbers], dtype=object)
