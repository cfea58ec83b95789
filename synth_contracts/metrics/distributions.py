"""Kolmogorov-Smirnov statistics with clustered variance and their floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth_contracts.metrics.cells import Floats, Side
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.results import CannotMeasure, need_rows
from synth_contracts.tables import NUMERIC, TEMPORAL

if TYPE_CHECKING:
    from synth_contracts.metrics.comparison import Comparison

#: How often the larger of train and holdout is sampled down for a floor.
FLOOR_SAMPLES = 8


@dataclass(frozen=True)
class KS:
    """sup |F - G| and per row of the two samples its influence on it (0 for null rows)."""

    value: float
    influence_left: Floats
    influence_right: Floats


def numbers(side: Side, name: str, comparison: Comparison) -> Floats:
    """A numeric or time column as float64, nulls NaN, infinities kept."""
    field = comparison.schema.field(name)
    if field.kind in TEMPORAL:
        stamps = side.frame[name].to_numpy(dtype="datetime64[ns]")
        return np.where(np.isnat(stamps), np.nan, stamps.view(np.int64).astype(np.float64))
    if field.kind not in NUMERIC:
        raise CannotMeasure(f"{name} is a {field.kind} column, and KS needs numbers or times")
    return side.frame[name].to_numpy(dtype=np.float64)


def ks_two_sample(left: Floats, right: Floats) -> KS:
    """KS distance of two samples; nulls are dropped, infinities count like any value.

    Raises:
        CannotMeasure: one side holds no value.
    """
    known = [~np.isnan(left), ~np.isnan(right)]
    a, b = np.sort(left[known[0]]), np.sort(right[known[1]])
    if not len(a) or not len(b):
        raise CannotMeasure("one side holds no value but null")
    places, gaps = _gaps(a, b)
    at = int(np.argmax(np.abs(gaps)))
    sign = 1.0 if gaps[at] >= 0 else -1.0
    influences = []
    for values, present in zip((left, right), known, strict=True):
        below = (values <= places[at]).astype(np.float64)
        share = float(below[present].mean())
        influences.append(sign * np.where(present, below - share, 0.0) / int(present.sum()))
    return KS(float(abs(gaps[at])), influences[0], influences[1])


def _gaps(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """F - G of two sorted samples at each of their values."""
    places = np.concatenate([a, b])
    above, below = (np.searchsorted(x, places, "right") / len(x) for x in (a, b))
    return places, above - below


def floor_of(comparison: Comparison, name: str) -> float | None:
    """KS of train against holdout at equal entities, mean over seeded samples of the larger.

    None where a sample holds nothing but nulls.
    """
    train, holdout = comparison.train_side, comparison.holdout_side
    size = min(train.entities, holdout.entities)
    left, right = numbers(train, name, comparison), numbers(holdout, name, comparison)
    rng = comparison.rng(f"ks floor {name}")
    repeats = 1 if train.entities == holdout.entities else FLOOR_SAMPLES
    # sorted once, nulls last and left out: what is sampled of them is sorted too
    order = [np.argsort(values)[: np.count_nonzero(~np.isnan(values))] for values in (left, right)]
    found = []
    for _ in range(repeats):
        a, b = (
            values[at[sample(rng, side.entities, size)[side.entity[at]]]]
            for side, values, at in zip((train, holdout), (left, right), order, strict=True)
        )
        if not len(a) or not len(b):
            return None
        found.append(float(np.abs(_gaps(a, b)[1]).max()))
    return float(np.mean(found))


@dataclass(frozen=True)
class NumericKS:
    """KS of the numeric features, synthetic against holdout.

    Attributes:
        found: by column, sorted by name.
        floors: in the same order; None where a column has none.
        empty: columns that are null throughout in all three tables.
    """

    found: dict[str, KS]
    floors: list[float] | None
    empty: list[str]

    @classmethod
    def of(cls, comparison: Comparison) -> NumericKS:
        """Of all numeric features.

        Raises:
            CannotMeasure: an empty table, no numeric feature, or one that holds nothing but nulls
                on one side.
        """
        need_rows(comparison, "train", "holdout", "synthetic")
        names = sorted(field.name for field in comparison.schema.of(NUMERIC))
        if not names:
            raise CannotMeasure("the table has no numeric column")
        found: dict[str, KS] = {}
        empty = []
        sides = (comparison.train_side, comparison.holdout_side, comparison.synthetic_side)
        for name in names:
            train, holdout, synthetic = (numbers(side, name, comparison) for side in sides)
            nulls = [bool(np.isnan(values).all()) for values in (train, holdout, synthetic)]
            if all(nulls):
                empty.append(name)
                continue
            if any(nulls):
                raise CannotMeasure(f"{name} holds nothing but nulls on one side")
            found[name] = ks_two_sample(synthetic, holdout)
        if not found:
            raise CannotMeasure("every numeric column holds nothing but nulls")
        floors = [floor_of(comparison, name) for name in found]
        known = [floor for floor in floors if floor is not None]
        return cls(found, known if len(known) == len(floors) else None, empty)
