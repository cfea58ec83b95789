"""hour_profile: total variation of the hours of the day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows
from synth_contracts.metrics.series import profile, stamps, time_index

ID = "hour_profile"


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Half the summed differences of the 24 hourly shares, 0 .. 1, synthetic against holdout.

    Raises:
        CannotMeasure: no time index, no hours in the real tables, or one side holds no time.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    name = time_index(comparison)
    midnight = np.timedelta64(0, "ns")
    hours = False
    for side in (comparison.train_side, comparison.holdout_side):
        times = stamps(side, name)
        times = times[~np.isnat(times)]
        hours = hours or bool(np.any(times - times.astype("datetime64[D]") != midnight))
    if not hours:
        raise CannotMeasure("the time index has no hours")
    found = profile(comparison, "hour")
    return Measurement(
        metric=ID,
        value=found.value,
        n=comparison.synthetic_side.rows,
        unit="synthetic rows",
        direction="lower_is_better",
        method="total variation of hourly shares; limits clustered by entity on both sides",
        compared_with="holdout",
        floor=found.floor,
        **limits(normal(found.value, found.variance, lowest=0, highest=1)),
        details={"hours_invented": int(np.sum((found.holdout == 0) & (found.synthetic > 0)))},
    )
