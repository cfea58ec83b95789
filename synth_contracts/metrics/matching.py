"""Train, holdout and synthetic brought to the same number of entities, raw and coarsened.

How much coarsening takes away depends on how many entities a table holds, and so does every
distance between tables: fidelity is read on equal numbers of entities, through the same glasses
(docs/adr/0004).
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """The protected view of each side; the sides as they are without (an active) coarsening.

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
    train, holdout, synthetic = (
        Matched(coarsening.view(side.frame, side.entity, schema), side.entity, side.entities)
        for side in three
    )
    return train, holdout, synthetic
