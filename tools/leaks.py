"""Tables that a privacy gate must tell apart: fresh entities, and fresh entities with leaks.

Used by `make shows` and by the tests. All take plain pandas frames of the source's own columns and
replace every value but the keys, so that no leak is visible by a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, StandardScaler


@dataclass(frozen=True)
class Thirds:
    """A table split in thirds by entity: what a generator saw, what it did not, and fresh rows."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    fresh: pd.DataFrame


def thirds(table: pd.DataFrame, entity: str, seed: int) -> Thirds:
    """Split by entity at random; rows without an entity are left out."""
    table = table[table[entity].notna()]
    # nullable integers (Int32) do not mix with floats in NumPy
    extension = [n for n, t in table.dtypes.items() if pd.api.types.is_extension_array_dtype(t)]
    numbers = [n for n in extension if pd.api.types.is_numeric_dtype(table[n])]
    table = table.astype(dict.fromkeys(numbers, "float64"))
    keys = np.sort(table[entity].unique())
    part = dict(
        zip(np.random.default_rng(seed).permutation(keys), np.arange(len(keys)) % 3, strict=True)
    )
    which = table[entity].map(part)
    return Thirds(*(table[which == i].reset_index(drop=True) for i in range(3)))


def bootstrap(split: Thirds, keys: Sequence[str], seed: int) -> pd.DataFrame:
    """Rows of train drawn with replacement, under the keys of fresh rows."""
    rng = np.random.default_rng([seed, 1])
    rows = rng.integers(0, len(split.train), len(split.fresh))
    return _under(split.fresh, np.arange(len(split.fresh)), split.train.iloc[rows], keys)


def isolated(split: Thirds, keys: Sequence[str], seed: int, share: float = 0.01) -> pd.DataFrame:
    """Fresh rows, ``share`` of them replaced by the train rows farthest from any holdout row.

    Isolation is judged on standardised numbers and one-hot categories (levels of 20 rows and
    more), apart from any encoding of the package.
    """
    rng = np.random.default_rng([seed, 2])
    count = round(share * len(split.fresh))
    far = np.argsort(-_isolation(split, keys))[:count]
    where = rng.choice(len(split.fresh), count, replace=False)
    return _under(split.fresh, where, split.train.iloc[far], keys)


def near_copies(
    split: Thirds, keys: Sequence[str], numeric: Sequence[str], time: str | None, seed: int,
    share: float = 0.10,
) -> pd.DataFrame:  # fmt: skip
    """Fresh rows, ``share`` of them replaced by near copies of random train rows.

    Each numeric column is moved by one unit of its last digit, up or down; times by up to five
    minutes; categories stay.
    """
    rng = np.random.default_rng([seed, 3])
    count = round(share * len(split.fresh))
    rows = split.train.iloc[rng.choice(len(split.train), count, replace=False)].copy()
    for name in numeric:
        unit = 10.0 ** -_decimals(split.train[name])
        moved = rows[name] + unit * rng.choice([-1.0, 1.0], count)
        low = split.train[name].min()
        rows[name] = moved.where(moved >= low, rows[name] + unit)
    if time:
        rows[time] = rows[time] + pd.to_timedelta(rng.integers(-300, 301, count), unit="s")
    where = rng.choice(len(split.fresh), count, replace=False)
    return _under(split.fresh, where, rows, keys)


def _under(
    fresh: pd.DataFrame, where: np.ndarray, rows: pd.DataFrame, keys: Sequence[str]
) -> pd.DataFrame:
    """``fresh`` with all but the keys of the rows at ``where`` taken from ``rows``."""
    columns = {}
    for name in fresh.columns:
        if name in keys:
            columns[name] = fresh[name]
            continue
        values = fresh[name].to_numpy(copy=True)
        if values.dtype != rows[name].dtype:
            values = values.astype(np.result_type(values.dtype, rows[name].dtype))
        values[where] = rows[name].to_numpy()
        columns[name] = pd.Series(values)
    return pd.DataFrame(columns)


def _decimals(column: pd.Series) -> int:
    values = column.dropna().head(2000)
    return next((d for d in range(6) if np.allclose(values, values.round(d), atol=1e-9)), 6)


def _isolation(split: Thirds, keys: Sequence[str]) -> np.ndarray:
    both = pd.concat([split.train, split.holdout], ignore_index=True)
    plain = pd.DataFrame(index=both.index)
    numbers, words = [], []
    for name in both.columns:
        if name in keys:
            continue
        column = both[name]
        if pd.api.types.is_datetime64_any_dtype(column):
            plain[name] = column.astype("int64")
            numbers.append(name)
        elif pd.api.types.is_numeric_dtype(column):
            plain[name] = column.fillna(column.median())
            numbers.append(name)
        else:
            plain[name] = column.astype(str)
            words.append(name)
    encode = make_column_transformer(
        (StandardScaler(), numbers),
        (
            OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist", dtype=np.float32),
            words,
        ),
        sparse_threshold=0,
    )
    points = encode.fit_transform(plain).astype(np.float32)
    n = len(split.train)
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points[n:])
    return index.kneighbors(points[:n])[0][:, 0]
