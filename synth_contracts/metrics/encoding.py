"""Mixed columns as one space of numbers, fitted on train and holdout together.

Fitting on one side only makes a perfect generator look leaky (.28 to .47, measured): what an
encoder has seen lies nearer. Each column weighs about 1: the squared distance of two unlike values.

- Numbers: asinh of the value scaled by the joint quartiles. Unlike ranks, a move by one unit of a
  small count stays small.
- Categories: one-hot for few levels; above, a fixed random direction per value, drawn from the
  BLAKE2b hash of the value, so that equal stays equal and values never seen before work.
- Times: the elapsed time and the hour on the clock, on several scales, so that five minutes are
  near and two unlike moments are far, however long the period.
- Nulls: an indicator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.metrics.cells import mix, text_seed
from synth_contracts.tables import NUMERIC, TEMPORAL, Field

Vectors = npt.NDArray[np.float32]
#: Dimensions of a category; up to as many levels are one-hot.
HASHED = 6
#: Unlike values of a category are 1 apart.
UNIT = math.sqrt(0.5)
#: Where infinities stand, and nulls of a number that is never null in the real tables.
FAR = 40.0
#: Finite numbers beyond it stand at it: differences and squares of larger ones overflow.
HUGE = 1e140
_DAY = 86_400.0
#: Clocks on which a time is read, in seconds: five minutes are near on all, two moments far on one.
PERIODS = (_DAY, 7 * _DAY, 60 * _DAY)


@dataclass(frozen=True)
class Encoder:
    """Encoders of single columns, side by side."""

    parts: tuple[tuple[str, Callable[[pd.Series], Vectors]], ...]

    def encode(self, *frames: pd.DataFrame) -> Vectors:
        """The rows of ``frames``, one after the other, as float32, finite, C order.

        Shape (rows, dimensions).
        """
        if not self.parts:
            return np.zeros((sum(map(len, frames)), 1), dtype=np.float32)
        out, first = np.empty((0, 0), dtype=np.float32), 0
        for frame in frames:
            blocks = [part(frame[name]) for name, part in self.parts]
            if not out.size:
                shape = sum(map(len, frames)), sum(block.shape[1] for block in blocks)
                out = np.empty(shape, dtype=np.float32)
            np.concatenate(blocks, axis=1, out=out[first : first + len(frame)])
            first += len(frame)
        return out


def fit(real: Sequence[pd.DataFrame], features: Sequence[Field]) -> Encoder:
    """An Encoder whose scales and levels come from all ``real`` frames together."""
    parts = []
    for field in sorted(features, key=lambda f: f.name):
        column = pd.concat([frame[field.name] for frame in real], ignore_index=True)
        if field.kind in NUMERIC:
            part = _number(column)
        elif field.kind in TEMPORAL:
            part = _time(column)
        else:
            part = _category(column, field.name)
        parts.append((field.name, part))
    return Encoder(tuple(parts))


def _number(column: pd.Series) -> Callable[[pd.Series], Vectors]:
    values = column.to_numpy(dtype=np.float64)
    finite = np.clip(values[np.isfinite(values)], -HUGE, HUGE)
    center, scale = 0.0, 1.0
    if len(finite):
        low, center, high = (float(q) for q in np.quantile(finite, [0.25, 0.5, 0.75]))
        scale = (high - low) / 1.349 or float(np.std(finite)) or 1.0
    with_nulls = bool(np.isnan(values).any())

    def encode(part: pd.Series) -> Vectors:
        numbers = part.to_numpy(dtype=np.float64)
        missing = np.isnan(numbers)
        numbers = np.where(np.isinf(numbers), numbers, np.clip(numbers, -HUGE, HUGE))
        # clipping places infinities beyond every real value, still at a finite place
        place = np.clip(
            np.arcsinh((np.where(missing, center, numbers) - center) / scale), -FAR, FAR
        )
        if with_nulls:
            return np.column_stack([place * UNIT, missing]).astype(np.float32)
        return np.where(missing, FAR, place * UNIT).astype(np.float32)[:, None]

    return encode


def _category(column: pd.Series, name: str) -> Callable[[pd.Series], Vectors]:
    levels: list[str | None] = sorted(column.dropna().unique())
    if column.isna().any():
        levels.append(None)
    if len(levels) <= HASHED:
        table = dict(zip(levels, np.eye(max(len(levels), 1)) * UNIT, strict=False))
    else:
        table = dict(zip(levels, _hashed(name, levels), strict=True))
    width = len(next(iter(table.values()), np.zeros(1)))

    def encode(part: pd.Series) -> Vectors:
        codes, values = pd.factorize(part, use_na_sentinel=False)
        rows = np.zeros((len(values), width))
        new: list[int] = []
        asked = [None if pd.isna(value) else value for value in values]
        for i, level in enumerate(asked):
            if level in table:
                rows[i] = table[level]
            elif width == HASHED:
                new.append(i)
        if new:
            rows[new] = _hashed(name, [asked[i] for i in new])
        out: Vectors = rows.astype(np.float32)[codes]
        return out

    return encode


def _hashed(name: str, levels: Sequence[str | None]) -> npt.NDArray[np.float64]:
    texts = [f"{name}\0{'null' if level is None else 'is ' + level}" for level in levels]
    return hashed_directions(texts, HASHED) * UNIT


def hashed_directions(texts: Sequence[str], dimensions: int) -> npt.NDArray[np.float64]:
    """A unit vector for each text that depends on it alone, shape (texts, dimensions)."""
    seeds = np.array([text_seed(text) for text in texts], dtype=np.uint64)
    state = np.add.outer(seeds, np.arange(2 * dimensions, dtype=np.uint64))
    uniform = (mix(state) >> np.uint64(11)).astype(np.float64) / 2.0**53
    radius = np.sqrt(-2 * np.log1p(-uniform[:, :dimensions]))
    normal = radius * np.cos(2 * np.pi * uniform[:, dimensions:])
    return np.asarray(normal / np.sqrt(np.vecdot(normal, normal))[:, None])


def _time(column: pd.Series) -> Callable[[pd.Series], Vectors]:
    seconds = _seconds(column)
    known = seconds[~np.isnan(seconds)]
    start = float(known.min()) if len(known) else 0.0
    with_nulls = bool(np.isnan(seconds).any())

    def encode(part: pd.Series) -> Vectors:
        elapsed = _seconds(part) - start
        missing = np.isnan(elapsed)
        elapsed = np.where(missing, 0.0, elapsed)
        angle = 2 * np.pi * elapsed[:, None] / np.array(PERIODS)
        slow = np.arcsinh(elapsed / (180 * _DAY))
        blocks = [np.cos(angle) * UNIT, np.sin(angle) * UNIT, slow[:, None]]
        if with_nulls:
            blocks.append(missing[:, None].astype(np.float64))
        out = np.concatenate(blocks, axis=1)
        out[missing] = 0.0
        out[missing, -1] = 1.0 if with_nulls else FAR
        return out.astype(np.float32)

    return encode


def _seconds(column: pd.Series) -> npt.NDArray[np.float64]:
    stamps = column.to_numpy(dtype="datetime64[ns]")
    return np.where(np.isnat(stamps), np.nan, stamps.view(np.int64) / 1e9)
