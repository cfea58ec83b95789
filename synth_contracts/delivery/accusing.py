"""Which export a leak came from, with a bound on accusing anybody falsely.

A leak tells which cells of the pool it has rows of. An export holds no row of the cells that it
omits, one of ten in each group, so rows of a cell speak against the exports that omit it.

**Statistic.** X(t) is the number of cells that the leak has rows of and export t omits.

**Null.** Let t be innocent: the leak was made without the rows of t's export. The digits of t are
32 bits of SHAKE-256 under a secret key and t's own id, so (unless SHAKE-256 is broken or the key is
known) they are uniform over 0 to 9, independent of each other, of all other exports and of the
leak, whatever was done to it. Given the leak, with m(g) cells present in group g, X(t) is a sum of
independent Bernoulli(m(g) / 10), whose lower tail F is computed exactly. A wrong match adds a cell
to the leak: it makes an accusation weaker, but never false more often, since matching reads no
digit.

**Pairs.** Of export b in company of export a: there are X(a) groups in which the leak has rows of
the cell that a omits. Given a and the leak, b omits the same cell with chance 1/10 in each, so that
the number of these is Binomial(X(a), 1/10) where b is innocent, whatever a is. Two who mix their
exports have no row of what both omit.

**Family.** There are n exports and n (n - 1) ordered pairs; exports that were refused for a small
class are counted among the n. Each half of ``ALLOWED`` is shared by the tests of one kind: an
export is named when 2 n F(X), or 2 n (n - 1) times the binomial's lower tail, lies below it. By the
union bound the chance that any innocent export is named is below ``ALLOWED``, whichever tests were
looked at. All bounds are multiplied by ``_UNEVEN``: a digit of 32 bits has a chance of 1/10 within
3e-10, which over 2,048 groups comes to less than one part in a thousand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.omission import ONE_OF

#: The chance of naming any innocent export in one trace stays below it.
ALLOWED = 1e-6
_UNEVEN = 1.001
#: Cells compared in pairs, at most (exports, times groups, times first exports).
_PAIRED = 2_000_000_000
#: No leak is asked to have more cells than this.
_MOST_CELLS = 1_000_000

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scores:
    """Of each export how many present cells it omits, and the bound of accusing it; 1 at most.

    Attributes:
        present: how many cells the leak has rows of.
        omitted: X of each export, shape (exports,).
        expected: mean of X for an innocent export.
        bound: family-wise bound of false accusation, shape (exports,).
        company: index of the export in whose company it was found, -1 for none.
        family: how many exports the bound was taken over.
    """

    present: int
    omitted: Ints
    expected: float
    bound: Floats
    company: Ints
    family: int

    @property
    def named(self) -> Ints:
        """Exports that are named, surest first."""
        order = np.lexsort((np.arange(len(self.bound)), self.bound))
        return np.asarray(order[self.bound[order] < ALLOWED])


def score(present: npt.NDArray[np.bool_], left_out: npt.NDArray[np.uint8], family: int) -> Scores:
    """Score every export of one release.

    Args:
        present: shape (groups, 10): whether the leak has rows of a cell.
        left_out: shape (exports, groups): the digit that each export omits.
        family: how many exports are scored in all, those of other releases too.

    Raises:
        ValueError: the family is smaller than what is scored here.
    """
    if family < len(left_out):
        raise ValueError("the family holds every export that is scored")
    groups = np.arange(present.shape[0])
    each = present.sum(axis=1)
    omitted = np.zeros(len(left_out), dtype=np.int64)
    for first in range(0, len(left_out), 1_024):  # a part at a time is in memory
        part = left_out[first : first + 1_024]
        omitted[first : first + 1_024] = present[groups, part].sum(axis=1)
    alone = 2 * family * _UNEVEN * lower_tail(each)[omitted]
    pairs, company = _in_company(present, left_out, omitted, family)
    better = pairs < alone
    return Scores(
        present=int(each.sum()),
        omitted=omitted,
        expected=float(each.sum()) / ONE_OF,
        bound=np.minimum(np.where(better, pairs, alone), 1.0),
        company=np.where(better, company, -1),
        family=family,
    )


def lower_tail(each: npt.NDArray[np.int_]) -> Floats:
    """P(X <= x) for x = 0, 1, ...: X sums a Bernoulli(m / 10) for each m in ``each``."""
    total = np.ones(1)
    for cells in range(1, ONE_OF + 1):
        count = int((each == cells).sum())
        if count:
            total = np.convolve(total, _binomial().pmf(np.arange(count + 1), count, cells / ONE_OF))
    return np.minimum(np.cumsum(total), 1.0)


def _in_company(
    present: npt.NDArray[np.bool_],
    left_out: npt.NDArray[np.uint8],
    omitted: Ints,
    family: int,
) -> tuple[Floats, Ints]:
    """The least bound of each export in company of another, and which that is."""
    bound = np.full(len(left_out), np.inf)
    company = np.full(len(left_out), -1, dtype=np.int64)
    tests = 2 * family * (family - 1) * _UNEVEN
    if tests <= 0:
        return bound, company
    # of fewer cells nobody could be named, not even if none of them was omitted
    least = math.log(ALLOWED / tests) / math.log(1 - 1 / ONE_OF)
    firsts = np.flatnonzero(omitted >= least)
    most = max(_PAIRED // max(left_out.size, 1), 1)
    # sources omit less of the leak than others do
    firsts = firsts[np.argsort(omitted[firsts], kind="stable")][:most]
    groups = np.arange(present.shape[0])
    for first in firsts:
        own = left_out[first]
        there = present[groups, own]
        both = (left_out[:, there] == own[there]).sum(axis=1)
        found = tests * _binomial().cdf(both, int(there.sum()), 1 / ONE_OF)
        found[first] = np.inf
        better = found < bound
        bound[better], company[better] = found[better], first
    return bound, company


def cells_needed(family: int, present: int, omitted: int) -> int | None:
    """At how many present cells an export would be named that omits the same share of them.

    Args:
        family: exports in all.
        present: cells that the leak has rows of.
        omitted: how many of these the export omits.

    Returns:
        The number, which is an estimate; None where no number would do.
    """
    share = omitted / present if present else 0.0
    if share >= 1 / ONE_OF:
        return None
    tests = 2 * family * _UNEVEN

    def enough(cells: int) -> bool:
        return bool(tests * _binomial().cdf(math.floor(share * cells), cells, 1 / ONE_OF) < ALLOWED)

    high = 64
    while not enough(high):
        high *= 2
        if high > _MOST_CELLS:
            return None
    low = high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def _binomial() -> Any:
    """The binomial distribution: half a second to import, which an export need not wait for."""
    from scipy.stats import binom

    return binom
