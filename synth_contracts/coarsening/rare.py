"""Categories that too few entities hold, grouped column by column.

A value counts as held by k entities only if it is also held by k entity equivalents: the number of
equal holders with the same concentration, (sum of rows)^2 / sum of squares. This is the dominance
rule of statistical disclosure control (Hundepool et al. 2012, ch. 4): a shop with ten customers of
whom one makes nine tenths of the visits would show that one customer's visits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Cells of a table of values and entities up to which filling it beats sorting the rows.
_DENSE = 4_000_000


def entities_per_value(codes: np.ndarray, entities: np.ndarray, size: int) -> np.ndarray:
    """How many distinct entities hold each code 0..size-1 (negative codes are left out)."""
    kept = codes >= 0
    width = int(entities.max(initial=0)) + 1
    pairs = codes[kept].astype(np.int64) * width + entities[kept]
    if size * width <= _DENSE:
        seen = np.zeros(size * width, dtype=bool)
        seen[pairs] = True
        return np.asarray(seen.reshape(size, width).sum(axis=1))
    return np.bincount(np.unique(pairs) // width, minlength=size)


def equivalents_per_value(codes: np.ndarray, entities: np.ndarray, size: int) -> np.ndarray:
    """How many equal entities each code 0..size-1 is held by in effect; never more than hold it.

    Args:
        codes: shape (rows,); negative codes are left out.
        entities: integer entity of each row.
        size: number of codes.
    """
    kept = codes >= 0
    width = int(entities.max(initial=0)) + 1
    pairs, rows = np.unique(
        codes[kept].astype(np.int64) * width + entities[kept], return_counts=True
    )
    value, held = pairs // width, rows.astype(np.float64)
    total = np.bincount(value, weights=held, minlength=size)
    square = np.bincount(value, weights=held**2, minlength=size)
    return np.divide(total**2, square, out=np.zeros(size), where=square > 0)


def group_rare(
    column: pd.Series, entities: np.ndarray, k: int, token: tuple[bool, str | None]
) -> np.ndarray:
    """``column`` with every value of fewer than k entity equivalents replaced by the token.

    A group that is itself held by fewer than k entities takes the commonest value that is not rare,
    as does a column without a token; grouped into missing, it may be that small. A second time
    changes nothing: a commonest value that its new rows make rare is grouped in turn.

    Args:
        column: text, codes or booleans of a canonical frame; missing values stay.
        entities: integer entity of each row.
        k: smallest number of entity equivalents.
        token: what :func:`~synth_contracts.coarsening.tokens.other_token` says of the column.
    """
    while True:  # each round but the last leaves fewer values
        grouped, merged = _group_once(column, entities, k, token)
        if not merged:
            return grouped
        column = pd.Series(grouped, dtype=object)


def _group_once(
    column: pd.Series, entities: np.ndarray, k: int, token: tuple[bool, str | None]
) -> tuple[np.ndarray, bool]:
    """The grouped column, and whether rows went to a value that others hold already."""
    codes, labels = pd.factorize(column, sort=True)
    if not len(labels):
        return column.to_numpy(), False
    # a hair below k: ten equal holders must count as ten
    rare = equivalents_per_value(codes, entities, len(labels)) < k * (1 - 1e-9)
    if not rare.any():
        return column.to_numpy(), False
    has_token, other = token
    group = np.append(rare | (labels == other), False)
    alone = len(np.unique(entities[group[codes]])) < k
    merged = not has_token or (alone and other is not None)
    if merged:
        count = np.bincount(codes[codes >= 0], minlength=len(labels))
        other = labels[int(np.where(rare & ~rare.all(), -1, count).argmax())]
    values = np.array([*labels, None], dtype=object)
    values[:-1][rare] = other
    return np.asarray(values[codes]), merged and bool((labels[rare] != other).any())
