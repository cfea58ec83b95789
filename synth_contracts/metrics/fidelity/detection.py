"""detection: can a classifier tell synthetic rows from real ones it never saw?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.importing import uncollected
from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import clustered_variance, normal
from synth_contracts.metrics.matching import Matched
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import (
    CannotMeasure,
    limits,
    need_features,
    need_rows,
    need_split,
)
from synth_contracts.metrics.threads import alone, single_threaded
from synth_contracts.tables import CATEGORICAL, NUMERIC, Field

ID = "detection"
#: Rows a side that are asked.
MOST_ROWS = 5_000
FOLDS = 2
#: Entities a side that the folds need: a classifier that learned nothing is no sign of quality.
_FEWEST = 60
#: Levels of a category that are told apart; the rarer ones are merged.
_LEVELS = 254
_HOUR, _DAY = 3_600, 86_400
#: Standard deviations for a sign of copying: they leave out what another training would change.
_SURE = 3.3

Mask = npt.NDArray[np.bool_]


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """AUC, 0 .. 1, of a gradient-boosted classifier, holdout against synthetic; .5 is a coin flip.

    A classifier two-sample test (Lopez-Paz, Oquab 2017) at equal numbers of entities and rows, both
    sides coarsened by one and the same rule. All rows of an entity stand in one fold: split by row,
    whoever recognises the entity has the answer. Details hold the AUC of the raw tables and train's
    place.

    Raises:
        CannotMeasure: no feature, or fewer than 60 entities a side.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    _, holdout, synthetic = comparison.matched_raw(0)
    if holdout.entities < _FEWEST:
        raise CannotMeasure(
            f"{holdout.entities} entities a side: fewer than {_FEWEST} teach a classifier nothing"
        )
    seen, unseen, made = comparison.matched(0)
    found = told_apart(comparison, unseen, made, "value")
    interval = normal(found.value, found.variance, lowest=0, highest=1)
    measured = Measurement(
        metric=ID,
        value=found.value,
        n=found.rows,
        unit="rows of both sides",
        direction="lower_is_better",
        method=f"AUC of gradient-boosted trees, {FOLDS} folds split by entity, pairs within a "
        "fold, up to "
        f"{MOST_ROWS} rows a side; limits from the placements, clustered by entity on both sides",
        compared_with="holdout",
        **limits(interval),
    )
    if comparison.brief:
        return measured
    floor = told_apart(comparison, unseen, seen, "floor")
    copies = told_apart(comparison, seen, made, "train")
    raw = found
    if comparison.coarsening is not None and comparison.coarsening.on:
        raw = told_apart(comparison, holdout, synthetic, "value")
    less = copies.value - found.value
    spread = float(np.sqrt(copies.variance + found.variance))
    nearer = normal(less, spread**2)
    return replace(
        measured,
        floor=floor.value,
        details={
            "raw": raw.value,
            "entities": found.entities,
            "train_against_synthetic": copies.value,
            "train_minus_holdout": copies.value - found.value,
            "train_minus_holdout_upper": nearer.upper if nearer else None,
            "below_chance": bool(interval is not None and interval.upper < 0.5),
            "nearer_to_train": bool(less + _SURE * spread < 0),
        },
    )


@dataclass(frozen=True)
class Told:
    """An AUC, its variance clustered by entity, rows of both sides and entities of each."""

    value: float
    variance: float
    rows: int
    entities: int


def told_apart(comparison: Comparison, real: Matched, other: Matched, label: str) -> Told:
    """AUC of ``other`` (label 1) against ``real`` (label 0), by folds of entities."""
    rng = comparison.rng(f"{ID} {label}")
    real, other = _level(real, other, rng)
    frame = pd.concat([real.frame, other.frame], ignore_index=True)
    truth = np.repeat([0, 1], [len(real.frame), len(other.frame)])
    fields = [f for f in comparison.schema.features
              if not (f.declared is not None and f.declared.unique)]  # fmt: skip
    features, categorical = _features(frame, sorted(fields, key=lambda f: f.name))
    # entities of the two sides are different entities, whatever their codes
    entity = np.concatenate([real.entity, other.entity + real.entities])
    fold = np.concatenate([_fold_of(rng, side) for side in (real, other)])
    scores = _scores(features, categorical, truth, fold, int(rng.integers(2**31)))
    return Told(*_auc(scores, truth, fold, entity), len(frame), real.entities)


def _level(real: Matched, other: Matched, rng: np.random.Generator) -> tuple[Matched, Matched]:
    """Equal numbers of rows, at most MOST_ROWS, of equal numbers of entities.

    All entities stay and lose rows at random: the variance is that of entities, and the rows of
    one are much alike.
    """
    rows = min(MOST_ROWS, len(real.frame), len(other.frame))

    def cut(side: Matched) -> Matched:
        at = np.sort(rng.permutation(len(side.frame))[:rows])
        return Matched(side.frame.iloc[at].reset_index(drop=True), side.entity[at], side.entities)

    return cut(real), cut(other)


def _fold_of(rng: np.random.Generator, side: Matched) -> Ints:
    """The fold of each row; folds hold equally many entities, each with all of its rows."""
    return (rng.permutation(side.entities) % FOLDS)[side.entity]


def _features(frame: pd.DataFrame, fields: list[Field]) -> tuple[Floats, Mask]:
    """Columns as the classifier reads them, shape (rows, features), and which are categories."""
    columns: list[Floats] = []
    categorical: list[bool] = []
    for field in fields:
        column = frame[field.name]
        if field.kind in NUMERIC:
            numbers = column.to_numpy(dtype=np.float64)
            # trees need an order only; infinities stand at its ends
            columns.append(np.clip(numbers, -1e300, 1e300))
        elif field.kind in CATEGORICAL:
            columns.append(_levels(column))
        else:
            columns += _times(column)
        categorical += [field.kind in CATEGORICAL] * (len(columns) - len(categorical))
    return np.column_stack(columns), np.array(categorical)


def _levels(column: pd.Series) -> Floats:
    """Level codes by frequency, NaN for null; the rarest share the last code."""
    codes, levels = pd.factorize(column, sort=True)
    rank = np.empty(len(levels), dtype=np.int64)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(levels))
    place = np.append(np.minimum(rank, _LEVELS), -1)[codes].astype(np.float64)
    return np.where(place < 0, np.nan, place)


def _times(column: pd.Series) -> list[Floats]:
    """Day number, weekday, hour, minute of the day and second of the minute."""
    stamps = column.to_numpy(dtype="datetime64[ns]")
    missing = np.isnat(stamps)
    seconds = np.where(missing, 0, stamps.astype("datetime64[s]").view(np.int64))
    day, within = seconds // _DAY, seconds % _DAY
    parts = [day, (day + 3) % 7, within // _HOUR, within // 60, within % 60]
    return [np.where(missing, np.nan, part.astype(np.float64)) for part in parts]


def _scores(features: Floats, categorical: Mask, truth: Ints, fold: Ints, seed: int) -> Floats:
    """Log odds of label 1 of each row, from trees that saw none of its fold's entities."""
    with uncollected():
        from sklearn.ensemble import HistGradientBoostingClassifier  # dear, here beside others

    out = np.zeros(len(truth))
    # one thread: the bits of a sum depend on how many share it. The import may just have brought
    # the pool of threads that is limited here
    with single_threaded(), alone():
        for number in range(FOLDS):
            mine = fold == number
            if len(np.unique(truth[~mine])) < 2 or not mine.any():
                raise CannotMeasure("a fold holds rows of one side only")
            model = HistGradientBoostingClassifier(
                learning_rate=0.15,
                max_iter=30,
                max_leaf_nodes=15,
                min_samples_leaf=20,
                early_stopping=False,
                random_state=seed,
            )
            # the classifier does not take a column without any value; it would teach nothing
            told = ~np.isnan(features[~mine]).all(axis=0)
            if not told.any():
                raise CannotMeasure("no column holds a value")
            model.set_params(categorical_features=categorical[told])
            model.fit(features[~mine][:, told], truth[~mine])
            out[mine] = model.decision_function(features[mine][:, told])
    return out


def _auc(scores: Floats, truth: Ints, fold: Ints, entity: Ints) -> tuple[float, float]:
    """Share of pairs within a fold in the right order, ties half, and its clustered variance.

    Scores of different folds come from different classifiers and are not compared with each
    other. Placements as DeLong, DeLong, Clarke-Pearson 1988, clustered as Obuchowski 1997.
    """
    weight, found = [], []
    influence = np.zeros(len(scores))
    for number in range(FOLDS):
        mine = fold == number
        zeros, ones = (np.flatnonzero(mine & (truth == label)) for label in (0, 1))
        if not len(zeros) or not len(ones):
            raise CannotMeasure("a fold holds rows of one side only")
        # placements: the share of the other side that a row is ranked rightly against
        of_ones, of_zeros = _below(scores[zeros], scores[ones]), _below(scores[ones], scores[zeros])
        auc = float(of_ones.mean())
        weight.append(len(zeros) * len(ones))
        found.append(auc)
        influence[ones] = weight[-1] * (of_ones - auc) / len(ones)
        influence[zeros] = weight[-1] * ((1 - of_zeros) - auc) / len(zeros)
    total = sum(weight)
    influence /= total
    return float(np.average(found, weights=weight)), clustered_variance(influence, entity)


def _below(values: Floats, of: Floats) -> Floats:
    """Share of ``values`` below each of ``of``, ties half."""
    ordered = np.sort(values)
    left, right = (np.searchsorted(ordered, of, how) for how in ("left", "right"))
    return (left + right) / (2 * len(values))
