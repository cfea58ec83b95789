"""Pure metrics of (train, holdout, synthetic): values with intervals, and no limits.

The names are imported on first use: the registry knows every metric and with them a classifier that
takes two seconds to import, and a generator asks for none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

#: Name -> the module that it is of.
_HOMES = {
    "METRICS": "registry",
    "Metric": "registry",
    "measure": "registry",
    "Comparison": "comparison",
    **dict.fromkeys(("Evaluation", "Measurement", "NotMeasured", "Result"), "measurement"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
