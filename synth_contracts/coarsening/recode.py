"""k-anonymity by recoding; no row is dropped.

Hierarchical: within each class of the quasi-identifiers so far (which holds at least k entities by
induction) the values of the next one that fewer than k entities hold are recoded into one group.
Where that group is itself too small its rows take the commonest value of their class: few rows
change, where grouping another value with them would change many. Numbers and times have no
``other``: neighbouring values are merged and take the commonest of their group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_contracts.coarsening.rare import entities_per_value


@dataclass(frozen=True)
class Quasi:
    """One quasi-identifier: what stands for its grouped values.

    ``ordered`` columns merge neighbours. Otherwise ``token`` is the value for the group (None is
    missing), or, where ``has_token`` is False, the group takes its commonest value.
    """

    name: str
    ordered: bool = False
    has_token: bool = True
    token: str | None = None


def recode(
    frame: pd.DataFrame, entities: np.ndarray, quasi: Sequence[Quasi], k: int
) -> pd.DataFrame:
    """A copy of ``frame`` in which every class over ``quasi`` holds at least k entities.

    Columns that are constant within entities come first, then by number of values: the widest
    column pays. A table of fewer than k entities ends as a single class.

    Args:
        frame: canonical rows.
        entities: integer entity of each row.
        quasi: the quasi-identifiers.
        k: smallest class, in entities.
    """
    out = frame.copy(deep=False)
    if not len(frame) or not quasi:
        return out
    coded = {q.name: pd.factorize(frame[q.name], sort=True) for q in quasi}
    # rows of one entity with equal values share their fate: work on them once
    place = pd.factorize(entities)[0].astype(np.int64)
    for codes, labels in coded.values():
        place = pd.factorize(place * (len(labels) + 1) + codes + 1)[0].astype(np.int64)
    first = np.empty(place.max() + 1, dtype=np.int64)
    first[place[::-1]] = np.arange(len(frame))[::-1]
    rows_each = np.bincount(place)
    owner = pd.factorize(entities[first])[0].astype(np.int64)

    def rank(q: Quasi) -> tuple[bool, int, str]:
        codes, labels = coded[q.name]
        held = len(np.unique(owner * (len(labels) + 1) + codes[first] + 1))
        return held > owner.max() + 1, len(labels), q.name

    prefix = np.zeros(len(first), dtype=np.int64)
    for q in sorted(quasi, key=rank):
        labels = coded[q.name][1]
        codes = coded[q.name][0][first].astype(np.int64)
        token = _code_of(labels, q.token) if q.has_token and not q.ordered else None
        if token == len(labels):
            labels = labels.append(pd.Index([q.token], dtype=object))
        new = codes.copy()
        order = np.argsort(prefix, kind="stable")
        bounds = np.flatnonzero(np.diff(prefix[order], prepend=-1))
        merge = _merge_ordered if q.ordered else _merge_named
        for group in np.split(order, bounds[1:]):
            new[group] = merge(codes[group], owner[group], rows_each[group], token, k)
        if (new != codes).any():
            out[q.name] = _values(frame[q.name], labels, new[place])
        prefix = pd.factorize(prefix * (len(labels) + 1) + new + 1)[0].astype(np.int64)
    return out


def _code_of(labels: pd.Index, token: str | None) -> int:
    """The token's code: -1 for missing, one past the last for a value not yet in the table."""
    if token is None:
        return -1
    found = np.flatnonzero(labels == token)
    return int(found[0]) if len(found) else len(labels)


def _values(column: pd.Series, labels: pd.Index, codes: np.ndarray) -> np.ndarray:
    if column.dtype == object:
        return np.asarray(np.array([*labels, None], dtype=object)[codes])
    known = labels.to_numpy()
    missing = np.array([np.nan if known.dtype.kind == "f" else "NaT"], dtype=known.dtype)
    return np.asarray(np.append(known, missing)[codes])


def _merge_named(
    codes: np.ndarray, owner: np.ndarray, rows: np.ndarray, token: int | None, k: int
) -> np.ndarray:
    """Recode values of one class: rare ones into ``token``, or into the class's commonest value.

    The commonest is taken where there is no token, and where the group would not hold k entities.
    """
    values, inverse = np.unique(codes, return_inverse=True)
    local = np.unique(owner, return_inverse=True)[1]
    grouped = entities_per_value(inverse, local, len(values)) < k
    if not grouped.any():
        return codes
    if token is not None:
        grouped |= values == token
        if grouped.all() or len(np.unique(local[grouped[inverse]])) >= k:
            return np.where(grouped[inverse], token, codes)
    pool = ~grouped if (~grouped).any() else grouped
    count = np.bincount(inverse, weights=rows)
    target = int(values[np.flatnonzero(pool)[np.argmax(count[pool])]])
    return np.where(grouped[inverse], target, codes)


def _merge_ordered(
    codes: np.ndarray, owner: np.ndarray, rows: np.ndarray, _token: int | None, k: int
) -> np.ndarray:
    """Merge neighbouring values until each group holds k entities; it takes its commonest."""
    values, inverse = np.unique(codes, return_inverse=True)
    local = np.unique(owner, return_inverse=True)[1]
    held = entities_per_value(inverse, local, len(values))
    if held.min() >= k:
        return codes
    group = np.zeros(len(values), dtype=np.int64)
    by_value = [local[members] for members in _rows_of(inverse, len(values))]
    current: set[int] = set()
    number = 0
    for index in range(len(values)):
        group[index] = number
        current.update(by_value[index].tolist())
        if len(current) >= k:
            current, number = set(), number + 1
    if current and number:
        group[group == number] = number - 1
    count = np.bincount(inverse, weights=rows)
    commonest = {
        g: values[members[np.argmax(count[members])]]
        for g in np.unique(group)
        if len(members := np.flatnonzero(group == g))
    }
    return np.array([commonest[g] for g in group], dtype=np.int64)[inverse]


def _rows_of(inverse: np.ndarray, size: int) -> list[np.ndarray]:
    order = np.argsort(inverse, kind="stable")
    return np.split(order, np.cumsum(np.bincount(inverse, minlength=size))[:-1])
