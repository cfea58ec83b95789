"""Declared constraints and conditions kept by the rows that are made, or an error that says which.

What reshape.py cannot make true by construction is made true by drawing again, with a bound: first
the generator's own draws for the same entity and time, then whole rows of other synthetic rows,
then attributes of other synthetic entities. Nothing is read but the synthetic table itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Constraint
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Progress, Sampled
from synth_contracts.generate.dependencies import constant_within
from synth_contracts.generate.reshape import Reshaped
from synth_contracts.tables import Field, TableSchema, breaches, broken

#: Rounds of the generator's own draws, then of rows or entities taken from others.
OWN_ROUNDS = 20
ROUNDS = 200


@dataclass(frozen=True)
class _Rule:
    """What whole rows must keep: the columns it has to do with, and the rows that break it."""

    columns: frozenset[str]
    check: Callable[[pd.DataFrame], dict[str, np.ndarray]]


class Keeper:
    """Holds one candidate to what its contract declares.

    Frames are in the generator's form (``Reshaped.schema``) unless they are called whole.

    Args:
        schema: the table's columns.
        reshaped: how the generator's columns become the table's.
        sampled: the candidate; ``mend`` writes into its frame.
        owner: entity of each row, 0..S-1.
        progress: told how many rows are drawn again.
    """

    def __init__(
        self,
        schema: TableSchema,
        reshaped: Reshaped,
        sampled: Sampled,
        owner: np.ndarray,
        progress: Progress,
    ) -> None:
        self._schema, self._reshaped, self._progress = schema, reshaped, progress
        self._sampled, self._owner = sampled, owner
        self._anchors = reshaped.anchors(sampled.frame, owner)
        self._time = schema.roles.time_index
        self._quasi = set(schema.roles.quasi_identifiers)
        self._rules = [*map(self._column_rule, schema.features), *self._conditions()]

    def _column_rule(self, field: Field) -> _Rule:
        zone = self._schema.roles.timezone

        def check(whole: pd.DataFrame) -> dict[str, np.ndarray]:
            if field.name not in whole.columns:
                return {}
            found = breaches(whole[field.name], field, zone)
            # a unique column is made afresh
            return {f"{field.name}: {name}": mask for name, mask in found if name != "unique"}

        return _Rule(self._reshaped.behind([field.name]), check)

    def _conditions(self) -> list[_Rule]:
        def rule(item: Constraint) -> _Rule:
            def check(whole: pd.DataFrame) -> dict[str, np.ndarray]:
                return {f"{item.id}: {item.check}": broken(item, whole, self._schema)}

            return _Rule(self._reshaped.behind(item.columns), check)

        return [rule(item) for item in self._schema.constraints]

    def _whole(self, frame: pd.DataFrame, rows: np.ndarray | None = None) -> pd.DataFrame:
        owner = self._owner if rows is None else self._owner[rows]
        return self._reshaped.back(frame, owner, self._anchors)

    def _bad(
        self, frame: pd.DataFrame, rows: np.ndarray | None = None, names: Sequence[str] = ()
    ) -> np.ndarray:
        """Which rows of ``frame`` break a rule that has to do with ``names`` (none: any rule).

        ``rows`` are their places in the table, where they are not all of it.
        """
        whole = self._whole(frame, rows)
        out = np.zeros(len(frame), dtype=bool)
        for rule in self._rules:
            if not names or rule.columns.intersection(names):
                for mask in rule.check(whole).values():
                    out |= mask
        return out

    def mend(self, rng: np.random.Generator) -> None:
        """Draw rows that break something again, in place, before anything is recoded."""
        frame = self._sampled.frame
        bad = self._bad(frame)
        if not bad.any():
            return
        self._progress(f"drawing again: {int(bad.sum())} rows that break a constraint")
        fixed = {self._time, self._schema.roles.entity_key}
        if self._sampled.again is not None:
            names = list(self._sampled.again(np.zeros(1, dtype=np.int64), rng).columns)
            rows = np.flatnonzero(self._bad(frame, names=names)) if names else np.zeros(0, int)
            for _ in range(OWN_ROUNDS):
                if not len(rows):
                    break
                _put(frame, rows, self._sampled.again(rows, rng))
                rows = rows[self._bad(frame.iloc[rows], rows, names)]
        self._take(frame, [n for n in frame.columns if n not in fixed], rng)

    def finish(self, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        """The whole table after recoding, which may have broken something anew.

        Raises:
            GenerationError: rows still break a constraint; says which and how many.
        """
        if self._bad(frame).any():
            frame = frame.copy(deep=False)
            tied = self._reshaped.behind([n for c in self._schema.constraints for n in c.columns])
            fixed = {self._time, *self._quasi}
            self._take(frame, [n for n in frame.columns if n in tied and n not in fixed], rng)
        whole = self._reshaped.distinct(self._whole(frame))
        for rule in self._rules:
            for name, mask in rule.check(whole).items():
                count = int(mask.sum())
                if not count:
                    continue
                raise GenerationError(
                    f"{count} of {len(whole)} generated rows still break {name}, "
                    f"after up to {OWN_ROUNDS + ROUNDS} rounds of drawing again",
                    where=self._schema.table,
                    mend="loosen the constraint, name fewer of its columns in "
                    "roles.quasiIdentifiers, or try another generator",
                )
        return whole

    def _take(self, frame: pd.DataFrame, names: Sequence[str], rng: np.random.Generator) -> None:
        """Give broken rows the columns ``names`` of sound ones, in place, where that mends them.

        Columns that are constant within entities change hands between whole entities.
        """
        steady = constant_within(frame[list(names)], self._owner)
        varying = [name for name in names if name not in steady]
        good = np.flatnonzero(~self._bad(frame))
        if varying and len(good):
            rows = np.flatnonzero(self._bad(frame, names=varying))
            for _ in range(ROUNDS):
                if not len(rows):
                    break
                trial = frame.iloc[rows].reset_index(drop=True)
                donors = rng.choice(good, len(rows))
                _put(trial, np.arange(len(rows)), frame[varying].iloc[donors])
                sound = ~self._bad(trial, rows, varying)
                _put(frame, rows[sound], trial[varying][sound])
                rows = rows[~sound]
        tied = self._reshaped.behind([n for c in self._schema.constraints for n in c.columns])
        steady = [name for name in steady if name in tied]
        if steady:
            self._take_entities(frame, steady, rng)

    def _take_entities(
        self, frame: pd.DataFrame, names: list[str], rng: np.random.Generator
    ) -> None:
        owner = self._owner
        first = np.full(int(owner.max()) + 1, -1)
        first[owner[::-1]] = np.arange(len(owner))[::-1]
        good = np.setdiff1d(np.unique(owner), owner[self._bad(frame)])
        bad = np.unique(owner[self._bad(frame, names=names)])
        for _ in range(ROUNDS):
            if not len(bad) or not len(good):
                return
            rows = np.flatnonzero(np.isin(owner, bad))
            donors = rng.choice(good, len(bad))[np.searchsorted(bad, owner[rows])]
            trial = frame.iloc[rows].reset_index(drop=True)
            _put(trial, np.arange(len(rows)), frame[names].iloc[first[donors]])
            lost = np.unique(owner[rows][self._bad(trial, rows, names)])
            sound = ~np.isin(owner[rows], lost)
            _put(frame, rows[sound], trial[names][sound])
            bad = lost


def _put(frame: pd.DataFrame, rows: np.ndarray, values: pd.DataFrame) -> None:
    """Write ``values`` (as many rows) over ``rows`` of its columns, in place."""
    for name in values.columns:
        column = frame[name].to_numpy(copy=True)
        column[rows] = values[name].to_numpy()
        frame[name] = column
