"""outlier_membership_inference: are the most unusual entities told apart by membership?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from synth_contracts.metrics import attacks
from synth_contracts.metrics.cells import Floats
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.composition import JOINT, UNION, worse
from synth_contracts.metrics.intervals import Interval, normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import (
    CannotMeasure,
    limits,
    need_entities,
    need_features,
    need_rows,
    need_split,
)
from synth_contracts.metrics.tails import Mask, advantage

ID = "outlier_membership_inference"
FEWEST_CANDIDATES = 200
ISOLATED_SHARE = 0.01
#: A side with fewer isolated entities than this ranks nothing.
_FEWEST_A_SIDE = 10


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """2 AUC - 1 over the 1 % (>= 200) most isolated entities, the larger of both directions.

    0 .. 1: 0 says that members and non-members among the unusual look alike, 1 that all are told
    apart, by a synthetic row near to them (copies) or by the lack of one (holes). One score per
    entity (attacks.isolated); isolation is judged by the attacker's reference alone. With earlier
    releases of the same source beside the candidate their attacks (composition.py) are read too,
    and the worse family counts.

    Raises:
        CannotMeasure: fewer than 200 entities in train or holdout, entities in both, or hardly an
            isolated one on one side.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    need_entities(comparison)
    people = comparison.candidates
    count = max(float(FEWEST_CANDIDATES), ISOLATED_SHARE * 2 * min(people.members, people.others))
    chosen, believed = attacks.isolated(comparison.nearby, people, count)
    member = chosen < people.members
    sides = (int(member.sum()), int((~member).sum()))
    if min(sides) < _FEWEST_A_SIDE:
        raise CannotMeasure(
            f"{min(sides)} of the {len(chosen)} most isolated entities are on one side, and the "
            f"attack needs {_FEWEST_A_SIDE}"
        )
    alone, together = _read({"calibrated": believed}, member), comparison.together
    if together is None:
        return alone
    beyond = attacks.unusual(comparison.nearby, people, count)
    beside = {
        name: _mean(together.rows[name], beyond, people)[chosen]
        for name in (f"{UNION} calibrated", f"{JOINT} calibrated")
    }
    return worse(alone, _read(beside, member), together.releases)


def _mean(score: Floats, beyond: Mask, people: attacks.Candidates) -> Floats:
    """Mean score of each entity's rows beyond the cut, shape (entities,); 0 without any."""
    entity = people.entity[beyond]
    rows = np.bincount(entity, minlength=people.entities)
    total = np.bincount(entity, weights=score[beyond], minlength=people.entities)
    return np.asarray(total / np.maximum(rows, 1))


def _read(scores: Mapping[str, Floats], member: Mask) -> Measurement:
    """What one family of attacks reads among the isolated; ``member`` tells who is one."""
    # two directions are looked at: one-sided bounds at half the level are the two-sided limits
    wider = float(special.ndtri(1 - 0.025 / len(scores)) / special.ndtri(0.975))
    values: dict[str, float] = {}
    found: dict[str, Interval] = {}
    for name, believed in scores.items():
        value, variance = advantage(believed[member], believed[~member])
        both = normal(value, variance * wider**2, lowest=-1, highest=1)
        assert both is not None  # noqa: S101 - advantage() gives a finite variance
        values[name], values[f"{name}_hole"] = value, -value
        found[name] = Interval(both.lower, both.upper, both.lower, both.upper)
        found[f"{name}_hole"] = Interval(-both.upper, -both.lower, -both.upper, -both.lower)
    best = max(values, key=lambda name: values[name])
    return Measurement(
        metric=ID,
        value=abs(values[best]),
        n=len(member),
        unit="candidate entities",
        direction="lower_is_better",
        method=f"2 AUC - 1 of the {len(member)} most isolated entities, one calibrated score each, "
        "larger of both directions; DeLong limits, corrected for the two directions",
        compared_with="isolated holdout entities; isolation and reference by the other half of "
        "the holdout",
        **limits(found[best]),
        details={
            "attack": best,
            "attacks": {
                name: {"value": value, **limits(found[name])} for name, value in values.items()
            },
            "member_entities": int(member.sum()),
            "non_member_entities": int((~member).sum()),
        },
    )
