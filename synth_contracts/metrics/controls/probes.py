"""What a privacy metric reads on a planted copy: its value and the number its rule judges.

Each probe repeats one metric of metrics/privacy on what planting changes, and a test holds the two
equal on tables into which the rows were really planted. With earlier releases beside the candidate
it is read together with them too: they stay what they are, so only the candidate's part moves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.special import betainc, betaincinv

from synth_contracts.contract.model import Rule
from synth_contracts.metrics import attacks
from synth_contracts.metrics.cells import Coding, Floats, Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.composition import JOINT, UNION
from synth_contracts.metrics.controls.bookkeeping import Bookkeeping, Copy
from synth_contracts.metrics.controls.plants import Plants
from synth_contracts.metrics.intervals import normal
from synth_contracts.metrics.privacy import (
    entity_membership_inference,
    identical_match,
    membership_inference,
    outlier_membership_inference,
    recognized_entities,
)
from synth_contracts.metrics.tails import HalfSamples, coin_flips, mid_ranks, precision


@dataclass(frozen=True)
class Reading:
    """The metric's value, and its one-sided lower bound where a rule may judge that."""

    value: float
    lower: float | None = None

    def number(self, rule: Rule) -> float:
        """What ``rule`` blocks by, as the gate has it.

        A rule that judges the upper bound blocks by the value: a value inside with a bound outside
        is "not evaluated", which is neither a pass nor a block.
        """
        return self.lower if rule.judged == "lower" and self.lower is not None else self.value

    def breaks(self, rule: Rule) -> bool:
        """Whether ``rule``, an upper limit, blocks this reading."""
        return self.number(rule) > rule.threshold


class Probe(Protocol):
    """One metric on copies of one candidate."""

    def read(self, copy: Copy) -> Reading:
        """What the metric reads on ``copy``."""


class Membership:
    """membership_inference. Its rules block by the value, also where they judge the bound."""

    def __init__(self, books: Bookkeeping, *, together: bool = False) -> None:
        comparison = books.comparison
        self._books, self._together = books, together
        train, holdout = comparison.train_side, comparison.holdout_side
        mass = float(min(train.rows, holdout.rows))
        self._guesses = max(
            float(membership_inference.FEWEST_GUESSES),
            membership_inference.GUESSED_SHARE * 2 * mass,
        )
        self._sides = _Sides(
            comparison, "membership halves", train.entity, holdout.entity, mass, comparison.attempt
        )
        self._uneven = float(self._sides.weight.max() / self._sides.weight.min())
        rows = train.rows + holdout.rows
        # copies are read by several threads, each of which marks rows in an array of its own
        self._marks, self._all = threading.local(), rows
        self._ranked: dict[str, tuple[Floats, Floats, Ints, Ints]] = {}
        beside = comparison.together if together else None
        for name, believed in (comparison.scores if beside is None else beside.rows).items():
            ties = comparison.rng(f"membership ties {name}").random(rows)
            order = np.lexsort((ties, -believed))
            reached = np.cumsum(self._sides.weight[order])
            # up to the guesses, and up to twice as many: that is what half-samples look at
            taken = np.searchsorted(reached, [self._guesses, 2 * self._guesses]) + 2
            self._ranked[name] = believed, ties, order, taken

    def read(self, copy: Copy) -> Reading:
        """2 PPV - 1 of the best attack on rows, or of a hole that is certain."""
        scores = self._books.row_scores(copy, together=self._together)
        shares = {
            name: self._sides.share(self._first(name, copy.moved, scores[name], 0), self._guesses)
            for name in self._ranked
        }
        best = max(share for name, share in shares.items() if membership_inference.steady(name))
        # near rows may tell non-members too: a hole around each member
        unsure = [(1 - share, name) for name, share in shares.items()]
        unsure += [
            (share, name) for name, share in shares.items() if not membership_inference.steady(name)
        ]
        for share, name in sorted(unsure, reverse=True):
            if share <= best:
                break
            rows = self._first(name, copy.moved, scores[name], 1)
            if self._sides.certain(rows, share, self._guesses, 2 * len(shares)):
                best = share
                break
        return Reading(2 * best - 1)

    def _first(self, name: str, real: Ints, scores: Floats, twice: int) -> Ints:
        """The most confident candidates in order, enough for the guesses or twice as many."""
        believed, ties, order, taken = self._ranked[name]
        # each changed row may leave a gap that takes several lighter rows to fill
        first = order[: int(taken[twice]) + int(len(real) * self._uneven) + 1]
        changed = getattr(self._marks, "changed", None)
        if changed is None:
            changed = self._marks.changed = np.zeros(self._all, dtype=bool)
        changed[real] = True
        kept = first[~changed[first]]
        changed[real] = False
        inside = scores >= believed[first[-1]]
        rows = np.concatenate([kept, real[inside]])
        found = np.concatenate([believed[kept], scores[inside]])
        return rows[np.lexsort((ties[rows], -found))]


class Recognized:
    """recognized_entities."""

    def __init__(self, books: Bookkeeping, *, together: bool = False) -> None:
        self._books, self._together = books, together
        people = books.candidates
        self._members, self._base = people.members, people.members / people.entities
        self._guesses = [m for m in recognized_entities.GUESSES if m <= people.entities]
        self._ties = _Ties(books.comparison, "recognized ties", people.entities)
        self._places = np.array(self._guesses) - 1
        self._bounds: dict[tuple[int, int, int], float] = {}

    def read(self, copy: Copy) -> Reading:
        """Members beyond chance, where their lower bound is highest."""
        scores = self._books.entity_scores(copy, together=self._together)
        tests = len(scores) * len(recognized_entities.GUESSES)
        looks = []
        for name, believed in scores.items():
            first = _first(believed, self._ties.of(name), self._guesses[-1])
            right = np.cumsum(first < self._members)[self._places].tolist()
            looks += [
                (self._bound(guesses, hits, tests), guesses, hits)
                for guesses, hits in zip(self._guesses, right, strict=True)
            ]
        bound, guesses, hits = max(looks, key=lambda look: look[0])
        return Reading(self._beyond(guesses, hits / guesses), bound)

    def _beyond(self, guesses: int, share: float) -> float:
        return guesses * (share - self._base) / (1 - self._base)

    def _bound(self, guesses: int, hits: int, tests: int) -> float:
        key = guesses, hits, tests
        if key not in self._bounds:
            level = 0.05 / tests
            share = float(betaincinv(hits, guesses - hits + 1, level)) if hits else 0.0
            self._bounds[key] = self._beyond(guesses, share)
        return self._bounds[key]


class EntityMembership:
    """entity_membership_inference."""

    def __init__(self, books: Bookkeeping, *, together: bool = False) -> None:
        self._books, self._together = books, together
        people = books.candidates
        mass = float(min(people.members, people.others))
        self._guesses = max(
            float(entity_membership_inference.FEWEST_GUESSES),
            entity_membership_inference.GUESSED_SHARE * 2 * mass,
        )
        self._sides = _Sides(
            books.comparison, "entity halves", np.arange(people.members),
            np.arange(people.others), mass, 1,
        )  # fmt: skip
        self._most = int(self._guesses / self._sides.weight.min()) + 2
        self._ties = _Ties(books.comparison, "entity ties", people.entities)

    def read(self, copy: Copy) -> Reading:
        """2 PPV - 1 of the best attack."""
        scores = self._books.entity_scores(copy, together=self._together)
        first = {
            name: _first(believed, self._ties.of(name), self._most)
            for name, believed in scores.items()
        }
        best = max(self._sides.share(rows, self._guesses) for rows in first.values())
        return Reading(2 * best - 1)


class Outlier:
    """outlier_membership_inference."""

    def __init__(self, books: Bookkeeping, *, together: bool = False) -> None:
        self._books, self._together = books, together
        nearby, people = books.nearby, books.candidates
        smaller = min(people.members, people.others)
        count = max(
            float(outlier_membership_inference.FEWEST_CANDIDATES),
            outlier_membership_inference.ISOLATED_SHARE * 2 * smaller,
        )
        self._beyond = attacks.unusual(nearby, people, count)
        entity = people.entity[self._beyond]
        self._rows = np.bincount(entity, minlength=people.entities)
        beside = books.comparison.together if together else None
        self._score = {"calibrated": books.ratio} if beside is None else {
            name: beside.rows[name] for name in (f"{UNION} calibrated", f"{JOINT} calibrated")
        }  # fmt: skip
        self._total = {
            name: _sums(entity, score[self._beyond], people.entities)
            for name, score in self._score.items()
        }
        self._chosen = np.flatnonzero(self._rows)
        self._member = self._chosen < people.members

    def read(self, copy: Copy) -> Reading:
        """2 AUC - 1 among the isolated, the larger of both directions."""
        inside = self._beyond[copy.moved]
        real = copy.moved[inside]
        scores = self._books.row_scores(copy, together=self._together)
        return Reading(
            max(
                self._told(name, real, scores[name][inside] - score[real])
                for name, score in self._score.items()
            )
        )

    def _told(self, name: str, real: Ints, moved: Floats) -> float:
        """|2 AUC - 1| of one attack after the rows ``real`` have moved."""
        total = self._total[name].copy()
        np.add.at(total, self._books.candidates.entity[real], moved)
        ranks = mid_ranks(total[self._chosen] / self._rows[self._chosen])[self._member]
        members, others = len(ranks), len(self._chosen) - len(ranks)
        # Mann and Whitney: the share of pairs in which the member ranks higher
        share = (float(ranks.mean()) - (members + 1) / 2) / others
        return abs(2 * share - 1)


class _Worse:
    """A metric that reads the candidate alone, and together with earlier releases."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes

    def read(self, copy: Copy) -> Reading:
        """The worse of both families, as composition.worse chooses."""
        found = [probe.read(copy) for probe in self._probes]
        return max(found, key=lambda r: r.value if r.lower is None else r.lower)


def _families(kind: _Family) -> Callable[[Bookkeeping], Probe]:
    def made(books: Bookkeeping) -> Probe:
        if books.comparison.together is None:
            return kind(books)
        return _Worse([kind(books), kind(books, together=True)])

    return made


class _Family(Protocol):
    def __call__(self, books: Bookkeeping, *, together: bool = False) -> Probe: ...


class _Sides:
    """Members and non-members, weighing the same, as tails.Ranking has them.

    Args:
        comparison: gives the draws of half-samples.
        label: of these draws.
        members: entity of each member, shape (members,).
        others: entity of each non-member, counted from 0, shape (others,).
        mass: weight of either side.
        attempt: number of the build.
    """

    def __init__(
        self, comparison: Comparison, label: str, members: Ints, others: Ints, mass: float,
        attempt: int,
    ) -> None:  # fmt: skip
        self._comparison, self._label, self._attempt = comparison, label, attempt
        self._owners, self._mass = (members, others), mass
        self._member = np.arange(len(members) + len(others)) < len(members)
        self.weight = np.where(self._member, mass / len(members), mass / len(others))
        self._each = (mass / len(members), mass / len(others))
        #: the entity of each row, members first, as the rows of ``held`` have them
        self._place = np.concatenate([members, int(members.max()) + 1 + others])

    def share(self, rows: Ints, guesses: float) -> float:
        """Weighted share of members among the first ``guesses`` of the ordered ``rows``."""
        return precision(self._member[rows], self.weight[rows], guesses)

    def certain(self, rows: Ints, share: float, guesses: float, tests: int) -> bool:
        """Whether the lower bound of a share of the first guesses is above one half.

        As Ranking.both has it: Korn and Graubard's limit, corrected for ``tests`` looks.
        """
        level = 0.05 / tests / self._attempt
        # the variance can only widen what the guesses alone allow
        if not _above_half(share, guesses, level):
            return False
        weight = self.weight[rows]
        tail = self._place[rows[np.cumsum(weight) - weight < guesses]]
        held = np.unique(tail, return_counts=True)[1]
        most = min(guesses, float(len(held))) if share in (0, 1) else guesses
        most = min(most, coin_flips(held, *self._each, guesses, share))
        if not _above_half(share, most, level):
            return False
        binomial = share * (1 - share)
        variance = self._drawn.variance(self._place[rows], self._member[rows], weight, guesses)
        if not np.isfinite(variance):
            return False
        size = min(most, binomial / variance) if variance > 0 and binomial > 0 else most
        return _above_half(share, size, level)

    @cached_property
    def _drawn(self) -> HalfSamples:
        return HalfSamples.of(self._comparison.rng(self._label), *self._owners, self._mass)


def _above_half(share: float, size: float, level: float) -> bool:
    """Whether Clopper-Pearson's lower limit of a share is above one half."""
    hits = share * size
    return bool(hits > 0 and betainc(hits, size - hits + 1, 0.5) < level)


class _Ties:
    """The draws by which a metric breaks ties, attack by attack."""

    def __init__(self, comparison: Comparison, label: str, size: int) -> None:
        self._comparison, self._label, self._size = comparison, label, size
        self._drawn: dict[str, Floats] = {}

    def of(self, name: str) -> Floats:
        if name not in self._drawn:
            self._drawn[name] = self._comparison.rng(f"{self._label} {name}").random(self._size)
        return self._drawn[name]


def _first(scores: Floats, ties: Floats, count: int) -> Ints:
    """The ``count`` highest scores in order, ties by ``ties``: the start of a full sort."""
    if count >= len(scores):
        return np.lexsort((ties, -scores))
    edge = np.partition(scores, len(scores) - count)[len(scores) - count]
    rows: Ints = (scores >= edge).nonzero()[0]
    if len(rows) > count:
        level = scores[rows] == edge
        above, level = rows[~level], rows[level]
        left = count - len(above)
        rows = np.concatenate([above, level[np.argpartition(ties[level], left - 1)[:left]]])
    return rows[np.lexsort((ties[rows], -scores[rows]))]


class Identical:
    """identical_match."""

    def __init__(self, books: Bookkeeping) -> None:
        self._comparison = comparison = books.comparison
        self._coding = Coding(comparison.schema.features, comparison.train_side)
        train, holdout = comparison.train_side, comparison.holdout_side
        synthetic = comparison.synthetic_side
        self._size = min(train.entities, holdout.entities)
        self._scale = train.entities / self._size
        distinct, row = np.unique(synthetic.rows_hash, return_inverse=True)
        copies = np.bincount(row, minlength=len(distinct)).astype(np.float64)
        sides = [
            identical_match.Holders.of(side, distinct, self._size) for side in (train, holdout)
        ]
        each = ((sides[0].chance - sides[1].chance) * self._scale)[row]
        self._total = float(each.sum())
        self._plain = float((sides[0].holders > 0)[row].sum())
        self._by_real = [_by_entity(held, copies) for held in sides]
        sums = np.bincount(synthetic.entity, weights=each)
        sizes = np.bincount(synthetic.entity)
        sums, sizes = sums[sizes > 0], sizes[sizes > 0].astype(np.float64)
        self._moments = np.array(
            [np.sum(sums**2), np.sum(sums * sizes), np.sum(sizes**2), len(sizes)]
        )
        self._pools: dict[int, _Matches] = {}

    def read(self, copy: Copy) -> Reading:
        """Excess share of rows equal to a train row."""
        matches = self._matches(copy.plants)
        rows = self._comparison.synthetic_side.rows + len(copy.rows)
        total = self._total + float(matches.each[copy.rows].sum())
        plain = (self._plain + float(matches.equal[copy.rows].sum())) / rows
        value = min(total / rows, plain)
        variance = self._variance(copy, matches, total / rows, rows)
        found = normal(value, variance, lowest=-1, highest=1)
        return Reading(value, -1.0 if found is None else found.bound_lower)

    def _variance(self, copy: Copy, matches: _Matches, excess: float, rows: int) -> float:
        sums, sizes = matches.sums[copy.units], np.diff(copy.plants.start)[copy.units]
        squares, products, square_sizes, entities = self._moments + np.array(
            [np.sum(sums**2), np.sum(sums * sizes), np.sum(sizes.astype(float) ** 2), len(sums)]
        )
        if entities < 2:
            return float("inf")
        spread = squares - 2 * excess * products + excess**2 * square_sizes
        variance = spread / rows**2 * entities / (entities - 1)
        for own, held in zip(self._by_real, matches.held, strict=True):
            if held.entities < 2:
                return float("inf")
            real = own + _by_entity(held, np.bincount(copy.rows, minlength=len(matches.each)))
            real = real * self._scale / rows
            gap = float(np.sum((real - real.mean()) ** 2))
            variance += gap * held.entities / (held.entities - 1)
        return float(variance)

    def _matches(self, plants: Plants) -> _Matches:
        if id(plants) not in self._pools:
            self._pools[id(plants)] = _Matches.of(
                self._comparison, self._coding, plants, self._size, self._scale
            )
        return self._pools[id(plants)]


@dataclass(frozen=True)
class _Matches:
    """What each planted row adds to the matches; ``held`` counts per planted row."""

    plants: Plants  # kept, so that its id is not given to another
    each: Floats
    equal: Floats
    sums: Floats
    held: tuple[identical_match.Holders, identical_match.Holders]

    @classmethod
    def of(
        cls, comparison: Comparison, coding: Coding, plants: Plants, size: int, scale: float
    ) -> _Matches:
        train = comparison.train_side
        distinct, row = np.unique(coding.hashes(plants.frame), return_inverse=True)
        found = [
            identical_match.Holders.of(side, distinct, size)
            for side in (train, comparison.holdout_side)
        ]
        each = ((found[0].chance - found[1].chance) * scale)[row]
        equal = (found[0].holders > 0)[row].astype(np.float64)
        return cls(
            plants=plants,
            each=each,
            equal=equal,
            sums=_sums(plants.unit, each, plants.units),
            held=(_of_rows(found[0], row), _of_rows(found[1], row)),
        )


def _of_rows(held: identical_match.Holders, row: Ints) -> identical_match.Holders:
    """The same per planted row instead of per distinct one."""
    first = np.searchsorted(held.pair_row, np.arange(len(held.holders) + 1))
    count = np.diff(first)[row]
    ends = np.cumsum(count)
    place = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(
        first[row] - (ends - count), count
    )
    return identical_match.Holders(
        held.holders[row],
        held.chance[row],
        np.repeat(np.arange(len(row)), count),
        held.pair_entity[place],
        held.entities,
    )


def _by_entity(held: identical_match.Holders, copies: Floats | Ints) -> Floats:
    """Each real entity's part of the matches, shape (entities,); see Holders.variance."""
    part = (copies * held.chance)[held.pair_row] / held.holders[held.pair_row]
    return _sums(held.pair_entity, part, held.entities)


def _sums(group: Ints, values: Floats, groups: int) -> Floats:
    # bincount of nothing is of integers
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64)


#: metric id -> its probe
PROBES: Mapping[str, Callable[[Bookkeeping], Probe]] = {
    membership_inference.ID: _families(Membership),
    recognized_entities.ID: _families(Recognized),
    entity_membership_inference.ID: _families(EntityMembership),
    outlier_membership_inference.ID: _families(Outlier),
    identical_match.ID: Identical,
}
