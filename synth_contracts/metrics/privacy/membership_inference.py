"""membership_inference: 2 PPV - 1 among the most confident guesses of the best attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.metrics.cells import Floats
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.composition import worse
from synth_contracts.metrics.intervals import HALF_SAMPLES
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import (
    limits,
    need_entities,
    need_features,
    need_rows,
    need_split,
)
from synth_contracts.metrics.tails import HalfSamples, Ranking, Tail

ID = "membership_inference"
FEWEST_GUESSES = 200
GUESSED_SHARE = 0.01


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """2 PPV - 1 in -1 .. 1: 0 is a coin flip, 1 means that every confident guess was right.

    PPV is the share of members among the m = max(200, 1 %) most confident candidates. Both sides
    carry the same weight, so the base rate is exactly 1/2 at any split. Each attack of attacks.py
    is read twice: near rows tell members (copies), or they tell non-members (holes around
    members). The value is the largest of the first kind, and of the second where its lower bound,
    corrected for the number of readings, lies above 0. So counts the attack ``agreement``, whose
    rows of one entity rise and fall together. With earlier releases of the same source
    beside the candidate their attacks (composition.py) are read too, and the worse family counts.

    Raises:
        CannotMeasure: fewer than 200 entities in train or holdout, or entities in both.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    need_entities(comparison)
    alone, together = _read(comparison, comparison.scores), comparison.together
    if together is None:
        return alone
    return worse(alone, _read(comparison, together.rows), together.releases)


def steady(attack: str) -> bool:
    """Whether an attack's value counts as it is; of the others only where it is certain.

    Rows of one entity agree, or not, together: fresh tables of a few hundred entities read between
    -.30 and .11 by ``agreement``.
    """
    return not attack.endswith("agreement")


def _read(comparison: Comparison, scores: Mapping[str, Floats]) -> Measurement:
    """What one family of attacks on rows reads."""
    train, holdout = comparison.train_side, comparison.holdout_side
    cut = comparison.nearby.cut
    mass = float(min(train.rows, holdout.rows))
    guesses = max(float(FEWEST_GUESSES), GUESSED_SHARE * 2 * mass)
    found: dict[str, Tail] = {}
    drawn = HalfSamples.of(comparison.rng("membership halves"), train.entity, holdout.entity, mass)
    for name, believed in scores.items():
        rng = comparison.rng(f"membership ties {name}")
        tail = Ranking.of(believed[:cut], train.entity, believed[cut:], holdout.entity, mass, rng)
        found[name], found[f"{name}_hole"] = tail.both(
            guesses, drawn, tests=2 * len(scores), attempt=comparison.attempt
        )
    # the larger of two mirrored coin flips is above 0: a hole counts when it is certain
    counted = [
        name
        for name, tail in found.items()
        if (name in scores and steady(name)) or tail.interval.bound_lower > 0
    ]
    best = max(counted, key=lambda name: found[name].value)
    tails = [found[name] for name in counted]
    return Measurement(
        metric=ID,
        value=found[best].value,
        n=round(2 * mass),
        unit="candidate rows",
        direction="lower_is_better",
        method=f"2 PPV - 1 of the {round(guesses)} most confident guesses, largest of "
        f"{len(scores)} attacks, and of their {len(scores)} holes; holes and agreement count where "
        "certain; limits by "
        f"{HALF_SAMPLES} half-samples of entities, Korn-Graubard, Bonferroni over the readings",
        compared_with="rows of holdout entities; the attacker's reference is the other half of "
        "the holdout",
        lower=max(t.interval.lower for t in tails),
        upper=max(t.interval.upper for t in tails),
        bound_lower=max(t.interval.bound_lower for t in tails),
        bound_upper=max(t.interval.bound_upper for t in tails),
        details={
            "attack": best,
            "bound_level": 1 - 0.05 / comparison.attempt,
            "attacks": {
                name: {"value": t.value, **limits(t.interval)} for name, t in found.items()
            },
            "guesses": round(guesses),
            "guess_floor": round(guesses / (GUESSED_SHARE * 2 * mass), 3),
            "member_rows": train.rows,
            "non_member_rows": holdout.rows,
            "member_entities": train.entities,
            "non_member_entities": holdout.entities,
            "reference_rows": list(comparison.nearby.reference_rows),
        },
    )
