"""outlier_membership_inference: are the most unusual entities told apart by membership?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.metrics import attacks
from synth_contracts.metrics.comparison import Comparison
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
from synth_contracts.metrics.tails import advantage

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
    entity (attacks.isolated); isolation is judged by the attacker's reference alone.

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
    value, variance = advantage(believed[member], believed[~member])
    # two directions are looked at: one-sided bounds at half the level are the two-sided limits
    both = normal(value, variance, lowest=-1, highest=1)
    assert both is not None  # noqa: S101 - advantage() gives a finite variance
    copies = Interval(both.lower, both.upper, both.lower, both.upper)
    holes = Interval(-both.upper, -both.lower, -both.upper, -both.lower)
    near = value >= 0
    return Measurement(
        metric=ID,
        value=abs(value),
        n=len(chosen),
        unit="candidate entities",
        direction="lower_is_better",
        method=f"2 AUC - 1 of the {len(chosen)} most isolated entities, one calibrated score each, "
        "larger of both directions; DeLong limits, corrected for the two directions",
        compared_with="isolated holdout entities; isolation and reference by the other half of "
        "the holdout",
        **limits(copies if near else holes),
        details={
            "attack": "calibrated" if near else "calibrated_hole",
            "attacks": {
                "calibrated": {"value": value, **limits(copies)},
                "calibrated_hole": {"value": -value, **limits(holes)},
            },
            "member_entities": sides[0],
            "non_member_entities": sides[1],
        },
    )
