"""A judged rule in words, the contract's own; the report card uses the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

from synth_contracts.contract.model import Rule
from synth_contracts.gate.holding import bound_level, details, finite, percent_text, within
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.words import against, limit_text, number_text, title


def reason_text(rule: Rule, measurement: Measurement) -> str:
    """What ``rule`` says of ``measurement`` in one clause, in the contract's words.

    Args:
        rule: the rule; its threshold is a finite number.
        measurement: of the rule's metric, with a finite value and a finite judged number.
    """
    return f"{_clause(rule, measurement)}{_together(rule, measurement)}"


def _together(rule: Rule, measurement: Measurement) -> str:
    """Said where the table alone holds a rule that it breaks together with earlier releases."""
    alone, beside = (details(measurement).get(name) for name in ("alone", "beside"))
    if not isinstance(alone, Mapping) or not isinstance(beside, Mapping):
        return ""
    by = {"lower": "bound_lower", "bound": "bound_upper"}.get(rule.judged, "value")
    held = within(rule, alone.get(by)) and (by != "bound_upper" or within(rule, alone["value"]))
    number = measurement.number(rule.judged)
    broken = not within(rule, number) or (
        by == "bound_upper" and not within(rule, measurement.value)
    )
    if not (held and broken):
        return ""
    count = beside.get("releases")
    many = "1 earlier release" if count == 1 else f"{count} earlier releases"
    alone_it = against(alone[by], rule.threshold)
    return f", together with {many} of the same source (alone it reads {alone_it})"


def _clause(rule: Rule, measurement: Measurement) -> str:
    value, limit = measurement.value, rule.threshold
    judged = measurement.number(rule.judged)
    assert judged is not None  # noqa: S101 - see Args: callers have checked it
    name = title(rule.metric, rule.column)
    holds = within(rule, judged)
    if rule.operator == "<=":
        relation = "is at most" if holds else "is above"
    else:
        relation = "is at least" if holds else "is below"
    words = f"{relation} {limit_text(limit)}"
    number = against(judged, limit)
    if rule.judged == "lower":
        return f"{name} {number_text(value)} (its lower 95 % bound {number} {words})"
    if rule.judged == "over_floor":
        floor = number_text(finite(measurement.floor) or 0.0)
        return f"{name} {number_text(value)}, {number} over the floor {floor}, {words}"
    if rule.judged == "ceiling_share":
        ceiling = number_text(finite(measurement.ceiling) or 0.0)
        return f"{name} {number_text(value)}, {number} of the ceiling {ceiling}, {words}"
    if rule.judged == "bound" and within(rule, value):
        level = percent_text(bound_level(measurement) or 0.95)
        bound = f"its one-sided {level} % bound {number} {words}"
        if holds:
            return f"{name} {number_text(value)} ({bound})"
        return (
            f"{name} {number_text(value)} is within {limit_text(limit)}, but {bound}: "
            f"too few entities{_needed_words(rule, measurement)}"
        )
    if rule.judged == "bound":
        words = f"is {'above' if rule.operator == '<=' else 'below'} {limit_text(limit)}"
    return f"{name} {against(value, limit)}{_interval(measurement)} {words}"


def _interval(measurement: Measurement) -> str:
    lower, upper = finite(measurement.lower), finite(measurement.upper)
    if lower is None or upper is None:
        return ""
    return f" (95 % interval {number_text(lower)} to {number_text(upper)})"


def entities_needed(rule: Rule, measurement: Measurement) -> int | None:
    """Holdout entities at which the bound would meet the limit; None when nothing tells.

    An extrapolation: the bound keeps its distance to the value as 1 / sqrt(entities), and the value
    stays where it is. ``measurement.details`` holds the number now (``non_member_entities``) and,
    where an attack makes more guesses than its share of a small table, how many times more
    (``guess_floor``): until the table has grown by that much, it makes no more of them.
    """
    now = finite(details(measurement).get("non_member_entities"))
    bound, value = finite(measurement.number("bound")), finite(measurement.value)
    if now is None or now < 1 or bound is None or value is None:
        return None
    room = rule.threshold - value
    if room * (bound - value) <= 0:  # at the limit already, or on its other side
        return None
    floor = max(finite(details(measurement).get("guess_floor")) or 1.0, 1.0)
    needed = now * floor * ((bound - value) / room) ** 2
    return math.ceil(round(needed, 6)) if math.isfinite(needed) else None


def _needed_words(rule: Rule, measurement: Measurement) -> str:
    needed = entities_needed(rule, measurement)
    if needed is None:
        return ""
    now = int(details(measurement)["non_member_entities"])
    return (
        f", about {_about(needed):,} holdout entities would be needed (now {now:,}, extrapolated "
        "from the width of the bound)"
    )


def _about(number: int) -> int:
    """``number`` rounded up to two digits: an extrapolation knows no more."""
    unit: int = 10 ** max(len(str(number)) - 2, 0)
    return -(-number // unit) * unit
