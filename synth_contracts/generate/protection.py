"""What the protections of one run touched: cells counted by column, no value named.

For the owner of the source alone: exact counts of two runs, before and after one row came, tell of
that row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
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
    schema: TableSchema,
) -> tuple[Touched, ...]:
    """What was done to each column of train, in the schema's order; to some of them nothing.

    Args:
        before: train as it was.
        uncoded: the same rows protected but for their tails.
        after: the same rows protected.
        joined: cells joined to a neighbouring value, by column.
        schema: the columns of all three.
    """
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
        found.append(Touched(name, **counts))
    return tuple(found)


def recoded(
    columns: Sequence[Touched], drawn: pd.DataFrame, after: pd.DataFrame
) -> tuple[Touched, ...]:
    """``columns`` with the recoded cells of some rows of the candidate counted too.

    Args:
        columns: what is counted so far.
        drawn: quasi-identifiers of those rows before recoding.
        after: the same rows after it, in the same order; may hold more columns.
    """
    return tuple(
        replace(one, recoded=one.recoded + int(differing(drawn[name], after[name]).sum()))
        if (name := one.column) in drawn.columns
        else one
        for one in columns
    )


def differing(left: pd.Series, right: pd.Series) -> np.ndarray:
    """Where two columns differ; missing equals missing."""
    a, b = left.reset_index(drop=True), right.reset_index(drop=True)
    return ((a != b) & ~(a.isna() & b.isna())).to_numpy()
