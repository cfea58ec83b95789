"""Measuring one candidate: each metric once, faults as results, records as plain JSON.

Both doors come through here: ``evaluate()`` directly, the checkpoint through the metric provider.
Great Expectations is not imported.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, TypeAlias

from synth_contracts import metrics
from synth_contracts.contract.model import Rule
from synth_contracts.metrics.controls import control, null_beside
from synth_contracts.metrics.measurement import Measurement, NotMeasured, Result
from synth_contracts.metrics.record import result_from_json, result_to_json
from synth_contracts.metrics.thinned import is_rechecked, worst
from synth_contracts.metrics.threads import Lanes, prompt, single_threaded
from synth_contracts.metrics.words import title

__all__ = ["Measuring", "result_from_json", "result_to_json"]

logger = logging.getLogger(__name__)

#: Rows of the three tables from which two metrics are measured at a time: of few, the steps are so
#: short that two threads wait for each other.
_MANY_ROWS = 200_000
_LANES = 2
#: Turns of :func:`_turn`.
_FIDELITY, _WAITS = 1, 3
#: They read what the searches of membership_inference find.
_WAITING = (
    "recognized_entities", "entity_membership_inference", "outlier_membership_inference",
    "empirical_epsilon",
)  # fmt: skip

_Task: TypeAlias = tuple[Future[Any], Callable[[], Any]]


class Measuring:
    """Measures metrics of one comparison, each (metric, column, options) at most once.

    Args:
        comparison: the three canonical tables with what the metrics share.
        progress: called with one line as each metric is begun.

    ``timings`` holds wall seconds per metric. Work that metrics share is counted where it is first
    asked for; metrics that are measured beside each other (:meth:`ahead`) both count their own.
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
        self._subsets: dict[str, list[Result]] = {}
        self._fresh: Future[dict[str, Any]] | None = None
        self._lock = Lock()

    def thin(self, rules: Sequence[Rule], reported: Sequence[str]) -> None:
        """Measure each subset that stands for an export; :meth:`measure` then tells the worst.

        One subset after the other, so that the work on one of them is in memory at a time.
        """
        asked = [(rule.metric, rule.column, rule.options) for rule in rules]
        asked += [(metric, None, {}) for metric in reported]
        started = time.perf_counter()
        for number, subset in enumerate(self.comparison.subsets(), 1):
            self._progress(f"measuring subset {number} of {len(self.comparison.kept)}")
            for metric, column, options in asked:
                if not is_rechecked(metric):
                    continue
                with single_threaded():
                    found = _measure(subset, metric, column, dict(options or {}))
                self._subsets.setdefault(_key(metric, column, options), []).append(found)
        if self.comparison.kept:
            self.timings["subsets"] = round(time.perf_counter() - started, 4)

    @contextmanager
    def ahead(
        self, rules: Sequence[Rule], reported: Sequence[str], *, controls: bool
    ) -> Iterator[None]:
        """Of many rows, two metrics at a time: searches for neighbours beside all the rest.

        What was measured is told by :meth:`measure` and :meth:`control`, in whatever order they
        ask. Each metric draws from streams of its own, so that company changes no bit.

        Args:
            rules: whose metrics are measured.
            reported: metric ids that are measured without a rule.
            controls: whether the null is read as well, for :meth:`control`.
        """
        sides = self.comparison.train, self.comparison.holdout, self.comparison.synthetic
        if sum(map(len, sides)) < _MANY_ROWS:
            yield
            return
        asked = [(rule.metric, rule.column, rule.options) for rule in rules]
        asked += [(metric, None, {}) for metric in reported]
        asked.sort(key=_turn)
        tasks: deque[_Task] = deque((Future(), partial(self.measure, *one)) for one in asked)
        begun = [done for done, _ in tasks]
        # a lane that waits for the searches of another is a core that helps nobody
        later = [tasks.pop() for one in asked if _turn(one) == _WAITS][::-1]
        if later:
            tasks[0] = tasks[0][0], partial(_then, tasks[0][1], tasks, later)
        # what fidelity shares is large; it is given up before others begin that take memory too
        fidelity = sum(_turn(one) <= _FIDELITY for one in asked)
        tasks.insert(fidelity, (Future(), self.comparison.forget_matched))
        # nobody waits for the null before the plantings are read
        if controls and len(self.comparison.holdout):
            self._fresh = Future()
            tasks.append((self._fresh, partial(null_beside, self.comparison, rules, reported)))
        lanes = Lanes()
        with single_threaded(), prompt(), ThreadPoolExecutor(max_workers=_LANES) as pool:
            running = [pool.submit(_along, tasks, lanes) for _ in range(_LANES)]
            try:
                for done in begun:
                    done.result()
                lanes.close()
                yield
            except BaseException:
                tasks.clear()  # what nobody has begun, nobody will
                raise
        for one in running:
            one.result()

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
        key = _key(metric, column, options)
        if key not in self._results:
            self._progress(f"measuring {title(metric, column)}")
            started = time.perf_counter()
            with single_threaded():  # small products on two threads wait more than they compute
                found = _measure(self.comparison, metric, column, options)
            if key in self._subsets:
                found = worst(found, self._subsets[key])
            spent = time.perf_counter() - started
            name = title(metric, column)
            with self._lock:
                if key not in self._results:
                    self._results[key] = found
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
                found = control(
                    self.comparison, rules, results, reported, self._progress, self._fresh
                )
            record: dict[str, Any] = _json(found)
        except Exception as error:  # a bug here must read as a control that was not made
            logger.exception("the positive control raised")
            record = {"reason": f"error: {type(error).__name__}; the log has the trace"}
        self.timings["positive control and null"] = round(time.perf_counter() - started, 4)
        return record


def _key(metric: str, column: str | None, options: Mapping[str, Any] | None) -> str:
    return json.dumps([metric, column, dict(options or {})], sort_keys=True, default=str)


def _turn(asked: tuple[str, str | None, Mapping[str, Any]]) -> int:
    """When a metric is begun: the dearest first, and last those that wait for the same searches."""
    metric = asked[0]
    if metric == "membership_inference":
        return 0
    if metric in _WAITING:
        return _WAITS
    known = metrics.METRICS.get(metric)
    return _FIDELITY if known is not None and known.family == "fidelity" else _FIDELITY + 1


def _then(task: Callable[[], Any], tasks: deque[_Task], later: Sequence[_Task]) -> Any:
    """``task``, after which ``later`` are the next."""
    try:
        return task()
    finally:
        tasks.extendleft(reversed(later))


def _along(tasks: deque[_Task], lanes: Lanes) -> None:
    """The tasks that nobody has begun, one after the other, in a lane of their own."""
    with lanes.lane():
        while tasks:
            try:
                done, task = tasks.popleft()
            except IndexError:  # another lane was quicker
                return
            try:
                done.set_result(task())
            except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
                done.set_exception(error)


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
