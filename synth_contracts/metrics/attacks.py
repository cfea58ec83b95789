"""Membership attacks: what an attacker with real records and the synthetic table believes.

Every attack is a score per candidate, members (train) first, then non-members (holdout); higher
means: rather a member. The searches are dear and done once (:func:`observe`); the scores are pure
and cheap functions of what was found, so they can be had again for a table in which rows were
planted, by changing ``near`` and ``synthetic_row`` alone.

Rows:

- ``distance``: the nearer the nearest synthetic row, the more probably a member.
- ``calibrated``: log of the distance to the attacker's reference over the distance to the
  synthetic table. The reference (other real rows) tells rows that are near everything from rows
  that are near a copy (difficulty calibration: Watson et al. 2022, arXiv 2111.08440).
- ``agreement``: how much the row agrees with a synthetic row beyond chance, column by column, less
  the same with the reference (agreement.py). It sees noisy and near copies in tables of few or
  heavy columns, where every row has near neighbours.

A hole around a real row is a leak too, and it shows at the same end: where a generator kept away
from its training rows, the rows with an unusually near synthetic row are non-members. So all row
attacks are read in both directions. (The far end tells little: rows far from the synthetic table
belong to a handful of entities, and fresh tables read up to .39 there.)

Entities:

- ``link``: each row gives its positive calibrated score to the synthetic entity that holds its
  nearest synthetic row; the largest sum, divided by the root of the number of rows.
- ``closest``: the best calibrated score of a row, so that one copied row among sixty is seen.
- ``agreement``: the best agreement score of a row, likewise.
- ``hole``: the sum of how low its rows rank by calibrated score, as normal scores, divided by the
  root of their number: synthetic rows keep away from all of them.
- ``aggregate``: the inner product of the entity's daily counts with published daily totals less
  those of the reference (tracing by aggregates: Homer et al. 2008; Dwork et al. 2015).

The reference is cross-fitted inside the holdout: entities are halved at random, a row of half A is
compared with half B. Members are put into halves at random too. So members, non-members and
reference never share an entity: splitting by rows instead reads .985 on a useless table (measured).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import special

from synth_contracts.metrics.agreement import Agreement, Marks
from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.neighbours import Distances, Rows, Vectors, nearest, search
from synth_contracts.metrics.tails import mid_ranks

if TYPE_CHECKING:
    from synth_contracts.metrics.comparison import Comparison

#: Reference rows that an attacker averages over: one alone is a noisy density.
REFERENCE_NEIGHBOURS = 3
#: A density needs no exact neighbours, and members and non-members miss as many.
_REFERENCE_PROBES = 8
#: Up to this many pairs it has them all the same.
_REFERENCE_PAIRS = 400_000_000
#: Distances below this are equal to an attacker; a copy of a row in a void still ranks first.
_RESOLUTION = 1e-3
_DAY = 86_400
#: Days of the running mean that a day's total is compared with.
_WINDOW = 29
#: A closed day or a feast must not outweigh all others.
_FARTHEST = 2.0


@dataclass(frozen=True)
class Candidates:
    """Who the rows belong to.

    ``entity`` has shape (real rows,): members 0 .. members - 1, then non-members; ``synthetic``
    holds the entity codes of the synthetic rows in canonical order.
    """

    entity: Ints
    members: int
    others: int
    synthetic: Ints

    @property
    def entities(self) -> int:
        """Members and non-members together."""
        return self.members + self.others

    @classmethod
    def of(cls, train: Side, holdout: Side, synthetic: Side) -> Candidates:
        """The candidates of three sides."""
        entity = np.concatenate([train.entity, train.entities + holdout.entity])
        return cls(entity, train.entities, holdout.entities, synthetic.entity)


@dataclass(frozen=True)
class Nearby:
    """What the searches found for each real row, members first, then non-members.

    Attributes:
        near: distance to the nearest synthetic row, shape (rows,).
        synthetic_row: that row's number in the synthetic side's canonical order, shape (rows,).
        reference: mean distance to the attacker's REFERENCE_NEIGHBOURS nearest reference rows.
        cut: number of member rows.
        half: the half of each entity (members first), shape (entities,); a candidate's reference
            are the non-members of the other half.
        reference_rows: rows of the non-members in half False and in half True.
        agreement: agreement with the synthetic table beyond that with the attacker's reference,
            shape (rows,); None where it was not looked for.
        usual: agreement with the reference, likewise.
    """

    near: Floats
    synthetic_row: Ints
    reference: Floats
    cut: int
    half: npt.NDArray[np.bool_]
    reference_rows: tuple[int, int]
    agreement: Floats | None = None
    usual: Floats | None = None


@dataclass(frozen=True)
class Calendar:
    """Days since the first real day.

    ``day`` has shape (real rows,), -1 for a row without a time; ``published`` are the synthetic
    table's rows per day, shape (days,).
    """

    day: Ints
    published: Floats


def observe(
    train: Side,
    holdout: Side,
    vectors: tuple[Vectors, Vectors, Vectors],
    rng: np.random.Generator,
    real: Vectors | None = None,
    found: tuple[Distances, Rows] | None = None,
) -> Nearby:
    """The expensive searches over all rows of both sides; needs at least two holdout entities.

    ``real`` are the first two of ``vectors`` in one array, where there is one already; ``found``
    is what ``search`` finds of these in the third, where it is known.
    """
    members, others, synthetic = vectors
    if real is None:
        real = np.concatenate([members, others])
    near, rows = search(real, synthetic) if found is None else found
    half_of_others = sample(rng, holdout.entities, holdout.entities // 2)
    half_of_members = sample(rng, train.entities, train.entities // 2)
    rows_of_others = half_of_others[holdout.entity]
    half = np.concatenate([half_of_members[train.entity], rows_of_others])
    reference = np.empty(len(real))
    for side in (False, True):
        distances = nearest(
            real[half == side],
            others[rows_of_others != side],
            REFERENCE_NEIGHBOURS,
            probes=_REFERENCE_PROBES,
            exact=_REFERENCE_PAIRS,
        )
        known = np.isfinite(distances)
        # a reference of fewer rows than asked for is averaged over those that exist
        reference[half == side] = np.where(known, distances, 0).sum(axis=1) / known.sum(axis=1)
    return Nearby(
        near=near[:, 0],
        synthetic_row=rows[:, 0],
        reference=reference,
        cut=len(members),
        half=np.concatenate([half_of_members, half_of_others]),
        reference_rows=(int((~rows_of_others).sum()), int(rows_of_others.sum())),
    )


def agreeing(
    nearby: Nearby, candidates: Candidates, agreement: Agreement, synthetic: Marks
) -> Nearby:
    """``nearby`` with the agreement with ``synthetic``, beyond that with the reference."""
    usual = nearby.usual
    if usual is None:
        usual = np.zeros(agreement.real.rows)
        half = nearby.half[candidates.entity]
        others = np.arange(len(half)) >= nearby.cut
        for side in (False, True):
            reference = agreement.real.of(others & (half != side))
            usual += agreement.best(reference, among=half == side)
    return replace(nearby, agreement=agreement.best(synthetic) - usual, usual=usual)


def calibrated(nearby: Nearby) -> Floats:
    """Log of reference over synthetic distance of each real row, shape (rows,)."""
    ratio = np.log(nearby.reference + _RESOLUTION) - np.log(nearby.near + _RESOLUTION)
    return np.asarray(ratio)


def row_scores(nearby: Nearby) -> dict[str, Floats]:
    """Per attack the score of each real row, members first, shape (rows,) each.

    High scores tell members where rows were copied, and non-members where rows were avoided.
    """
    found = {"distance": -nearby.near, "calibrated": calibrated(nearby)}
    if nearby.agreement is not None:
        found["agreement"] = nearby.agreement
    return found


def entity_scores(
    nearby: Nearby, candidates: Candidates, calendar: Calendar | None
) -> dict[str, Floats]:
    """Per attack the score of each entity, members first, shape (entities,) each.

    ``aggregate`` is there with a calendar whose published totals meet the real days, and
    ``agreement`` where it was looked for.
    """
    ratio = calibrated(nearby)
    entity, entities = candidates.entity, candidates.entities
    root = np.sqrt(np.bincount(entity, minlength=entities))
    closest = np.full(entities, -np.inf)
    np.maximum.at(closest, entity, ratio)
    # by ranks: one row far from everything must not speak for the whole entity
    depth = special.ndtri((mid_ranks(-ratio) - 0.5) / len(ratio))
    found = {
        "link": _link(np.maximum(ratio, 0), nearby.synthetic_row, candidates) / root,
        "closest": closest,
        "hole": np.bincount(entity, weights=depth, minlength=entities) / root,
    }
    if nearby.agreement is not None:
        found["agreement"] = np.full(entities, -np.inf)
        np.maximum.at(found["agreement"], entity, nearby.agreement)
    if calendar is not None and calendar.published.sum() > 0 and (calendar.day >= 0).any():
        found["aggregate"] = _aggregate(nearby.half, candidates, calendar)
    return found


def isolated(nearby: Nearby, candidates: Candidates, count: float) -> tuple[Ints, Floats]:
    """The most isolated entities, ascending, and the score of each: members rather near.

    An entity is as isolated as its row that is farthest from the attacker's reference: neither
    the synthetic table nor train decides who is unusual. Its score is the mean calibrated score of
    its rows beyond the same cut.

    Args:
        nearby: what the searches found.
        candidates: whose rows they are.
        count: how many entities, members and non-members weighing as much as the smaller side.
    """
    entity, entities = candidates.entity, candidates.entities
    beyond = unusual(nearby, candidates, count)
    rows = np.bincount(entity[beyond], minlength=entities)
    total = np.bincount(entity[beyond], weights=calibrated(nearby)[beyond], minlength=entities)
    chosen = np.flatnonzero(rows)
    return chosen, total[chosen] / rows[chosen]


def unusual(nearby: Nearby, candidates: Candidates, count: float) -> npt.NDArray[np.bool_]:
    """Which real rows make their entities isolated; see :func:`isolated`. Shape (rows,)."""
    entity, entities = candidates.entity, candidates.entities
    isolation = np.zeros(entities)
    np.maximum.at(isolation, entity, nearby.reference)
    smaller = min(candidates.members, candidates.others)
    member = np.arange(entities) < candidates.members
    weight = np.where(member, smaller / candidates.members, smaller / candidates.others)
    order = np.argsort(-isolation, kind="stable")
    taken = int(np.searchsorted(np.cumsum(weight[order]), count * (1 - 1e-9))) + 1
    return np.asarray(nearby.reference >= isolation[order[:taken]].min())


def _link(given: Floats, synthetic_row: Ints, candidates: Candidates) -> Floats:
    """The largest sum of ``given`` that an entity gives to one synthetic entity."""
    holders = int(candidates.synthetic.max()) + 1
    pair = candidates.entity * holders + candidates.synthetic[synthetic_row]
    pairs, where = np.unique(pair, return_inverse=True)
    sums = np.bincount(where, weights=given)
    best = np.zeros(candidates.entities)
    np.maximum.at(best, pairs // holders, sums)
    return best


def _aggregate(half: npt.NDArray[np.bool_], candidates: Candidates, calendar: Calendar) -> Floats:
    """How much the entity's days look like a part of the published totals.

    A member adds x / n to the published shares of days: the log-likelihood ratio of two normal
    densities with weights W is then, up to a factor, x'W gap less half of x'Wx / n.
    """
    known = calendar.day >= 0
    entity, day = candidates.entity[known], calendar.day[known]
    days = len(calendar.published)
    score = np.zeros(candidates.entities)
    cell, times = np.unique(entity * days + day, return_counts=True)
    owner, at = cell // days, cell % days
    size = float(max((entity < candidates.members).sum(), 1))
    ours = Rest.of(calendar.published)
    for side in (False, True):
        apart = (entity >= candidates.members) & (half[entity] != side)
        totals = np.bincount(day[apart], minlength=days).astype(np.float64)
        if not totals.any():
            continue
        gap, weight = tracing(ours, Rest.of(totals))
        mine = half[owner] == side
        x, on = times[mine], at[mine]
        told = x * gap[on] - 0.5 * x**2 * weight[on] / size
        score += np.bincount(owner[mine], weights=told, minlength=candidates.entities)
    return score


@dataclass(frozen=True)
class Rest:
    """Daily totals: how many rows, shares of the days less trend and weekday, and these two."""

    rows: float
    share: Floats
    expected: Floats

    @classmethod
    def of(cls, totals: Floats) -> Rest:
        """Of rows per day, shape (days,), at least one row."""
        share = totals / totals.sum()
        # a running mean over WINDOW days, shorter at both ends
        kernel = np.ones(min(_WINDOW, len(share)))
        days = np.convolve(np.ones(len(share)), kernel, "same")
        trend = np.convolve(share, kernel, "same") / days
        weekday = np.arange(len(share)) % 7
        level = np.bincount(weekday, weights=trend)
        factor = np.bincount(weekday, weights=share) / np.where(level > 0, level, 1)
        expected = trend * factor[weekday]
        return cls(float(totals.sum()), share - expected, expected)


def tracing(published: Rest, totals: Rest) -> tuple[Floats, Floats]:
    """Weighted gap between published and reference totals per day, and the weights.

    Both are shares of days less what trend and weekday tell; what the reference explains of the
    published rest is taken out by regression (a day on which everybody shopped tells nothing), and
    single days count up to _FARTHEST standard errors.

    Args:
        published: of the synthetic table.
        totals: of the reference.
    """
    rows = totals.rows
    # half a row keeps a day that nobody used from weighing infinitely
    weight = 1 / ((published.expected + totals.expected) / 2 + 0.5 / rows)
    most = _FARTHEST / np.sqrt(weight * rows)
    ours = np.minimum(np.maximum(published.share, -most), most)
    theirs = np.minimum(np.maximum(totals.share, -most), most)
    power = float(weight @ theirs**2)
    slope = np.clip(float(weight @ (ours * theirs)) / power, 0, 1) if power > 0 else 0.0
    return (ours - slope * theirs) * weight, weight


def calendar_of(comparison: Comparison) -> Calendar | None:
    """Days of all real rows and published totals; None without a time index or a known time."""
    name = comparison.schema.roles.time_index
    if name is None or name not in comparison.train_side.columns:
        return None
    sides = (comparison.train_side, comparison.holdout_side, comparison.synthetic_side)
    days = []
    for side in sides:
        times = side.frame[name].to_numpy(dtype="datetime64[ns]")
        day = times.astype("datetime64[s]").view(np.int64) // _DAY
        days.append(np.where(np.isnat(times), np.iinfo(np.int64).min, day))
    real = np.concatenate(days[:2])
    known = real > np.iinfo(np.int64).min
    if not known.any():
        return None
    first, last = int(real[known].min()), int(real[known].max())
    inside = days[2][(days[2] >= first) & (days[2] <= last)] - first
    published = np.bincount(inside, minlength=last - first + 1).astype(np.float64)
    return Calendar(np.where(known, real - first, -1), published)
