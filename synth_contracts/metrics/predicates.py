"""Predicates that a table suggests, and who satisfies them.

A predicate is a conjunction of conditions on the cells of one row; an entity satisfies it when one
of its rows does. Conditions are equalities of codes: the cell itself, or the range that the cell
falls in. So a conjunction is a 64-bit sum of mixed codes, and any number of predicates over the
same columns is looked up in one pass over the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln

from synth_contracts.metrics.cells import Floats, Hashes, Ints, Side, mix, text_seed
from synth_contracts.metrics.guessing import Rate
from synth_contracts.tables import NUMERIC, TEMPORAL, Field

#: Where the ranges of a number begin, as shares of the suggesting table's cells that are not null;
#: narrow at both ends, since it is the far values that single out.
RANGES = np.array([0, 0.001, 0.01, *np.arange(0.05, 0.96, 0.05), 0.99, 0.999])
_DAY = np.int64(86_400 * 10**9)
_NULL = np.int64(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class Holders:
    """Which entities satisfy which predicates, each pair once.

    ``predicate`` and ``entity`` have shape (pairs,), ``counts`` shape (predicates,).
    """

    predicate: Ints
    entity: Ints
    counts: Ints

    @classmethod
    def of(cls, predicate: Ints, entity: Ints, predicates: int, entities: int) -> Holders:
        """The pairs, of which some may come more than once."""
        pairs = pd.unique(predicate * max(entities, 1) + entity)
        pairs.sort()
        which, who = pairs // max(entities, 1), pairs % max(entities, 1)
        return cls(which, who, np.bincount(which, minlength=predicates))


def holders(codes: Hashes, side: Side, wanted: Hashes) -> Holders:
    """Who satisfies each of the predicates ``wanted``.

    Args:
        codes: conjunction that each row of the side satisfies, shape (rows,).
        side: whose rows they are.
        wanted: the predicates, ascending, each once, shape (predicates,).
    """
    # most rows satisfy none: their first sixteen bits tell it
    maybe = np.zeros(1 << 16, dtype=bool)
    maybe[wanted >> np.uint64(48)] = True
    rows = np.flatnonzero(maybe[codes >> np.uint64(48)])
    found = np.searchsorted(wanted, codes[rows])
    found = np.minimum(found, max(len(wanted) - 1, 0))
    same = wanted[found] == codes[rows] if len(wanted) else np.zeros(len(rows), dtype=bool)
    return Holders.of(found[same], side.entity[rows[same]], len(wanted), side.entities)


class Exact:
    """Codes of a column that are equal where the cells are equal."""

    def __init__(self, field: Field) -> None:
        self._field = field

    def of(self, side: Side) -> Hashes:
        """Shape (rows,)."""
        return _mixed(side.cell(self._field.name), self._field)


class Ends:
    """Codes of a number or time: at or beyond the suggesting table's largest, smallest, neither."""

    def __init__(self, suggesting: Side, field: Field) -> None:
        self._field = field
        values = _ordered(suggesting, field)
        known = values[~np.isnan(values)]
        self._low = float(known.min()) if len(known) else np.inf
        self._high = float(known.max()) if len(known) else -np.inf

    def of(self, side: Side) -> Hashes:
        """Shape (rows,)."""
        values = _ordered(side, self._field)
        place = (values >= self._high).astype(np.int64) - (values <= self._low)
        return _mixed(place, self._field)

    def both(self) -> Hashes:
        """The two predicates, ascending."""
        return np.sort(_mixed(np.array([-1, 1], dtype=np.int64), self._field))


def _ordered(side: Side, field: Field) -> Floats:
    """Numbers or times of a column as floats, nulls as NaN, shape (rows,)."""
    if field.kind in NUMERIC:
        return side.frame[field.name].to_numpy(dtype=np.float64)
    cells = side.cell(field.name)
    return np.where(cells == _NULL, np.nan, cells.astype(np.float64))


class Ranges:
    """Codes of the range that each cell falls in, the same for every side.

    Numbers fall in ranges between quantiles of the table that suggests (the first and the last
    open), times in days, categories in themselves; a null is a range of its own.
    """

    def __init__(self, suggesting: Side, field: Field) -> None:
        self._field = field
        self._edges = np.empty(0)
        if field.kind in NUMERIC:
            values = np.sort(suggesting.frame[field.name].to_numpy(dtype=np.float64))
            values = values[~np.isnan(values)]
            if len(values):
                # by rank and not by interpolation: infinities have no middle
                self._edges = np.unique(values[(RANGES * (len(values) - 1)).astype(np.int64)])

    def of(self, side: Side) -> Hashes:
        """Shape (rows,)."""
        cells = side.cell(self._field.name)
        if self._field.kind in NUMERIC:
            values = side.frame[self._field.name].to_numpy(dtype=np.float64)
            place = np.searchsorted(self._edges[1:], values, side="right").astype(np.int64)
            cells = np.where(np.isnan(values), _NULL, place)
        elif self._field.kind in TEMPORAL:
            cells = np.where(cells == _NULL, _NULL, cells // _DAY)
        return _mixed(cells, self._field)


def _mixed(cells: Ints, field: Field) -> Hashes:
    return mix(cells.astype(np.uint64) ^ np.uint64(text_seed(field.name)))


def singled_out(found: Holders, entities: int, looked_at: int) -> Rate:
    """Share of predicates that exactly one of ``looked_at`` random entities satisfies.

    The mean over all ways of drawing them is computed, not sampled: a predicate of c out of N
    entities is satisfied by exactly one of n with the probability c C(N - c, n - 1) / C(N, n).
    The variance is the jackknife's over entities (never too small on average: Efron, Stein 1981),
    with one more entity of average influence: nobody singled out is no certainty.
    """
    guesses = len(found.counts)
    share = float(_once(found.counts, entities, looked_at).mean())
    # what an entity's predicates would read without it, beyond what the others' would
    fewer = min(looked_at, entities - 1)
    lost = _once(found.counts - 1, entities - 1, fewer) - _once(found.counts, entities - 1, fewer)
    influence = np.bincount(found.entity, weights=lost[found.predicate], minlength=entities)
    away = influence - influence.mean()
    moving = int((influence != 0).sum())
    squares = float(np.sum(away**2))
    one_more = max(squares / moving if moving else 0.0, 1.0)
    return Rate(share, (squares + one_more) / guesses**2)


def _once(counts: Ints, entities: int, looked_at: int) -> Floats:
    """Probability that a sample holds exactly one of ``counts`` out of ``entities``."""
    if looked_at == entities:
        return np.asarray(counts == 1, dtype=np.float64)
    c = np.clip(counts, 1, max(entities - looked_at + 1, 1)).astype(np.float64)
    chosen = np.log(c) + _choose(entities - c, looked_at - 1) - _choose(entities, looked_at)
    return np.asarray(np.where(counts == c, np.exp(chosen), 0.0), dtype=np.float64)


def _choose(n: Floats | int, k: int) -> Floats:
    """Log of n over k."""
    return np.asarray(gammaln(np.asarray(n) + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def rarest(codes: Hashes, most: int, rng: np.random.Generator) -> Hashes:
    """Up to ``most`` distinct conjunctions of a table, of the fewest rows first; ascending."""
    values, counts = np.unique(codes, return_counts=True)
    if len(values) > most:
        order = rng.permutation(len(values))
        values = values[order[np.argsort(counts[order], kind="stable")[:most]]]
    return np.sort(values)
