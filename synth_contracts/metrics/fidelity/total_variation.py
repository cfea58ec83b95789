"""total_variation: the shares of categories, synthetic against holdout, in the protected view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import HALF_SAMPLES, halves, normal
from synth_contracts.metrics.matching import Matched, Three
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows
from synth_contracts.tables import CATEGORICAL, Field

ID = "total_variation"


def measure(comparison: Comparison, column: str | None, _options: Mapping[str, Any]) -> Measurement:
    """Share of rows, 0 .. 1, that would have to change category; a null is a category.

    Of one column, or of the column that lies furthest above its own floor. All tables have the
    same number of entities and are coarsened alike (``Comparison.matched``); what the tables read
    without coarsening stands in the details as ``raw`` and ``raw_floor``.

    Raises:
        CannotMeasure: no column of categories, an empty table, or too few entities for k.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    fields = [f for f in sorted(comparison.schema.of(CATEGORICAL), key=lambda f: f.name)
              if not (f.declared is not None and f.declared.unique)]  # fmt: skip
    if column is not None:
        fields = [f for f in fields if f.name == column]
        if not fields:
            raise CannotMeasure(f"{column} is no column of categories that is compared")
    if not fields:
        raise CannotMeasure("the table has no column of categories")
    found = {field.name: _column(comparison, field) for field in fields}
    name = max(found, key=lambda each: found[each]["value"] - found[each]["floor"])
    worst = found[name]
    return Measurement(
        metric=ID,
        value=worst["value"],
        n=comparison.synthetic_side.rows,
        unit="synthetic rows",
        direction="lower_is_better",
        method=f"half the summed differences of shares at "
        f"{comparison.matched_raw(0)[0].entities} entities a side, "
        + ("coarsened alike, " if _coarsened(comparison) else "")
        + f"mean of {comparison.repeats} samples; limits by {HALF_SAMPLES} half-samples of "
        "entities",
        compared_with="holdout" + (", both in the protected view" * _coarsened(comparison)),
        column=column,
        floor=worst["floor"],
        **limits(normal(worst["value"], _variance(comparison, name), lowest=0, highest=1)),
        details=dict(worst) if column is not None else {
            "worst": name, **worst, "columns": found,
        },
    )  # fmt: skip


def _coarsened(comparison: Comparison) -> bool:
    return comparison.coarsening is not None and comparison.coarsening.on


def _column(comparison: Comparison, field: Field) -> dict[str, float]:
    """Value, floor and what coarsening cost, of one column; shares of rows and counts."""
    views = [comparison.matched(i) for i in range(comparison.repeats)]
    value, floor = _mean_distances(views, field.name)
    raw, raw_floor, hidden = value, floor, 0.0
    plain = [comparison.matched_raw(i) for i in range(comparison.repeats)]
    if any(_touched(*pair, field.name) for pair in zip(views, plain, strict=True)):
        raw, raw_floor = _mean_distances(plain, field.name)
        hidden = float(np.mean([_changed(view[1], before[1], field.name)
                                for view, before in zip(views, plain, strict=True)]))  # fmt: skip
    token = None
    if comparison.coarsening is not None and comparison.coarsening.on:
        token = comparison.coarsening.token(field)[1]
    return {
        "value": value,
        "floor": floor,
        "raw": raw,
        "raw_floor": raw_floor,
        "holdout_rows_coarsened": hidden,
        **_invented(comparison, field.name, token),
    }


def _mean_distances(tables: Sequence[Three], name: str) -> tuple[float, float]:
    """Synthetic and train, each against holdout, mean over the samples."""
    found = []
    for three in tables:
        train, holdout, synthetic = _shares([side.frame[name] for side in three])
        found.append((np.abs(synthetic - holdout).sum() / 2, np.abs(train - holdout).sum() / 2))
    value, floor = np.mean(found, axis=0)
    return float(value), float(floor)


def _codes(columns: Sequence[pd.Series]) -> tuple[list[Ints], int]:
    """Joint codes of the categories of several columns, null the last, and their number."""
    codes, labels = pd.factorize(pd.concat(columns, ignore_index=True), sort=True)
    codes = np.where(codes < 0, len(labels), codes).astype(np.int64)
    ends = np.cumsum([len(column) for column in columns])[:-1]
    return np.split(codes, ends), len(labels) + 1


def _shares(columns: Sequence[pd.Series]) -> list[Floats]:
    codes, size = _codes(columns)
    return [np.bincount(each, minlength=size) / len(each) for each in codes]


def _touched(views: Three, plain: Three, name: str) -> bool:
    """Whether coarsening made a new column on any side: untouched ones keep their memory."""
    return not all(
        np.may_share_memory(view.frame[name].to_numpy(), before.frame[name].to_numpy())
        for view, before in zip(views, plain, strict=True)
    )


def _changed(view: Matched, before: Matched, name: str) -> float:
    """Share of rows whose value the view hides."""
    a, b = view.frame[name], before.frame[name]
    return float(np.mean(((a != b) & ~(a.isna() & b.isna())).to_numpy()))


def _invented(comparison: Comparison, name: str, token: str | None) -> dict[str, float]:
    """Categories of whole tables that one side alone has; the contract's token is no invention."""
    sides = (comparison.train_side, comparison.holdout_side, comparison.synthetic_side)
    train, holdout, synthetic = (_counts(side, name) for side in sides)
    size = max(len(train), len(holdout), len(synthetic))
    train, holdout, synthetic = (np.pad(each, (0, size - len(each)))
                                 for each in (train, holdout, synthetic))  # fmt: skip
    new = (synthetic > 0) & (train + holdout == 0)
    if token is not None:
        made = np.flatnonzero((sides[2].frame[name] == token).to_numpy())
        new[sides[2].cell(name)[made] + 1] = False
    gone = (train + holdout > 0) & (synthetic == 0)
    return {
        "invented_rows": float(synthetic[new].sum() / synthetic.sum()),
        "invented_categories": int(new.sum()),
        "lost_rows": float(holdout[gone].sum() / holdout.sum()),
        "lost_categories": int(gone.sum()),
    }


def _counts(side: Side, name: str) -> npt.NDArray[np.int64]:
    return np.bincount(side.cell(name) + 1).astype(np.int64)  # null is code -1


@dataclass(frozen=True)
class _Held:
    """Rows per category and entity, shape (categories, entities)."""

    rows: sparse.csr_matrix
    entities: int

    @classmethod
    def of(cls, codes: Ints, side: Matched, size: int) -> _Held:
        rows = sparse.csr_matrix(
            (np.ones(len(codes)), (codes, side.entity)), shape=(size, side.entities)
        )
        return cls(rows, side.entities)

    def shares(self, chosen: npt.NDArray[np.bool_]) -> Floats:
        counts = np.asarray(self.rows @ chosen.astype(np.float64))
        return np.asarray(counts / counts.sum())


def _variance(comparison: Comparison, name: str) -> float:
    """Variance by random halves of the entities of both sides, the view being kept.

    A half reads higher than the whole, since total variation grows with noise: only the spread
    of the halves around their own mean counts, never their mean.
    """
    _, holdout, synthetic = comparison.matched(0)
    if min(holdout.entities, synthetic.entities) < 2:
        return float("inf")
    (theirs, mine), size = _codes([holdout.frame[name], synthetic.frame[name]])
    held = _Held.of(theirs, holdout, size), _Held.of(mine, synthetic, size)
    rng = comparison.rng(f"{ID} halves {name}")
    spread = [
        float(np.abs(held[0].shares(a) - held[1].shares(b)).sum() / 2)
        for a, b in zip(
            halves(rng, held[0].entities), halves(rng, held[1].entities), strict=True
        )
    ]  # fmt: skip
    return float(np.var(spread))
