"""Subsets that stand for the exports of a pool while it is evaluated, and what they tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from synth_contracts.omission.cells import ONE_OF, Cells

if TYPE_CHECKING:
    import pandas as pd

#: How many are looked at.
SUBSETS = 5


def subset_names(count: int = SUBSETS) -> tuple[str, ...]:
    """Names of the subsets; no token has an id like these."""
    return tuple(f"evaluation {number}" for number in range(1, count + 1))


def told(
    pool: pd.DataFrame,
    kept: Sequence[npt.NDArray[np.bool_]],
    cells: Cells,
    numeric: Sequence[str],
    *,
    key: str,
) -> dict[str, Any]:
    """What is told of the subsets: how many, of how many rows, and how far their totals differ.

    Args:
        pool: canonical frame.
        kept: of each subset which rows it keeps.
        cells: of the pool.
        numeric: columns whose totals are compared.
        key: ``identity`` of the key.

    Returns:
        ``subsets``, ``one_of``, ``key``, ``units``, ``groups``, ``category``, ``rows`` (of each
        subset) and ``spread``: of the number of units and of each column the largest difference
        between a subset's weighted total and the pool's, as a share of the pool's.
    """
    rows = [int(keep.sum()) for keep in kept]
    factors = [weight(len(pool), count) for count in rows]
    owners = len(cells.group)
    held = [len(np.unique(cells.unit[keep])) for keep in kept]
    units = [abs(f * n / owners - 1) for f, n in zip(factors, held, strict=True)] if owners else []
    spread = {"units": max(units, default=0.0)}
    for name in numeric:
        values = np.nan_to_num(pool[name].to_numpy(dtype=float), posinf=0.0, neginf=0.0)
        total = float(values.sum())
        if total:
            far = [
                f * values[keep].sum() / total - 1 for f, keep in zip(factors, kept, strict=True)
            ]
            spread[name] = float(np.abs(far).max(initial=0.0))
    return {
        "subsets": len(kept),
        "one_of": ONE_OF,
        "key": key,
        "units": owners,
        "groups": cells.groups,
        "category": cells.category,
        "rows": rows,
        "spread": {name: round(float(value), 6) for name, value in spread.items()},
    }


def weight(pool: int, rows: int) -> float:
    """What totals of an export are multiplied with to stand for the pool's."""
    return pool / rows if rows else 0.0


def is_told(record: Any) -> bool:
    """Whether ``record`` is of at least ``SUBSETS`` subsets, as :func:`told` makes it."""
    if not isinstance(record, Mapping):
        return False
    count = record.get("subsets")
    return (
        type(count) is int
        and count >= SUBSETS
        and record.get("one_of") == ONE_OF
        and isinstance(record.get("key"), str)
    )
