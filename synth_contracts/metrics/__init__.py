"""Pure metrics of (train, holdout, synthetic): values with intervals, and no limits."""

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured, Result
from synth_contracts.metrics.registry import METRICS, Metric, measure

__all__ = [
    "METRICS",
    "Comparison",
    "Evaluation",
    "Measurement",
    "Metric",
    "NotMeasured",
    "Result",
    "measure",
]
