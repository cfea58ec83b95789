"""Membership attacks: what an attacker with real records and the synthetic table believes.

Every attack is a score per candidate, members (train) first, then non-members (holdout); higher
means: rather a member. The searches are dear and done once (:func:`observe`); the scores are pure
and cheap functions of what was found, so they can be had again for a table in which rows were
planted, by changing ``near`` and ``synthetic_row`` alone.

Rows, in both directions, since a hole around a real row is a leak too:

- ``distance``: the nearer the nearest synthetic row, the more probably a member.
- ``calibrated``, ``calibrated_hole``: log of the distance to the attacker's reference over the
  distance to the synthetic table, large or small. The reference (other real rows) tells rows that
  are near everything from rows that are near a copy (difficulty calibration: Watson et al. 2022,
  arXiv 2111.08440).

Entities:

- ``link``: each row gives its positive calibrated score to the synthetic entity that holds its
  nearest synthetic row; the largest sum, divided by the root of the number of rows.
- ``closest``: the best calibrated score of a row, so that one copied row among sixty is seen.
- ``hole``: the mean of the negative calibrated scores.
- ``aggregate``: the inner product of the entity's daily counts with published daily totals less
  those of the reference (tracing by aggregates: Homer et al. 2008; Dwork et al. 2015).

The reference is cross-fitted inside the holdout: entities are halved at random, a row of half A is
compared with half B. Members are put into halves at random too. So members, non-members and
reference never share an entity: splitting by rows instead reads .985 on a useless table (measured).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.neighbours import Vectors, nearest, search

if TYPE_CHECKING:
    from synth_contracts.metrics.comparison import Comparison

#: Reference rows that an attacker averages over: one alone is a noisy density.
REFERENCE_NEIGHBOURS = 3
#: A density needs no exact neighbours, and members and non-members miss as many.
_REFERENCE_PROBES = 8
#: Distances below this are equal to an attacker; a copy of a row in a void still ranks first.
_RESOLUTION = 1e-3
_DAY = 86_400


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
    """

    near: Floats
    synthetic_row: Ints
    reference: Floats
    cut: int
    half: npt.NDArray[np.bool_]
    reference_rows: tuple[int, int]


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
) -> Nearby:
    """The expensive searches over all rows of both sides; needs at least two holdout entities."""
    members, others, synthetic = vectors
    real = np.concatenate([members, others])
    near, rows = search(real, synthetic)
    half_of_others = sample(rng, holdout.entities, holdout.entities // 2)
    half_of_members = sample(rng, train.entities, train.entities // 2)
    rows_of_others = half_of_others[holdout.entity]
    half = np.concatenate([half_of_members[train.entity], rows_of_others])
    reference = np.empty(len(real))
    for side in (False, True):
        found = nearest(
            real[half == side],
            others[rows_of_others != side],
            REFERENCE_NEIGHBOURS,
            probes=_REFERENCE_PROBES,
        )
        known = np.isfinite(found)
        # a reference of fewer rows than asked for is averaged over those that exist
        reference[half == side] = np.where(known, found, 0).sum(axis=1) / known.sum(axis=1)
    return Nearby(
        near=near[:, 0],
        synthetic_row=rows[:, 0],
        reference=reference,
        cut=len(members),
        half=np.concatenate([half_of_members, half_of_others]),
        reference_rows=(int((~rows_of_others).sum()), int(rows_of_others.sum())),
    )


def calibrated(nearby: Nearby) -> Floats:
    """Log of reference over synthetic distance of each real row, shape (rows,)."""
    ratio = np.log(nearby.reference + _RESOLUTION) - np.log(nearby.near + _RESOLUTION)
    return np.asarray(ratio)


def row_scores(nearby: Nearby) -> dict[str, Floats]:
    """Per attack the score of each real row, members first, shape (rows,) each."""
    ratio = calibrated(nearby)
    return {
        "distance": -nearby.near,
        "calibrated": ratio,
        "calibrated_hole": -ratio,
    }


def entity_scores(
    nearby: Nearby, candidates: Candidates, calendar: Calendar | None
) -> dict[str, Floats]:
    """Per attack the score of each entity, members first, shape (entities,) each.

    ``aggregate`` is there with a calendar whose published totals meet the real days.
    """
    ratio = calibrated(nearby)
    entity, entities = candidates.entity, candidates.entities
    rows = np.bincount(entity, minlength=entities)
    closest = np.full(entities, -np.inf)
    np.maximum.at(closest, entity, ratio)
    found = {
        "link": _link(np.maximum(ratio, 0), nearby.synthetic_row, candidates) / np.sqrt(rows),
        "closest": closest,
        "hole": np.bincount(entity, weights=np.maximum(-ratio, 0), minlength=entities) / rows,
    }
    if calendar is not None and calendar.published.sum() > 0 and (calendar.day >= 0).any():
        found["aggregate"] = _aggregate(nearby.half, candidates, calendar)
    return found


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
    """Log-likelihood ratio that the entity's rows are part of the published totals.

    Shares of days are compared, each day weighted by 1 / its expected variance. Under membership
    the entity adds its own counts x / N to the published shares; the ratio of two normal
    densities is x'W(published - reference) less half of x'Wx / N.
    """
    known = calendar.day >= 0
    entity, day = candidates.entity[known], calendar.day[known]
    days = len(calendar.published)
    published = calendar.published / calendar.published.sum()
    score = np.zeros(candidates.entities)
    cell, times = np.unique(entity * days + day, return_counts=True)
    owner, at = cell // days, cell % days
    size = float(max((entity < candidates.members).sum(), 1))
    for side in (False, True):
        apart = (entity >= candidates.members) & (half[entity] != side)
        totals = np.bincount(day[apart], minlength=days).astype(np.float64)
        if not totals.any():
            continue
        reference = totals / totals.sum()
        # half a row keeps a day that nobody used from weighing infinitely
        weight = 1 / (published + reference + 0.5 / totals.sum())
        gap = (published - reference) * weight
        mine = half[owner] == side
        score += np.bincount(
            owner[mine],
            weights=times[mine] * gap[at[mine]] - 0.5 * times[mine] ** 2 * weight[at[mine]] / size,
            minlength=candidates.entities,
        )
    return score


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
