"""What the protections of one run touched: cells counted by column, no value named.

For the owner of the source alone: exact counts of two runs, before and after one row came, tell of
that row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.tables.schema import CATEGORICAL, TableSchema


@dataclass(frozen=True)
class Touched:
    """Cells of one column.

    Args:
        column: its name.
        grouped: of train, values too few entities hold, taken together before the fit.
        joined: of train, numbers that would have told a grouped value, joined to a neighbour.
        coded_low: of train, numbers and dates raised to the k-th lowest entity's.
        coded_high: of train, lowered to the k-th highest entity's.
        recoded: of the candidate, quasi-identifiers recoded to classes of k entities.
    """

    column: str
    grouped: int = 0
    joined: int = 0
    coded_low: int = 0
    coded_high: int = 0
    recoded: int = 0

    @property
    def any(self) -> bool:
        """Whether there is anything to tell."""
        return any(getattr(self, item.name) for item in fields(self) if item.name != "column")


@dataclass(frozen=True)
class Protection:
    """What was done in one run.

    Args:
        columns: those that something was done to, in the schema's order.
        redrawn: rows of the candidate that were drawn again because they stood too near a real
            outlier, each as often as it was drawn.
        afresh: columns whose values were made anew and never fitted.
        train_rows: rows of train, of which ``columns`` counts cells.
        rows: rows of the candidate.
    """

    columns: tuple[Touched, ...] = ()
    redrawn: int = 0
    afresh: tuple[str, ...] = ()
    train_rows: int = 0
    rows: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON object for the owner's card and run_results.json."""
        return {
            "train_rows": self.train_rows,
            "rows": self.rows,
            "columns": [vars(touched).copy() for touched in self.columns],
            "redrawn": self.redrawn,
            "afresh": list(self.afresh),
        }


def touched(
    before: pd.DataFrame,
    uncoded: pd.DataFrame,
    after: pd.DataFrame,
    joined: Mapping[str, int],
    drawn: pd.DataFrame,
    recoded: pd.DataFrame,
    schema: TableSchema,
) -> tuple[Touched, ...]:
    """The columns that something was done to.

    Args:
        before: train as it was.
        uncoded: the same rows protected but for their tails.
        after: the same rows protected.
        joined: cells joined to a neighbouring value, by column.
        drawn: the candidate before recoding; row i belongs to row i of ``recoded``.
        recoded: the candidate after it.
        schema: the columns of all four.
    """
    quasi = set(schema.roles.quasi_identifiers)
    found = []
    for field in schema.features:
        name = field.name
        if name not in before.columns or name not in after.columns:
            continue
        counts = {"joined": joined.get(name, 0)}
        if field.kind in CATEGORICAL:
            counts["grouped"] = int(differing(before[name], after[name]).sum())
        else:
            old, new = uncoded[name].to_numpy(), after[name].to_numpy()
            counts["coded_low"] = int((new > old).sum())
            counts["coded_high"] = int((new < old).sum())
        if name in quasi:
            counts["recoded"] = int(differing(drawn[name], recoded[name]).sum())
        one = Touched(name, **counts)
        if one.any:
            found.append(one)
    return tuple(found)


def differing(left: pd.Series, right: pd.Series) -> np.ndarray:
    """Where two columns differ; missing equals missing."""
    a, b = left.reset_index(drop=True), right.reset_index(drop=True)
    return ((a != b) & ~(a.isna() & b.isna())).to_numpy()
