"""ks_mean: mean Kolmogorov-Smirnov distance over the numeric columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import clustered_variance, normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import limits

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
    columns = comparison.numeric_ks
    found = columns.found
    synthetic, holdout = comparison.synthetic_side, comparison.holdout_side
    value = float(np.mean([ks.value for ks in found.values()]))
    left = np.mean([ks.influence_left for ks in found.values()], axis=0)
    right = np.mean([ks.influence_right for ks in found.values()], axis=0)
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
        floor=None if columns.floors is None else float(np.mean(columns.floors)),
        **limits(normal(value, variance, lowest=0, highest=1)),
        details={"columns": {name: ks.value for name, ks in found.items()}, "empty": columns.empty},
    )
