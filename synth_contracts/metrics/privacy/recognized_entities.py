"""recognized_entities: how many members an attacker recognises beyond chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from synth_contracts.metrics.cells import Floats
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.composition import worse
from synth_contracts.metrics.intervals import Interval
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import (
    limits,
    need_entities,
    need_features,
    need_rows,
    need_split,
)

ID = "recognized_entities"
#: How many of the most confident guesses are looked at.
GUESSES = (10, 15, 20, 30, 50, 100, 200)


@dataclass(frozen=True)
class Recognized:
    """Members beyond chance among the ``guesses`` most confident: estimate and limits.

    ``p_value``: how probable as many right ones are for an attacker who only guesses (exact
    binomial), the least over all numbers of guesses times how many looks there are; at most 1.
    """

    guesses: int
    right: int
    value: float
    interval: Interval
    p_value: float


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Entities recognised for certain beyond chance, as c certain ones among coin flips.

    The value is the estimate where its lower bound is highest, over the entity attacks of
    attacks.py and the GUESSES; ``bound_lower`` is that bound (95 %, corrected for all looks), and
    what a rule judges. Negative: fewer members than chance gives. With earlier releases of the
    same source beside the candidate their attacks (composition.py) are read too, and the worse
    family counts.

    Raises:
        CannotMeasure: fewer than 200 entities in train or holdout, or entities in both.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    need_entities(comparison)
    alone, together = _read(comparison, comparison.entity_scores), comparison.together
    if together is None:
        return alone
    beside = _read(comparison, together.entities)
    return worse(alone, beside, together.releases, by="bound_lower")


def _read(comparison: Comparison, scores: Mapping[str, Floats]) -> Measurement:
    """What one family of attacks on entities reads."""
    members = comparison.candidates.members
    found = {
        name: recognized(believed, members, len(scores), comparison.rng(f"recognized ties {name}"))
        for name, believed in scores.items()
    }
    best = max(found, key=lambda name: found[name].interval.bound_lower)
    chosen = found[best]
    return Measurement(
        metric=ID,
        value=chosen.value,
        n=comparison.candidates.entities,
        unit="entities",
        direction="lower_is_better",
        method=f"members beyond chance among the {chosen.guesses} most confident guesses, where "
        f"the exact binomial lower bound is highest; Bonferroni over {len(GUESSES)} numbers of "
        f"guesses and {len(found)} attacks",
        compared_with="holdout entities; the attacker's reference is the other half of the holdout",
        **limits(chosen.interval),
        details={
            "attack": best,
            "attacks": {
                name: {
                    "value": r.value,
                    **limits(r.interval),
                    "guesses": r.guesses,
                    "right": r.right,
                    "p_value": r.p_value,
                }
                for name, r in found.items()
            },
            "guesses": chosen.guesses,
            "right": chosen.right,
            "base_rate": members / comparison.candidates.entities,
            "member_entities": members,
            "non_member_entities": comparison.candidates.others,
        },
    )


def recognized(scores: Floats, members: int, attacks: int, rng: np.random.Generator) -> Recognized:
    """The scan over GUESSES of one attack.

    Of m guesses c are certain and the others right at the base rate p0, so the share of members is
    p = (c + (m - c) p0) / m, and c = m (p - p0) / (1 - p0), with the Clopper-Pearson limits of p.

    Args:
        scores: of the entities, members first; higher: rather a member. Ties fall by lot.
        members: number of members, at least 1 and fewer than all.
        attacks: how many attacks are scanned (Bonferroni).
        rng: breaks ties.
    """
    base = members / len(scores)
    order = np.lexsort((rng.random(len(scores)), -scores))
    right = np.cumsum(order < members)
    tests = attacks * len(GUESSES)
    found = []
    least = 1.0
    for guesses in GUESSES:
        if guesses > len(scores):
            continue
        hits = int(right[guesses - 1])

        def beyond(share: float, guesses: int = guesses) -> float:
            return guesses * (share - base) / (1 - base)

        def low(level: float, guesses: int = guesses, hits: int = hits) -> float:
            return float(special.betaincinv(hits, guesses - hits + 1, level)) if hits else 0.0

        def high(level: float, guesses: int = guesses, hits: int = hits) -> float:
            missed = guesses - hits
            return float(special.betaincinv(hits + 1, missed, 1 - level)) if missed else 1.0

        two, one = 0.025 / tests, 0.05 / tests
        shares = (low(two), high(two), low(one), high(one))
        interval = Interval(*(beyond(share) for share in shares))
        found.append((guesses, hits, beyond(hits / guesses), interval))
        least = min(least, float(special.betainc(hits, guesses - hits + 1, base)) if hits else 1.0)
    best = max(found, key=lambda look: look[3].bound_lower)
    return Recognized(*best, p_value=min(1.0, least * tests))
