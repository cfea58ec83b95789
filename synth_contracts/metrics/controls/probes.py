"""What a privacy metric reads on a planted copy: its value and the number its rule judges.

Each probe repeats one metric of metrics/privacy on what planting changes, and a test holds the two
equal on tables into which the rows were really planted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import betainc
from scipy.stats import beta, rankdata

from synth_contracts.contract.model import Rule
from synth_contracts.metrics import attacks
from synth_contracts.metrics.cells import Coding, Floats, Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.controls.bookkeeping import Bookkeeping, Copy
from synth_contracts.metrics.controls.plants import Plants
from synth_contracts.metrics.intervals import halves, normal
from synth_contracts.metrics.privacy import (
    entity_membership_inference,
    identical_match,
    membership_inference,
    outlier_membership_inference,
    recognized_entities,
)
from synth_contracts.metrics.tails import Mask, precision


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
    """membership_inference. Its rules break by the value, also where they judge the bound."""

    def __init__(self, books: Bookkeeping) -> None:
        comparison = books.comparison
        self._books = books
        train, holdout = comparison.train_side, comparison.holdout_side
        rows, cut = train.rows + holdout.rows, comparison.nearby.cut
        mass = float(min(train.rows, holdout.rows))
        self._guesses = max(
            float(membership_inference.FEWEST_GUESSES),
            membership_inference.GUESSED_SHARE * 2 * mass,
        )
        self._member = np.arange(rows) < cut
        self._weight = np.where(self._member, mass / train.rows, mass / holdout.rows)
        self._uneven = float(self._weight.max() / self._weight.min())
        self._changed = np.zeros(rows, dtype=bool)
        self._ranked: dict[str, tuple[Floats, Floats, Ints, int]] = {}
        for name, believed in comparison.scores.items():
            ties = comparison.rng(f"membership ties {name}").random(rows)
            order = np.lexsort((ties, -believed))
            taken = int(np.searchsorted(np.cumsum(self._weight[order]), self._guesses)) + 2
            self._ranked[name] = believed, ties, order, taken

    def read(self, copy: Copy) -> Reading:
        """2 PPV - 1 of the best attack on rows."""
        scores = attacks.row_scores(self._books.changed(copy))
        value = max(self._tail(name, copy.real, scores[name]) for name in self._ranked)
        return Reading(value)

    def _tail(self, name: str, real: Ints, scores: Floats) -> float:
        believed, ties, order, taken = self._ranked[name]
        # each changed row may leave a gap that takes several lighter rows to fill
        first = order[: taken + int(len(real) * self._uneven) + 1]
        self._changed[real] = True
        kept = first[~self._changed[first]]
        self._changed[real] = False
        inside = scores >= (believed[first[-1]] if len(first) else -np.inf)
        rows = np.concatenate([kept, real[inside]])
        order = np.lexsort((ties[rows], -np.concatenate([believed[kept], scores[inside]])))
        rows = rows[order]
        # near rows may tell members, or non-members: a hole around each member
        return abs(2 * precision(self._member[rows], self._weight[rows], self._guesses) - 1)


class Recognized:
    """recognized_entities."""

    def __init__(self, books: Bookkeeping) -> None:
        self._books = books
        people = books.candidates
        self._members, self._base = people.members, people.members / people.entities
        self._guesses = [m for m in recognized_entities.GUESSES if m <= people.entities]
        self._ties = _Ties(books.comparison, "recognized ties", people.entities)
        self._low: dict[tuple[int, int, int], float] = {}

    def read(self, copy: Copy) -> Reading:
        """Members beyond chance, where their lower bound is highest."""
        scores = self._books.entity_scores(copy)
        tests = len(scores) * len(recognized_entities.GUESSES)
        looks = []
        for name, believed in scores.items():
            first = _first(believed, self._ties.of(name), self._guesses[-1])
            right = np.cumsum(first < self._members)
            for guesses in self._guesses:
                hits = int(right[guesses - 1])
                bound = self._beyond(guesses, self._share(guesses, hits, tests))
                looks.append((bound, guesses, hits))
        bound, guesses, hits = max(looks, key=lambda look: look[0])
        return Reading(self._beyond(guesses, hits / guesses), bound)

    def _beyond(self, guesses: int, share: float) -> float:
        return guesses * (share - self._base) / (1 - self._base)

    def _share(self, guesses: int, hits: int, tests: int) -> float:
        key = guesses, hits, tests
        if key not in self._low:
            level = 0.05 / tests
            found = float(beta.ppf(level, hits, guesses - hits + 1)) if hits else 0.0
            self._low[key] = found
        return self._low[key]


class EntityMembership:
    """entity_membership_inference."""

    def __init__(self, books: Bookkeeping) -> None:
        self._books = books
        people = books.candidates
        self._members, self._others = people.members, people.others
        self._mass = float(min(people.members, people.others))
        self._guesses = max(
            float(entity_membership_inference.FEWEST_GUESSES),
            entity_membership_inference.GUESSED_SHARE * 2 * self._mass,
        )
        self._weights = self._mass / people.others, self._mass / people.members
        self._ties = _Ties(books.comparison, "entity ties", people.entities)
        self._halves: dict[str, tuple[Mask, Mask]] = {}

    def read(self, copy: Copy) -> Reading:
        """2 PPV - 1 of ``link``, or of a better attack that is certain of a leak."""
        scores = self._books.entity_scores(copy)
        # twice the guesses is what half-samples look at
        most = int(2 * self._guesses / min(self._weights)) + 2
        first = {
            name: _first(believed, self._ties.of(name), most) for name, believed in scores.items()
        }
        shares = {name: self._share(rows) for name, rows in first.items()}
        best = shares[entity_membership_inference.FIRST]
        for name in sorted(shares, key=lambda n: -shares[n]):
            if shares[name] <= best:
                break
            if self._certain(name, first[name], shares[name], len(scores)):
                best = shares[name]
                break
        return Reading(2 * best - 1)

    def _weight(self, rows: Ints) -> tuple[Mask, Floats]:
        member = rows < self._members
        return member, np.where(member, self._weights[1], self._weights[0])

    def _share(self, rows: Ints) -> float:
        return precision(*self._weight(rows), self._guesses)

    def _certain(self, name: str, rows: Ints, share: float, attacks_: int) -> bool:
        """Whether the corrected lower bound is above 0, as Ranking.measure has it."""
        member, weight = self._weight(rows)
        before = np.cumsum(weight) - weight
        touched = float((before < self._guesses).sum())
        most = min(self._guesses, touched) if share in (0, 1) else self._guesses
        cut = int(np.searchsorted(np.cumsum(weight), 2 * self._guesses)) + 1
        variance = self._variance(name, rows[:cut], member[:cut])
        binomial = share * (1 - share)
        size = min(most, binomial / variance) if variance > 0 and binomial > 0 else most
        # Clopper-Pearson's limit of the share is above one half
        hits = share * size
        return bool(hits > 0 and betainc(hits, size - hits + 1, 0.5) < 0.05 / attacks_)

    def _variance(self, name: str, rows: Ints, member: Mask) -> float:
        """Ranking's variance over half-samples of entities, all at once."""
        of_members, of_others = self._half_samples(name)
        held = np.where(
            member,
            of_members[:, np.where(member, rows, 0)],
            of_others[:, np.where(member, 0, rows - self._members)],
        )
        sizes = of_members[0].sum(), of_others[0].sum()
        weight = held * np.where(member, self._mass / 2 / sizes[0], self._mass / 2 / sizes[1])
        before = np.cumsum(weight, axis=1) - weight
        taken = np.clip(self._guesses / 2 - before, 0, weight)
        shares = (taken * member).sum(axis=1) / taken.sum(axis=1)
        return float(np.var(shares))

    def _half_samples(self, name: str) -> tuple[Mask, Mask]:
        if name not in self._halves:
            rng = self._books.comparison.rng(f"entity halves {name}")
            pairs = zip(halves(rng, self._members), halves(rng, self._others), strict=True)
            members, others = zip(*pairs, strict=True)
            self._halves[name] = np.array(members), np.array(others)
        return self._halves[name]


class Outlier:
    """outlier_membership_inference."""

    def __init__(self, books: Bookkeeping) -> None:
        self._books = books
        nearby, people = books.nearby, books.candidates
        smaller = min(people.members, people.others)
        count = max(
            float(outlier_membership_inference.FEWEST_CANDIDATES),
            outlier_membership_inference.ISOLATED_SHARE * 2 * smaller,
        )
        self._beyond = attacks.unusual(nearby, people, count)
        entity = people.entity[self._beyond]
        self._rows = np.bincount(entity, minlength=people.entities)
        self._total = _sums(entity, books.ratio[self._beyond], people.entities)
        self._chosen = np.flatnonzero(self._rows)
        self._member = self._chosen < people.members

    def read(self, copy: Copy) -> Reading:
        """2 AUC - 1 among the isolated, the larger of both directions."""
        inside = self._beyond[copy.real]
        real = copy.real[inside]
        moved = attacks.calibrated(self._books.changed(copy))[inside] - self._books.ratio[real]
        total = self._total.copy()
        np.add.at(total, self._books.candidates.entity[real], moved)
        ranks = rankdata(total[self._chosen] / self._rows[self._chosen])[self._member]
        members, others = len(ranks), len(self._chosen) - len(ranks)
        # Mann and Whitney: the share of pairs in which the member ranks higher
        share = (float(ranks.mean()) - (members + 1) / 2) / others
        return Reading(abs(2 * share - 1))


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
    above, level = np.flatnonzero(scores > edge), np.flatnonzero(scores == edge)
    left = count - len(above)
    if left < len(level):
        level = level[np.argpartition(ties[level], left - 1)[:left]]
    rows = np.concatenate([above, level])
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
    membership_inference.ID: Membership,
    recognized_entities.ID: Recognized,
    entity_membership_inference.ID: EntityMembership,
    outlier_membership_inference.ID: Outlier,
    identical_match.ID: Identical,
}
