"""A pool of plants that grows as larger doses are asked for, and who is planted in which copy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from synth_contracts.metrics.cells import Ints
from synth_contracts.metrics.controls.bookkeeping import Copy, agreeing, copy_with
from synth_contracts.metrics.controls.plants import Among, Leak, Plants, Train, make, pool
from synth_contracts.metrics.controls.reach import Reach, Targets

#: Pools in units; doses go up to four fifths of one, so that copies still differ.
_STAGES = (20, 40, 64, 250, 640)
_USED = 0.8
#: Planted rows at most: whole entities may be long.
MOST_ROWS = 15_000


class Growing:
    """Copies of one candidate with leaks of one kind, in replicates that are nested over doses.

    Args:
        train: the candidate's, ready to be planted from.
        targets: its real rows, ready to be searched.
        kind: what is planted.
        among: from whom.
        replicates: how many independent choices.
    """

    def __init__(
        self, train: Train, targets: Targets, kind: Leak, among: Among, replicates: int
    ) -> None:
        self._train, self._targets, comparison = train, targets, train.comparison
        self._kind, self._among = kind, among
        entities = pool(train, among, _STAGES[-1])
        if kind == "whole_entities":
            entities = entities[np.cumsum(train.sizes[entities]) <= MOST_ROWS]
        self._entities = entities
        self._rngs = [
            comparison.rng(f"planted {kind} {among} {number}") for number in range(replicates)
        ]
        self._plants = make(train, kind, among, entities[: _STAGES[0]])
        self._reach = targets.reached(self._plants.vectors)
        self._agree = agreeing(comparison, self._plants)
        self._orders: list[Ints] = [np.empty(0, dtype=np.int64) for _ in self._rngs]
        self._draw()

    @property
    def largest(self) -> int:
        """The largest dose that there are entities for."""
        return int(_USED * len(self._entities))

    def copies(self, dose: int) -> Iterator[Copy]:
        """One copy per replicate with ``dose`` units (at most ``largest``), made when asked for.

        A replicate's copy of a larger dose holds the units of its smaller ones.
        """
        while min(len(order) for order in self._orders) < dose:
            self._grow()
        for order in self._orders:
            yield copy_with(self._plants, self._reach, self._agree, order[:dose])

    def _grow(self) -> None:
        held = self._plants.units
        size = next((n for n in _STAGES if n > held), _STAGES[-1])
        more = make(self._train, self._kind, self._among, self._entities[held:size], f"from {held}")
        self._reach = _joined_reach(self._reach, self._targets.reached(more.vectors))
        self._agree = _joined_reach(self._agree, agreeing(self._train.comparison, more))
        self._plants = _joined_plants(self._plants, more)
        self._draw()

    def _draw(self) -> None:
        used = int(_USED * self._plants.units)
        for number, (rng, order) in enumerate(zip(self._rngs, self._orders, strict=True)):
            left = np.setdiff1d(np.arange(self._plants.units), order)
            self._orders[number] = np.concatenate([order, rng.permutation(left)])[:used]


def _joined_plants(one: Plants, two: Plants) -> Plants:
    return Plants(
        frame=pd.concat([one.frame, two.frame], ignore_index=True),
        vectors=np.concatenate([one.vectors, two.vectors]),
        source=np.concatenate([one.source, two.source]),
        start=np.concatenate([one.start, one.start[-1] + two.start[1:]]),
    )


def _joined_reach(one: Reach, two: Reach) -> Reach:
    return Reach(
        real=np.concatenate([one.real, two.real]),
        distance=np.concatenate([one.distance, two.distance]),
        start=np.concatenate([one.start, one.start[-1] + two.start[1:]]),
    )
