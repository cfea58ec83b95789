"""Tables that a privacy gate must tell apart: fresh entities, and fresh entities with leaks.

Used by `make shows`, `make calibrate` and the tests. All take plain pandas frames of the source's
own columns and replace every value but the keys, so that no leak is visible by a key: a leaked row
sits inside a fresh entity, a leaked entity takes the place and the key of a fresh one.

Every function is pure and seeded; ``keys`` are the columns that are never copied (primary keys and
the entity key), ``codes`` the integer columns that are categories.
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


def thirds(table: pd.DataFrame, entity: str | None, seed: int, units: int | None = None) -> Thirds:
    """Split by entity at random; rows without an entity are left out.

    Args:
        table: the real table.
        entity: the column of the entity key; None where each row is its own entity.
        seed: of the choice and the split.
        units: how many entities stand in each third; None for as many as there are.
    """
    if entity is not None:
        table = table[table[entity].notna()]
    key = pd.Series(np.arange(len(table)), table.index) if entity is None else table[entity]
    keys = np.sort(key.unique())
    drawn = np.random.default_rng(seed).permutation(keys)[: None if units is None else 3 * units]
    part = dict(zip(drawn, np.arange(len(drawn)) % 3, strict=True))
    which = key.map(part)
    # nullable integers (Int32) do not mix with floats in NumPy
    extension = [n for n, t in table.dtypes.items() if pd.api.types.is_extension_array_dtype(t)]
    numbers = [n for n in extension if pd.api.types.is_numeric_dtype(table[n])]
    kinds = dict.fromkeys(numbers, "float64")
    return Thirds(*(table[which == i].astype(kinds).reset_index(drop=True) for i in range(3)))


def bootstrap(split: Thirds, keys: Sequence[str], seed: int) -> pd.DataFrame:
    """Rows of train drawn with replacement, under the keys of fresh rows."""
    rng = np.random.default_rng([seed, 1])
    rows = rng.integers(0, len(split.train), len(split.fresh))
    return _under(split.fresh, np.arange(len(split.fresh)), split.train.iloc[rows], keys)


def exact(split: Thirds, keys: Sequence[str], seed: int, share: float = 0.01) -> pd.DataFrame:
    """Fresh rows, ``share`` of them replaced by random train rows as they are."""
    rng = np.random.default_rng([seed, 4])
    rows, where = _chosen(split, share, rng)
    return _under(split.fresh, where, rows, keys)


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


def noisy(
    split: Thirds, keys: Sequence[str], codes: Sequence[str], seed: int, share: float = 0.05,
    days: Sequence[int] = (-1, 0, 1),
) -> pd.DataFrame:  # fmt: skip
    """Fresh rows, ``share`` of them replaced by noisy copies of random train rows.

    Numbers are multiplied by a lognormal factor of 5 % and rounded to the column's own digits,
    times move by one of ``days`` and by up to five minutes (dates by the day alone, and never out
    of the period of train), and the category with the most levels is drawn anew from train in half
    of the copies.
    """
    rng = np.random.default_rng([seed, 5])
    rows, where = _chosen(split, share, rng)
    kinds = _kinds(split.train, keys, codes)
    for name in kinds.numbers:
        moved = rows[name] * rng.lognormal(0.0, 0.05, len(rows))
        rows[name] = _rounded(moved, split.train[name])
    for name in kinds.times:
        real = split.train[name]
        moved = rows[name] + pd.to_timedelta(rng.choice(days, len(rows)), unit="D")
        if not _dates_alone(real):
            moved += pd.to_timedelta(rng.integers(-300, 301, len(rows)), unit="s")
        rows[name] = moved.clip(real.min(), real.max()).astype(real.dtype)
    if kinds.categories:
        widest = max(kinds.categories, key=lambda name: split.train[name].nunique())
        drawn = split.train[widest].to_numpy()[rng.integers(0, len(split.train), len(rows))]
        rows[widest] = np.where(rng.random(len(rows)) < 0.5, drawn, rows[widest].to_numpy())
    return _under(split.fresh, where, rows, keys)


def interpolated(
    split: Thirds, keys: Sequence[str], codes: Sequence[str], entity: str | None, seed: int,
    share: float = 0.05,
) -> pd.DataFrame:  # fmt: skip
    """Fresh rows, ``share`` of them replaced by points between two like train rows.

    The pair is a random train row and the nearest train row of another entity; numbers and times
    lie a uniform part of the way between them, each category is that of either row.
    """
    rng = np.random.default_rng([seed, 6])
    rows, where = _chosen(split, share, rng)
    mates = split.train.iloc[_mates(split, keys, entity, rows.index.to_numpy())]
    kinds = _kinds(split.train, keys, codes)
    part = rng.random(len(rows))
    for name in kinds.numbers:
        way = mates[name].to_numpy(dtype=float) - rows[name].to_numpy(dtype=float)
        between = rows[name] + np.nan_to_num(way) * part
        rows[name] = _rounded(between, split.train[name])
    for name in kinds.times:
        real = split.train[name]
        seconds = (mates[name].to_numpy() - rows[name].to_numpy()) / np.timedelta64(1, "s")
        unit = 86_400 if _dates_alone(real) else 1
        moved = np.round(np.nan_to_num(seconds) * part / unit) * unit
        rows[name] = (rows[name] + pd.to_timedelta(moved, unit="s")).astype(real.dtype)
    for name in kinds.categories:
        other = rng.random(len(rows)) < 0.5
        rows[name] = np.where(other, mates[name].to_numpy(), rows[name].to_numpy())
    return _under(split.fresh, where, rows, keys)


def whole(
    split: Thirds, entity: str, keys: Sequence[str], seed: int, share: float = 0.01
) -> pd.DataFrame:
    """Fresh entities, ``share`` of them replaced by the train entities with the most rows.

    They come with all their rows, under the keys of the fresh entities whose place they take;
    other keys are counted on from the largest one.
    """
    rng = np.random.default_rng([seed, 7])
    sizes = split.train[entity].value_counts()
    # entities of equal size in random order
    order = np.lexsort((rng.random(len(sizes)), -sizes.to_numpy()))
    there = np.sort(split.fresh[entity].unique())
    count = max(1, round(share * len(there)))
    largest = sizes.index.to_numpy()[order][:count]
    replaced = rng.choice(there, count, replace=False)
    pasted = split.train[split.train[entity].isin(largest)].copy()
    names = dict(zip(largest, replaced, strict=True))
    pasted[entity] = pasted[entity].map(names).astype(split.train[entity].dtype)
    for name in keys:
        if name != entity:
            last = max(int(frame[name].max()) for frame in (split.train, split.fresh))
            pasted[name] = np.arange(last + 1, last + 1 + len(pasted))
    kept = split.fresh[~split.fresh[entity].isin(replaced)]
    return pd.concat([kept, pasted], ignore_index=True)


@dataclass(frozen=True)
class _Kinds:
    numbers: list[str]
    times: list[str]
    categories: list[str]


def _kinds(table: pd.DataFrame, keys: Sequence[str], codes: Sequence[str]) -> _Kinds:
    found = _Kinds([], [], [])
    for name in table.columns:
        if name in keys:
            continue
        if pd.api.types.is_datetime64_any_dtype(table[name]):
            found.times.append(name)
        elif pd.api.types.is_numeric_dtype(table[name]) and name not in codes:
            found.numbers.append(name)
        else:
            found.categories.append(name)
    return found


def numbers(table: pd.DataFrame, keys: Sequence[str], codes: Sequence[str]) -> list[str]:
    """The columns of ``table`` that are numbers: no keys, no codes, no times."""
    return _kinds(table, keys, codes).numbers


def _chosen(
    split: Thirds, share: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """Random train rows (a copy, under their own index) and the fresh rows that they replace."""
    count = round(share * len(split.fresh))
    rows = split.train.iloc[rng.choice(len(split.train), count, replace=False)].copy()
    return rows, rng.choice(len(split.fresh), count, replace=False)


def _rounded(values: pd.Series, real: pd.Series) -> pd.Series:
    """``values`` with the digits and, where none is missing, the type of ``real``."""
    found = values.round(_decimals(real))
    return found if found.isna().any() else found.astype(real.dtype)


def _dates_alone(column: pd.Series) -> bool:
    return bool((column.dropna() == column.dropna().dt.normalize()).all())


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
    """Distance of each train row to the nearest holdout row."""
    train, holdout = _points(split, keys)
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(holdout)
    return index.kneighbors(train)[0][:, 0]


def _mates(split: Thirds, keys: Sequence[str], entity: str | None, rows: np.ndarray) -> np.ndarray:
    """For each of the train rows at ``rows`` the nearest train row of another entity."""
    points = _points(split, keys)[0]
    look = min(64, len(points))
    near = NearestNeighbors(n_neighbors=look, algorithm="brute").fit(points)
    found = near.kneighbors(points[rows])[1]
    owner = np.arange(len(points)) if entity is None else pd.factorize(split.train[entity])[0]
    other = owner[found] != owner[rows][:, None]
    # where all the nearest are of one entity, the farthest of them will do
    return found[np.arange(len(rows)), np.where(other.any(axis=1), other.argmax(axis=1), -1)]


def _points(split: Thirds, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Train and holdout as standardised numbers and one-hot categories."""
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
    return points[:n], points[n:]
