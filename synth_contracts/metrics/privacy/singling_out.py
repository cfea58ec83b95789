"""singling_out: gain of predicates that are meant to be true of one trained entity alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from synth_contracts.metrics.cells import Hashes, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.guessing import budget, gain
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.predicates import (
    Ends,
    Exact,
    Holders,
    Ranges,
    holders,
    rarest,
    singled_out,
)
from synth_contracts.metrics.results import (
    CannotMeasure,
    limits,
    need_entities,
    need_features,
    need_rows,
    need_split,
)
from synth_contracts.tables import NUMERIC, TEMPORAL, Field

ID = "singling_out"
#: Sets of columns that conjunctions speak of, and how many columns they have in turn. Shorter ones
#: are true of unseen entities too often: on the baskets the spread of clean tables doubles.
SETS = 24
SIZES = (6, 7, 8)
#: Predicates looked at for each one that is guessed.
_CHOICE = 8


class Coder(Protocol):
    """Codes of the rows of any side, by one column."""

    def of(self, side: Side) -> Hashes:
        """Shape (rows,)."""


def measure(comparison: Comparison, _column: str | None, options: Mapping[str, Any]) -> Measurement:
    """Gain in -inf .. 1 of predicates that are meant to be true of exactly one real entity.

    Predicates are taken from the synthetic table: those that one synthetic entity satisfies, and
    where these run out those of the fewest. They are about single values, the ends of numbers and
    times, and conjunctions of ranges and values of up to eight columns. A guess is right on a side
    when exactly one entity satisfies it, at equal numbers of entities. The value is the gain of
    train over the holdout (Article 29 Working Party, Opinion 05/2014; Giomi et al. 2023, arXiv
    2211.10459). With ``aux_columns`` all predicates are about these; without, about every released
    column, and each conjunction holds a quasi-identifier at least.

    Raises:
        CannotMeasure: fewer than 200 entities in train or holdout, entities in both, or none of
            the columns released.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    need_entities(comparison)
    fields, first = _columns(comparison, options)
    train, holdout, synthetic = (
        comparison.train_side,
        comparison.holdout_side,
        comparison.synthetic_side,
    )
    shapes = [
        *_single(synthetic, fields),
        *_conjunctions(synthetic, fields, first, comparison.rng(f"{ID} columns")),
    ]
    rng = comparison.rng(f"{ID} guesses")
    wanted, isolating = _suggested(shapes, synthetic, budget(options), rng)
    size = min(train.entities, holdout.entities)
    rates = [
        singled_out(_satisfied(shapes, wanted, side), side.entities, size)
        for side in (train, holdout)
    ]
    apart = [shape.blind(synthetic, len(w), rng) for shape, w in zip(shapes, wanted, strict=True)]
    blind = singled_out(_satisfied(shapes, apart, train), train.entities, size)
    found = gain(*rates, reach=size / train.entities, attempt=comparison.attempt)
    guesses = sum(len(w) for w in wanted)
    return Measurement(
        metric=ID,
        value=found.value,
        n=guesses,
        unit="guesses",
        direction="lower_is_better",
        method=f"gain of {guesses} predicates true of exactly one of {size} trained entities over "
        f"those true of exactly one of {size} unseen ones; limits by the jackknife over entities, "
        "delta method",
        compared_with=f"{size} holdout entities",
        **limits(found.interval),
        details={
            "bound_level": 1 - 0.05 / comparison.attempt,
            "rate_train": rates[0].share,
            "rate_control": rates[1].share,
            "rate_blind": blind.share,
            "isolate_one_synthetic_entity": isolating,
            "conjunctions": sum(len(w) for s, w in zip(shapes, wanted, strict=True) if s.joint),
            "entities": size,
            "columns": len(fields),
        },
    )


class _Shape:
    """Predicates over one set of columns: a sum of codes."""

    def __init__(self, coders: Sequence[Coder], fixed: Hashes | None = None) -> None:
        self.coders = coders
        #: all predicates that there are, where they are not read from the rows
        self.fixed = fixed

    @property
    def joint(self) -> bool:
        """Whether predicates are about several columns."""
        return len(self.coders) > 1

    def codes(self, side: Side) -> Hashes:
        """The conjunction that each row satisfies, shape (rows,)."""
        total = np.zeros(side.rows, dtype=np.uint64)
        for coder in self.coders:
            total += coder.of(side)
        return total

    def blind(self, side: Side, guesses: int, rng: np.random.Generator) -> Hashes:
        """Predicates whose values come from rows apart, each drawn for itself."""
        total = np.zeros(guesses, dtype=np.uint64)
        for coder in self.coders:
            total += coder.of(side)[rng.integers(0, side.rows, guesses)]
        return np.unique(total)


class _Kept:
    """A coder that codes each side once: ranges come in several sets of columns."""

    def __init__(self, coder: Coder) -> None:
        self._coder = coder
        self._known: dict[int, Hashes] = {}

    def of(self, side: Side) -> Hashes:
        if id(side) not in self._known:
            self._known[id(side)] = self._coder.of(side)
        return self._known[id(side)]


def _columns(
    comparison: Comparison, options: Mapping[str, Any]
) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """What predicates are about, and of which columns each conjunction holds one; by name."""
    features = tuple(sorted(comparison.schema.features, key=lambda field: field.name))
    named = options.get("aux_columns")
    if named:
        chosen = tuple(field for field in features if field.name in set(named))
        if not chosen:
            raise CannotMeasure("no column of the predicates is released")
        return chosen, chosen
    quasi = set(comparison.schema.roles.quasi_identifiers)
    return features, tuple(f for f in features if f.name in quasi) or features


def _single(synthetic: Side, fields: tuple[Field, ...]) -> list[_Shape]:
    """Each value of each column, and the two ends of numbers and times."""
    shapes = [_Shape([Exact(field)]) for field in fields]
    for field in fields:
        if field.kind in NUMERIC or field.kind in TEMPORAL:
            ends = Ends(synthetic, field)
            shapes.append(_Shape([ends], ends.both()))
    return shapes


def _conjunctions(
    synthetic: Side,
    fields: tuple[Field, ...],
    first: tuple[Field, ...],
    rng: np.random.Generator,
) -> list[_Shape]:
    """Up to SETS different sets of columns, each with one of ``first``."""
    ranges = {field.name: _Kept(Ranges(synthetic, field)) for field in fields}
    names = [field.name for field in fields]
    # not all of few columns: that would only find copies of whole rows
    longest = max(-(-2 * len(fields) // 3), 2)
    sets: dict[tuple[str, ...], None] = {}
    for i in range(2 * SETS):
        start = first[rng.integers(len(first))].name
        rest = rng.permutation([name for name in names if name != start])
        sets[tuple(sorted([start, *rest[: min(SIZES[i % len(SIZES)], longest) - 1]]))] = None
        if len(sets) == SETS:
            break
    return [_Shape([ranges[name] for name in chosen]) for chosen in sets]


def _suggested(
    shapes: list[_Shape], synthetic: Side, most: int, rng: np.random.Generator
) -> tuple[list[Hashes], int]:
    """Up to ``most`` predicates, those of each shape ascending; and how many isolate one entity.

    Those that the fewest synthetic entities satisfy come first, and among them the shapes in turn.
    """
    each = _CHOICE * -(-most // len(shapes))
    pool, counts, place = [], [], []
    for shape in shapes:
        codes = shape.codes(synthetic)
        seen = rarest(codes, each, rng) if shape.fixed is None else shape.fixed
        satisfied = holders(codes, synthetic, seen).counts
        seen, satisfied = seen[satisfied > 0], satisfied[satisfied > 0]
        order = rng.permutation(len(seen))
        turn = np.empty(len(seen), dtype=np.int64)
        turn[order[np.argsort(satisfied[order], kind="stable")]] = np.arange(len(seen))
        pool.append(seen)
        counts.append(satisfied)
        place.append(turn)
    count = np.concatenate(counts)
    taken = np.zeros(len(count), dtype=bool)
    taken[np.lexsort((np.concatenate(place), count))[:most]] = True
    ends = np.cumsum([len(seen) for seen in pool])[:-1]
    chosen = [seen[part] for seen, part in zip(pool, np.split(taken, ends), strict=True)]
    return chosen, int((count[taken] == 1).sum())


def _satisfied(shapes: list[_Shape], wanted: list[Hashes], side: Side) -> Holders:
    """Who satisfies the predicates of all shapes, as one list."""
    parts = [holders(s.codes(side), side, w) for s, w in zip(shapes, wanted, strict=True) if len(w)]
    starts = np.cumsum([0, *(len(part.counts) for part in parts)])
    return Holders(
        np.concatenate([p.predicate + start for p, start in zip(parts, starts, strict=False)]),
        np.concatenate([p.entity for p in parts]),
        np.concatenate([p.counts for p in parts]),
    )
