"""identical_match: share of synthetic rows that are a train row, beyond coincidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import clustered_variance, normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import limits, need_features, need_rows, need_split

ID = "identical_match"


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Excess share in -1 .. 1 of synthetic rows equal to a train row in every typed feature.

    Both sides are compared at the same number of entities: for each synthetic row the chance that
    a random choice of that many entities holds it (hypergeometric, the mean over all choices),
    train minus holdout. Where train is the larger side, the excess is brought back to all of train,
    and never exceeds the plain share of matches.

    Raises:
        CannotMeasure: an empty table, no feature, or entities in train and holdout.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    train, holdout, synthetic = (
        comparison.train_side, comparison.holdout_side, comparison.synthetic_side,
    )  # fmt: skip
    size = min(train.entities, holdout.entities)
    distinct, row = np.unique(synthetic.rows_hash, return_inverse=True)
    copies = np.bincount(row, minlength=len(distinct)).astype(np.float64)
    ours = Holders.of(train, distinct, size)
    theirs = Holders.of(holdout, distinct, size)
    scale = train.entities / size
    contribution = (ours.chance - theirs.chance)[row] * scale
    plain = float(np.mean((ours.holders > 0)[row]))
    excess = float(np.mean(contribution))
    variance = clustered_variance((contribution - excess) / synthetic.rows, synthetic.entity)
    # the real entities are a sample too: each carries its part of the matches it makes
    for held in (ours, theirs):
        variance += held.variance(copies * scale / synthetic.rows)
    return Measurement(
        metric=ID,
        value=min(excess, plain),
        n=synthetic.rows,
        unit="synthetic rows",
        direction="lower_is_better",
        method=f"matches in {size} train entities minus matches in {size} holdout entities, "
        "expectation over all choices of entities, times train's entities over the chosen; "
        "variance clustered by synthetic and by real entity",
        compared_with="an equal number of holdout entities",
        **limits(normal(min(excess, plain), variance, lowest=-1, highest=1)),
        details={
            "share_equal_to_train": plain,
            "share_equal_to_holdout": float(np.mean((theirs.holders > 0)[row])),
            "share_at_equal_size_train": float(np.mean(ours.chance[row])),
            "share_at_equal_size_holdout": float(np.mean(theirs.chance[row])),
            "columns": len(synthetic.columns),
        },
    )


@dataclass(frozen=True)
class Holders:
    """Which entities of one side hold which distinct synthetic row.

    ``holders`` and ``chance`` have shape (distinct rows,): the number of entities that hold it and
    the chance that a choice of ``size`` entities does. ``pair_row``, ``pair_entity``: the pairs.
    """

    holders: Ints
    chance: Floats
    pair_row: Ints
    pair_entity: Ints
    entities: int

    @classmethod
    def of(cls, side: Side, distinct: npt.NDArray[np.uint64], size: int) -> Holders:
        """Holders of the ``distinct`` row hashes, ascending, when ``size`` entities are chosen."""
        place = np.searchsorted(distinct, side.rows_hash)
        place = np.minimum(place, len(distinct) - 1)
        held = distinct[place] == side.rows_hash
        pairs = np.unique(place[held] * side.entities + side.entity[held])
        row, entity = pairs // side.entities, pairs % side.entities
        holders = np.bincount(row, minlength=len(distinct)).astype(np.int64)
        return cls(holders, _chance(holders, side.entities, size), row, entity, side.entities)

    def variance(self, weight: Floats) -> float:
        """Variance of sum(weight * chance) from which entities happen to be on this side."""
        if self.entities < 2:
            return float("inf")
        part = (weight * self.chance)[self.pair_row] / self.holders[self.pair_row]
        sums = np.bincount(self.pair_entity, weights=part, minlength=self.entities)
        return float(np.sum((sums - sums.mean()) ** 2) * self.entities / (self.entities - 1))


def _chance(holders: Ints, entities: int, size: int) -> Floats:
    """1 - C(entities - holders, size) / C(entities, size), shape of ``holders``."""
    left = np.maximum(entities - holders - size, -1).astype(np.float64)
    none = np.where(
        left < 0,
        0.0,
        np.exp(
            gammaln(entities - holders + 1.0) - gammaln(np.maximum(left, 0) + 1)
            + gammaln(entities - size + 1.0) - gammaln(entities + 1.0)
        ),
    )  # fmt: skip
    return np.asarray(np.where(holders == 0, 0.0, 1 - none), dtype=np.float64)
