"""What a reader must know beside the number of one rule, read from its measurement."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from synth_contracts.metrics.measurement import Measurement
from synth_contracts.report.numbers import finite, rounded, text

#: Categories that the generator merges are merged on the real side too before these are judged.
_PROTECTED = {"detection", "total_variation", "pair_association", "missingness"}


def remarks(
    result: Measurement,
    *,
    analyst: bool,
    columns: AbstractSet[str],
) -> list[str]:
    """Sentences under one rule: baseline, raw value, worst column.

    Args:
        result: the rule's measurement.
        analyst: rounded numbers, and nothing that real rows read.
        columns: names that may be printed; any other text of the details is not.
    """
    found = [
        None if analyst else _baseline(result),
        _raw(result, analyst=analyst),
        _worst(result, columns),
    ]
    return [words for words in found if words]


def warning(result: Measurement, *, analyst: bool) -> str | None:
    """A reading that holds its rule and is bad news all the same; None where there is none.

    Daily totals of an independent sample follow the real ones up to the ceiling. A table that
    follows them far closer holds the real totals. The metric says so by ``above_ceiling``; without
    it, half of the way from the ceiling to 1 with the whole interval above the ceiling is far.
    """
    if result.metric == "entity_membership_inference":
        return _traced(result)
    value, ceiling = finite(result.value), finite(result.ceiling)
    if result.metric != "calendar_correlation" or value is None or ceiling is None:
        return None
    said = result.details.get("above_ceiling")
    least = finite(result.lower)
    far = value >= ceiling + 0.5 * max(0.0, 1 - ceiling) and (least is None or least > ceiling)
    if not (said if isinstance(said, bool) else far):
        return None
    reach = "" if analyst else f" ({text(value)}, and unseen real rows reach {text(ceiling)})"
    return (
        f"The daily totals follow the real ones more closely than an independent table could"
        f"{reach}. That is not quality but a sign that real totals are published."
    )


def _traced(result: Measurement) -> str | None:
    attacks = result.details.get("attacks")
    found = attacks.get("aggregate") if isinstance(attacks, Mapping) else None
    if not isinstance(found, Mapping) or found.get("flagged") is not True:
        return None
    return (
        "The published daily totals tell who was in training: tracing units by their days gains "
        "more than chance allows."
    )


def _baseline(result: Measurement) -> str | None:
    floor, ceiling = finite(result.floor), finite(result.ceiling)
    if floor is not None:
        return f"Unseen real rows read {text(floor)}."
    if ceiling is not None and result.direction == "lower_is_better":
        return f"This test cannot show more than {text(ceiling)}."
    if ceiling is not None:
        return f"Unseen real rows reach {text(ceiling)}."
    return None


def _raw(result: Measurement, *, analyst: bool) -> str | None:
    raw, floor = finite(result.details.get("raw")), finite(result.details.get("raw_floor"))
    if result.metric not in _PROTECTED or raw is None or text(raw) == text(result.value):
        return None
    if analyst:
        return (
            f"Rare groups merged as the generator merges them; unmerged it reads "
            f"{text(rounded(raw))}."
        )
    real = f" (unseen real rows {text(floor)})" if floor is not None else ""
    return f"Rare groups merged as the generator merges them; unmerged it reads {text(raw)}{real}."


def _worst(result: Measurement, columns: AbstractSet[str]) -> str | None:
    named: Any = result.details.get("worst")
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list | tuple) or not names or not set(names) <= columns:
        return None
    return f"Worst: {' with '.join(names)}."
