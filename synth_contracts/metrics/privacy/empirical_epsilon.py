"""empirical_epsilon: the claims of privacy that the success of an attack refutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.cells import Floats
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import (
    need_entities,
    need_features,
    need_rows,
    need_split,
)

ID = "empirical_epsilon"
#: Entities of an audit, members and non-members together, where the contract says nothing.
CANARIES = 2000
#: The failure probability of the claims that are tried.
DELTA = 1e-6
LEVEL = 0.95
FEWEST_GUESSES = 150
GUESSED_SHARE = 8
#: No audit that fits into a computer gets as far.
_HIGHEST = 30.0


def measure(comparison: Comparison, _column: str | None, options: Mapping[str, Any]) -> Measurement:
    """What claims of (epsilon, delta)-differential privacy the entity attacks refute, in one run.

    Equally many entities of train and of holdout are drawn as canaries, m together. Each attack of
    attacks.py names the r it believes most to be members, r = max(150, m / 8), fixed by m alone.
    Under a true claim the number of right guesses is hardly more than binomial (:func:`refuted`).
    ``bound_lower`` is the largest epsilon refuted by any attack at 95 %, corrected for their
    number; a rule judges it. ``value`` is the log odds of a right guess of the same attack, half a
    guess added to right and wrong: a point estimate without the correction, negative where
    fewer than half are right. ``ceiling`` is what r right guesses of r would have refuted.

    It refutes claims and proves none: 0 means that this attacker found nothing.

    Args:
        comparison: the three tables.
        options: ``canaries``, >= 2, the most entities of an audit; default 2000.

    Raises:
        CannotMeasure: fewer than 200 entities in train or holdout, or entities in both.
        ValueError: options that no contract can hold.

    Steinke, Nasr, Jagielski 2023, arXiv 2305.08846.
    """
    canaries = int(options.get("canaries", CANARIES))
    if set(options) - {"canaries"} or canaries < 2:
        raise ValueError(f"{ID} cannot take the options {dict(options)!r}")
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    need_entities(comparison)
    people, scores = comparison.candidates, comparison.entity_scores
    each = min(people.members, people.others, canaries // 2)
    rng = comparison.rng(f"{ID} canaries")
    chosen = np.concatenate([sample(rng, people.members, each), sample(rng, people.others, each)])
    member = (np.arange(people.entities) < people.members)[chosen]
    guesses = guessed(2 * each)
    level = 1 - (1 - LEVEL) / len(scores)
    found = {
        name: audit(
            believed[chosen], member, guesses, DELTA, level, comparison.rng(f"{ID} ties {name}")
        )
        for name, believed in scores.items()
    }
    best = max(found, key=lambda name: (found[name].lower, found[name].value))
    ceiling = refuted(2 * each, guesses, guesses, DELTA, level)
    return Measurement(
        metric=ID,
        value=found[best].value,
        n=2 * each,
        unit="canary entities",
        direction="lower_is_better",
        method=f"audit in one run: log odds of a right guess among the {guesses} most confident; "
        f"lower bound: the largest epsilon refuted (delta {DELTA:g}), Bonferroni over "
        f"{len(found)} attacks; no upper limit, since no attack shows the absence of others",
        compared_with="as many holdout entities; the attacker's reference is the other half of "
        "the holdout",
        bound_lower=found[best].lower,
        ceiling=ceiling,
        details={
            "attack": best,
            "attacks": {
                name: {"value": a.value, "bound_lower": a.lower, "right": a.right}
                for name, a in found.items()
            },
            "guesses": guesses,
            "right": found[best].right,
            "delta": DELTA,
            "bound_level": LEVEL,
            "member_entities": people.members,
            "non_member_entities": people.others,
        },
    )


def guessed(canaries: int) -> int:
    """How many guesses an audit of so many canaries makes: fixed before any score is seen."""
    return min(max(FEWEST_GUESSES, canaries // GUESSED_SHARE), max(1, canaries // 2))


@dataclass(frozen=True)
class Audit:
    """``right`` of ``guesses`` were right; log odds of that, and the largest refuted epsilon."""

    guesses: int
    right: int
    value: float
    lower: float


def audit(
    score: Floats,
    member: npt.NDArray[np.bool_],
    guesses: int,
    delta: float,
    level: float,
    rng: np.random.Generator,
) -> Audit:
    """Name the ``guesses`` highest scores as members and see which claims that refutes.

    Args:
        score: shape (m,); higher: rather a member.
        member: who was put in, each by a fair coin of its own, shape (m,).
        guesses: 1 .. m, chosen without a look at ``score`` or ``member``.
        delta: of the claims, 0 .. 1.
        level: of the bound, in 0 .. 1.
        rng: breaks ties.
    """
    order = np.lexsort((rng.random(len(score)), -score))
    right = int(np.sum(member[order[:guesses]]))
    value = float(np.log((right + 0.5) / (guesses - right + 0.5)))
    return Audit(guesses, right, value, refuted(len(score), guesses, right, delta, level))


@lru_cache(maxsize=1024)
def refuted(canaries: int, guesses: int, right: int, delta: float, level: float) -> float:
    """The largest epsilon (>= 0) that ``right`` of ``guesses`` refute at ``level``; 0 for none."""
    if chance(canaries, guesses, right, 0.0, delta) > 1 - level:
        return 0.0
    low, high = 0.0, _HIGHEST
    while high - low > 1e-6:
        middle = (low + high) / 2
        if chance(canaries, guesses, right, middle, delta) > 1 - level:
            high = middle
        else:
            low = middle
    return low


def chance(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """At most this probable are ``right`` or more right guesses under (epsilon, delta).

    With W binomial of ``guesses`` at e^epsilon / (1 + e^epsilon):
    P(W >= v) + 2 m delta max over i = 1 .. v of P(v - i <= W < v) / i
    (theorem 5.2 of arXiv 2305.08846; the second term holds for i up to m, and beyond v it shrinks).
    """
    from scipy import stats  # dear to import, and asked for by few contracts

    binomial = stats.binom(guesses, 1 / (1 + np.exp(-epsilon)))
    tail = float(binomial.sf(right - 1))
    below = np.cumsum(binomial.pmf(np.arange(right - 1, -1, -1)))
    steepest = float(np.max(below / np.arange(1, right + 1), initial=0.0))
    return min(1.0, tail + 2 * canaries * delta * steepest)
