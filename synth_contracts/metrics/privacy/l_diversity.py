"""l_diversity: fewest distinct sensitive values in a class on the quasi-identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth_contracts.metrics import distributions, sensitive
from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import need_rows

ID = "l_diversity"
#: Below this a class gives its one sensitive value away.
DIVERSE = 2


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Fewest distinct sensitive values, >= 1, in a class of the synthetic table.

    Classes are combinations of the released quasi-identifiers; the worst class and the worst
    sensitive column count (distinct l-diversity: Machanavajjhala, Kifer, Gehrke,
    Venkitasubramaniam 2007, doi 10.1145/1217299.1217302). A class of n entities counts n values at
    most: many rows of one entity are not many people. Null is a value like any other. Numbers and
    times count by quantile bins of the synthetic table. Exact: no interval.

    Raises:
        CannotMeasure: no released quasi-identifier, no sensitive column, or an empty table.
    """
    need_rows(comparison, "synthetic")
    columns = sensitive.columns(comparison)
    side = comparison.synthetic_side
    codes = sensitive.class_codes(side, columns.quasi)
    real = sensitive.equal_parts(comparison, ID, columns.quasi)
    below = np.zeros(side.entities, dtype=bool)
    found: dict[str, dict[str, Any]] = {}
    for name in columns.sensitive:
        ends = _ends(comparison, name)
        levels = sensitive.levels(comparison, side, name, ends)
        diversity = _Diversity.of(codes, levels, side.entity)
        below[side.entity[diversity.distinct[codes] < DIVERSE]] = True
        found[name] = {
            "distinct": int(diversity.distinct.min()),
            "entropy": float(diversity.entropy.min()),
            "bins": None if ends is None else len(ends) + 1,
        }
        for label, part in real.items():
            kept = sensitive.levels(comparison, part.side, name, ends)[part.rows]
            low = _Diversity.of(part.codes, kept, part.entity).distinct[part.codes] < DIVERSE
            found[name][f"entities_below_2_{label}"] = (
                len(np.unique(part.entity[low])) / part.entities
            )
    return Measurement(
        metric=ID,
        value=float(min(column["distinct"] for column in found.values())),
        n=side.entities,
        unit="synthetic entities",
        direction="higher_is_better",
        method=f"fewest distinct values of {len(columns.sensitive)} sensitive columns in a class "
        f"on {len(columns.quasi)} quasi-identifiers; numbers and times in at most {sensitive.BINS} "
        "quantile bins of the synthetic table; exact, so it has no interval",
        compared_with="nothing: a property of the released table",
        details={
            "classes": int(codes.max()) + 1,
            "entropy": min(column["entropy"] for column in found.values()),
            "entities_below_2": float(below.mean()),
            "columns": found,
            "left_out": list(columns.left_out),
        },
    )


def _ends(comparison: Comparison, name: str) -> Floats | None:
    """Bins of a number or time: of the released table alone, so that they tell nothing new."""
    if sensitive.is_category(comparison, name):
        return None
    side = comparison.synthetic_side
    values = distributions.numbers(side, name, comparison)
    return sensitive.cuts(values, sensitive.weights(side.entity))


@dataclass(frozen=True)
class _Diversity:
    """Of each class, shape (classes,): distinct values, and e to the entropy of their shares."""

    distinct: Ints
    entropy: Floats

    @classmethod
    def of(cls, codes: Ints, levels: Ints, entity: Ints) -> _Diversity:
        """``codes`` (without gaps), ``levels`` and ``entity`` have shape (rows,)."""
        held = sensitive.entities_per_class(codes, entity)
        width = int(levels.max()) + 2
        pairs, place = np.unique(codes * width + levels + 1, return_inverse=True)
        mass = np.bincount(place, weights=sensitive.weights(entity))
        of = pairs // width
        share = mass / np.bincount(of, weights=mass)[of]
        entropy = np.exp(np.bincount(of, weights=-share * np.log(share)))
        return cls(np.minimum(np.bincount(of), held), np.minimum(entropy, held))
