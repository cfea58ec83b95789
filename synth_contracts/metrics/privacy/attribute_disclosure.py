"""attribute_disclosure: real entities whose look-alikes give a sensitive value away, rightly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from synth_contracts.metrics import cells, distributions, sensitive
from synth_contracts.metrics.cells import Floats, Hashes, Ints, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import Interval
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows, need_split

ID = "attribute_disclosure"
#: Share of real rows, entities weighted equally, from which a value is anybody's guess.
COMMON = 0.95
#: Entities, of both sides together, from which what one quasi-identifier says is common knowledge.
KNOWN = 50

Mask = npt.NDArray[np.bool_]


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Excess share, -1 .. 1, of real entities for whom the released table names a value, rightly.

    The table names a value for a row when all synthetic rows with its combination of
    quasi-identifiers hold one and the same sensitive value, and rightly when that is the row's own.
    An entity counts once, when any of its rows does. The value is the share among train entities
    minus that among holdout entities, of the sensitive column with the largest difference (DiSCO:
    Raab, Nowok, Dibben 2024, arXiv 2406.16826, for the share; the excess is an extension). What
    anybody would guess (:func:`_trivial`) is counted apart.

    Both shares are of all entities of their side. Whether an entity is disclosed depends on itself
    and on the synthetic table alone, so that, unlike uniqueness, the share does not change with the
    number of entities, and sampling the larger side down would only add noise.

    Raises:
        CannotMeasure: no released quasi-identifier, no sensitive column, an empty table, entities
            in train and holdout, or fewer than two entities a side.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_split(comparison)
    columns = sensitive.columns(comparison)
    train, holdout = comparison.train_side, comparison.holdout_side
    sizes = train.entities, holdout.entities
    if min(sizes) < 2:
        raise CannotMeasure("one entity on a side has no share")
    classes = _Classes.of(comparison, columns.quasi)
    found: dict[str, dict[str, Any]] = {}
    for name in columns.sensitive:
        ends = _ends(comparison, name)
        levels = [
            sensitive.levels(comparison, side, name, ends)
            for side in (train, holdout, comparison.synthetic_side)
        ]
        trivial = _trivial(comparison, columns.quasi, levels[:2])
        named = classes.named(levels[2])
        column: dict[str, Any] = {"bins": None if ends is None else len(ends) + 1}
        for i, (label, side) in enumerate((("train", train), ("holdout", holdout))):
            hit = classes.rightly(i, named, levels[i])
            column[f"raw_{label}"] = _share(side, hit)
            column[f"trivial_{label}"] = _share(side, hit & trivial[i])
            column[label] = _share(side, hit & ~trivial[i])
        column["value"] = column["train"] - column["holdout"]
        column["classes_with_one_value"] = int((named > -2).sum())
        found[name] = column
    worst = max(found.values(), key=lambda column: column["value"])
    looked = len(columns.sensitive)
    return Measurement(
        metric=ID,
        value=worst["value"],
        n=sum(sizes),
        unit="real entities",
        direction="lower_is_better",
        method=f"share of {sizes[0]} train entities whose class on {len(columns.quasi)} "
        f"quasi-identifiers holds one sensitive value in the synthetic table as released, and that "
        f"is theirs, minus that of {sizes[1]} holdout entities; worst of {looked} sensitive "
        f"columns, numbers and times in at most {sensitive.BINS} quantile bins; limits of a "
        "difference of two shares of entities (Agresti, Caffo 2000) at levels divided by "
        f"{looked}",
        compared_with="holdout entities",
        **limits(_interval(worst, sizes, looked)),
        details={
            "raw": worst["raw_train"],
            "trivial": worst["trivial_train"],
            "columns": found,
            "classes": len(classes.starts),
            "train_entities_with_look_alikes": classes.met(train, 0),
            "holdout_entities_with_look_alikes": classes.met(holdout, 1),
            "left_out": list(columns.left_out),
        },
    )


@dataclass(frozen=True)
class _Classes:
    """The synthetic table's classes, and which of them each real row falls into.

    ``order`` sorts the synthetic rows by class and ``starts`` says where a class begins. ``at``
    holds the class of each row of train and of holdout, -1 where there is none.
    """

    order: Ints
    starts: Ints
    at: tuple[Ints, Ints]

    @classmethod
    def of(cls, comparison: Comparison, quasi: tuple[str, ...]) -> _Classes:
        synthetic = comparison.synthetic_side
        hashes = sensitive.class_hashes(synthetic, quasi)
        order = np.argsort(hashes, kind="stable")
        known, starts = np.unique(hashes[order], return_index=True)
        sides = comparison.train_side, comparison.holdout_side
        at = []
        for side in sides:
            asked = _asked(comparison, side, quasi)
            place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
            at.append(np.where(known[place] == asked, place, -1).astype(np.int64))
        return cls(order, starts.astype(np.int64), (at[0], at[1]))

    def named(self, levels: Ints) -> Ints:
        """The one level that all rows of a class hold, shape (classes,), -2 where they differ."""
        ordered = levels[self.order]
        lowest = np.minimum.reduceat(ordered, self.starts)
        return np.where(lowest == np.maximum.reduceat(ordered, self.starts), lowest, -2)

    def rightly(self, side: int, named: Ints, levels: Ints) -> Mask:
        """Rows of train (0) or holdout (1) whose class names their own level, shape (rows,)."""
        at = self.at[side]
        return np.asarray((at >= 0) & (named[at] == levels))

    def met(self, side: Side, number: int) -> float:
        """Share of entities with a row in any class."""
        return _share(side, self.at[number] >= 0)


def _asked(comparison: Comparison, side: Side, quasi: tuple[str, ...]) -> Hashes:
    """The combination that an attacker looks up for each real row, shape (rows,).

    Who misses a value in the released column looks under the value that stands for grouped ones.
    """
    synthetic, coarsening = comparison.synthetic_side, comparison.coarsening
    found = np.zeros(side.rows, dtype=np.uint64)
    for name in quasi:
        codes = side.cell(name)
        field = comparison.schema.field(name)
        if coarsening is not None and sensitive.is_category(comparison, name):
            has_token, token = coarsening.token(field)
            values = synthetic.frame[name]
            stands = np.flatnonzero(values.isna() if token is None else values == token)
            if has_token and len(stands):
                there = synthetic.cell(name)
                codes = np.where(np.isin(codes, there), codes, there[stands[0]])
        found += cells.mix(codes.astype(np.uint64) ^ np.uint64(cells.text_seed(name)))
    return found


def _ends(comparison: Comparison, name: str) -> Floats | None:
    """Bins of a number or time: of train and holdout together, at equal weight.

    A candidate must not choose the bins that it is judged by.
    """
    if sensitive.is_category(comparison, name):
        return None
    sides = comparison.train_side, comparison.holdout_side
    values = [distributions.numbers(side, name, comparison) for side in sides]
    weight = [sensitive.weights(side.entity) / side.entities for side in sides]
    return sensitive.cuts(np.concatenate(values), np.concatenate(weight))


def _trivial(
    comparison: Comparison, quasi: tuple[str, ...], levels: list[Ints]
) -> tuple[Mask, Mask]:
    """Rows of train and of holdout whose sensitive value is anybody's guess.

    Either the value is that of 95 % of all real rows, or of 95 % of the rows with the row's value
    of one quasi-identifier, if at least 50 entities hold that. Rows are weighted by entity, and
    both sides weigh the same, so that neither is excused more than the other.
    """
    sides = comparison.train_side, comparison.holdout_side
    level = np.concatenate(levels) + 1
    weight = np.concatenate([sensitive.weights(s.entity) / s.entities for s in sides])
    entity = np.concatenate([sides[0].entity, sides[1].entity + sides[0].entities])
    width, people = int(level.max()) + 1, int(entity.max()) + 1
    found = (np.bincount(level, weights=weight) / weight.sum() >= COMMON)[level]
    for name in quasi:
        key = np.concatenate([side.cell(name) for side in sides])
        key = np.unique(key, return_inverse=True)[1].astype(np.int64)
        held = np.bincount(np.unique(key * people + entity) // people)
        pairs, place = np.unique(key * width + level, return_inverse=True)
        share = (
            np.bincount(place, weights=weight) / np.bincount(key, weights=weight)[pairs // width]
        )
        found |= ((share >= COMMON) & (held[pairs // width] >= KNOWN))[place]
    return found[: len(levels[0])], found[len(levels[0]) :]


def _share(side: Side, rows: Mask) -> float:
    """Share of entities with any of the rows."""
    hit = np.zeros(side.entities, dtype=bool)
    hit[side.entity[rows]] = True
    return float(hit.mean())


def _interval(worst: Mapping[str, Any], sizes: tuple[int, int], looked: int) -> Interval:
    """Limits for the worst of several columns, which hold for all of them at once (Bonferroni).

    One entity of each answer is added per side, since a share of 0 in a sample is no certainty. An
    entity counts once whatever its rows: this is clustered already.
    """
    variance = 0.0
    for share, size in zip((worst["train"], worst["holdout"]), sizes, strict=True):
        moved = (share * size + 1) / (size + 2)
        variance += moved * (1 - moved) / (size + 2)
    two, one = special.ndtri([1 - 0.025 / looked, 1 - 0.05 / looked]) * np.sqrt(variance)
    value = worst["value"]
    ends = (value - two, value + two, value - one, value + one)
    return Interval(*(float(np.clip(end, -1, 1)) for end in ends))
