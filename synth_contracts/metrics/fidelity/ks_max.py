"""ks_max: largest Kolmogorov-Smirnov distance over the numeric columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import clustered_variance, normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import limits

ID = "ks_max"


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Largest sup |F - G| over numeric features, in 0 .. 1, synthetic against holdout.

    Raises:
        CannotMeasure: no numeric feature, or one that holds nothing but nulls on one side.
    """
    columns = comparison.numeric_ks
    found = columns.found
    worst = max(found, key=lambda name: found[name].value)
    synthetic, holdout = comparison.synthetic_side, comparison.holdout_side
    variance = clustered_variance(found[worst].influence_left, synthetic.entity)
    variance += clustered_variance(found[worst].influence_right, holdout.entity)
    return Measurement(
        metric=ID,
        value=found[worst].value,
        n=synthetic.rows,
        unit="synthetic rows",
        direction="lower_is_better",
        method=f"largest of {len(found)} two-sample Kolmogorov-Smirnov distances; limits of that "
        "column, from the variance at its largest gap, clustered by entity on both sides",
        compared_with="holdout",
        floor=None if columns.floors is None else max(columns.floors),
        **limits(normal(found[worst].value, variance, lowest=0, highest=1)),
        details={"worst": worst, "empty": columns.empty},
    )
