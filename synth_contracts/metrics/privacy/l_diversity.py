"""l_diversity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure

ID = "l_diversity"


def measure(
    _comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Not measured yet."""
    raise CannotMeasure("not measured yet")
