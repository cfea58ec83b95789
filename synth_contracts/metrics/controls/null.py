"""The null: real entities in the place of synthetic ones, measured and never judged.

One half of the holdout's entities is read as the synthetic table and compared with the other half;
as many entities of train are the members. Nobody copied anything, so what is read here is chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from synth_contracts.contract.model import Rule
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.measurement import NotMeasured
from synth_contracts.metrics.privacy import k_anonymity
from synth_contracts.metrics.registry import METRICS, measure

#: Rows of each of the three tables, as long as that leaves FEWEST_ENTITIES.
MOST_ROWS = 12_000
FEWEST_ENTITIES = 200


def null(comparison: Comparison, rules: Sequence[Rule], reported: Sequence[str]) -> dict[str, Any]:
    """``{"what", "readings", "reason"}`` of the attacks and fidelity metrics that were asked.

    ``readings`` maps metric ids to ``{"value", "lower", "upper"}``, or to ``{"reason"}`` where a
    metric could not be measured. ``reason`` is None unless nothing was read at all.

    Args:
        comparison: the candidate's; its synthetic table is not looked at.
        rules: of the contract; what they measure is measured here.
        reported: metric ids that are measured without a rule.
    """
    entities = comparison.holdout_side.entities
    if entities < 4:
        return {"what": "", "readings": {}, "reason": f"{entities} entities in the holdout"}
    found, what = halved(comparison)
    readings: dict[str, Any] = {}
    for metric, options in _asked(rules, reported):
        result = measure(metric, found, options=options)
        if isinstance(result, NotMeasured):
            readings[metric] = {"reason": result.reason}
        else:
            readings[metric] = {
                "value": result.value, "lower": result.lower, "upper": result.upper
            }  # fmt: skip
    return {"what": what, "readings": readings, "reason": None}


def _asked(rules: Sequence[Rule], reported: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Metrics with their options: attacks and fidelity of whole tables, each once."""
    asked = [(rule.metric, rule.options) for rule in rules if rule.column is None]
    found: dict[str, Mapping[str, Any]] = {}
    for metric, options in [*asked, *((name, {}) for name in reported)]:
        known = METRICS.get(metric)
        if known is None or known.scope == "column" or metric == k_anonymity.ID:
            continue
        if known.family in ("privacy", "fidelity"):
            found.setdefault(metric, options)
    return list(found.items())


def halved(comparison: Comparison) -> tuple[Comparison, str]:
    """The comparison of one half of the holdout with the other, and what it is in words."""
    train, holdout = comparison.train_side, comparison.holdout_side
    order = comparison.rng("null halves").permutation(holdout.entities)
    members = comparison.rng("null members").permutation(train.entities)
    size = min(holdout.entities // 2, train.entities)
    # rows of the first n entities of the longest of the three tables
    rows = np.max(
        [
            np.cumsum(np.bincount(side.entity, minlength=side.entities)[chosen[:size]])
            for side, chosen in ((holdout, order), (holdout, order[size:]), (train, members))
        ],
        axis=0,
    )
    taken = min(size, max(FEWEST_ENTITIES, int(np.searchsorted(rows, MOST_ROWS, side="right"))))

    def part(side: Any, chosen: Any) -> Any:
        mask = np.zeros(side.entities, dtype=bool)
        mask[chosen] = True
        return side.frame[mask[side.entity]].reset_index(drop=True)

    found = replace(
        comparison,
        train=part(train, members[:taken]),
        holdout=part(holdout, order[size : size + taken]),
        synthetic=part(holdout, order[:taken]),
        uncoarsened=None,
        earlier=(),
        brief=True,
    )
    sampled = "" if taken == size else f", sampled from {size:,} for speed"
    what = (
        f"{taken:,} holdout entities as the synthetic table against {taken:,} others, with "
        f"{taken:,} of train as members{sampled}"
    )
    return found, what
