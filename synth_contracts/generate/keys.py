"""Fresh keys: nothing of a real key reaches a synthetic table."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import numpy as np

from synth_contracts.errors import GenerationError
from synth_contracts.tables.schema import Field, Kind


def fresh_keys(field: Field, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` distinct new values for a key column, as an object array.

    Integers count from 1, texts read ``e000001`` (wide enough for all), UUIDs are drawn from
    ``rng`` (version 4). Decimals and doubles count from 1 as well.

    Raises:
        GenerationError: booleans, dates and times cannot be fresh keys.
    """
    values: list[Any]
    if field.physical_type == "UUID":
        raw = rng.bytes(16 * count)
        values = [str(uuid.UUID(bytes=raw[16 * i : 16 * i + 16], version=4)) for i in range(count)]
    elif field.kind in (Kind.INTEGER, Kind.CODE):
        values = list(range(1, count + 1))
    elif field.kind is Kind.TEXT:
        width = max(6, len(str(count)))
        values = [f"e{i:0{width}d}" for i in range(1, count + 1)]
    elif field.kind is Kind.NUMBER:
        number: type = Decimal if field.physical_type.startswith("DECIMAL") else float
        values = [number(i) for i in range(1, count + 1)]
    else:
        raise GenerationError(
            f"a key of type {field.physical_type} cannot be made afresh",
            where=field.name,
            mend="make the key an integer or a text, or take primaryKey off the column",
        )
    keys = np.empty(count, dtype=object)
    keys[:] = values
    return keys
