"""How often the most confident guesses of an attack are right: 2 PPV - 1, clustered by entity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.intervals import Interval, halves, korn_graubard

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tail:
    """2 PPV - 1 of the most confident guesses, in -1 .. 1, and its limits."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Ranking:
    """Candidates from the most to the least confident, ties in random order.

    ``weight`` makes members and non-members sum to ``mass`` each: the expectation over all ways
    of sampling the larger side down, without their noise.
    """

    member: Mask
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
    ) -> Ranking:
        """Ranks scores of members and non-members together; ``rng`` breaks ties."""
        believed = np.concatenate([members, others])
        order = np.lexsort((rng.random(len(believed)), -believed))
        member = np.arange(len(believed)) < len(members)
        entity = np.concatenate([member_entity, other_entity])
        weight = np.where(member, mass / len(members), mass / len(others))
        return cls(member[order], entity[order], weight[order], mass)

    def measure(
        self, guesses: float, rng: np.random.Generator, tests: int, attempt: int = 1
    ) -> Tail:
        """The tail when the first candidates are guessed to be members.

        Args:
            guesses: weight of the candidates that are guessed.
            rng: draws the half-samples.
            tests: how many tails are looked at (Bonferroni).
            attempt: number of the build; its upper bound holds at the level .05 / attempt.
        """
        return self.both(guesses, rng, tests, attempt)[0]

    def both(
        self, guesses: float, rng: np.random.Generator, tests: int, attempt: int = 1
    ) -> tuple[Tail, Tail]:
        """The tails when the first candidates are guessed to be members, and non-members."""
        share = precision(self.member, self.weight, guesses)
        in_tail = np.cumsum(self.weight) - self.weight < guesses
        touched = len(np.unique(np.where(self.member, self.entity, -1 - self.entity)[in_tail]))
        most = min(guesses, float(touched)) if share in (0, 1) else guesses
        variance = self._variance(guesses, rng)
        found = []
        for right in (share, 1 - share):
            limit = korn_graubard(right, variance, most, tests, attempt)
            sides = (limit.lower, limit.upper, limit.bound_lower, limit.bound_upper)
            found.append(Tail(2 * right - 1, Interval(*(2 * x - 1 for x in sides))))
        return found[0], found[1]

    def _variance(self, guesses: float, rng: np.random.Generator) -> float:
        """Variance of the precision over half-samples of entities, each side halved alone.

        NaN where a half-sample holds nobody of the tail: then it belongs to so few entities that
        nothing is known of its spread.
        """
        # a half holds about half the weight of every prefix, and its tail is half as long
        cut = int(np.searchsorted(np.cumsum(self.weight), 2 * guesses)) + 1
        sizes = [int(self.entity[self.member == flag].max()) + 1 for flag in (True, False)]
        totals = [
            np.bincount(self.entity[self.member == flag], minlength=size)
            for flag, size in zip((True, False), sizes, strict=True)
        ]
        member, entity = self.member[:cut], self.entity[:cut]
        places = [np.flatnonzero(member == flag) for flag in (True, False)]
        owners = [entity[place] for place in places]
        found = []
        for halved in zip(halves(rng, sizes[0]), halves(rng, sizes[1]), strict=True):
            weight = np.zeros(len(member))
            for half, total, place, owner in zip(halved, totals, places, owners, strict=True):
                weight[place[half[owner]]] = self.mass / 2 / total[half].sum()
            found.append(precision(member, weight, guesses / 2))
        return float(np.var(found))


def precision(member: Mask, weight: Floats, guesses: float) -> float:
    """Weighted share of members in the first ``guesses`` of weight; the last row counts in part.

    NaN where no candidate weighs anything: a half-sample may hold none of a tail's few entities.
    """
    before = np.cumsum(weight) - weight
    taken = np.minimum(np.maximum(guesses - before, 0), weight)
    whole = float(taken.sum())
    return float(taken[member].sum()) / whole if whole > 0 else float("nan")


def mid_ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs, shape (n,); all NaN where one is."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    if len(ordered) and np.isnan(ordered[-1]):
        return np.full(len(values), np.nan)
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    ends = np.append(first[1:], len(ordered))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((first + 1 + ends) / 2, ends - first)
    return ranks


def advantage(members: Floats, others: Floats) -> tuple[float, float]:
    """2 AUC - 1 in -1 .. 1 of independent scores, ties counted half, and its variance.

    The variance is that of DeLong, DeLong, Clarke-Pearson 1988, and never below that of one
    undecided pair: a perfect ranking of few entities is not certain. One candidate alone on a
    side has no variance to show: infinite.
    """
    m, n = len(members), len(others)
    ranks = mid_ranks(np.concatenate([members, others]))
    above = (ranks[:m] - mid_ranks(members)) / n
    below = 1 - (ranks[m:] - mid_ranks(others)) / m
    if min(m, n) < 2:
        return 2 * float(above.mean()) - 1, float("inf")
    spread = sum(float(np.var(part, ddof=1)) / len(part) for part in (above, below))
    return 2 * float(above.mean()) - 1, 4 * max(spread, 0.25 / (min(m, n) ** 2))
