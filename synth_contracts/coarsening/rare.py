"""Categories that too few entities hold, grouped column by column."""

from __future__ import annotations

import numpy as np
import pandas as pd


def entities_per_value(codes: np.ndarray, entities: np.ndarray, size: int) -> np.ndarray:
    """How many distinct entities hold each code 0..size-1 (negative codes are left out)."""
    kept = codes >= 0
    width = int(entities.max(initial=0)) + 1
    pairs = np.unique(codes[kept].astype(np.int64) * width + entities[kept])
    return np.bincount(pairs // width, minlength=size)


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
    held = entities_per_value(codes, entities, len(labels))
    rare = held < k
    values = np.array([*labels, None], dtype=object)
    if rare.any():
        has_token, other = token
        pooled = np.append(rare, False)[codes] | (column == other).to_numpy()
        alone = len(np.unique(entities[pooled])) < k
        if not has_token or (alone and other is not None):
            other = labels[int(np.bincount(codes[codes >= 0]).argmax())]
        values[:-1][rare] = other
    return np.asarray(values[codes])
