"""From the rows of a leak to the units of the pool that they are of.

A row tells a unit when its values on the columns that are there occur in rows of that unit alone.
Rows that match nothing are tried with one column left out, so that a row with one edited value
still tells. Nothing here knows what any export omits: what is matched wrongly accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_contracts.omission.codes import Codes, named

#: Sets of columns that are tried, at most.
_SETS = 64


@dataclass(frozen=True, eq=False)
class Matched:
    """Units that the leak has rows of, ascending, and how many of its rows told one."""

    units: npt.NDArray[np.int64]
    rows: int


def match(
    pool: Mapping[str, Codes],
    unit: npt.NDArray[np.int32],
    leak: Mapping[str, Codes],
    keys: Set[str],
) -> Matched:
    """Match rows on the columns that both have.

    Args:
        pool: column name -> code of each row (omission/codes.py).
        unit: of each row of the pool.
        leak: the same names.
        keys: names of keys, which may have been made anew: rows are tried without them, too.
    """
    ours = {name: named(name, values) for name, values in pool.items()}
    theirs = {name: named(name, values) for name, values in leak.items()}
    rows = len(next(iter(theirs.values())))
    open_ = np.arange(rows)
    told = np.full(rows, -1, dtype=np.int64)
    for names in _sets(list(ours), keys):
        if not len(open_):
            break
        wanted = _sum(theirs, names)[open_]
        found = _owner(_sum(ours, names), unit, wanted)
        told[open_] = np.where(found >= 0, found, told[open_])
        # rows of several units stay so with fewer columns: they are given up
        open_ = open_[found == _NOBODY]
    return Matched(np.unique(told[told >= 0]), int((told >= 0).sum()))


def _sets(names: list[str], keys: Set[str]) -> Iterator[list[str]]:
    """Sets of columns in the order in which they are tried, the strictest first."""
    plain = [name for name in names if name not in keys]
    wholes = [names] if len(plain) in (0, len(names)) else [names, plain]
    yield from wholes
    left = _SETS - len(wholes)
    for whole in wholes:
        for name in whole if len(whole) > 2 else ():
            fewer = [other for other in whole if other != name]
            if left and fewer not in wholes:
                left -= 1
                yield fewer


def _sum(columns: Mapping[str, Codes], names: list[str]) -> Codes:
    total = columns[names[0]].copy()
    with np.errstate(over="ignore"):
        for name in names[1:]:
            total += columns[name]
    return total


_NOBODY, _SEVERAL = -1, -2


def _owner(pool: Codes, unit: npt.NDArray[np.int32], wanted: Codes) -> npt.NDArray[np.int64]:
    """Of each code the one unit that has it; ``_NOBODY`` or ``_SEVERAL`` where there is not one."""
    codes, back = np.unique(wanted, return_inverse=True)
    place = np.searchsorted(codes, pool)
    place[place == len(codes)] = 0
    hit = codes[place] == pool
    low = np.full(len(codes), np.iinfo(np.int64).max)
    high = np.full(len(codes), -1, dtype=np.int64)
    np.minimum.at(low, place[hit], unit[hit])
    np.maximum.at(high, place[hit], unit[hit])
    owner = np.where(high < 0, _NOBODY, np.where(low == high, high, _SEVERAL))
    return np.asarray(owner[back])
