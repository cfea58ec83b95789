"""How often the most confident guesses of an attack are right: 2 PPV - 1, clustered by entity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.intervals import Interval, halves, korn_graubard

Mask = npt.NDArray[np.bool_]

#: Entities of a tail whose sides are gone through one by one, 2^n cases.
_HEAVY = 10
#: Chances above this say that nothing is told.
_UNDECIDED = 0.1
#: Rows that are summed at once; their number fits a byte.
_BLOCK = 64


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

    def measure(self, guesses: float, drawn: HalfSamples, tests: int, attempt: int = 1) -> Tail:
        """The tail when the first candidates are guessed to be members.

        Args:
            guesses: weight of the candidates that are guessed.
            drawn: half-samples of the entities.
            tests: how many tails are looked at (Bonferroni).
            attempt: number of the build; its upper bound holds at the level .05 / attempt.
        """
        return self.both(guesses, drawn, tests, attempt)[0]

    def both(
        self, guesses: float, drawn: HalfSamples, tests: int, attempt: int = 1
    ) -> tuple[Tail, Tail]:
        """The tails when the first candidates are guessed to be members, and non-members."""
        share = precision(self.member, self.weight, guesses)
        tail = np.cumsum(self.weight) - self.weight < guesses
        own = np.where(self.member, self.entity, -1 - self.entity)[tail]
        rows = np.unique(own, return_counts=True)[1]
        most = min(guesses, float(len(rows))) if share in (0, 1) else guesses
        member, other = (self.mass / side.sum() for side in (self.member, ~self.member))
        most = min(most, coin_flips(rows, float(member), float(other), guesses, share))
        place = np.where(self.member, self.entity, drawn.members + self.entity)
        variance = drawn.variance(place, self.member, self.weight, guesses)
        found = []
        for right in (share, 1 - share):
            limit = korn_graubard(right, variance, most, tests, attempt)
            sides = (limit.lower, limit.upper, limit.bound_lower, limit.bound_upper)
            found.append(Tail(2 * right - 1, Interval(*(2 * x - 1 for x in sides))))
        return found[0], found[1]


@dataclass(frozen=True)
class HalfSamples:
    """Random halves of members' and of non-members' entities, each side halved alone.

    Drawn once for all attacks on the same candidates.

    Attributes:
        members: entities of members.
        held: which entities each half-sample holds, members first, shape (entities, half-samples).
        each: weight of a held row of a member and of a non-member, shape (2, half-samples).
    """

    members: int
    held: Mask
    each: Floats

    @classmethod
    def of(cls, rng: np.random.Generator, members: Ints, others: Ints, mass: float) -> HalfSamples:
        """HALF_SAMPLES of them.

        Args:
            rng: draws them.
            members: entity of each member row, counted from 0.
            others: entity of each non-member row, counted from 0.
            mass: weight of either side as a whole.
        """
        rows = [np.bincount(side).astype(np.float64) for side in (members, others)]
        pairs = zip(*(halves(rng, len(side)) for side in rows), strict=True)
        masks = [np.array(drawn) for drawn in zip(*pairs, strict=True)]
        each = [mass / 2 / (mask @ total) for mask, total in zip(masks, rows, strict=True)]
        held = np.ascontiguousarray(np.concatenate(masks, axis=1).T)
        return cls(len(rows[0]), held, np.array(each))

    def variance(self, place: Ints, member: Mask, weight: Floats, guesses: float) -> float:
        """Variance of the precision of the first ``guesses`` over half-samples.

        NaN where a half-sample holds nobody of the tail: then it belongs to so few entities that
        nothing is known of its spread.

        Args:
            place: row of ``held`` of each candidate, in order, at least for twice the guesses.
            member: whether it is a member, shape (candidates,).
            weight: of it, shape (candidates,).
            guesses: weight of the candidates that are guessed.
        """
        # a half holds about half the weight of every prefix, and its tail is half as long
        cut = int(np.searchsorted(np.cumsum(weight), 2 * guesses)) + 1
        return spread(self.held[place[:cut]], member[:cut], self.each, guesses / 2)


def precision(member: Mask, weight: Floats, guesses: float) -> float:
    """Weighted share of members in the first ``guesses`` of weight; the last row counts in part.

    NaN where no candidate weighs anything: a half-sample may hold none of a tail's few entities.
    """
    before = np.cumsum(weight) - weight
    taken = np.minimum(np.maximum(guesses - before, 0), weight)
    whole = float(taken.sum())
    return float(taken[member].sum()) / whole if whole > 0 else float("nan")


def spread(held: Mask, member: Mask, each: Floats, guesses: float) -> float:
    """Variance of :func:`precision` over half-samples of the same ordered candidates, all at once.

    Args:
        held: which candidates each half-sample holds, shape (candidates, half-samples).
        member: shape (candidates,).
        each: weight of a held member and of a held non-member, shape (2, half-samples).
        guesses: weight that is guessed in each half-sample.

    NaN where a half-sample holds none of the candidates, as in :func:`precision`.
    """
    samples = held.shape[1]
    blocks = -(-len(held) // _BLOCK)
    padded = np.zeros((blocks * _BLOCK, samples), dtype=bool)
    padded[: len(held)] = held
    of_side = np.zeros((blocks * _BLOCK, 1), dtype=bool)
    of_side[: len(held), 0] = member
    # sums of whole blocks first: only the block in which the guesses end is looked at by rows
    of_all, of_members = _block_sums(padded, blocks), _block_sums(padded & of_side, blocks)
    own = np.cumsum(of_members * each[0], axis=0)
    reached = own + np.cumsum((of_all - of_members) * each[1], axis=0)
    whole = np.minimum(reached[-1], guesses)
    if not np.all(whole > 0):
        return float("nan")
    sample = np.arange(samples)
    block = np.minimum(np.count_nonzero(reached <= guesses, axis=0), blocks - 1)
    before = np.where(block > 0, reached[block - 1, sample], 0.0)
    right = np.where(block > 0, own[block - 1, sample], 0.0)
    row = block * _BLOCK + np.arange(_BLOCK)[:, None]
    mine = of_side[row, 0]
    weight = padded[row, sample] * np.where(mine, each[0], each[1])
    taken = np.clip(guesses - before - (np.cumsum(weight, axis=0) - weight), 0, weight)
    right += (taken * mine).sum(axis=0)
    return float(np.var(right / whole))


def _block_sums(held: Mask, blocks: int) -> Floats:
    """How many rows of each block each half-sample holds, shape (blocks, half-samples)."""
    counts = held.view(np.uint8).reshape(blocks, _BLOCK, -1).sum(axis=1, dtype=np.uint8)
    return np.asarray(counts, dtype=np.float64)


def coin_flips(rows: Ints, member: float, other: float, guesses: float, share: float) -> float:
    """How many coin flips a tail is worth, if its scores tell nothing of membership.

    All rows of an entity fall to one side together. Half-samples do not show what that means where
    a few entities fill the tail: by luck most of those are members, and what is seen of their
    spread is small with it. (Lower bounds above 0, nominal .008, of 500 random divisions of a year
    of flights: .052 without a limit.) So the chance of this share is had from the entities
    themselves: each of the heaviest falls to either side, the others sum to a normal number. The
    flips are as many as make the exact binomial test give that chance; where the share is near one
    half, as many as have the same variance.

    Args:
        rows: of each entity in the tail, shape (entities,).
        member: weight of a member's row.
        other: weight of a non-member's row.
        guesses: weight of the tail.
        share: of members in it, by weight.
    """
    square = rows.astype(np.float64) ** 2
    flips = float(guesses**2 / (member * other * square.sum()))
    heavy = np.sort(rows)[::-1][:_HEAVY].astype(np.float64)
    moved, chance = np.zeros(1), np.ones(1)
    for count in heavy:
        moved = np.concatenate([moved + count * member / 2, moved - count * other / 2])
        to_member = other / (member + other)
        chance = np.concatenate([chance * to_member, chance * (1 - to_member)])
    spread = np.sqrt(member * other * max(square.sum() - (heavy**2).sum(), 1e-9)) / 2
    far = (share - 0.5) * guesses
    beyond = (moved - far) / spread if far > 0 else (far - moved) / spread
    level = float(chance @ special.ndtr(beyond))
    if level > _UNDECIDED:
        return flips
    leaning = max(share, 1 - share)
    low, high = flips, max(flips, guesses)
    for _ in range(40):
        middle = (low + high) / 2
        hits = leaning * middle
        if special.betainc(hits, middle - hits + 1, 0.5) > level:
            low = middle
        else:
            high = middle
    return low


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
