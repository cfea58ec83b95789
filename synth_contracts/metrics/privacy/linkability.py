"""linkability: how much better the table joins two halves of a record that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.cells import Floats, Hashes, Ints, Side, mix, text_seed
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.guessing import Rate, budget, gain, known_columns
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.neighbours import EXACT_PAIRS, Vectors, search
from synth_contracts.metrics.results import (
    CannotMeasure,
    limits,
    need_entities,
    need_features,
    need_rows,
    need_split,
)

ID = "linkability"
#: Standard deviation of the gain above which entities are asked about several of their rows.
SPREAD = 0.02
#: So many rows of each entity then, or more where the budget has more guesses than that.
ROWS = 4
#: Rows looked up at once where a half of a record leads to many synthetic rows.
_BLOCK = 4_000_000


def measure(comparison: Comparison, _column: str | None, options: Mapping[str, Any]) -> Measurement:
    """Gain in -inf .. 1 of guesses that join two sets of columns of one real row.

    The attacker holds the known columns (``aux_columns``, else the quasi-identifiers) of one row
    and the other released columns of the same row, and looks up the nearest synthetic rows of each
    half; equal rows are one neighbour. He is right when one synthetic entity holds both. Targets
    are a random row of each of ``attacks`` entities (default 2000), equally many entities of train
    and of the holdout. Where that leaves the gain uncertain, further rows of them are guessed at;
    each entity counts once, with its share of right guesses. The value is (rate of train - rate of
    holdout) / (1 - rate of holdout) (Article 29 Working Party, Opinion 05/2014; Giomi et al. 2023,
    arXiv 2211.10459).

    Raises:
        CannotMeasure: fewer than 200 entities in train or holdout, entities in both, or no column
            in one of the two sets.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    need_entities(comparison)
    known = [field.name for field in known_columns(comparison, options)]
    other = sorted({field.name for field in comparison.schema.features} - set(known))
    if not known or not other:
        raise CannotMeasure(
            "linking needs two sets of released columns: "
            + ("the attacker knows none" if not known else "the attacker knows them all")
        )
    train, holdout = comparison.train_side, comparison.holdout_side
    size = min(train.entities, holdout.entities, budget(options))
    most = max(ROWS * size, budget(options))
    rows = [
        targets(side, size, most, comparison.rng(f"{ID} {name}"))
        for name, side in (("train", train), ("holdout", holdout))
    ]
    attack = _Attack(comparison, known, other)
    led = attack.led_to([r[:size] for r in rows])
    guesses, owners = attack.right(led), [np.arange(size), np.arange(size)]
    # the halves of two different trained entities, as a blind attacker joins them
    blind = attack.joined(led[0][0], np.roll(led[0][1], 1))
    # where halves of unseen rows join often, one row of each entity is too uncertain
    if gain(*(share(g) for g in guesses)).sd > SPREAD:
        more = attack.right(attack.led_to([r[size:] for r in rows]))
        guesses = [np.concatenate(both) for both in zip(guesses, more, strict=True)]
        owners = [side.entity[r] for side, r in zip((train, holdout), rows, strict=True)]
    rates = [share(of_entities(g, o)) for g, o in zip(guesses, owners, strict=True)]
    found = gain(*rates, attempt=comparison.attempt)
    return Measurement(
        metric=ID,
        value=found.value,
        n=size,
        unit="entities a side",
        direction="lower_is_better",
        method=f"gain of {len(guesses[0])} guesses about {size} trained entities over "
        f"{len(guesses[1])} about as many unseen ones: one synthetic entity holds the nearest row "
        f"by {len(known)} known columns and that by {len(other)} others; limits of two means over "
        "entities, delta method",
        compared_with=f"{size} holdout entities",
        **limits(found.interval),
        details={
            "bound_level": 1 - 0.05 / comparison.attempt,
            "rate_train": rates[0].share,
            "rate_control": rates[1].share,
            "rate_blind": float(blind.mean()),
            "guesses": [len(g) for g in guesses],
            "known_columns": len(known),
            "other_columns": len(other),
        },
    )


def targets(side: Side, entities: int, most: int, rng: np.random.Generator) -> Ints:
    """Up to ``most`` rows of random ``entities``: one row of each first, then a second of each.

    Shape (targets,); the first ``entities`` rows belong to different ones.
    """
    chosen = np.flatnonzero(sample(rng, side.entities, entities)[side.entity])
    shuffled = chosen[rng.permutation(len(chosen))]
    owner = side.entity[shuffled]
    together = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[together], owner[together], side="left")
    turn = np.empty(len(chosen), dtype=np.int64)
    turn[together] = np.arange(len(chosen)) - first
    return shuffled[np.argsort(turn, kind="stable")[:most]]


def of_entities(right: Floats, owner: Ints) -> Floats:
    """The share of right guesses about each entity, shape (entities,)."""
    times = np.bincount(owner)
    return (np.bincount(owner, weights=right) / np.maximum(times, 1))[times > 0]


def share(right: Floats) -> Rate:
    """The mean over entities, shape (entities,), each with its share of right guesses."""
    # an entity of each answer more: 0 of 200 is no certainty (Agresti, Caffo 2000)
    moved = np.concatenate([right, [0.0, 1.0]])
    return Rate(float(right.mean()), float(moved.var() / len(moved)))


class _Attack:
    """Joins halves of real rows by the synthetic rows nearest to each half."""

    def __init__(self, comparison: Comparison, known: list[str], other: list[str]) -> None:
        self._vectors = comparison.vectors
        synthetic = comparison.synthetic_side
        self._halves = []
        groups = []
        for names in (known, other):
            hashes = np.zeros(synthetic.rows, dtype=np.uint64)
            for name in names:
                hashes += mix(synthetic.cell(name).astype(np.uint64) ^ np.uint64(text_seed(name)))
            first, group = distinct(hashes)
            wanted = columns_of(comparison, names)
            made = np.ascontiguousarray(self._vectors[2][first][:, wanted])
            self._halves.append((wanted, made))
            groups.append(group)
        self._links = Links(synthetic, *groups)

    def led_to(self, rows: list[Ints]) -> list[tuple[Ints, Ints]]:
        """For targets of train and of the holdout: groups that either half is nearest to."""
        found = [
            _nearest(np.concatenate([self._vectors[i][r] for i, r in enumerate(rows)])[:, w], made)
            for w, made in self._halves
        ]
        cut = len(rows[0])
        return [(found[0][:cut], found[1][:cut]), (found[0][cut:], found[1][cut:])]

    def joined(self, known: Ints, other: Ints) -> Floats:
        """1 where one synthetic entity holds both groups, else 0."""
        return self._links.joined(known, other).astype(np.float64)

    def right(self, led: list[tuple[Ints, Ints]]) -> list[Floats]:
        """1 for each target of train and of the holdout whose halves join, 0 for the others."""
        return [self.joined(known, other) for known, other in led]


def distinct(hashes: Hashes) -> tuple[Ints, Ints]:
    """The first row of each distinct hash, and which of them each row is."""
    _, first, groups = np.unique(hashes, return_index=True, return_inverse=True)
    return first, groups


def columns_of(comparison: Comparison, names: list[str]) -> npt.NDArray[np.bool_]:
    """Which dimensions of ``comparison.vectors`` encode these columns."""
    wanted = []
    for name, part in comparison.encoder.parts:
        width = part(comparison.train_side.frame[name].iloc[:1]).shape[1]
        wanted += [name in names] * width
    return np.array(wanted)


def _nearest(queries: Vectors, reference: Vectors) -> Ints:
    # in pieces that are searched exactly: the targets are few, and the guess is the neighbour
    queries = np.ascontiguousarray(queries)
    step = max(1, EXACT_PAIRS // len(reference))
    pieces = [
        search(queries[start : start + step], reference)[1][:, 0]
        for start in range(0, len(queries), step)
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *pieces])


class Links:
    """Which two groups of rows some synthetic entity holds together.

    Args:
        synthetic: the side whose rows are grouped.
        known: group of each row by the columns that the attacker knows, shape (rows,).
        other: group of each row by the other columns, shape (rows,).
    """

    def __init__(self, synthetic: Side, known: Ints, other: Ints) -> None:
        self._entity, self._entities = synthetic.entity, synthetic.entities
        self._groups = (known, other)
        self._order = tuple(np.argsort(g, kind="stable") for g in self._groups)
        self._start = tuple(
            np.searchsorted(g[o], np.arange(int(g.max()) + 2))
            for g, o in zip(self._groups, self._order, strict=True)
        )

    def joined(self, known: Ints, other: Ints) -> npt.NDArray[np.bool_]:
        """Whether one entity holds a row of ``known`` and one of ``other``, shape (guesses,)."""
        right = np.zeros(len(known), dtype=bool)
        sizes = [s[g + 1] - s[g] for s, g in zip(self._start, (known, other), strict=True)]
        # the smaller group is listed and looked up among the entities of the larger
        swap = sizes[0] > sizes[1]
        for small, mask in ((0, ~swap), (1, swap)):
            asked = np.flatnonzero(mask)
            ends = np.cumsum(sizes[small][asked])
            for part in np.split(asked, np.flatnonzero(np.diff(ends // _BLOCK)) + 1):
                right[part] = self._look_up(small, (known[part], other[part]))
        return right

    def _look_up(self, small: int, asked: tuple[Ints, Ints]) -> npt.NDArray[np.bool_]:
        large = 1 - small
        mine, theirs = asked[small], asked[large]
        start = self._start[small]
        size = start[mine + 1] - start[mine]
        guess = np.repeat(np.arange(len(mine)), size)
        inside = np.arange(len(guess)) - np.repeat(np.cumsum(size) - size, size)
        holder = self._entity[self._order[small][start[mine][guess] + inside]]
        groups = self._groups[large]
        used = np.zeros(int(groups.max()) + 1, dtype=bool)
        used[theirs] = True
        held = used[groups]
        pairs = np.unique(groups[held] * self._entities + self._entity[held])
        hit = np.isin(theirs[guess] * self._entities + holder, pairs)
        return np.asarray(np.bincount(guess[hit], minlength=len(mine)) > 0)
