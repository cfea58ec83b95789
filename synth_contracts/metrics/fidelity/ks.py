"""ks: Kolmogorov-Smirnov distance of one numeric or time column from the holdout's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.distributions import floor_of, ks_two_sample, numbers
from synth_contracts.metrics.intervals import clustered_variance, normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows

ID = "ks"


def measure(comparison: Comparison, column: str | None, _options: Mapping[str, Any]) -> Measurement:
    """Sup |F - G| in 0 .. 1 of ``column``, synthetic against holdout.

    Raises:
        CannotMeasure: not a numeric or time feature, or one side holds nothing but nulls.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    if column not in comparison.holdout_side.columns:
        raise CannotMeasure(f"{column!r} is no column that is compared (keys never are)")
    synthetic, holdout = comparison.synthetic_side, comparison.holdout_side
    found = ks_two_sample(
        numbers(synthetic, column, comparison), numbers(holdout, column, comparison)
    )
    variance = clustered_variance(found.influence_left, synthetic.entity)
    variance += clustered_variance(found.influence_right, holdout.entity)
    return Measurement(
        metric=ID,
        column=column,
        value=found.value,
        n=synthetic.rows,
        unit="synthetic rows",
        direction="lower_is_better",
        method="two-sample Kolmogorov-Smirnov; limits from the variance at the largest gap, "
        "clustered by entity on both sides",
        compared_with="holdout",
        floor=floor_of(comparison, column),
        **limits(normal(found.value, variance, lowest=0, highest=1)),
    )
