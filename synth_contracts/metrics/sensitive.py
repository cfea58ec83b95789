"""Sensitive columns within classes of the quasi-identifiers, for the metrics that read both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics import cells, distributions
from synth_contracts.metrics.cells import Floats, Hashes, Ints, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.results import CannotMeasure
from synth_contracts.tables import CATEGORICAL

#: Most bins of a numeric or time column; nulls are a level of their own beside them.
BINS = 10


@dataclass(frozen=True)
class Columns:
    """Released quasi-identifiers, sensitive columns to look at, and sensitive ones left out."""

    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    left_out: tuple[str, ...]


def columns(comparison: Comparison) -> Columns:
    """The columns that the roles name.

    A sensitive column that is a quasi-identifier too is known to the attacker already, and one that
    is a key, or is not released, cannot be learned from the table: both are left out.

    Raises:
        CannotMeasure: no released quasi-identifier, or no sensitive column left.
    """
    roles = comparison.schema.roles
    released = {field.name for field in comparison.schema.features}
    quasi = tuple(name for name in roles.quasi_identifiers if name in released)
    if not quasi:
        raise CannotMeasure("no quasi-identifier is released")
    if not roles.sensitive:
        raise CannotMeasure("no column is declared sensitive")
    wanted = tuple(name for name in roles.sensitive if name in released and name not in quasi)
    left_out = tuple(name for name in roles.sensitive if name not in wanted)
    if not wanted:
        raise CannotMeasure(
            f"the sensitive columns {', '.join(left_out)} are quasi-identifiers, keys or not "
            "released"
        )
    return Columns(quasi, wanted, left_out)


def is_category(comparison: Comparison, name: str) -> bool:
    """Whether values of the column are compared for equality only."""
    return comparison.schema.field(name).kind in CATEGORICAL


def weights(entity: Ints) -> Floats:
    """1 / rows of the row's entity, shape (rows,): the rows of an entity share its weight of 1."""
    return 1.0 / np.bincount(entity)[entity]


def cuts(values: Floats, weight: Floats) -> Floats:
    """Upper ends of quantile bins but the last, ascending; equal values share a bin.

    At most BINS bins of equal weight; as many bins as values where there are no more values than
    that. A cut is a value that occurs: nothing is interpolated, so infinities are fine.

    Args:
        values: shape (rows,); NaN is null and left out.
        weight: shape (rows,), > 0.
    """
    known = ~np.isnan(values)
    order = np.argsort(values[known], kind="stable")
    ordered, mass = values[known][order], np.cumsum(weight[known][order])
    if not len(ordered):
        return np.empty(0)
    distinct = np.unique(ordered)
    if len(distinct) <= BINS:
        return distinct[:-1]
    # a hair below: a tenth of the weight must not miss its value by rounding
    goals = np.arange(1, BINS) / BINS * mass[-1] * (1 - 1e-12)
    return np.unique(ordered[np.searchsorted(mass, goals)])


def levels(comparison: Comparison, side: Side, name: str, ends: Floats | None) -> Ints:
    """Levels of a column, shape (rows,), -1 for null: bins where ``ends`` are given.

    Levels of a category mean the same value on all sides, and so do bins of the same ends.
    """
    if ends is None:
        return side.cell(name)
    values = distributions.numbers(side, name, comparison)
    found = np.searchsorted(ends, values, "left").astype(np.int64)
    return np.where(np.isnan(values), -1, found)


def class_hashes(side: Side, names: Sequence[str]) -> Hashes:
    """One number for each row's combination of values, shape (rows,), the same on all sides."""
    found = np.zeros(side.rows, dtype=np.uint64)
    for name in names:
        found += cells.mix(side.cell(name).astype(np.uint64) ^ np.uint64(cells.text_seed(name)))
    return found


def class_codes(side: Side, names: Sequence[str]) -> Ints:
    """Codes 0 .. classes - 1 of the combinations of values, shape (rows,)."""
    return np.unique(class_hashes(side, names), return_inverse=True)[1].astype(np.int64)


def entities_per_class(codes: Ints, entity: Ints) -> Ints:
    """Number of entities of each class, shape (classes,)."""
    width = int(entity.max()) + 1
    return np.bincount(np.unique(codes * width + entity) // width).astype(np.int64)


@dataclass(frozen=True)
class Part:
    """Some entities of a side: a mask of its rows, and of those rows class and entity codes."""

    side: Side
    rows: npt.NDArray[np.bool_]
    codes: Ints
    entity: Ints
    entities: int


def equal_parts(comparison: Comparison, label: str, quasi: Sequence[str]) -> dict[str, Part]:
    """Train and holdout, each cut to as many entities as the smallest of the three tables has.

    How small classes are depends on how many entities a table holds. Empty where a table is empty.
    """
    real = {"train": comparison.train_side, "holdout": comparison.holdout_side}
    size = min(side.entities for side in (*real.values(), comparison.synthetic_side))
    if not size:
        return {}
    rng = comparison.rng(label)
    found = {}
    for name, side in real.items():
        rows = sample(rng, side.entities, size)[side.entity]
        codes = np.unique(class_hashes(side, quasi)[rows], return_inverse=True)[1]
        entity = np.unique(side.entity[rows], return_inverse=True)[1]
        found[name] = Part(side, rows, codes.astype(np.int64), entity.astype(np.int64), size)
    return found
