"""``calendar_cart``: calendar volume, entities, then rows by sequential CART."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.model import Contract, Roles
from synth_contracts.generate.base import Progress, Sampled
from synth_contracts.generate.encode import encode_features
from synth_contracts.generate.leaves import choose
from synth_contracts.generate.parameters import read_parameters
from synth_contracts.generate.reject import REJECT_ROUNDS, Outliers
from synth_contracts.generate.rows import RowModel
from synth_contracts.generate.visits import Drawn, Leaves, Planned, Visits, keeps_instants
from synth_contracts.tables.schema import TableSchema

_TRIES = 3  # leaves of 100, 200 and 400 rows; then 800


@dataclass(frozen=True)
class CartPlan:
    """Who comes and on which days; rows are drawn for any run of them."""

    model: CalendarCart
    planned: Planned

    @property
    def owner(self) -> np.ndarray:
        """Entity of each row, ascending."""
        return self.planned.owner

    def draw(self, rows: slice, rng: np.random.Generator) -> Sampled:
        """Those rows."""
        return self.model.draw(self.planned, rows, rng)


class CalendarCart:
    """The default generator; see docs/generators.md.

    Args:
        contract: what is generated; its leaf sizes are where trying them on train begins.
        progress: told what is done.
        leaves: sizes that are taken untried.
    """

    def __init__(
        self, contract: Contract, progress: Progress, leaves: Leaves | None = None
    ) -> None:
        self._contract, self._progress = contract, progress
        given = read_parameters("calendar_cart", contract.generator.parameters)
        asked = Leaves(given["leaf_rows"], given["leaf_entities"], given["entity_leaf"])
        self._leaves = leaves or asked
        self._settled = leaves is not None
        self._visits = Visits(contract, self._leaves, progress)
        self._note: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report card."""
        return (*self._note, *self._visits.notes)

    def _choose(
        self, train: pd.DataFrame, entities: np.ndarray, schema: TableSchema, seed: int
    ) -> None:
        """Leaf sizes by trying them; the stream is one of its own."""
        within = replace(self._contract, generator=replace(self._contract.generator, period=None))
        chosen = choose(
            within, train, entities, schema, np.random.default_rng(seed),
            lambda leaves: CalendarCart(within, lambda _: None, leaves),
            smallest=self._leaves, rounds=_TRIES, progress=self._progress,
        )  # fmt: skip
        self._leaves, self._note = chosen.leaves, (chosen.note,)
        self._visits = Visits(self._contract, self._leaves, self._progress)

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Learn from protected train."""
        self._quasi = roles.quasi_identifiers
        self._key = roles.entity_key
        entities = train[self._key].to_numpy(dtype=np.int64) if self._key else np.arange(len(train))
        if not self._settled:
            self._choose(train, entities, schema, int(rng.integers(2**31)))
        self._time = self._visits.time_column(train, roles)
        k = self._contract.k
        fields = [f for f in schema.features if f.name in train.columns and f.name != self._time]
        self._codecs, values = encode_features(
            fields, train, entities, Coarsening.of(self._contract)
        )
        self._visits.fit(train, roles, values, entities, rng, instants=keeps_instants(schema))
        varying = {n: pair for n, pair in values.items() if n not in self._visits.constant}
        self._rows = RowModel(
            leaf_rows=self._leaves.rows, leaf_entities=self._leaves.entities, k=k
        ).fit(
            varying, self._visits.context, self._visits.mains, entities, self._progress,
            together=self._quasi,
        )  # fmt: skip
        self._outliers = None
        if self._contract.generator.outliers.reject and varying:
            self._progress("fitting: outliers")
            self._outliers = Outliers().fit(varying, entities, rng)

    def plan(self, n: int, rng: np.random.Generator) -> CartPlan:
        """Entities of ``n`` rows and the days of their visits."""
        return CartPlan(self, self._visits.plan(n, rng))

    def sample(self, n: int, rng: np.random.Generator) -> Sampled:
        """``n`` rows: entities, their visits in time, then rows; rejection."""
        return self.plan(n, rng).draw(slice(0, n), rng)

    def draw(self, planned: Planned, part: slice, rng: np.random.Generator) -> Sampled:
        """Some of the planned rows: hours, then columns; rejection."""
        visits = self._visits.part(planned, part, rng)
        self._progress("sampling: rows")
        drawn = self._rows.draw(visits.context, visits.mains, len(visits.owner), rng)
        redrawn = 0
        if self._outliers is not None:
            redrawn = self._redraw_near(drawn, visits.context, visits.mains, rng)
        frame = self._frame(visits, drawn)

        def redraw(recoded: pd.DataFrame) -> pd.DataFrame:
            return self._follow(frame, recoded, visits, rng)

        def again(rows: np.ndarray, stream: np.random.Generator) -> pd.DataFrame:
            context, mains = _at(visits.context, rows), _at(visits.mains, rows)
            fresh = self._rows.draw(context, mains, len(rows), stream)
            if self._outliers is not None:
                self._redraw_near(fresh, context, mains, stream)
            return pd.DataFrame({name: self._codecs[name].decode(fresh[name]) for name in fresh})

        return Sampled(frame, redraw, again, redrawn)

    def _redraw_near(
        self,
        drawn: dict[str, np.ndarray],
        context: Mapping[str, np.ndarray],
        mains: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> int:
        """Draw again what stands near an outlier; returns how many rows, each draw counted."""
        assert self._outliers is not None  # noqa: S101 - narrows the type for mypy
        rows = np.flatnonzero(self._outliers.near(drawn))
        redrawn = 0
        for _ in range(REJECT_ROUNDS):
            if not len(rows):
                break
            redrawn += len(rows)
            self._progress(f"redrawing: {len(rows)} rows near outliers")
            again = self._rows.draw(_at(context, rows), _at(mains, rows), len(rows), rng)
            for name, column in again.items():
                drawn[name][rows] = column
            rows = rows[self._outliers.near(again)]
        return redrawn

    def _frame(self, visits: Drawn, drawn: Mapping[str, np.ndarray]) -> pd.DataFrame:
        columns: dict[str, Any] = {}
        if self._key:
            columns[self._key] = visits.owner
        for name, coder in self._codecs.items():
            values = drawn[name] if name in drawn else visits.entity[name][visits.owner]
            columns[name] = coder.decode(values)
        if self._time is not None:
            columns[self._time] = visits.times
        return pd.DataFrame(columns)

    def _follow(
        self,
        frame: pd.DataFrame,
        recoded: pd.DataFrame,
        visits: Drawn,
        rng: np.random.Generator,
    ) -> pd.DataFrame:
        """``recoded`` with what a recoded value determined no longer telling it.

        Looked-up columns of recoded rows change hands among those rows (their distribution stays),
        and the columns after them are drawn anew.
        """
        out = recoded.copy()
        order = self._rows.order
        for name in self._quasi:
            derived = [d for d in self._rows.dependents([name]) if d not in self._quasi]
            rows = np.flatnonzero(_differs(out, frame, name)) if derived else np.zeros(0, np.int64)
            if not len(rows):
                continue
            fixed = {*self._quasi, *derived}
            later = [c for c in order[order.index(derived[0]) :] if c not in fixed]
            given = {
                column: self._codecs[column].encode(out[column].iloc[rows])
                for column in order
                if column not in later
            }
            swap = rng.permutation(len(rows))
            given |= {column: given[column][swap] for column in derived}
            context, mains = _at(visits.context, rows), _at(visits.mains, rows)
            again = self._rows.draw(context, mains, len(rows), rng, given=given)
            for column in (*derived, *later):
                fresh = out[column].to_numpy(copy=True)
                fresh[rows] = self._codecs[column].decode(again[column])
                out[column] = fresh
        return out


def _at(columns: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in columns.items()}


def _differs(left: pd.DataFrame, right: pd.DataFrame, name: str) -> np.ndarray:
    a, b = left[name], right[name]
    return ((a != b) & ~(a.isna() & b.isna())).to_numpy()
