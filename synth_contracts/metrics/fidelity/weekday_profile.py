"""weekday_profile: total variation of the days of the week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import limits, need_rows
from synth_contracts.metrics.series import profile

ID = "weekday_profile"


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Half the summed differences of the 7 weekday shares, 0 .. 1, synthetic against holdout.

    Raises:
        CannotMeasure: no time index, or one side holds no time.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    found = profile(comparison, "weekday")
    return Measurement(
        metric=ID,
        value=found.value,
        n=comparison.synthetic_side.rows,
        unit="synthetic rows",
        direction="lower_is_better",
        method="total variation of weekday shares; limits clustered by entity on both sides",
        compared_with="holdout",
        floor=found.floor,
        **limits(normal(found.value, found.variance, lowest=0, highest=1)),
        details={"weekdays_invented": int(np.sum((found.holdout == 0) & (found.synthetic > 0)))},
    )
