"""entity_membership_inference: 2 PPV - 1 among the most confident guesses of whole entities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synth_contracts.metrics.cells import Floats
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.composition import worse
from synth_contracts.metrics.intervals import HALF_SAMPLES, normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import (
    CannotMeasure,
    limits,
    need_entities,
    need_features,
    need_rows,
    need_split,
)
from synth_contracts.metrics.tails import HalfSamples, Ranking, Tail, advantage

ID = "entity_membership_inference"
FEWEST_GUESSES = 100
GUESSED_SHARE = 0.01
#: Published totals are flagged when the tracing attack's 2 AUC - 1 is certainly above this: what a
#: smooth model of the volume gives away stays below, replayed totals do not.
FLAG = 0.05


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """2 PPV - 1 in -1 .. 1 over entities: 0 is a coin flip, 1 means every guess was right.

    PPV is the share of members among the m = max(100, 1 %) most confident entities, both sides of
    equal weight. The value is the largest of the attacks. With 30 guesses the largest of four
    coin-flip readings passes .35 too often; a few certain entities are recognized_entities' part.
    With earlier releases of the same source beside the candidate their attacks (composition.py)
    are read too, and the worse family counts.

    Raises:
        CannotMeasure: no entity key, fewer than 200 entities in train or holdout, or entities in
            both.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    if comparison.schema.roles.entity_key is None:
        raise CannotMeasure("no entity key: each row is an entity of its own")
    need_split(comparison)
    need_entities(comparison)
    alone, together = _read(comparison, comparison.entity_scores), comparison.together
    if together is None:
        return alone
    return worse(alone, _read(comparison, together.entities), together.releases)


def _read(comparison: Comparison, scores: Mapping[str, Floats]) -> Measurement:
    """What one family of attacks on entities reads."""
    people = comparison.candidates
    mass = float(min(people.members, people.others))
    guesses = max(float(FEWEST_GUESSES), GUESSED_SHARE * 2 * mass)
    found: dict[str, Tail] = {}
    members, others = np.arange(people.members), np.arange(people.others)
    drawn = HalfSamples.of(comparison.rng("entity halves"), members, others, mass)
    for name, believed in scores.items():
        ranking = Ranking.of(
            believed[: people.members],
            members,
            believed[people.members :],
            others,
            mass,
            comparison.rng(f"entity ties {name}"),
        )
        found[name] = ranking.measure(guesses, drawn, tests=len(scores))
    attacks: dict[str, dict[str, Any]] = {
        name: {"value": tail.value, **limits(tail.interval)} for name, tail in found.items()
    }
    if "aggregate" in scores:
        believed = scores["aggregate"]
        auc, variance = advantage(believed[: people.members], believed[people.members :])
        interval = normal(auc, variance, lowest=-1, highest=1)
        attacks["aggregate"] |= {
            "advantage": auc,
            "advantage_interval": [interval.lower, interval.upper] if interval else None,
            "flagged": bool(interval is not None and interval.bound_lower > FLAG),
        }
    best = max(found, key=lambda name: found[name].value)
    tails = found.values()
    spread = float(np.sqrt(1 / guesses))
    return Measurement(
        metric=ID,
        value=found[best].value,
        n=round(2 * mass),
        unit="candidate entities",
        direction="lower_is_better",
        method=f"2 PPV - 1 of the {round(guesses)} most confident guesses, largest of "
        f"{len(found)} attacks; a coin flip spreads by {spread:.2f}; limits by {HALF_SAMPLES} "
        "half-samples of entities, Korn-Graubard, Bonferroni over the attacks",
        compared_with="holdout entities; the attacker's reference is the other half of the holdout",
        lower=max(t.interval.lower for t in tails),
        upper=max(t.interval.upper for t in tails),
        bound_lower=max(t.interval.bound_lower for t in tails),
        bound_upper=max(t.interval.bound_upper for t in tails),
        details={
            "attack": best,
            "attacks": attacks,
            "guesses": round(guesses),
            "spread": spread,
            "member_entities": people.members,
            "non_member_entities": people.others,
        },
    )
