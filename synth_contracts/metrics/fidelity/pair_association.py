"""pair_association: joint distributions of two columns at a time, synthetic against holdout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.metrics.cells import Floats, Ints, text_seed
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import halves, normal, sample
from synth_contracts.metrics.matching import Matched, Three
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows, need_split
from synth_contracts.tables import CATEGORICAL, NUMERIC, TEMPORAL, Field

ID = "pair_association"
#: Fewest and most bins of a column; between them the cells of a pair grow with the entities.
_FEWEST, _MOST = 2, 8
#: Entities a side for each cell of a pair: with fewer, sampling alone moves as many rows as a bad
#: generator does.
_PER_CELL = 28
#: Rows a side; above, fewer (whole) entities are compared.
MOST_ROWS = 50_000
_REPEATS = 2
#: Random groups of entities whose halves give the interval.
_GROUPS = 24
_HALVES = 100
_HOUR = np.timedelta64(1, "h")
_DAY = np.timedelta64(1, "D")

Codes = npt.NDArray[np.int64]
Counts = npt.NDArray[np.float32]


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Mean over pairs of columns of the total variation, 0 .. 1, of their joint distributions.

    Numbers and times stand in quantile bins of train and holdout together (a time also by its
    hour), categories by level, the smaller ones hashed together; nulls are a bin. Equal numbers of
    entities a side, in the protected view; details hold the value of the raw table and the largest
    difference of a rank correlation.

    Raises:
        CannotMeasure: fewer than two columns that vary, or too few entities for the view.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_split(comparison)
    repeats = range(min(comparison.repeats, _REPEATS))
    views = [_tables(comparison, comparison.matched(i), i) for i in repeats]
    read = [(view.distance(2, 1), view.distance(0, 1)) for view in views]
    value, floor = (float(np.mean(each)) for each in zip(*read, strict=True))
    return Measurement(
        metric=ID,
        value=value,
        n=views[0].rows,
        unit="rows a side",
        direction="lower_is_better",
        method=f"mean total variation over {views[0].pairs} pairs of columns in up to "
        f"{views[0].bins} bins and one for nulls, {views[0].entities} entities a side; limits by "
        f"{_HALVES} half-samples of {_GROUPS} groups of entities",
        compared_with="holdout",
        floor=floor,
        **limits(normal(value, _variance(comparison, views[0]), lowest=0, highest=1)),
        details={} if comparison.brief else _details(comparison, views[0]),
    )


def _details(comparison: Comparison, view: _Tables) -> dict[str, Any]:
    coarsened = comparison.coarsening is not None and comparison.coarsening.on
    plain = _tables(comparison, comparison.matched_raw(0), 0) if coarsened else view
    return {
        "raw": plain.distance(2, 1),
        "raw_floor": plain.distance(0, 1),
        "worst_pair": view.worst(),
        "bins": view.bins,
        "entities": view.entities,
        **_correlation_difference(comparison),
    }


@dataclass(frozen=True)
class _Tables:
    """Joint counts of all pairs of binned columns, by side and group of entities.

    ``counts`` holds per side an array of shape (groups, columns * width, columns * width): sums
    over rows of the outer products of their one-hot bins, whole numbers.
    """

    names: tuple[str, ...]
    width: int
    counts: tuple[Counts, ...]
    rows: int
    entities: int
    bins: int

    @property
    def pairs(self) -> int:
        return len(self.names) * (len(self.names) - 1) // 2

    def distances(self, left: Counts, right: Counts) -> Floats:
        """Total variation by pair, shape (columns, columns), of two summed counts."""
        size = len(self.names)
        # every row counts once in each of the diagonal's blocks
        rows = [float(np.trace(each[: self.width, : self.width])) for each in (left, right)]
        if min(rows) == 0:
            raise CannotMeasure("a sample of the entities holds no row")
        gap = np.abs(left / rows[0] - right / rows[1])
        return np.asarray(gap.reshape(size, self.width, size, self.width).sum(axis=(1, 3)) / 2)

    def distance(
        self, left: int, right: int, masks: tuple[npt.NDArray[np.bool_], ...] | None = None
    ) -> float:
        """Mean over pairs of columns; ``masks`` choose groups of entities of the two sides."""
        every = tuple(np.ones(len(self.counts[side]), dtype=np.bool_) for side in (left, right))
        chosen = masks or every
        sums = [self.counts[side][mask].sum(axis=0)
                for side, mask in zip((left, right), chosen, strict=True)]  # fmt: skip
        found = self.distances(*sums)
        return float(np.mean(found[np.triu_indices(len(self.names), 1)], dtype=np.float64))

    def worst(self) -> list[str]:
        """The pair of columns that lies furthest apart."""
        found = np.triu(self.distances(*(self.counts[i].sum(axis=0) for i in (2, 1))), 1)
        return [self.names[i] for i in np.unravel_index(int(np.argmax(found)), found.shape)]


def _tables(comparison: Comparison, three: Three, repeat: int) -> _Tables:
    rng = comparison.rng(f"{ID} {repeat}")
    sides = _at_most(three, rng)
    entities = sides[0].entities
    bins = int(np.clip((entities / _PER_CELL) ** 0.5, _FEWEST, _MOST))
    columns: dict[str, list[Codes]] = {}
    for field in sorted(comparison.schema.features, key=lambda f: f.name):
        if field.declared is not None and field.declared.unique:
            continue  # made afresh, never compared
        for name, codes in _binned(field, sides, bins).items():
            # a column of one value everywhere has nothing to be associated with
            if len(np.unique(np.concatenate(codes))) > 1:
                columns[name] = codes
    if len(columns) < 2:
        raise CannotMeasure("fewer than two columns vary: there is no pair")
    width = 1 + max(int(code.max()) for codes in columns.values() for code in codes)
    counts = []
    for i, side in enumerate(sides):
        group = rng.permutation(side.entities)[side.entity] % min(_GROUPS, side.entities)
        placed = np.column_stack(
            [codes[i] + at * width for at, codes in enumerate(columns.values())]
        )
        counts.append(_counts(placed, group, len(columns) * width))
    return _Tables(
        tuple(columns), width, tuple(counts), max(len(side.frame) for side in sides), entities, bins
    )


def _counts(placed: Codes, group: Ints, size: int) -> Counts:
    """Whole numbers below 2^24, so that float32 sums them exactly in any order."""
    out = np.zeros((int(group.max()) + 1, size, size), dtype=np.float32)
    for number in range(len(out)):
        rows = placed[group == number]
        hot = np.zeros((len(rows), size), dtype=np.float32)
        hot[np.arange(len(rows))[:, None], rows] = 1
        out[number] = hot.T @ hot
    return out


def _at_most(three: Three, rng: np.random.Generator) -> Three:
    """As many whole entities a side as keep the longest side at MOST_ROWS, on average."""
    longest = max(len(side.frame) for side in three)
    if longest <= MOST_ROWS:
        return three
    size = max(2, three[0].entities * MOST_ROWS // longest)

    def cut(side: Matched) -> Matched:
        chosen = sample(rng, side.entities, size)
        kept = chosen[side.entity]
        code = (np.cumsum(chosen) - 1)[side.entity[kept]]
        return Matched(side.frame[kept].reset_index(drop=True), code.astype(np.int64), size)

    return cut(three[0]), cut(three[1]), cut(three[2])


def _binned(field: Field, sides: Three, bins: int) -> dict[str, list[Codes]]:
    """Bins 0 .. of each side by name of what is binned; 0 holds the nulls."""
    columns = [side.frame[field.name] for side in sides]
    if field.kind in CATEGORICAL:
        return {field.name: _levels(field.name, columns, bins)}
    if field.kind in NUMERIC:
        return {field.name: _quantiles([c.to_numpy(dtype=np.float64) for c in columns], bins)}
    stamps = [column.to_numpy(dtype="datetime64[ns]") for column in columns]
    known = [~np.isnat(times) for times in stamps]
    place = [np.where(there, times.view(np.int64).astype(np.float64), np.nan)
             for times, there in zip(stamps, known, strict=True)]  # fmt: skip
    hours = [np.where(there, (times - times.astype("datetime64[D]")) // _HOUR, np.nan)
             for times, there in zip(stamps, known, strict=True)]  # fmt: skip
    found = {field.name: _quantiles(place, bins)}
    if any(np.nansum(each) > 0 for each in hours[:2]):
        found[f"hour of {field.name}"] = _quantiles(hours, bins)
    return found


def _quantiles(columns: list[Floats], bins: int) -> list[Codes]:
    """Quantile bins of train and holdout together; a value that fills a bin is a bin of its own."""
    real = np.concatenate(columns[:2])
    real = real[~np.isnan(real)]
    if not len(real):
        return [np.where(np.isnan(column), 0, 1) for column in columns]
    cuts = np.quantile(real, np.arange(1, bins) / bins, method="inverted_cdf")
    edges, times = np.unique(cuts, return_counts=True)
    atoms = edges[times > 1]
    found = []
    for column in columns:
        code = 1 + np.searchsorted(edges, column, "left") + np.searchsorted(atoms, column, "right")
        found.append(np.where(np.isnan(column), 0, code))
    return found


def _levels(name: str, columns: list[pd.Series], bins: int) -> list[Codes]:
    """A bin for each level; of more than ``bins`` the small ones share bins by their hash."""
    shares = pd.concat(columns[:2], ignore_index=True).value_counts(normalize=True)
    own = sorted(shares.index)
    if len(own) > bins:
        common = shares[shares >= 1 / bins]
        own = sorted(common.index)[: bins - 1]
    place = {level: i + 1 for i, level in enumerate(own)}
    shared = max(bins - len(own), 1)
    found = []
    for column in columns:
        codes, levels = pd.factorize(column, use_na_sentinel=True)
        bin_of = [
            place[level]
            if level in place
            else 1 + len(own) + text_seed(f"{name}\0{level}") % shared
            for level in levels
        ]
        found.append(np.array([*bin_of, 0], dtype=np.int64)[codes])
    return found


def _variance(comparison: Comparison, view: _Tables) -> float:
    """Variance by random halves of the groups of entities of both sides.

    Noise makes a half read higher than the whole, so only the spread of the halves around their
    own mean counts.
    """
    sizes = [len(view.counts[side]) for side in (2, 1)]
    if min(sizes) < 2:
        return float("inf")
    rng = comparison.rng(f"{ID} halves")
    return float(
        np.var(
            [
                view.distance(2, 1, masks)
                for masks in zip(
                    halves(rng, sizes[0], _HALVES), halves(rng, sizes[1], _HALVES), strict=True
                )
            ]
        )
    )


def _correlation_difference(comparison: Comparison) -> dict[str, Any]:
    """Largest difference of a rank correlation of two numeric or time columns, and its floor."""
    fields = sorted(comparison.schema.of(NUMERIC | TEMPORAL), key=lambda f: f.name)
    ranks = []
    for side in comparison.matched_raw(0):
        numbers = pd.DataFrame(
            {
                f.name: side.frame[f.name].rank() if f.kind in NUMERIC
                else side.frame[f.name].astype("datetime64[ns]").rank()
                for f in fields
            }
        )  # fmt: skip
        ranks.append(numbers.corr().to_numpy(dtype=np.float64) if fields else np.zeros((0, 0)))
    train, holdout, synthetic = ranks
    above = np.triu_indices(len(fields), 1)
    own, floor = np.abs(synthetic - holdout)[above], np.abs(train - holdout)[above]
    known = ~np.isnan(own) & ~np.isnan(floor)
    if not known.any():
        return {"correlation_difference": None, "correlation_difference_floor": None}
    return {
        "correlation_difference": float(own[known].max()),
        "correlation_difference_floor": float(floor[known].max()),
    }
