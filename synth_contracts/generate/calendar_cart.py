"""``calendar_cart``: calendar volume, entities, then rows by sequential CART."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Progress
from synth_contracts.generate.clock import Clock
from synth_contracts.generate.encode import Codec, codec
from synth_contracts.generate.entities import ROWS, EntityModel, Habits
from synth_contracts.generate.parameters import read_parameters
from synth_contracts.generate.recode import recode_table
from synth_contracts.generate.reject import Outliers
from synth_contracts.generate.rows import RowModel
from synth_contracts.generate.trees import LeafModel, Values, Variable
from synth_contracts.generate.volume import VolumeModel, holiday_names
from synth_contracts.tables.schema import TableSchema

_REJECT_ROUNDS = 4


class CalendarCart:
    """The default generator; see docs/generators.md."""

    def __init__(self, contract: Contract, progress: Progress) -> None:
        self._contract, self._progress = contract, progress
        self._parameters = read_parameters("calendar_cart", contract.generator.parameters)
        if contract.generator.calendar.volume != "model":
            raise GenerationError(
                f"calendar volume {contract.generator.calendar.volume!r} is not offered",
                where="generator.calendar.volume",
                mend="use `volume: model`",
            )

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Learn from protected train."""
        self._schema = schema
        self._key = roles.entity_key
        entities = train[self._key].to_numpy(dtype=np.int64) if self._key else np.arange(len(train))
        calendar = self._contract.generator.calendar
        self._time = roles.time_index if calendar.enabled else None
        if self._time is not None and (
            self._time not in train.columns or train[self._time].isna().all()
        ):
            self._time = None
        k = self._contract.k
        self._codecs: dict[str, Codec] = {
            field.name: codec(field, train[field.name], entities, k)
            for field in schema.features
            if field.name in train.columns and field.name != self._time
        }
        values: Values = {
            name: (coder.variable, coder.encode(train[name]))
            for name, coder in self._codecs.items()
        }
        self._constant = _constant_within(values, entities)
        attributes = {name: values[name] for name in self._constant}
        varying = {name: pair for name, pair in values.items() if name not in self._constant}
        place = None
        if self._time is not None:
            place = train[self._time].rank(pct=True).to_numpy() - 0.5 / len(train)
        habits = Habits(varying if self._has_visits(entities) else {}, entities)
        if self._has_visits(entities) and self._time is not None:
            hours = pd.DatetimeIndex(train[self._time]).hour.to_numpy(dtype="float64")
            habits.add_mean("hour", hours)
        self._entities: EntityModel | None = None
        context: Values = {}
        if self._key:
            self._entities = EntityModel(self._parameters["entity_leaf"], k)
            self._entities.fit(attributes, habits, entities, place, rng, self._progress)
            context = {
                name: (
                    variable,
                    self._entities.quantised(name, column, self._entities.rows)[entities],
                )
                for name, (variable, column) in self._entities.observed.items()
                if not name.startswith(("#first", "#span"))
            }
        if self._time is not None:
            context |= self._fit_calendar(train, entities, context, rng)
        mains = {name: column[entities] for name, column in habits.mains.items()}
        self._rows = RowModel(
            leaf_rows=self._parameters["leaf_rows"],
            leaf_entities=self._parameters["leaf_entities"],
            k=k,
        ).fit(varying, context, mains, entities, rng, self._progress)
        self._outliers = None
        if self._contract.generator.outliers.reject and varying:
            self._progress("fitting: outliers")
            self._outliers = Outliers().fit(varying, entities, rng)

    def _has_visits(self, entities: np.ndarray) -> bool:
        return bool(self._key) and len(entities) > int(entities.max()) + 1

    def _fit_calendar(
        self,
        train: pd.DataFrame,
        entities: np.ndarray,
        context: Values,
        rng: np.random.Generator,
    ) -> Values:
        """Fit volume and clock; return the calendar columns of train."""
        self._progress("fitting: calendar")
        known = train[self._time].notna().to_numpy()
        self._missing_time = float(1 - known.mean())
        times = pd.DatetimeIndex(train[self._time][known])
        country = self._contract.generator.calendar.holidays
        self._volume = VolumeModel(country).fit(times)
        self._clock = Clock().fit(times, entities[known], self._contract.k)
        self._off = set(holiday_names(country, self._volume.days))
        all_times = pd.DatetimeIndex(train[self._time])
        columns = self._calendar_columns(all_times)
        if not self._clock.has_hours:
            return columns
        hours = np.where(known, all_times.hour, -1).astype(np.int64)
        before = {**context, **columns}
        weights = 1 / np.bincount(entities)[entities]
        self._hours = LeafModel(
            leaf_rows=self._parameters["leaf_rows"],
            leaf_entities=self._parameters["leaf_entities"],
            seed=int(rng.integers(2**31)),
        ).fit(
            (Variable("#hour", 24), hours[known]),
            [(variable, column[known]) for variable, column in before.values()],
            weights[known],
        )
        self._hour_context = tuple(before)
        columns["#hour"] = (Variable("#hour"), np.where(known, hours, np.nan))
        return columns

    def _calendar_columns(self, times: pd.DatetimeIndex) -> Values:
        days = times.normalize()
        season = np.asarray((days - self._volume.days[0]).days, dtype="float64")
        off = np.isin(days.to_numpy(), np.array(sorted(self._off), dtype="datetime64[ns]"))
        return {
            "#weekday": (Variable("#weekday"), np.asarray(times.dayofweek, dtype="float64")),
            "#holiday": (Variable("#holiday"), off.astype(float)),
            "#day": (Variable("#day"), season),
        }

    def sample(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n`` rows: entities, their visits in time, then rows; rejection; recoding."""
        self._progress("sampling: entities")
        entity: dict[str, np.ndarray] = {}
        owner = np.arange(n)
        if self._entities is not None:
            entity = self._entities.sample(n, rng)
            owner = np.repeat(np.arange(len(entity[ROWS])), entity[ROWS].astype(np.int64))
        context = {
            name: EntityModel.quantised(name, column, entity[ROWS])[owner]
            for name, column in entity.items()
        }
        times = None
        if self._time is not None:
            self._progress("sampling: times")
            times = self._sample_times(n, entity, context, rng)
        mains = {
            name.removeprefix("#main "): column[owner]
            for name, column in entity.items()
            if name.startswith("#main ")
        }
        self._progress("sampling: rows")
        drawn = self._rows.draw(context, mains, n, rng)
        if self._outliers is not None:
            self._redraw_near(drawn, context, mains, rng)
        frame = self._frame(entity, drawn, owner, times)
        return self._recode(frame, owner, context, mains, rng)

    def _sample_times(
        self,
        n: int,
        entity: Mapping[str, np.ndarray],
        context: dict[str, np.ndarray],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Times of all rows; adds the calendar columns to ``context``."""
        missing = rng.random(n) < self._missing_time
        place = self._entities.places(entity, rng) if self._entities is not None else rng.random(n)
        dated = np.flatnonzero(~missing)
        volume = self._volume.sample(len(dated), rng)
        day = np.zeros(n, dtype=np.int64)
        # the monotone map: visits in order of place fill the days in order
        day[dated[np.argsort(place[dated], kind="stable")]] = np.repeat(
            np.arange(len(volume)), volume
        )
        days = self._volume.days.to_numpy()[day]
        days[missing] = np.datetime64("NaT")
        columns = self._calendar_columns(pd.DatetimeIndex(days))
        context |= {name: column for name, (_, column) in columns.items()}
        if not self._clock.has_hours:
            return np.asarray(days)
        weekday = np.asarray(self._volume.days.dayofweek)[day]
        hours = self._hours.draw([context[name] for name in self._hour_context], n, rng)
        hours = self._clock.mend(weekday, hours, rng)
        context["#hour"] = np.where(missing, np.nan, hours)
        return np.asarray(days + self._clock.offsets(hours, rng).astype("timedelta64[ns]"))

    def _redraw_near(
        self,
        drawn: dict[str, np.ndarray],
        context: Mapping[str, np.ndarray],
        mains: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> None:
        assert self._outliers is not None  # noqa: S101 - narrows the type for mypy
        rows = np.flatnonzero(self._outliers.near(drawn))
        for _ in range(_REJECT_ROUNDS):
            if not len(rows):
                return
            self._progress(f"redrawing: {len(rows)} rows near outliers")
            again = self._rows.draw(_at(context, rows), _at(mains, rows), len(rows), rng)
            for name, column in again.items():
                drawn[name][rows] = column
            rows = rows[self._outliers.near(again)]

    def _frame(
        self,
        entity: Mapping[str, np.ndarray],
        drawn: Mapping[str, np.ndarray],
        owner: np.ndarray,
        times: np.ndarray | None,
    ) -> pd.DataFrame:
        columns: dict[str, Any] = {}
        if self._key:
            columns[self._key] = owner
        for name, coder in self._codecs.items():
            values = entity[name][owner] if name in self._constant else drawn[name]
            columns[name] = coder.decode(values)
        if self._time is not None:
            columns[self._time] = times
        return pd.DataFrame(columns)

    def _recode(
        self,
        frame: pd.DataFrame,
        owner: np.ndarray,
        context: Mapping[str, np.ndarray],
        mains: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> pd.DataFrame:
        """Recode small classes; what a recoded value determined must not tell it.

        Looked-up columns of recoded rows change hands among those rows (their distribution stays),
        and the columns after them are drawn anew.
        """
        if not self._contract.generator.outliers.rare_category:
            return frame
        self._progress("recoding: quasi-identifiers")
        out = recode_table(frame, owner, self._schema, self._contract)
        quasi = self._schema.roles.quasi_identifiers
        order = self._rows.order
        for name in quasi:
            derived = [d for d in self._rows.dependents([name]) if d not in quasi]
            rows = np.flatnonzero(_differs(out, frame, name))
            if not derived or not len(rows):
                continue
            later = [c for c in order[order.index(derived[0]) :] if c not in {*quasi, *derived}]
            given = {
                column: self._codecs[column].encode(out[column].iloc[rows])
                for column in order
                if column not in later
            }
            swap = rng.permutation(len(rows))
            given |= {column: given[column][swap] for column in derived}
            again = self._rows.draw(
                _at(context, rows), _at(mains, rows), len(rows), rng, given=given
            )
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


def _constant_within(values: Values, entities: np.ndarray) -> list[str]:
    """Columns with one value per entity; none where every entity has a single row."""
    count = int(entities.max()) + 1
    if count == len(entities):
        return []
    out = []
    for name, (_, column) in values.items():
        codes = pd.factorize(column, use_na_sentinel=False)[0].astype(np.int64)
        pairs = np.unique(entities * (codes.max() + 1) + codes)
        if len(pairs) == count:
            out.append(name)
    return out
