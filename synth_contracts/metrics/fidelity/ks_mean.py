"""ks_mean: mean Kolmogorov-Smirnov distance over the numeric columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.distributions import KS, floor_of, ks_two_sample, numbers
from synth_contracts.metrics.intervals import clustered_variance, normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows
from synth_contracts.tables import NUMERIC

ID = "ks_mean"


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Mean over numeric features of sup |F - G|, in 0 .. 1, synthetic against holdout.

    A column that cannot be compared is not averaged away: the whole metric is not measured. Only a
    column that is null throughout in all three tables is left out, and named.

    Raises:
        CannotMeasure: no numeric feature, or one that holds nothing but nulls on one side.
    """
    found, empty = numeric_ks(comparison)
    synthetic, holdout = comparison.synthetic_side, comparison.holdout_side
    value = float(np.mean([ks.value for ks in found.values()]))
    left = np.mean([ks.influence_left for ks in found.values()], axis=0)
    right = np.mean([ks.influence_right for ks in found.values()], axis=0)
    floors = [floor_of(comparison, name) for name in found]
    known = [floor for floor in floors if floor is not None]
    variance = clustered_variance(left, synthetic.entity)
    variance += clustered_variance(right, holdout.entity)
    return Measurement(
        metric=ID,
        value=value,
        n=synthetic.rows,
        unit="synthetic rows",
        direction="lower_is_better",
        method=f"mean of {len(found)} two-sample Kolmogorov-Smirnov distances; limits from the "
        "variance at the largest gaps, clustered by entity on both sides",
        compared_with="holdout",
        floor=float(np.mean(known)) if len(known) == len(floors) else None,
        **limits(normal(value, variance, lowest=0, highest=1)),
        details={"columns": {name: ks.value for name, ks in found.items()}, "empty": empty},
    )


def numeric_ks(comparison: Comparison) -> tuple[dict[str, KS], list[str]]:
    """KS by numeric feature, synthetic against holdout, and the features null everywhere.

    Raises:
        CannotMeasure: no numeric feature, or one that holds nothing but nulls on one side.
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
    return found, empty
