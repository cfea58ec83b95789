"""Values as 64-bit codes that survive a file format: equal values, equal codes.

A number is its first six significant digits, a time its second: a CSV that a spreadsheet wrote
again still matches. Codes are no digests: nothing is proved by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes: TypeAlias = npt.NDArray[np.uint64]

#: Significant digits of a number that count.
DIGITS = 6
_NULL = np.uint64(0x9E37_79B9_7F4A_7C15)


def mixed(values: Codes, seed: int = 0) -> Codes:
    """SplitMix64 of each value (Steele, Lea, Flood 2014), on a stream of its own for each seed."""
    with np.errstate(over="ignore"):
        x = values + np.uint64((seed * 0x9E37_79B9_7F4A_7C15 + 0x9E37_79B9_7F4A_7C15) % 2**64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
        return np.asarray(x ^ (x >> np.uint64(31)))


def codes(column: pa.Array | pa.ChunkedArray) -> Codes:
    """One code per row; null has a code of its own.

    Integers by value, other numbers by ``DIGITS`` significant digits, times by the second (UTC
    where they have a zone), dates by day, truth values as 0 and 1, all else by its text.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(column, pa.ChunkedArray):  # no chunk at all
        return np.zeros(0, dtype=np.uint64)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        found = _integers(column.cast(pa.int64()))
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        found = numbers(np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), 0.0)))
    elif pa.types.is_timestamp(kind):
        whole = column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64())
        found = _integers(pc.floor(pc.divide(whole.cast(pa.float64(), safe=False), 1e6)))
    elif pa.types.is_date(kind):
        found = _integers(column.cast(pa.date32()).cast(pa.int32()))
    else:
        found = _texts(column.cast(pa.string()))
    missing = np.asarray(pc.is_null(column, nan_is_null=pa.types.is_floating(kind)))
    return np.where(missing, _NULL, mixed(found))


def numbers(values: npt.NDArray[np.float64]) -> Codes:
    """Numbers by their first ``DIGITS`` digits; -0 is 0, what is not finite is itself."""
    finite = np.where(np.isfinite(values), values, 0.0)
    with np.errstate(divide="ignore"):
        scale = np.floor(np.log10(np.abs(finite)))
    scale = np.clip(np.where(np.isfinite(scale), scale, 0.0), -290, 308)
    digits = np.rint(finite * 10.0 ** (DIGITS - 1 - scale))
    ripe = np.abs(digits) >= 10**DIGITS  # 999999.7 rounds up to a digit more
    digits, scale = np.where(ripe, digits / 10, digits), np.where(ripe, scale + 1, scale)
    small = digits.astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        folded = small * np.uint64(4_099) + (scale + 512).astype(np.int64).view(np.uint64)
    return np.where(np.isfinite(values), folded, values.view(np.uint64))


def _integers(column: pa.Array) -> Codes:
    filled = pc.fill_null(column, pa.scalar(0, column.type)).cast(pa.int64(), safe=False)
    return np.asarray(filled).view(np.uint64)


def _texts(column: pa.Array) -> Codes:
    encoded = pc.fill_null(column, "").dictionary_encode()
    labels = encoded.dictionary.to_numpy(zero_copy_only=False).astype(object)
    hashed = _hashed(labels) if len(labels) else np.zeros(0, np.uint64)
    return np.take(np.asarray(hashed, dtype=np.uint64), np.asarray(encoded.indices))


def combined(columns: Sequence[tuple[str, Codes]]) -> Codes:
    """One code per row of several columns, whatever their order: names count, places do not."""
    total = np.zeros(len(columns[0][1]) if columns else 0, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name, values in columns:
            total += named(name, values)
    return total


def named(name: str, values: Codes) -> Codes:
    """What a column adds to :func:`combined`: the same value counts otherwise in another column."""
    (seed,) = _hashed(np.array([name.casefold()], dtype=object))
    return mixed(values, int(seed))


def _hashed(texts: npt.NDArray[np.object_]) -> Codes:
    """64 bits of each text. Pandas is imported here: an export without a fingerprint needs none."""
    from pandas.util import hash_array

    return hash_array(texts, categorize=False)
