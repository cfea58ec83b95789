"""Membership attacks on rows: what an attacker with a real row and the synthetic table believes.

Both look at the near side only: a member's row is expected to have a synthetic row unusually near.

- ``distance``: the nearer the nearest synthetic row, the more probably a member.
- ``calibrated``: log of the distance to the attacker's reference over the distance to the
  synthetic table. The reference (other real rows) tells rows that are near everything from rows
  that are near a copy (difficulty calibration: Watson et al. 2022, arXiv 2111.08440).

The reference is cross-fitted inside the holdout: entities are halved at random, a row of half A is
compared with half B. Members are put into halves at random too. So members, non-members and
reference never share an entity: splitting by rows instead reads .985 on a useless table (measured).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synth_contracts.metrics.cells import Floats, Side
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.neighbours import Vectors, nearest

#: Reference rows that an attacker averages over: one alone is a noisy density.
REFERENCE_NEIGHBOURS = 3
#: A density needs no exact neighbours, and members and non-members miss as many.
_REFERENCE_PROBES = 8
#: Distances below this are equal to an attacker; a copy of a row in a void still ranks first.
_RESOLUTION = 1e-3


@dataclass(frozen=True)
class Scores:
    """Per attack the scores of the rows of train and of holdout; higher: rather a member."""

    members: Mapping[str, Floats]
    others: Mapping[str, Floats]
    reference_rows: tuple[int, int]


def score(
    train: Side,
    holdout: Side,
    vectors: tuple[Vectors, Vectors, Vectors],
    rng: np.random.Generator,
) -> Scores:
    """Attack scores of all rows of both sides; needs at least two holdout entities."""
    members, others, synthetic = vectors
    real = np.concatenate([members, others])
    near = nearest(real, synthetic)[:, 0]
    half_of_others = sample(rng, holdout.entities, holdout.entities // 2)[holdout.entity]
    half_of_members = sample(rng, train.entities, train.entities // 2)[train.entity]
    half = np.concatenate([half_of_members, half_of_others])
    reference = np.empty(len(real))
    for side in (False, True):
        found = nearest(
            real[half == side],
            others[half_of_others != side],
            REFERENCE_NEIGHBOURS,
            probes=_REFERENCE_PROBES,
        )
        reference[half == side] = np.mean(found, axis=1)
    believed = {
        "distance": -near,
        "calibrated": np.log(reference + _RESOLUTION) - np.log(near + _RESOLUTION),
    }
    cut = len(members)
    return Scores(
        members={name: values[:cut] for name, values in believed.items()},
        others={name: values[cut:] for name, values in believed.items()},
        reference_rows=(int((~half_of_others).sum()), int(half_of_others.sum())),
    )
