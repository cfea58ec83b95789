"""Whether one result holds one rule, and why it cannot be judged where it cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from synth_contracts.contract.model import Judged, Rule
from synth_contracts.metrics.measurement import Measurement, NotMeasured
from synth_contracts.metrics.words import title

_PARTS = {"over_floor": "floor", "ceiling_share": "ceiling"}
_JUDGED_WORDS: dict[str, str] = {
    "value": "value",
    "bound": "one-sided bound",
    "lower": "lower 95 % bound",
    "over_floor": "value over its floor",
    "ceiling_share": "share of its ceiling",
}


def level_at(attempt: int) -> float:
    """The level that one-sided bounds of attempt ``attempt`` (1 or more) must hold at."""
    return 1 - 0.05 / attempt


def is_attempt(number: Any) -> bool:
    """Whether ``number`` can be the number of an attempt: a whole one, 1 or more."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def why_unjudged(rule: Rule, result: Any, attempt: int) -> str | None:
    """Why ``result`` cannot be judged by ``rule``; None when it can."""
    if finite(rule.threshold) is None or rule.operator not in ("<=", ">="):
        return f"its limit ({rule.operator} {rule.threshold}) is not a finite number"
    if isinstance(result, NotMeasured):
        return result.reason or "no reason given"
    if result is None:
        return "the evaluation holds no result for it"
    if not isinstance(result, Measurement):
        return f"the result is no measurement but {type(result).__name__}"
    if (result.metric, result.column) != (rule.metric, rule.column):
        return f"the result is of {title(result.metric, result.column)}"
    if result.direction != ("lower_is_better" if rule.operator == "<=" else "higher_is_better"):
        return f"{result.direction} cannot be judged by {rule.operator}"
    if finite(result.value) is None:
        return f"its value is {result.value!r}"
    if rule.judged not in get_args(Judged):
        return f"there is no number called {rule.judged}"
    # what the judged number is made of: an infinite ceiling would make any share 0
    part = _PARTS.get(rule.judged)
    if part is not None and finite(getattr(result, part)) is None:
        return f"its {part} is {getattr(result, part)!r}"
    if finite(result.number(rule.judged)) is None:
        return f"it has no finite {_JUDGED_WORDS[rule.judged]}"
    # a value outside is broken at any level
    if rule.judged == "bound" and within(rule, result.value):
        level = bound_level(result)
        if level is None or level < level_at(attempt) - 1e-9:
            said = "an unknown level" if level is None else f"{percent_text(level)} %"
            return (
                f"its one-sided bound holds at {said}, and attempt {attempt} is judged at "
                f"{percent_text(level_at(attempt))} %"
            )
    return None


def bound_level(measurement: Measurement) -> float | None:
    """The level that the one-sided bounds hold at: .95 unless ``bound_level`` says another."""
    return finite(details(measurement).get("bound_level", 0.95))


def details(measurement: Measurement) -> Mapping[str, Any]:
    """What the metric tells besides its numbers; empty where that is no mapping."""
    return measurement.details if isinstance(measurement.details, Mapping) else {}


def percent_text(level: float) -> str:
    """A level of confidence (0..1) in percent, as many digits as tell it from 100."""
    return f"{100 * level:.6g}" if level > 0.999 else f"{100 * level:.4g}"


def finite(number: Any) -> float | None:
    """The number, if it is a finite int or float and no bool; else None."""
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    return number if math.isfinite(number) else None


def within(rule: Rule, number: Any) -> bool:
    """Whether ``number`` is finite and inside the rule's limit."""
    if finite(number) is None:
        return False
    holds = number <= rule.threshold if rule.operator == "<=" else number >= rule.threshold
    return bool(holds)
