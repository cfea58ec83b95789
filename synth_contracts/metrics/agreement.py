"""How much a synthetic row agrees with a real one, beyond what chance explains, column by column.

Distances in one space weigh a column by how far its values spread. Here a column counts by how
rare its agreement is: a weight of one unit in a hundred thousand says much, the same sex says
little, and a column that was drawn anew costs a fixed penalty, not the match (record linkage:
Fellegi, Sunter 1969). So noisy and near copies stand out in tables of few or heavy columns, where
every row has near neighbours.

Of a real row x and another row y each column gives the log of a likelihood ratio, copy over chance:

- numbers and times (the day, and the hour where there is one): p is the share of real values that
  lie as near to x as y does, at least the share that equals x. By chance p is uniform; of a copy
  its order of magnitude is: the ratio is 1 / (p log n).
- categories: AGREE over the share of the level where they agree, 1 - AGREE over the share of all
  others where they do not.

A row's agreement with a table is the largest sum over the table's rows, at least 0.

Not all pairs are looked at. In each of several passes all columns, in random order and coarsened at
random, make one sort key; each row of the table meets a few real rows before and after its own
place (sorted neighbourhood: Hernandez, Stolfo 1995; prefixes in random order: LSH forest, Bawa,
Condie, Ganesan 2005). The places are those of the real rows alone, so rows that are added to a
table add pairs and take none away: the agreement with two tables together is the larger one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.metrics import cells
from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.threads import each
from synth_contracts.tables import NUMERIC, TEMPORAL, Field

Singles = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

#: How often a category of a copy is that of its source.
AGREE = 0.9
#: Real rows met on either side of a row's place, in each pass: more where columns are few.
WIDEST, _WINDOW_COLUMNS = 4, 16
PASSES, FEWER_PASSES = 16, 8
#: From so many real rows on fewer passes have to do.
MANY_ROWS = 400_000
#: Bits of a number in a sort key, one of these at random: from coarse to as it is.
_BITS = (3, 5, 8, 20)
#: Bits of a category at most.
_LEVEL_BITS = 6
_KEY = 64
_DAY = 86_400
#: Pairs at a time: what is computed of them stays in the cache.
_BLOCK = 4_000
_NULL, _FAR = -1e300, 1e299
_SHARES = 4


@dataclass(frozen=True)
class Marks:
    """A table as ranks and levels, columns first, numbers before levels; (columns, rows) each.

    Attributes:
        value: of a number the share of real values below it (half of its equals among them), -1
            where it is null; of a category the number of its level, -1 where no real row has it.
        same: of a number the share of real values that equal it; of a category the log of the
            ratio where another row agrees.
        other: of a category the log of the ratio where another row does not agree; else 0.
    """

    value: Singles
    same: Singles
    other: Singles

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.value.shape[1])

    def of(self, rows: Any) -> Marks:
        """The marks of some rows."""
        return Marks(self.value[:, rows], self.same[:, rows], self.other[:, rows])


@dataclass(frozen=True)
class _Number:
    """One number, or one reading of a time: its distinct real values and how often each is."""

    name: str
    read: Callable[[pd.Series], Floats]
    known: Floats
    count: Ints
    number = True

    @cached_property
    def _before(self) -> Floats:
        return np.concatenate([[0.0], np.cumsum(self.count)])

    @property
    def levels(self) -> int:
        return len(self.known)

    def mark(self, frame: pd.DataFrame, real: int) -> tuple[Floats, Floats, Floats]:
        values = self.read(frame[self.name])
        at = np.searchsorted(self.known, values)
        held = np.minimum(at, len(self.known) - 1)
        equal = self.known[held] == values
        below = np.where(equal, self._before[held] + self.count[held] / 2, self._before[at])
        place = np.where(values == _NULL, -1.0, below / real)
        return place, np.where(equal, self.count[held], 1) / real, np.zeros(len(values))


@dataclass(frozen=True)
class _Levels:
    """One category: its real levels, sorted, and how often each is; nulls are the last one."""

    name: str
    known: pd.Index[Any]
    count: Ints
    number = False

    @property
    def levels(self) -> int:
        return len(self.count)

    def codes(self, column: pd.Series) -> Ints:
        found, values = pd.factorize(column, use_na_sentinel=False)
        levels = self.known.get_indexer(pd.Index(values, dtype=object))
        levels[pd.isna(values)] = len(self.known)
        return levels[found].astype(np.int64)

    def mark(self, frame: pd.DataFrame, real: int) -> tuple[Floats, Floats, Floats]:
        codes = self.codes(frame[self.name])
        # a level that no real row has agrees with none: what it would weigh does not matter
        share = np.clip(self.count / real, 1 / real, 1 - 1 / real)
        same, other = np.log(AGREE / share), np.log((1 - AGREE) / (1 - share))
        return codes.astype(np.float64), same[codes], other[codes]


class Columns:
    """What is known of each column from train and holdout together.

    Args:
        real: canonical frames of train and of holdout.
        features: columns to compare; at least one row must be there.
    """

    def __init__(self, real: Sequence[pd.DataFrame], features: Sequence[Field]) -> None:
        self.rows = sum(len(frame) for frame in real)
        self._parts: list[_Number | _Levels] = []
        for field in sorted(features, key=lambda f: f.name):
            column = pd.concat([frame[field.name] for frame in real], ignore_index=True)
            if field.kind in NUMERIC:
                self._parts.append(_number(field.name, _numbers, column))
            elif field.kind in TEMPORAL:
                self._parts.append(_number(field.name, _days, column))
                hours = _number(field.name, _hours, column)
                if hours.levels > 1:
                    self._parts.append(hours)
            else:
                self._parts.append(_category(field.name, column))
        self._parts.sort(key=lambda part: not part.number)
        self.numbers = np.array([part.number for part in self._parts], dtype=bool)
        self.levels = [part.levels for part in self._parts]
        #: What every number costs: its ratio is 1 / (p log n).
        self.cost = np.float32(int(self.numbers.sum()) * math.log(math.log(max(self.rows, 16))))

    def mark(self, frame: pd.DataFrame) -> Marks:
        """The rows of a canonical frame, in its own order."""
        shape = (len(self._parts), len(frame))
        value, same, other = (np.empty(shape, dtype=np.float32) for _ in range(3))

        def mark(i: int) -> None:
            value[i], same[i], other[i] = self._parts[i].mark(frame, self.rows)

        each(mark, range(len(self._parts)))
        return Marks(value, same, other)


def _number(name: str, read: Callable[[pd.Series], Floats], column: pd.Series) -> _Number:
    known, count = np.unique(read(column), return_counts=True)
    return _Number(name, read, known, count)


def _category(name: str, column: pd.Series) -> _Levels:
    known = pd.Index(sorted(column.dropna().unique()), dtype=object)
    empty = _Levels(name, known, np.zeros(len(known) + 1, dtype=np.int64))
    return _Levels(name, known, np.bincount(empty.codes(column), minlength=len(known) + 1))


def _numbers(column: pd.Series) -> Floats:
    values = column.to_numpy(dtype=np.float64) + 0.0
    return np.where(np.isnan(values), _NULL, np.clip(values, -_FAR, _FAR))


def _days(column: pd.Series) -> Floats:
    return _clock(column, lambda seconds: seconds // _DAY)


def _hours(column: pd.Series) -> Floats:
    return _clock(column, lambda seconds: seconds % _DAY)


def _clock(column: pd.Series, read: Callable[[Ints], Ints]) -> Floats:
    stamps = column.to_numpy(dtype="datetime64[s]")
    return np.where(np.isnat(stamps), _NULL, read(stamps.view(np.int64)).astype(np.float64))


@dataclass(frozen=True)
class _Pass:
    """One way to sort: columns in order, the bits of each and a shift of its borders in 0 .. 1."""

    order: Ints
    bits: Ints
    shift: Floats

    def keys(self, columns: Columns, marks: Marks) -> Keys:
        found = np.zeros(marks.rows, dtype=np.uint64)
        left = _KEY
        for column, bits, shift in zip(self.order, self.bits, self.shift, strict=True):
            taken = min(int(bits), left)
            value = marks.value[column].astype(np.float64)
            if columns.numbers[column]:
                # nulls among the smallest
                most = 2.0**taken - 1
                code = np.clip(np.floor(value * most + shift), 0, most).astype(np.uint64)
            elif columns.levels[column] <= 2**taken:
                code = (value + 1).astype(np.uint64) & np.uint64(2**taken - 1)
            else:
                level = (value + 1).astype(np.uint64) + np.uint64(int(shift * 2**32))
                code = cells.mix(level) >> np.uint64(_KEY - taken)
            found = (found << np.uint64(taken)) | code
            left -= taken
            if not left:
                break
        return found << np.uint64(left) if left else found


@dataclass(frozen=True)
class _Sorted:
    """Some real rows in the order of one pass, and their keys."""

    order: Rows
    keys: Keys

    def among(self, mask: Mask) -> _Sorted:
        """The rows of ``mask`` alone."""
        kept = mask[self.order]
        return _Sorted(self.order[kept], self.keys[kept])


class Agreement:
    """Real rows, ready to be compared with other tables.

    Args:
        columns: fitted on them.
        real: their marks, shape (columns, rows).
        rng: draws the passes.
    """

    def __init__(self, columns: Columns, real: Marks, rng: np.random.Generator) -> None:
        self.columns, self.real = columns, real
        self._window = min(max(round(_WINDOW_COLUMNS / max(len(columns.levels), 1)), 1), WIDEST)
        self._passes = _drawn(columns, FEWER_PASSES if real.rows >= MANY_ROWS else PASSES, rng)
        # rows with equal keys stand in random order, never members first
        lot = rng.permutation(real.rows).astype(np.uint64)
        back = np.empty(real.rows, dtype=np.int32)
        back[lot] = np.arange(real.rows, dtype=np.int32)
        self._ties = np.uint64((1 << max(real.rows - 1, 1).bit_length()) - 1)

        def in_order(one: _Pass) -> _Sorted:
            keys = np.sort(one.keys(columns, real) & ~self._ties | lot)
            return _Sorted(back[keys & self._ties], keys)

        self._sorted = each(in_order, self._passes)
        self._values = np.ascontiguousarray(real.value.T)

    def best(self, marks: Marks, among: Mask | None = None) -> Singles:
        """Agreement of each real row with the rows of ``marks``, at least 0, shape (real rows,).

        ``among``: real rows that are looked at, shape (real rows,); the others read 0.
        """
        table = np.concatenate([marks.value, marks.same, marks.other]).T.copy()

        def best_of(number: int) -> Singles:
            found = np.zeros(self.real.rows, dtype=np.float32)
            places = self._sorted[number]
            held = places if among is None else places.among(among)
            if not len(held.order) or not marks.rows:
                return found
            keys = self._asked(self._passes[number], marks)
            # in the order of the keys what is read lies side by side
            asking = np.argsort(keys)
            at = np.searchsorted(held.keys, keys[asking])
            for start in range(0, len(asking), _BLOCK):
                block = slice(start, start + _BLOCK)
                part = Marks(*np.split(table[asking[block]].T.copy(), 3))
                for real in self._met(held, at[block]):
                    np.maximum.at(found, real, self._weights(part, real))
            return found

        # which pass found the largest, and when, changes no bit of it
        return np.asarray(np.maximum.reduce(each(best_of, range(len(self._passes)))))

    def pairs(self, marks: Marks, reference: Floats, known: Floats) -> tuple[Ints, Ints, Floats]:
        """All pairs that agree, beyond ``reference``, by more than is known of the real row.

        Real rows, rows of ``marks`` and scores, sorted by row of ``marks``; a pair may be there
        more than once. ``reference`` and ``known`` have shape (real rows,).
        """
        found: list[tuple[Rows, Ints, Floats]] = []
        for one, held in zip(self._passes, self._sorted, strict=True):
            at = np.searchsorted(held.keys, self._asked(one, marks))
            for real in self._met(held, at):
                score = self._weights(marks, real) - reference[real]
                kept = np.flatnonzero(score > known[real])
                found.append((real[kept], kept, score[kept]))
        real, row, score = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.argsort(row, kind="stable")
        return real[order].astype(np.int64), row[order].astype(np.int64), score[order]

    def _asked(self, one: _Pass, marks: Marks) -> Keys:
        """Where rows of another table stand: among equals at a place of their own contents."""
        keys = one.keys(self.columns, marks)
        return keys & ~self._ties | cells.mix(keys) & self._ties

    def _met(self, held: _Sorted, at: Ints) -> list[Rows]:
        """Real rows around the places ``at``, from the first before to the last after."""
        last = len(held.order) - 1
        steps = range(-self._window, self._window)
        return [held.order[np.clip(at + step, 0, last)] for step in steps]

    def _weights(self, marks: Marks, real: Rows) -> Singles:
        """Agreement of each row of ``marks`` with the real row of the same place in ``real``."""
        values = self._values[real].T.copy()
        cut = int(self.columns.numbers.sum())
        # nobody's equals lie farther than their own number
        apart = values[:cut] - marks.value[:cut]
        np.abs(apart, out=apart)
        apart *= 2
        np.maximum(apart, marks.same[:cut], out=apart)
        told = np.where(values[cut:] == marks.value[cut:], marks.same[cut:], marks.other[cut:])
        found = told.sum(axis=0) - self.columns.cost
        # one logarithm for a few numbers: a product of so many shares is no subnormal
        for first in range(0, cut, _SHARES):
            found -= np.log(np.multiply.reduce(apart[first : first + _SHARES], axis=0))
        return np.asarray(found, dtype=np.float32)


def _drawn(columns: Columns, passes: int, rng: np.random.Generator) -> list[_Pass]:
    count = len(columns.numbers)
    own = np.ceil(np.log2(np.maximum(columns.levels, 2)))
    drawn = []
    for _ in range(passes):
        order = rng.permutation(count)
        bits = np.where(
            columns.numbers, rng.choice(_BITS, count), np.minimum(own, _LEVEL_BITS)
        ).astype(np.int64)
        drawn.append(_Pass(order, bits[order], rng.random(count)))
    return drawn
