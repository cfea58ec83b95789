"""Train, holdout and synthetic brought to the same number of entities, raw and coarsened.

How much coarsening takes away depends on how many entities a table holds, and so does every
distance between tables: fidelity is read on equal numbers of entities, coarsened by one and the
same rule (docs/adr/0004).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synth_contracts.coarsening import Coarsening
from synth_contracts.metrics.cells import Ints, Side
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.results import CannotMeasure
from synth_contracts.tables import TableSchema

#: How often the larger sides are sampled down; every reading is the mean over these.
REPEATS = 4


@dataclass(frozen=True)
class Matched:
    """One side cut to the common number of entities.

    ``frame`` holds the features (no keys) sorted by name, in canonical row order; ``entity`` has
    shape (rows,) with codes 0 .. entities - 1.
    """

    frame: pd.DataFrame
    entity: Ints
    entities: int


Three = tuple[Matched, Matched, Matched]


def repeats(sides: tuple[Side, ...]) -> int:
    """1 where all sides hold equally many entities already, else REPEATS."""
    return 1 if len({side.entities for side in sides}) == 1 else REPEATS


def matched(sides: tuple[Side, ...], schema: TableSchema, rng: np.random.Generator) -> Three:
    """Train, holdout and synthetic with as many entities each as the smallest of them has."""
    size = min(side.entities for side in sides)
    names = sorted(field.name for field in schema.features)
    train, holdout, synthetic = (_cut(side, names, sample(rng, side.entities, size))
                                 for side in sides)  # fmt: skip
    return train, holdout, synthetic


def _cut(side: Side, names: list[str], chosen: np.ndarray) -> Matched:
    if chosen.all():
        return Matched(side.frame[names], side.entity, side.entities)
    kept = chosen[side.entity]
    code = np.cumsum(chosen) - 1
    frame = side.frame.loc[kept, names].reset_index(drop=True)
    return Matched(frame, code[side.entity[kept]].astype(np.int64), int(chosen.sum()))


def protected(three: Three, coarsening: Coarsening | None, schema: TableSchema) -> Three:
    """The three sides coarsened as one table, with 3k for k; as they are without a coarsening.

    Coarsened apart, each side merges what is rare in its own sample, and even two real tables are
    told apart by that: a classifier reads .58 to .60 on two thirds of the baskets.

    Raises:
        CannotMeasure: fewer than 2k entities a side, where a view may have one class only and
            would find every table alike.
    """
    if coarsening is None or not coarsening.on:
        return three
    if three[0].entities < 2 * coarsening.k:
        raise CannotMeasure(
            f"{three[0].entities} entities a side are fewer than two groups of k = {coarsening.k}: "
            "coarsened, every table would look alike"
        )
    size = three[0].entities
    whole = pd.concat([side.frame for side in three], ignore_index=True)
    entity = np.concatenate([side.entity + i * size for i, side in enumerate(three)])
    view = replace(coarsening, k=3 * coarsening.k).view(whole, entity, schema)
    ends = np.cumsum([0, *(len(side.frame) for side in three)])
    train, holdout, synthetic = (
        Matched(view.iloc[a:b].reset_index(drop=True), side.entity, side.entities)
        for side, a, b in zip(three, ends[:-1], ends[1:], strict=True)
    )
    return train, holdout, synthetic
