"""membership_inference: 2 PPV - 1 among the most confident guesses of the best attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import HALF_SAMPLES, Interval, halves, korn_graubard
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import (
    CannotMeasure,
    limits,
    need_features,
    need_rows,
    need_split,
)

ID = "membership_inference"
FEWEST_ENTITIES = 200
FEWEST_GUESSES = 200
GUESSED_SHARE = 0.01


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """2 PPV - 1 in -1 .. 1: 0 is a coin flip, 1 means that every confident guess was right.

    PPV is the share of members among the m = max(200, 1 %) most confident candidates. Both sides
    carry the same weight, so the base rate is exactly 1/2 at any split. The value is the largest
    over the attacks of attacks.py; its limits are corrected for their number.

    Raises:
        CannotMeasure: fewer than 200 entities in train or holdout, or entities in both.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    train, holdout = comparison.train_side, comparison.holdout_side
    for name, side in (("holdout", holdout), ("train", train)):
        if side.entities < FEWEST_ENTITIES:
            raise CannotMeasure(
                f"{side.entities} entities in {name}, and the attack needs {FEWEST_ENTITIES}"
            )
    scores, cut = comparison.scores, comparison.nearby.cut
    mass = float(min(train.rows, holdout.rows))
    guesses = max(float(FEWEST_GUESSES), GUESSED_SHARE * 2 * mass)
    found: dict[str, _Tail] = {}
    for name, believed in scores.items():
        rng = comparison.rng(f"membership ties {name}")
        tail = _Ranking.of(believed[:cut], train.entity, believed[cut:], holdout.entity, mass, rng)
        found[name] = tail.measure(
            guesses, comparison.rng(f"membership halves {name}"), tests=len(scores)
        )
    best = max(found, key=lambda name: found[name].value)
    tails = found.values()
    return Measurement(
        metric=ID,
        value=found[best].value,
        n=round(2 * mass),
        unit="candidate rows",
        direction="lower_is_better",
        method=f"2 PPV - 1 of the {round(guesses)} most confident guesses, largest of "
        f"{len(found)} attacks; limits by {HALF_SAMPLES} half-samples of entities, Korn-Graubard, "
        "Bonferroni over the attacks",
        compared_with="rows of holdout entities; the attacker's reference is the other half of "
        "the holdout",
        lower=max(t.interval.lower for t in tails),
        upper=max(t.interval.upper for t in tails),
        bound_lower=max(t.interval.bound_lower for t in tails),
        bound_upper=max(t.interval.bound_upper for t in tails),
        details={
            "attack": best,
            "attacks": {
                name: {"value": t.value, **limits(t.interval)} for name, t in found.items()
            },
            "guesses": round(guesses),
            "member_rows": train.rows,
            "non_member_rows": holdout.rows,
            "member_entities": train.entities,
            "non_member_entities": holdout.entities,
            "reference_rows": list(comparison.nearby.reference_rows),
        },
    )


@dataclass(frozen=True)
class _Tail:
    value: float
    interval: Interval


@dataclass(frozen=True)
class _Ranking:
    """Candidates from the most to the least confident, ties in random order.

    ``weight`` makes members and non-members sum to ``mass`` each: the expectation over all ways
    of sampling the larger side down, without their noise.
    """

    member: np.ndarray[Any, np.dtype[np.bool_]]
    entity: Ints
    weight: Floats
    mass: float

    @classmethod
    def of(
        cls,
        members: Floats,
        member_entity: Ints,
        others: Floats,
        other_entity: Ints,
        mass: float,
        rng: np.random.Generator,
    ) -> _Ranking:
        believed = np.concatenate([members, others])
        order = np.lexsort((rng.random(len(believed)), -believed))
        member = np.arange(len(believed)) < len(members)
        entity = np.concatenate([member_entity, other_entity])
        weight = np.where(member, mass / len(members), mass / len(others))
        return cls(member[order], entity[order], weight[order], mass)

    def measure(self, guesses: float, rng: np.random.Generator, tests: int) -> _Tail:
        share = _precision(self.member, self.weight, guesses)
        in_tail = np.cumsum(self.weight) - self.weight < guesses
        touched = len(np.unique(np.where(self.member, self.entity, -1 - self.entity)[in_tail]))
        limit = korn_graubard(
            share, self._variance(guesses, rng), min(guesses, float(touched)) if share in (0, 1)
            else guesses, tests,
        )  # fmt: skip
        return _Tail(
            2 * share - 1,
            Interval(
                *(
                    2 * x - 1
                    for x in (limit.lower, limit.upper, limit.bound_lower, limit.bound_upper)
                )
            ),
        )

    def _variance(self, guesses: float, rng: np.random.Generator) -> float:
        """Variance of the precision over half-samples of entities, each side halved alone."""
        # a half holds about half the weight of every prefix, and its tail is half as long
        cut = int(np.searchsorted(np.cumsum(self.weight), 2 * guesses)) + 1
        sizes = [int(self.entity[self.member == flag].max()) + 1 for flag in (True, False)]
        totals = [
            np.bincount(self.entity[self.member == flag], minlength=size)
            for flag, size in zip((True, False), sizes, strict=True)
        ]
        member, entity = self.member[:cut], self.entity[:cut]
        found = []
        for of_members, of_others in zip(halves(rng, sizes[0]), halves(rng, sizes[1]), strict=True):
            weight = np.where(
                member,
                of_members[np.where(member, entity, 0)]
                * self.mass
                / 2
                / totals[0][of_members].sum(),
                of_others[np.where(member, 0, entity)] * self.mass / 2 / totals[1][of_others].sum(),
            )
            found.append(_precision(member, weight, guesses / 2))
        return float(np.var(found))


def _precision(
    member: np.ndarray[Any, np.dtype[np.bool_]], weight: Floats, guesses: float
) -> float:
    """Weighted share of members in the first ``guesses`` of weight; the last row counts in part."""
    before = np.cumsum(weight) - weight
    taken = np.clip(guesses - before, 0, weight)
    return float(taken[member].sum() / taken.sum())
