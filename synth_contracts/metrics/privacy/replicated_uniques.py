"""replicated_uniques: real entities that are unique and stay unique in the synthetic table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.metrics import cells
from synth_contracts.metrics.cells import Ints, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import normal, sample
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows, need_split

ID = "replicated_uniques"
#: How often the larger of train and holdout is sampled down.
SAMPLES = 8


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Excess share, -1 .. 1, of real entities whose unique combination is unique in synthetic.

    A combination of quasi-identifiers is unique on a side when exactly one entity there holds it,
    in however many rows. An entity counts once when any of its combinations is unique on its own
    side and unique in the synthetic table. Denominator: all entities of the side. The value is the
    share among train entities minus that among equally many holdout entities (Raab, Nowok, Dibben
    2024, arXiv 2406.16826, for the share; the excess is an extension).

    Raises:
        CannotMeasure: no released quasi-identifier, an empty table, entities in train and holdout,
            or fewer than two entities a side.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_split(comparison)
    candidate, kept = _candidate(comparison)
    roles = comparison.schema.roles
    features = {field.name: field for field in comparison.schema.features}
    fields = tuple(features[name] for name in roles.quasi_identifiers if name in features)
    if not fields:
        raise CannotMeasure("no quasi-identifier is released")
    frames = (comparison.train, comparison.holdout, candidate)
    train, holdout, synthetic = (
        _Pairs.of(side) for side in cells.sides(frames, fields, roles.entity_key)
    )
    size = min(train.entities, holdout.entities)
    if size < 2:
        raise CannotMeasure("one entity on a side is unique whatever it holds")
    alone = synthetic.unique(None)
    once = 1 if train.entities == holdout.entities else SAMPLES
    shares = []
    for side, label in ((train, "train"), (holdout, "holdout")):
        rng = comparison.rng(f"{ID} {label}")
        found = [
            side.replicated(alone, sample(rng, side.entities, size)).sum() / size
            for _ in range(once)
        ]
        shares.append(float(np.mean(found)))
    value = shares[0] - shares[1]
    raw = train.replicated(alone, None)
    return Measurement(
        metric=ID,
        value=value,
        n=size,
        unit="real entities a side",
        direction="lower_is_better",
        method=f"share of {size} train entities unique on {len(fields)} quasi-identifiers and "
        f"replicated as unique, minus that of {size} holdout entities; candidate "
        + ("before recoding" if kept else "as released, since no rows from before recoding exist")
        + "; limits of a difference of two shares of entities (Agresti, Caffo 2000)",
        compared_with="an equal number of holdout entities",
        **limits(normal(value, _variance(shares, size), lowest=-1, highest=1)),
        details={
            "raw": float(raw.mean()),
            "replicated_entities": int(raw.sum()),
            "train_entities": train.entities,
            "share_at_equal_size_train": shares[0],
            "share_at_equal_size_holdout": shares[1],
            "unique_train_entities": float(train.any_of(train.unique(None)).mean()),
            "before_recoding": kept,
        },
    )


def _candidate(comparison: Comparison) -> tuple[pd.DataFrame, bool]:
    """The candidate to look at, and whether it is the one from before recoding."""
    found = comparison.uncoarsened
    if found is None:
        return comparison.synthetic, False
    roles = comparison.schema.roles
    released = {field.name for field in comparison.schema.features}
    needed = {name for name in roles.quasi_identifiers if name in released}
    needed |= {roles.entity_key} if roles.entity_key else set()
    missing = sorted(needed - set(found.columns))
    if missing or not len(found):
        raise CannotMeasure(
            "the candidate from before recoding lacks "
            + (f"the columns {', '.join(missing)}" if missing else "rows")
        )
    return found, True


@dataclass(frozen=True)
class _Pairs:
    """Which entity holds which combination, each pair once.

    ``combination`` and ``entity`` have shape (pairs,). A combination is named by a 64-bit hash of
    its typed cells.
    """

    combination: npt.NDArray[np.uint64]
    entity: Ints
    entities: int

    @classmethod
    def of(cls, side: Side) -> _Pairs:
        frame = pd.DataFrame({"combination": side.rows_hash, "entity": side.entity})
        pairs = frame.drop_duplicates().sort_values(["combination", "entity"])
        return cls(pairs["combination"].to_numpy(), pairs["entity"].to_numpy(), side.entities)

    def unique(self, chosen: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.uint64]:
        """Combinations that exactly one of the chosen entities holds, sorted."""
        held = self.combination if chosen is None else self.combination[chosen[self.entity]]
        values, counts = np.unique(held, return_counts=True)
        return np.asarray(values[counts == 1])

    def any_of(
        self, combinations: npt.NDArray[np.uint64], chosen: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Entities (of the chosen) that hold any of the combinations, shape (entities,)."""
        hit = np.isin(self.combination, combinations)
        if chosen is not None:
            hit &= chosen[self.entity]
        found = np.zeros(self.entities, dtype=bool)
        found[self.entity[hit]] = True
        return found

    def replicated(
        self, alone: npt.NDArray[np.uint64], chosen: npt.NDArray[np.bool_] | None
    ) -> npt.NDArray[np.bool_]:
        """Chosen entities with a combination unique among the chosen and one of ``alone``."""
        return self.any_of(np.intersect1d(self.unique(chosen), alone), chosen)


def _variance(shares: list[float], size: int) -> float:
    """Variance of a difference of two shares of ``size`` entities each.

    One entity of each answer is added per side, since a share of 0 in a sample is no certainty.
    An entity counts once, whatever its rows: this is clustered already, and random halves of the
    entities would give the same but for the entity added.
    """
    moved = [(share * size + 1) / (size + 2) for share in shares]
    return sum(share * (1 - share) / (size + 2) for share in moved)
