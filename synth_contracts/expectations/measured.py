"""Measuring one candidate: each metric once, faults as results, records as plain JSON.

Both doors come through here: ``evaluate()`` directly, the checkpoint through the metric provider.
Great Expectations is not imported.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from synth_contracts import metrics
from synth_contracts.contract.model import Rule
from synth_contracts.metrics.controls import control
from synth_contracts.metrics.measurement import Measurement, NotMeasured, Result
from synth_contracts.metrics.record import result_from_json, result_to_json
from synth_contracts.metrics.threads import single_threaded
from synth_contracts.metrics.words import title

__all__ = ["Measuring", "result_from_json", "result_to_json"]

logger = logging.getLogger(__name__)


class Measuring:
    """Measures metrics of one comparison, each (metric, column, options) at most once.

    Args:
        comparison: the three canonical tables with what the metrics share.
        progress: called with one line as each metric is begun.

    ``timings`` holds wall seconds per metric. Work that metrics share is counted where it is first
    asked for.
    """

    def __init__(
        self,
        comparison: metrics.Comparison,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.comparison = comparison
        self._progress = progress or (lambda _: None)
        self.timings: dict[str, float] = {}
        self._results: dict[str, Result] = {}

    def measure(
        self,
        metric: str,
        column: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Result:
        """The result of one metric; never raises for what the metric does.

        A metric that raises, or returns anything but a Measurement with a finite value or a
        NotMeasured with a reason, becomes ``NotMeasured(error=True)``; a raise is logged with its
        traceback.
        """
        options = dict(options or {})
        key = json.dumps([metric, column, options], sort_keys=True, default=str)
        if key not in self._results:
            self._progress(f"measuring {title(metric, column)}")
            started = time.perf_counter()
            with single_threaded():  # small products on two threads wait more than they compute
                self._results[key] = _measure(self.comparison, metric, column, options)
            spent = time.perf_counter() - started
            name = title(metric, column)
            self.timings[name] = self.timings.get(name, 0.0) + round(spent, 4)
        return self._results[key]

    def control(
        self,
        rules: Sequence[Rule],
        results: Mapping[str, Result],
        reported: Sequence[str],
    ) -> dict[str, Any]:
        """The positive control and null of this run (metrics/controls/run.py), as plain JSON.

        Never raises: a fault becomes a record whose ``reason`` says so, and its traceback is
        logged.
        """
        started = time.perf_counter()
        # fidelity is read by now, and planting takes as much memory again
        self.comparison.forget_matched()
        try:
            with single_threaded():
                found = control(self.comparison, rules, results, reported, self._progress)
            record: dict[str, Any] = _json(found)
        except Exception as error:  # a bug here must read as a control that was not made
            logger.exception("the positive control raised")
            record = {"reason": f"error: {type(error).__name__}; the log has the trace"}
        self.timings["positive control and null"] = round(time.perf_counter() - started, 4)
        return record


def _measure(
    comparison: metrics.Comparison, metric: str, column: str | None, options: dict[str, Any]
) -> Result:
    try:
        found: Any = metrics.measure(metric, comparison, column=column, options=options)
        return _plain(metric, column, found)
    except Exception as error:  # a bug of a metric must end as "not measured", never as a pass
        logger.exception("%s raised", title(metric, column))
        reason = f"error: {type(error).__name__} in {title(metric, column)}; the log has the trace"
        return NotMeasured(metric=metric, column=column, reason=reason, error=True)


def _plain(metric: str, column: str | None, found: Any) -> Result:
    """``found`` with Python's own numbers and JSON details, or what is wrong with it."""
    if isinstance(found, NotMeasured):
        return found
    fault = None
    if not isinstance(found, Measurement):
        fault = f"error: returned {type(found).__name__}, not a measurement"
    elif (found.metric, found.column) != (metric, column):
        fault = f"error: returned a measurement of {title(found.metric, found.column)}"
    elif _number(found.value) is None:
        fault = f"error: returned {found.value!r}, which is not a finite number"
    if fault is not None:
        return NotMeasured(metric=metric, column=column, reason=fault, error=True)
    plain = replace(
        found,
        value=_number(found.value),
        n=int(found.n),
        details=_json(found.details),
        **{name: _number(getattr(found, name)) for name in _OPTIONAL_NUMBERS},
    )
    return result_from_json(json.loads(json.dumps(result_to_json(plain), allow_nan=False)))


_OPTIONAL_NUMBERS = ("lower", "upper", "bound_lower", "bound_upper", "floor", "ceiling")


def _number(value: Any) -> float | None:
    """A finite Python number of ``value`` (NumPy scalars too), or None; bools are no numbers."""
    if isinstance(value, (bool, str, bytes)) or value is None:
        return None
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def _json(value: Any) -> Any:
    """``value`` in JSON's types: NumPy and pandas values folded, what is not finite as None."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_json(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return _json(value.tolist())
    if isinstance(value, (int, float)):
        return _number(value)
    raise TypeError(f"details hold a {type(value).__name__}")
