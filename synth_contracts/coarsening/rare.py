"""Categories that too few entities hold, grouped column by column."""

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


def group_rare(
    column: pd.Series, entities: np.ndarray, k: int, token: tuple[bool, str | None]
) -> np.ndarray:
    """``column`` with every value that fewer than k entities hold replaced by the token.

    A group that is itself held by fewer than k entities takes the commonest value, as does a
    column without a token; grouped into missing, it may be that small.

    Args:
        column: text, codes or booleans of a canonical frame; missing values stay.
        entities: integer entity of each row.
        k: smallest number of entities.
        token: what :func:`~synth_contracts.coarsening.tokens.other_token` says of the column.
    """
    codes, labels = pd.factorize(column, sort=True)
    if not len(labels):
        return column.to_numpy()
    rare = entities_per_value(codes, entities, len(labels)) < k
    if not rare.any():
        return column.to_numpy()
    has_token, other = token
    group = np.append(rare | (labels == other), False)
    alone = len(np.unique(entities[group[codes]])) < k
    if not has_token or (alone and other is not None):
        other = labels[int(np.bincount(codes[codes >= 0]).argmax())]
    values = np.array([*labels, None], dtype=object)
    values[:-1][rare] = other
    return np.asarray(values[codes])
