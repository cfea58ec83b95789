"""What a rule reads where exports omit a part of the candidate: the worst of it and its subsets.

An attack gains nothing when rows are left out by chance: whoever holds all of them could leave them
out. Fidelity and properties of the table itself can get worse, so they are measured on subsets too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from synth_contracts.metrics.measurement import Measurement, NotMeasured, Result
from synth_contracts.metrics.registry import METRICS

#: Privacy metrics that are properties of the released table: rows left out may break them.
PROPERTIES = frozenset({"k_anonymity", "l_diversity", "replicated_uniques", "t_closeness"})
#: Numbers of a measurement for which smaller is worse when smaller values are worse.
_WITH = ("value", "lower", "upper", "bound_lower", "bound_upper")


def is_rechecked(metric: str) -> bool:
    """Whether a metric is measured on subsets as well as on the whole."""
    known = METRICS.get(metric)
    return metric in PROPERTIES or (known is not None and known.family == "fidelity")


def is_worst_of(result: Any, subsets: int) -> bool:
    """Whether a result is :func:`worst` of a whole and at least so many subsets."""
    told = result.details.get("subsets") if isinstance(result, Measurement) else None
    values = told.get("values") if isinstance(told, Mapping) else None
    return isinstance(values, Sequence) and not isinstance(values, str) and len(values) >= subsets


def worst(whole: Result, subsets: Sequence[Result]) -> Result:
    """The worst of each number, so that no judged number is better than that of any of them.

    Details are the whole's, with ``subsets``: the value of the ``whole`` and the ``values`` of the
    subsets. Not measured anywhere is not measured.
    """
    if not isinstance(whole, Measurement):
        return whole
    found: list[Measurement] = [whole]
    for number, result in enumerate(subsets, 1):
        if not isinstance(result, Measurement):
            return NotMeasured(
                whole.metric,
                f"on subset {number} of {len(subsets)}: {result.reason}",
                whole.column,
                result.error,
            )
        found.append(result)
    low_is_better = whole.direction == "lower_is_better"
    numbers = {name: _pick(found, name, most=low_is_better) for name in _WITH}
    # a floor is taken from the value, and the value is divided by a ceiling
    numbers["floor"] = _pick(found, "floor", most=not low_is_better)
    numbers["ceiling"] = _pick(found, "ceiling", most=not low_is_better)
    told = {"whole": whole.value, "values": [item.value for item in found[1:]]}
    return replace(whole, **numbers, details={**whole.details, "subsets": told})


def _pick(found: Sequence[Measurement], name: str, *, most: bool) -> Any:
    """The largest or smallest of a number; None, not known, where one of them has none."""
    values = [getattr(item, name) for item in found]
    if any(value is None for value in values):
        return None
    return max(values) if most else min(values)
