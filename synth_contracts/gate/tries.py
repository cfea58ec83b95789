"""What trying until a candidate passes comes to, from a run's own interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from synth_contracts.contract.model import Contract, Rule
from synth_contracts.gate.holding import details, finite, level_at, percent_text, why_unjudged
from synth_contracts.metrics.measurement import Evaluation, Measurement
from synth_contracts.metrics.words import against, limit_text, number_text


def repeated_tries(contract: Contract, evaluation: Evaluation, attempt: int) -> str | None:
    """What trying until it passes comes to, from this run's own interval; None without one.

    The rule looked at is the first privacy rule of severity error whose metric has an interval
    (membership_inference, where it is asked). Under a rule that judges the value, the standard
    error is read off the interval and the generator is taken to be truly over the limit by half of
    it, or where this run reads if that is more; tries are taken as independent. Under a rule that
    judges the bound the chance has a ceiling, whatever the generator.

    Args:
        contract: settled, as it was evaluated.
        evaluation: of this attempt.
        attempt: its number, 1 or more.
    """
    most = max(contract.export.max_attempts, attempt)
    for rule in contract.rules:
        found = evaluation.results.get(rule.id)
        if rule.family != "privacy" or rule.severity != "error" or rule.operator != "<=":
            continue
        if not isinstance(found, Measurement) or why_unjudged(rule, found, attempt) is not None:
            continue
        if rule.judged == "bound":
            return _tries_of_bounds(rule, attempt, most)
        spread = _standard_error(found)
        if rule.judged == "value" and spread:
            return _tries_of_values(rule, found.value, spread, attempt, most)
    return None


def _tries_of_bounds(rule: Rule, attempt: int, most: int) -> str:
    def ceiling(tries: int) -> str:
        missed = math.prod(level_at(n) for n in range(1, tries + 1))
        return percent_text(math.ceil(round(1000 * (1 - missed), 6)) / 1000)

    later = f", in {most} tries in at most {ceiling(most)} %" if most > attempt else ""
    tries = "" if attempt == 1 else f" at least once in {attempt} tries"
    level = percent_text(level_at(attempt))
    return (
        f"Attempt {attempt} is judged on a bound that holds at {level} %. A generator truly at "
        f"{limit_text(rule.threshold)} or above passes {rule.metric}{tries} in at most "
        f"{ceiling(attempt)} %{later} (independent tries)."
    )


def _tries_of_values(rule: Rule, value: float, spread: float, attempt: int, most: int) -> str:
    limit = rule.threshold
    truly = max(value, limit + spread / 2)
    once = NormalDist().cdf((limit - truly) / spread)

    def chance(tries: int) -> str:
        percent = 100 * (1 - (1 - once) ** tries)
        return "under 1 %" if percent < 1 else "over 99 %" if percent > 99 else f"{percent:.0f} %"

    like = ", where this one reads," if truly == value else ""
    later = f", in {most} tries in {chance(most)}" if most > attempt else ""
    tries = "" if attempt == 1 else f", at least once in {attempt} tries in {chance(attempt)}"
    return (
        f"With this run's standard error of {number_text(spread)} a generator truly at "
        f"{against(truly, limit)}{like} passes the limit {limit_text(limit)} of {rule.metric} once "
        f"in {chance(1)}{tries}{later} (independent tries)."
    )


def _standard_error(measurement: Measurement) -> float | None:
    """From the two-sided interval, which is widened for the number of attacks looked at."""
    lower, upper = finite(measurement.lower), finite(measurement.upper)
    if lower is None or upper is None or not upper > lower:
        return None
    attacks = details(measurement).get("attacks")
    tests = max(len(attacks), 1) if isinstance(attacks, Mapping) else 1
    return (upper - lower) / (2 * NormalDist().inv_cdf(1 - 0.025 / tests))
