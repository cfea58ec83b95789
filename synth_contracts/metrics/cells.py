"""Typed cells: every feature as int64 codes that are equal exactly where the values are equal.

The codes are made jointly over the three tables. They carry the canonical order of rows (so that
the order in which rows arrive cannot change a figure), exact matches and classes of equal rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.tables import NUMERIC, TEMPORAL, Field

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
_NULL = np.int64(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class Side:
    """One table in canonical row order.

    ``cells`` has shape (rows, features) in the order of ``columns``; ``entity`` holds codes
    0 .. entities - 1 (a null key is an entity of its own); ``keys`` are the non-null entity keys.
    """

    frame: pd.DataFrame
    columns: tuple[str, ...]
    cells: Ints
    rows_hash: npt.NDArray[np.uint64]
    entity: Ints
    entities: int
    keys: frozenset[Any]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def cell(self, name: str) -> Ints:
        """Codes of one feature, shape (rows,)."""
        return self.cells[:, self.columns.index(name)]


def sides(
    frames: tuple[pd.DataFrame, ...], features: tuple[Field, ...], entity_key: str | None
) -> tuple[Side, ...]:
    """Each frame as a Side; codes of one column mean the same value in all of them."""
    # by name: neither the order of rows nor that of columns may change a figure
    ordered = tuple(sorted(features, key=lambda f: f.name))
    lengths = np.cumsum([0, *(len(f) for f in frames)])
    cells = np.empty((int(lengths[-1]), len(ordered)), dtype=np.int64)
    hashes = np.zeros(int(lengths[-1]), dtype=np.uint64)
    for i, field in enumerate(ordered):
        cells[:, i] = _codes(pd.concat([f[field.name] for f in frames], ignore_index=True), field)
        hashes += mix(cells[:, i].astype(np.uint64) ^ np.uint64(text_seed(field.name)))
    return tuple(
        _side(frame, ordered, cells[a:b], hashes[a:b], entity_key)
        for frame, a, b in zip(frames, lengths[:-1], lengths[1:], strict=True)
    )


class Coding:
    """The cells of more rows, coded as the tables of one side were.

    Args:
        features: of the side.
        like: one of the sides that were coded together; it holds every category that will come.
    """

    def __init__(self, features: tuple[Field, ...], like: Side) -> None:
        self._features = features
        self._levels: dict[str, tuple[Ints, pd.Index[Any]]] = {}
        for field in features:
            if field.kind not in NUMERIC and field.kind not in TEMPORAL:
                known, first = np.unique(like.cell(field.name), return_index=True)
                values = like.frame[field.name].to_numpy(dtype=object)[first]
                self._levels[field.name] = known, pd.Index(values)

    def hashes(self, frame: pd.DataFrame) -> Hashes:
        """``rows_hash`` of the rows of a canonical frame, shape (rows,)."""
        hashes = np.zeros(len(frame), dtype=np.uint64)
        for field in self._features:
            if field.name in self._levels:
                known, values = self._levels[field.name]
                codes = known[values.get_indexer(pd.Index(frame[field.name]))]
            else:
                codes = _codes(frame[field.name], field)
            hashes += mix(codes.astype(np.uint64) ^ np.uint64(text_seed(field.name)))
        return hashes


def _codes(column: pd.Series, field: Field) -> Ints:
    if field.kind in NUMERIC:
        # adding 0.0 makes -0.0 and 0.0 the same bits
        numbers = column.to_numpy(dtype=np.float64) + 0.0
        return np.where(np.isnan(numbers), _NULL, numbers.view(np.int64)).astype(np.int64)
    if field.kind in TEMPORAL:
        # NaT is the smallest int64 already
        return column.to_numpy(dtype="datetime64[ns]").view(np.int64)
    return pd.factorize(column, sort=True)[0].astype(np.int64)


def _side(
    frame: pd.DataFrame,
    features: tuple[Field, ...],
    cells: Ints,
    hashes: npt.NDArray[np.uint64],
    entity_key: str | None,
) -> Side:
    codes, known = entity_codes(frame, entity_key)
    tie = np.array([text_seed(repr(key)) for key in known] + [0], dtype=np.uint64)
    order = np.lexsort((tie[np.minimum(codes, len(known))], hashes))
    entity = pd.factorize(codes[order])[0].astype(np.int64)
    return Side(
        frame=frame.iloc[order].reset_index(drop=True),
        columns=tuple(f.name for f in features),
        cells=cells[order],
        rows_hash=hashes[order],
        entity=entity,
        entities=int(entity.max(initial=-1)) + 1,
        keys=frozenset(known),
    )


def entity_codes(frame: pd.DataFrame, entity_key: str | None) -> tuple[Ints, list[Any]]:
    """Codes of the entities of each row and the keys of the first codes.

    Null keys, and all rows where there is no entity key, get codes of their own after the keys.
    """
    if entity_key is None:
        return np.arange(len(frame), dtype=np.int64), []
    found, keys = pd.factorize(frame[entity_key])
    codes = found.astype(np.int64)
    missing = codes < 0
    codes[missing] = len(keys) + np.arange(int(missing.sum()))
    return codes, list(keys)


def text_seed(text: str) -> int:
    """64 bits of BLAKE2b of ``text``: the same in every process, unlike ``hash``."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The splitmix64 finaliser (Steele, Lea, Flood 2014), elementwise."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
