"""Scores of a planted table from those of the candidate, without measuring it anew.

The pure scores of attacks.py are functions of ``near`` and ``synthetic_row`` of each real row, and
planting changes these for a few rows only. What is kept here reads exactly what attacks.py would
read on the planted table (but for the neighbours that an approximate search of it would miss).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

from synth_contracts.metrics import attacks
from synth_contracts.metrics.attacks import Calendar, Nearby
from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.controls.plants import Plants
from synth_contracts.metrics.controls.reach import Reach
from synth_contracts.metrics.tails import mid_ranks


@dataclass(frozen=True)
class Copy:
    """One planted copy of the candidate.

    Attributes:
        plants: what it was planted from.
        units: the units planted, shape (units,).
        rows: their rows, shape (planted rows,).
        real: real rows whose nearest synthetic row is now a planted one, ascending.
        near: their distances to it.
        unit: the units that hold it.
        agreed: real rows that agree with a planted row more than with any synthetic one, ascending.
        agreement: their agreement scores.
    """

    plants: Plants
    units: Ints
    rows: Ints
    real: Ints
    near: Floats
    unit: Ints
    agreed: Ints
    agreement: Floats

    @cached_property
    def moved(self) -> Ints:
        """Real rows that some attack scores anew, ascending."""
        return np.union1d(self.real, self.agreed)


def agreeing(comparison: Comparison, plants: Plants) -> Reach:
    """Pairs of a real row and a planted one that agree more than any synthetic row with it.

    Their distance is their agreement score, with the other sign.
    """
    nearby, agreement = comparison.nearby, comparison.agreement
    if nearby.agreement is None or nearby.usual is None:
        raise AssertionError("a comparison looks for agreement")
    marks = agreement.columns.mark(plants.frame)
    real, row, score = agreement.pairs(marks, nearby.usual, nearby.agreement)
    return Reach(real, -score, np.searchsorted(row, np.arange(marks.rows + 1)))


def copy_with(plants: Plants, reach: Reach, agree: Reach, units: Ints) -> Copy:
    """The copy that holds ``units`` beside the candidate's own rows."""
    rows = plants.rows_of(units)
    real, distance, planted = reach.of(rows)
    # beside a candidate that is far off these are most real rows times most planted ones: the
    # nearest first, so that only ties are left to be sorted
    nearest = np.full(int(real.max(initial=-1)) + 1, np.inf)
    np.minimum.at(nearest, real, distance)
    kept = distance == nearest[real]
    real, distance, planted = real[kept], distance[kept], planted[kept]
    order = np.lexsort((planted, distance, real))
    real, distance, planted = real[order], distance[order], planted[order]
    first = np.flatnonzero(np.diff(real, prepend=-1))
    known, score, _ = agree.of(rows)
    least = np.full(int(known.max(initial=-1)) + 1, np.inf)
    np.minimum.at(least, known, score)
    agreed = np.flatnonzero(least < np.inf)
    return Copy(
        plants=plants,
        units=units,
        rows=rows,
        real=real[first],
        near=distance[first],
        unit=np.searchsorted(plants.start, planted[first], side="right") - 1,
        agreed=agreed,
        agreement=-least[agreed],
    )


class Bookkeeping:
    """The candidate's own scores, laid out so that those of a copy are a short step away."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.nearby, self.candidates = comparison.nearby, comparison.candidates
        # copies are read by several threads, each of them one after the other
        self._last = threading.local()

    @cached_property
    def ratio(self) -> Floats:
        """Calibrated score of each real row."""
        return attacks.calibrated(self.nearby)

    def changed(self, copy: Copy) -> Nearby:
        """What the searches would find for ``copy.real``; members are not told apart."""
        return replace(
            self.nearby,
            near=copy.near,
            synthetic_row=np.full(len(copy.real), -1),
            reference=self.nearby.reference[copy.real],
            cut=0,
            agreement=None,
        )

    def row_scores(self, copy: Copy, *, together: bool = False) -> dict[str, Floats]:
        """Per attack the scores of ``copy.moved``; ``together`` with earlier releases."""
        found = {name: own[copy.moved] for name, own in self.comparison.scores.items()}
        for name, score in attacks.row_scores(self.changed(copy)).items():
            found[name][np.searchsorted(copy.moved, copy.real)] = score
        found["agreement"][np.searchsorted(copy.moved, copy.agreed)] = copy.agreement
        beside = self.comparison.together if together else None
        return found if beside is None else beside.other_rows.beside(found, copy.moved)

    def entity_scores(self, copy: Copy, *, together: bool = False) -> dict[str, Floats]:
        """Per attack the score of each entity, members first, as attacks.entity_scores.

        ``together`` with earlier releases, as composition.Together has them.
        """
        if getattr(self._last, "copy", None) is not copy:
            self._last.copy, self._last.scores = copy, self._entity_scores(copy)
        found: dict[str, Floats] = self._last.scores
        beside = self.comparison.together if together else None
        return found if beside is None else beside.other_entities.beside(found)

    def _entity_scores(self, copy: Copy) -> dict[str, Floats]:
        entity = self.candidates.entity[copy.real]
        ratio = attacks.calibrated(self.changed(copy))
        closest = self._own["closest"].copy()
        np.maximum.at(closest, entity, ratio)  # planting brings rows nearer, never farther
        found = {
            "link": self._given.link(copy, entity, np.maximum(ratio, 0)) / self._root,
            "closest": closest,
            "hole": self._depth.sums(copy.real, ratio) / self._root,
            "agreement": self._own["agreement"].copy(),
        }
        np.maximum.at(found["agreement"], self.candidates.entity[copy.agreed], copy.agreement)
        if self._totals is not None:
            aggregate = self._totals.scores(copy)
            if aggregate is not None:
                found["aggregate"] = aggregate
        return found

    @cached_property
    def _own(self) -> dict[str, Floats]:
        return self.comparison.entity_scores

    @cached_property
    def _root(self) -> Floats:
        rows = np.bincount(self.candidates.entity, minlength=self.candidates.entities)
        return np.sqrt(rows)

    @cached_property
    def _depth(self) -> _Depth:
        return _Depth(self.ratio, self.candidates.entity, self.candidates.entities)

    @cached_property
    def _given(self) -> _Given:
        holder = self.candidates.synthetic[self.nearby.synthetic_row]
        return _Given.of(
            self.candidates.entity, holder, np.maximum(self.ratio, 0), self.candidates.entities
        )

    @cached_property
    def _totals(self) -> _Totals | None:
        calendar = self.comparison.calendar
        return None if calendar is None else _Totals(self.comparison, calendar)


@dataclass(frozen=True)
class _Given:
    """What each entity's rows give to each synthetic entity (the attack ``link``).

    ``pair`` is the number of the (entity, synthetic entity) of each row; ``start`` the first pair
    of each entity that has rows (``holds``).
    """

    pair: Ints
    given: Floats
    sums: Floats
    count: Ints
    start: Ints
    holds: Ints
    entities: int

    @classmethod
    def of(cls, entity: Ints, holder: Ints, given: Floats, entities: int) -> _Given:
        width = int(holder.max(initial=0)) + 1
        pairs, pair = np.unique(entity * width + holder, return_inverse=True)
        owner = pairs // width
        start = np.flatnonzero(np.diff(owner, prepend=-1))
        return cls(
            pair=pair,
            given=given,
            sums=np.bincount(pair, weights=given, minlength=len(pairs)).astype(np.float64),
            count=np.bincount(pair, minlength=len(pairs)),
            start=start,
            holds=owner[start],
            entities=entities,
        )

    def link(self, copy: Copy, entity: Ints, given: Floats) -> Floats:
        """The largest sum that an entity gives to one synthetic entity, shape (entities,)."""
        best = np.zeros(self.entities)
        pair = self.pair[copy.real]
        sums = self.sums.copy()
        np.subtract.at(sums, pair, self.given[copy.real])
        # what is left of rounding where a synthetic entity lost its last row
        gone = self.count[pair] <= np.bincount(pair, minlength=1)[pair] if len(pair) else pair > 0
        sums[pair[gone]] = 0.0
        best[self.holds] = np.maximum(np.maximum.reduceat(sums, self.start), 0.0)
        pairs, where = np.unique(entity * (copy.plants.units + 1) + copy.unit, return_inverse=True)
        np.maximum.at(best, pairs // (copy.plants.units + 1), np.bincount(where, weights=given))
        return best


class _Depth:
    """How low the rows of each entity rank by calibrated score (the attack ``hole``).

    A row that moves up shifts the ranks of all between by one: a running sum over the candidate's
    own order, instead of a new sort.
    """

    def __init__(self, ratio: Floats, entity: Ints, entities: int) -> None:
        rows = len(ratio)
        order = np.argsort(-ratio, kind="stable")
        self._sorted, self._place = -ratio[order], np.empty(rows, dtype=np.int64)
        self._place[order] = np.arange(rows)
        self._entity, self._entities = entity[order], entities
        # twice a rank less 2, as ties have ranks of halves
        self._rank = np.rint(2 * mid_ranks(self._sorted)).astype(np.int64) - 2
        self._normal = special.ndtri((np.arange(2, 2 * rows + 1) / 2 - 0.5) / rows)

    def sums(self, real: Ints, ratio: Floats) -> Floats:
        """Sum of normal scores of each entity when the rows ``real`` have the scores ``ratio``."""
        place, come = self._place[real], -ratio
        gone = np.sort(self._sorted[place])
        steps = np.zeros(len(self._sorted) + 1, dtype=np.int64)
        for side in _SIDES:
            np.add.at(steps, np.searchsorted(self._sorted, np.sort(come), side=side), 1)
            np.subtract.at(steps, np.searchsorted(self._sorted, gone, side=side), 1)
        rank = np.cumsum(steps[:-1])
        rank += self._rank
        own = _twice(self._sorted, come) - _twice(gone, come) + _twice(np.sort(come), come) - 1
        rank[place] = own
        sums = np.bincount(self._entity, weights=self._normal[rank], minlength=self._entities)
        return sums.astype(float, copy=False)


_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def _twice(ordered: Floats, values: Floats) -> Ints:
    """Twice the number of ``ordered`` before each of ``values``, equal ones counted half."""
    left, right = (np.searchsorted(ordered, values, side=side) for side in _SIDES)
    return left + right


class _Totals:
    """Daily counts of all entities as sparse matrices (the attack ``aggregate``)."""

    def __init__(self, comparison: Comparison, calendar: Calendar) -> None:
        self._calendar = calendar
        candidates, half = comparison.candidates, comparison.nearby.half
        known = calendar.day >= 0
        entity, day = candidates.entity[known], calendar.day[known]
        self._size = float(max((entity < candidates.members).sum(), 1))
        shape = (candidates.entities, len(calendar.published))
        self._entities, self._known = shape[0], bool(known.any())
        self._parts: list[tuple[attacks.Rest, sparse.csr_array, sparse.csr_array]] = []
        for side in (False, True):
            apart = (entity >= candidates.members) & (half[entity] != side)
            totals = np.bincount(day[apart], minlength=shape[1]).astype(np.float64)
            if not totals.any():
                continue
            mine = half[entity] == side
            counts = sparse.coo_array(
                (np.ones(int(mine.sum())), (entity[mine], day[mine])), shape=shape
            ).tocsr()
            self._parts.append((attacks.Rest.of(totals), counts, counts.power(2)))
        self._name = comparison.schema.roles.time_index
        # with the plants, so that their id is not given to others
        self._days: dict[int, tuple[Plants, Ints]] = {}
        # the first day, from any row that has one
        row = int(np.argmax(known))
        cut = comparison.nearby.cut
        holder = comparison.train_side if row < cut else comparison.holdout_side
        at = row if row < cut else row - cut
        time = holder.frame[self._name].iloc[at : at + 1]
        self._first = int(_days(time.to_numpy(dtype="datetime64[ns]"))[0] - calendar.day[row])

    def scores(self, copy: Copy) -> Floats | None:
        """``aggregate`` with the rows of ``copy`` published too; None where nothing is."""
        published = self._calendar.published + self._added(copy)
        if not published.any() or not self._known:
            return None
        score: Floats = np.zeros(self._entities)
        ours = attacks.Rest.of(published)
        for theirs, times, squares in self._parts:
            gap, weight = attacks.tracing(ours, theirs)
            score += times @ gap - 0.5 / self._size * (squares @ weight)
        return score

    def _added(self, copy: Copy) -> Floats:
        """Planted rows per day of the real period, shape (days,)."""
        days = len(self._calendar.published)
        # days beyond the period, and times that nobody knows, are of no day
        return np.bincount(self._day(copy.plants)[copy.rows], minlength=days + 1)[:days].astype(
            np.float64
        )

    def _day(self, plants: Plants) -> Ints:
        """Day of the real period of each planted row; the number of days where it is of none."""
        if id(plants) not in self._days:
            times = plants.frame[self._name].to_numpy(dtype="datetime64[ns]")
            days = len(self._calendar.published)
            day = np.full(len(times), days, dtype=np.int64)
            known = ~np.isnat(times)
            day[known] = _days(times[known]) - self._first
            day[(day < 0) | (day > days)] = days
            self._days[id(plants)] = plants, day
        return self._days[id(plants)][1]


def _days(times: npt.NDArray[np.datetime64]) -> Ints:
    """Days since 1970 of known times."""
    return np.asarray(times.astype("datetime64[D]").view(np.int64))
