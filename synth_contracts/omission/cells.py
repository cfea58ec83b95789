"""Cells of a pool: its units in groups of ten, of which each export leaves out one.

A unit is an entity; a row is one where its entity key is null or there is none. Units are put in
order: by category, then by their number of rows, so that neighbours are alike. Ten neighbours are a
run, and each run loses one: categories and sizes are thinned evenly. Run j belongs to group j
modulo the number of groups, at most ``MOST_GROUPS``, and the ten of a run have the ten digits of
its group, in an order under the key. A group and a digit are a cell.

The category is the first quasi-identifier of whose values ``PER_VALUE`` units, on average, hold the
commonest; none where there is no such one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synth_contracts.omission.codes import Codes, codes, combined, mixed

#: One unit of so many is left out.
ONE_OF = 10
#: Groups at most, so that tracing costs the same however large a table is.
MOST_GROUPS = 2_048
#: Units per value of the category, on average, at least.
PER_VALUE = 50
#: The chance that a class of ``room(k)`` units falls below k in one export, at most.
_RARE = 1e-6

Batches = Callable[[Sequence[int] | None], Iterable[pa.RecordBatch]]


@dataclass(frozen=True, eq=False)
class Cells:
    """Which cell each row of a pool is in.

    Attributes:
        unit: int32, shape (rows,): the row's unit.
        group: int32, shape (units,).
        digit: uint8, shape (units,), 0 to 9.
        groups: how many.
        category: the column that units are put in order by, None for none.
    """

    unit: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    digit: npt.NDArray[np.uint8]
    groups: int
    category: str | None

    def kept(self, left_out: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Shape (rows,): whether a row is in the export that leaves out one digit a group."""
        keeps = self.digit != left_out[self.group]
        return np.asarray(keeps[self.unit])


def assign(
    schema: pa.Schema,
    batches: Batches,
    *,
    entity_key: str | None,
    quasi_identifiers: Sequence[str],
    key: bytes,
    release: str,
) -> Cells:
    """The cells of a pool. They depend on the rows and the key, not on the rows' order.

    Args:
        schema: of the pool.
        batches: all rows, of the columns at the given places or of all, each time in one order.
        entity_key: its column, if any.
        quasi_identifiers: of the contract, in its order.
        key: 32 secret bytes.
        release: the pool's id.
    """
    labels = _labels(batches, _place(schema, entity_key))
    names, back = np.unique(labels, return_inverse=True)
    unit: npt.NDArray[np.int32] = back.astype(np.int32)
    del labels, back
    rows = np.bincount(unit, minlength=len(names))
    category, value = _category(schema, batches, quasi_identifiers, unit, len(names))
    order = np.lexsort((names, rows, value))
    run = np.empty(len(names), dtype=np.int64)
    run[order] = np.arange(len(names)) // ONE_OF
    groups = min(-(-len(names) // ONE_OF), MOST_GROUPS)
    seed = int.from_bytes(sha256(key + b"order" + release.encode()).digest()[:8], "big")
    inside = np.lexsort((mixed(names, seed), run))
    digit = np.empty(len(names), dtype=np.uint8)
    digit[inside] = np.arange(len(names)) % ONE_OF
    return Cells(unit, (run % max(groups, 1)).astype(np.int32), digit, groups, category)


def in_batches(table: pa.Table) -> Batches:
    """A table that is in memory as :func:`assign` reads it."""

    def batches(places: Sequence[int] | None) -> Iterable[pa.RecordBatch]:
        chosen = table if places is None else table.select(list(places))
        return list(chosen.to_batches())

    return batches


def _place(schema: pa.Schema, name: str | None) -> int | None:
    """Where a column of that name stands, as DuckDB compares names; None for nowhere."""
    folded = [found.casefold() for found in schema.names]
    return folded.index(name.casefold()) if name and name.casefold() in folded else None


def _labels(batches: Batches, place: int | None) -> Codes:
    """A code per row that rows of one unit share; ``place`` is the entity key's."""
    if place is None:
        return np.concatenate([_whole(batch) for batch in batches(None)] or [_none()])
    found, alone = [], []
    for batch in batches([place]):
        column = batch.column(0)
        found.append(codes(column))
        alone.append(np.asarray(column.is_null()))
    labels = np.concatenate(found or [_none()])
    missing = np.concatenate(alone) if alone else np.zeros(0, dtype=bool)
    if missing.any():
        # a row that belongs to nobody is a unit of its own
        whole = np.concatenate([_whole(batch) for batch in batches(None)])
        labels = np.where(missing, whole, labels)
    return labels


def _none() -> Codes:
    return np.zeros(0, dtype=np.uint64)


def _whole(batch: pa.RecordBatch) -> Codes:
    return combined([(f.name, codes(batch.column(i))) for i, f in enumerate(batch.schema)])


def _category(
    schema: pa.Schema,
    batches: Batches,
    names: Sequence[str],
    unit: npt.NDArray[np.int32],
    units: int,
) -> tuple[str | None, npt.NDArray[np.int64]]:
    """The category, and its commonest value of each unit as a number."""
    for name in names:
        place = _place(schema, name)
        if place is None:
            continue
        held = np.concatenate([codes(b.column(0)) for b in batches([place])] or [_none()])
        labels, value = np.unique(held, return_inverse=True)
        pairs, count = np.unique(unit.astype(np.int64) * len(labels) + value, return_counts=True)
        order = np.lexsort((pairs, -count, pairs // max(len(labels), 1)))
        owner = pairs[order] // max(len(labels), 1)
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        modal = pairs[order][first] % max(len(labels), 1)
        if len(np.unique(modal)) * PER_VALUE <= units:
            return name, modal
    return None, np.zeros(units, dtype=np.int64)


def pool_rows(rows: int) -> int:
    """How many rows a pool has, whose exports hold about ``rows``."""
    return -(-rows * ONE_OF // (ONE_OF - 1))


@cache
def room(k: int) -> int:
    """How many units a class of the pool must hold, to hold k in nearly every export.

    The smallest n with P(Binomial(n, .9) < k) of at most one in a million.
    """
    n = k
    while _falls_below(n, k) > _RARE:
        n += 1
    return n


def _falls_below(n: int, k: int) -> float:
    left = 1 / ONE_OF
    return sum(
        math.comb(n, kept) * (1 - left) ** kept * left ** (n - kept)
        for kept in range(min(k, n + 1))
    )
