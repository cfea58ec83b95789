"""How large leaves must be, tried on train alone.

A part of train's entities is halved, and the generator learns each half alone. An attacker who has
what it made of both guesses which half a row is of. Leaves grow until the most confident guesses
are hardly better than a coin. The holdout has no part in it: the gate still judges what nobody
chose by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract
from synth_contracts.generate.base import Generator, Progress
from synth_contracts.generate.visits import Leaves
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.neighbours import nearest
from synth_contracts.metrics.privacy.membership_inference import FEWEST_GUESSES, GUESSED_SHARE
from synth_contracts.tables.schema import TableSchema

#: Rows a side that are tried, and the fewest entities among them: of 200 with 60 rows each the
#: reading has a standard error of .1 and asks for leaves of 100 or of 800 rows by lot (measured).
ROWS, FEWEST = 10_000, 1_000
_RULE = "membership_inference"
#: The limit of a contract without such a rule: that of the preset standard.
_LIMIT = 0.25
_RESOLUTION = 1e-3  # distances below this are equal, as to the metrics' attacks


@dataclass(frozen=True)
class Chosen:
    """Leaves, and a sentence on how they were come by."""

    leaves: Leaves
    note: str


def choose(
    contract: Contract,
    train: pd.DataFrame,
    entities: np.ndarray,
    schema: TableSchema,
    rng: np.random.Generator,
    make: Callable[[Leaves], Generator],
    *,
    smallest: Leaves,
    rounds: int,
    progress: Progress,
) -> Chosen:
    """The smallest leaves at which membership inference holds with a standard error to spare.

    Args:
        contract: its limit of membership_inference is to be kept.
        train: protected features, with an entity key that column as integers.
        entities: entity of each row, 0..E-1.
        schema: the table as the generator learns it.
        rng: halves the entities and seeds the tries.
        make: a generator with such leaves, not yet fitted.
        smallest: leaves to begin with.
        rounds: how often they may be doubled; the last ones are taken untried.
        progress: told what is tried.
    """
    size = f"{smallest.rows} rows and {smallest.entities} entities"
    count = int(entities.max()) + 1
    each = min(count // 2, round(ROWS * count / len(entities)))
    if each < FEWEST:
        note = f"Leaves hold {size} at least; whether larger ones are needed was not tried: "
        return Chosen(smallest, f"{note}{ROWS:,} rows hold too few entities.")
    halves = _halves(train, entities, each, schema, rng)
    limit = next((r.threshold for r in contract.rules if r.id == _RULE), _LIMIT)
    leaves = smallest
    for _ in range(rounds):
        progress(f"trying leaves of {leaves.rows} rows on half of train")
        told, error = _told(halves, schema, partial(make, leaves), rng)
        if told + error <= limit:
            size = f"{leaves.rows} rows and {leaves.entities} entities"
            return Chosen(
                leaves,
                f"Leaves hold {size} at least: the smallest tried of which attacks could not tell "
                "one half of train from another.",
            )
        leaves = leaves.doubled()
    size = f"{leaves.rows} rows and {leaves.entities} entities"
    return Chosen(
        leaves, f"Leaves hold {size} at least: attacks told halves of train apart at smaller ones."
    )


def _halves(
    train: pd.DataFrame,
    entities: np.ndarray,
    each: int,
    schema: TableSchema,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two disjoint choices of ``each`` entities, keys 0..E-1 and E..2E-1."""
    count = int(entities.max()) + 1
    number = np.full(count, -1)
    number[rng.permutation(count)[: 2 * each]] = np.arange(2 * each)
    owner = number[entities]
    sides = []
    for first in (0, each):
        rows = (owner >= first) & (owner < first + each)
        side = train[rows].reset_index(drop=True)
        key = schema.roles.entity_key
        if key is not None:
            side[key] = owner[rows]
        sides.append(side)
    return sides[0], sides[1]


def _told(
    halves: tuple[pd.DataFrame, pd.DataFrame],
    schema: TableSchema,
    make: Callable[[], Generator],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """How well the halves are told apart by what was made of each: 2 PPV - 1, and its error.

    A row is guessed to be of the half whose synthetic rows come nearer to it. Judged are the most
    confident guesses, as the gate judges them; what makes a row easy or hard weighs on both sides
    alike, so that few rows are enough. The error is clustered by entity.
    """
    compared = tuple(f for f in schema.fields if f.name in halves[0].columns)
    made = []
    key = schema.roles.entity_key
    for half in halves:
        generator = make()
        learned = half if key is None else half.assign(**{key: half[key] - half[key].min()})
        generator.fit(learned, schema.roles, schema, rng)
        made.append(generator.sample(len(half), rng).frame)
    both = Comparison(
        train=halves[0],
        holdout=halves[1],
        synthetic=made[0],
        schema=replace(schema, fields=compared),
    )
    first, second, near = both.vectors
    real = np.concatenate([first, second])
    there = nearest(real, both.encoder.encode(made[1]))[:, 0]
    here = nearest(real, near)[:, 0]
    of_first = np.arange(len(real)) < len(first)
    score = np.log(there + _RESOLUTION) - np.log(here + _RESOLUTION)
    score = np.where(of_first, score, -score)
    entity = np.concatenate(
        [both.train_side.entity, both.train_side.entities + both.holdout_side.entity]
    )
    guesses = min(max(FEWEST_GUESSES, round(GUESSED_SHARE * len(real))), len(real))
    chosen = np.argsort(-np.abs(score) + 1e-9 * rng.random(len(score)), kind="stable")[:guesses]
    right = np.where(score[chosen] == 0, 0.5, score[chosen] > 0)
    share = float(right.mean())
    apart = np.bincount(entity[chosen], weights=right - share)
    return 2 * share - 1, 2 * float(np.sqrt((apart**2).sum())) / guesses
