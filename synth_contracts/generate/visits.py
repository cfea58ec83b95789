"""Who comes and when: entities, how many rows each has, and the times of those rows.

The frame that every generator's rows stand in. ``calendar_cart`` draws its rows from trees given
this frame; the wrapper puts the rows of any other model into it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract, Roles
from synth_contracts.generate.base import Progress
from synth_contracts.generate.clock import Clock
from synth_contracts.generate.dependencies import constant_within
from synth_contracts.generate.entities import ROWS, EntityModel, Habits
from synth_contracts.generate.replay import ReplayedVolume
from synth_contracts.generate.slots import Slots
from synth_contracts.generate.trees import LeafModel, Values, Variable
from synth_contracts.generate.volume import VolumeModel, holiday_names
from synth_contracts.tables.schema import TableSchema

WEEKDAY, HOLIDAY, DAY, HOUR = "#weekday", "#holiday", "#day", "#hour"


@dataclass(frozen=True)
class Leaves:
    """The smallest leaves of the trees: rows, entity equivalents, entities."""

    rows: int
    entities: int
    entity_leaf: int

    def doubled(self) -> Leaves:
        """Twice as large in every respect."""
        return Leaves(2 * self.rows, 2 * self.entities, 2 * self.entity_leaf)


@dataclass(frozen=True)
class Drawn:
    """The frame of ``n`` new rows.

    Args:
        owner: entity of each row, 0..S-1 (each row its own without an entity key).
        entity: columns of the entities, one value per entity; empty without an entity key.
        context: what rows may be conditioned on, one value per row: entity columns on the scale
            of ``EntityModel.quantised`` and, with a calendar, ``#weekday`` (0..6), ``#holiday``
            (0 or 1), ``#day`` (days since train's first) and ``#hour`` (0..23), NaN where the
            time is missing.
        mains: per column the usual category of the row's entity.
        times: datetime64[ns] of each row; None without a calendar.
    """

    owner: np.ndarray
    entity: dict[str, np.ndarray] = field(default_factory=dict)
    context: dict[str, np.ndarray] = field(default_factory=dict)
    mains: dict[str, np.ndarray] = field(default_factory=dict)
    times: np.ndarray | None = None


@dataclass(frozen=True)
class Planned:
    """What is drawn once for ``n`` new rows; ``Visits.part`` draws the rest for any of them.

    Args:
        owner: entity of each row, int32, ascending.
        entity: columns of the entities, one value per entity; empty without an entity key.
        scaled: the same on the scale that rows are conditioned on.
        day: of each row its place among the calendar's days, int32, -1 where the time is missing;
            None without a calendar and in a series.
        times: datetime64[ns] of the rows of a series, NaT where missing; else None.
    """

    owner: np.ndarray
    entity: dict[str, np.ndarray]
    scaled: dict[str, np.ndarray]
    day: np.ndarray | None = None
    times: np.ndarray | None = None


class Visits:
    """The entity model, the calendar model and the clock, fitted together."""

    def __init__(self, contract: Contract, leaves: Leaves, progress: Progress) -> None:
        self._contract, self._leaves, self._progress = contract, leaves, progress
        #: sentences for the report card about what the calendar publishes
        self.notes: tuple[str, ...] = ()

    def time_column(self, train: pd.DataFrame, roles: Roles) -> str | None:
        """The time index that the calendar models, or None: switched off, none, or all missing."""
        time = roles.time_index if self._contract.generator.calendar.enabled else None
        return None if time not in train.columns or train[time].isna().all() else time

    def fit(
        self,
        train: pd.DataFrame,
        roles: Roles,
        values: Values,
        entities: np.ndarray,
        rng: np.random.Generator,
        *,
        habits: bool = True,
        instants: bool = False,
    ) -> None:
        """Learn from train.

        Args:
            train: canonical features of train.
            roles: with an entity key, ``entities`` are entities; else each row is its own.
            values: its columns but the time index, as model values.
            entities: entity of each row, 0..E-1.
            rng: noise of a replayed volume comes from a child of it; it is not advanced.
            habits: also learn the entities' habits in ``values``.
            instants: the time index is kept with its zone (``timestamptz``), so that an hour which
                the clock repeats is two hours.

        Afterwards ``constant`` names the columns of ``values`` that belong to entities; ``context``
        and ``mains`` hold train's own columns as ``Drawn`` describes them.
        """
        self._key, self._zone = roles.entity_key, roles.timezone
        self._instants = instants
        self._time = self.time_column(train, roles)
        noise = rng.spawn(1)[0]
        self.constant = constant_within(
            {name: column for name, (_, column) in values.items()}, entities
        )
        attributes = {name: values[name] for name in self.constant}
        varying = {name: pair for name, pair in values.items() if name not in self.constant}
        place = None
        if self._time is not None:
            place = train[self._time].rank(pct=True).to_numpy() - 0.5 / len(train)
        visits = bool(self._key) and len(entities) > int(entities.max()) + 1
        latent = Habits(varying if visits and habits else {}, entities)
        if visits and self._time is not None:
            hours = pd.DatetimeIndex(train[self._time]).hour.to_numpy(dtype="float64")
            latent.add_mean("hour", hours)
        self._entities: EntityModel | None = None
        self.context: Values = {}
        if self._key:
            self._entities = EntityModel(self._leaves.entity_leaf, self._contract.k)
            self._entities.fit(attributes, latent, entities, place, self._progress)
            self.context = {
                name: (
                    variable,
                    self._entities.quantised(name, column, self._entities.rows)[entities],
                )
                for name, (variable, column) in self._entities.observed.items()
                if not name.startswith(("#first", "#span"))
            }
        if self._time is not None:
            self.context |= self._fit_calendar(train, entities, noise)
        self.mains = {name: column[entities] for name, column in latent.mains.items()}

    def _fit_calendar(
        self,
        train: pd.DataFrame,
        entities: np.ndarray,
        noise: np.random.Generator,
    ) -> Values:
        """Fit volume and clock; return the calendar columns of train."""
        self._progress("fitting: calendar")
        calendar, period = self._contract.generator.calendar, self._contract.generator.period
        known = train[self._time].notna().to_numpy()
        self._missing_time = float(1 - known.mean())
        times = pd.DatetimeIndex(train[self._time][known])
        self._volume: VolumeModel | ReplayedVolume
        if calendar.volume == "replay":
            self._volume = ReplayedVolume(calendar.volume_noise).fit(times, noise)
            self.notes = (self._volume.note,)
        else:
            self._volume = VolumeModel(calendar.holidays, period).fit(times)
        self._clock = Clock().fit(times, entities[known], self._contract.k)
        self._slots = None
        if not self._key and calendar.volume == "model":
            span = None if period is None else (self._volume.days[0], self._volume.days[-1])
            self._slots = Slots.find(times, self._zone, span, instants=self._instants)
        own = pd.date_range(times.min().normalize(), times.max().normalize(), freq="D")
        self._origin = own[0]
        self._off = {
            day
            for days in (own, self._volume.days)
            for day in holiday_names(calendar.holidays, days)
        }
        all_times = pd.DatetimeIndex(train[self._time])
        columns = self._calendar_columns(all_times)
        if not self._clock.has_hours:
            return columns
        hours = np.where(known, all_times.hour, -1).astype(np.int64)
        before = {**self.context, **columns}
        weights = 1 / np.bincount(entities)[entities]
        self._hours = LeafModel(
            leaf_rows=self._leaves.rows,
            leaf_entities=self._leaves.entities,
        ).fit(
            (Variable(HOUR, 24), hours[known]),
            [(variable, column[known]) for variable, column in before.values()],
            weights[known],
        )
        self._hour_context = tuple(before)
        columns[HOUR] = (Variable(HOUR), np.where(known, hours, np.nan))
        return columns

    def _calendar_columns(self, times: pd.DatetimeIndex) -> Values:
        days = times.normalize()
        season = np.asarray((days - self._origin).days, dtype="float64")
        off = np.isin(days.to_numpy(), np.array(sorted(self._off), dtype="datetime64[ns]"))
        return {
            WEEKDAY: (Variable(WEEKDAY), np.asarray(times.dayofweek, dtype="float64")),
            HOLIDAY: (Variable(HOLIDAY), off.astype(float)),
            DAY: (Variable(DAY), season),
        }

    def plan(self, n: int, rng: np.random.Generator, place: np.ndarray | None = None) -> Planned:
        """Entities of ``n`` new rows, and the day of each row.

        Args:
            n: number of rows.
            rng: source of all randomness.
            place: where rows stand in time already, 0..1 each; drawn here where None.
        """
        self._progress("sampling: entities")
        entity: dict[str, np.ndarray] = {}
        owner = np.arange(n, dtype=np.int32)
        if self._entities is not None:
            entity = self._entities.sample(n, rng)
            count = np.arange(len(entity[ROWS]), dtype=np.int32)
            owner = np.repeat(count, entity[ROWS].astype(np.int64))
        scaled = {
            name: EntityModel.quantised(name, column, entity[ROWS])
            for name, column in entity.items()
        }
        if self._time is None:
            return Planned(owner, entity, scaled)
        self._progress("sampling: times")
        missing = rng.random(n) < self._missing_time
        if place is None:
            walked = self._entities
            place = rng.random(n) if walked is None else walked.places(entity, rng)
        dated = np.flatnonzero(~missing)
        if self._slots is not None:
            order = dated[np.argsort(place[dated], kind="stable")]
            times = np.full(n, np.datetime64("NaT"), dtype="datetime64[ns]")
            times[order] = self._slots.sample(len(order), rng)
            return Planned(owner, entity, scaled, times=times)
        volume = self._volume.sample(len(dated), rng)
        day = np.full(n, -1, dtype=np.int32)
        # the monotone map: visits in order of place fill the days in order
        day[dated[np.argsort(place[dated], kind="stable")]] = np.repeat(
            np.arange(len(volume), dtype=np.int32), volume
        )
        return Planned(owner, entity, scaled, day)

    def part(self, planned: Planned, rows: slice, rng: np.random.Generator) -> Drawn:
        """The frame of some of the planned rows."""
        owner = planned.owner[rows]
        context = {name: column[owner] for name, column in planned.scaled.items()}
        times = None
        if planned.day is not None:
            times = self._sample_times(planned.day[rows], context, rng)
        elif planned.times is not None:
            times = self._slot_times(planned.times[rows], context)
        mains = {
            name.removeprefix("#main "): column[owner]
            for name, column in planned.entity.items()
            if name.startswith("#main ")
        }
        return Drawn(owner, planned.entity, context, mains, times)

    def sample(self, n: int, rng: np.random.Generator, place: np.ndarray | None = None) -> Drawn:
        """The frame of ``n`` new rows, rows of one entity together (see ``plan``)."""
        return self.part(self.plan(n, rng, place), slice(0, n), rng)

    def _sample_times(
        self, day: np.ndarray, context: dict[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Times of rows on these days (-1: missing); adds the calendar columns to ``context``."""
        missing = day < 0
        days = self._volume.days.to_numpy()[day]
        days[missing] = np.datetime64("NaT")
        columns = self._calendar_columns(pd.DatetimeIndex(days))
        context |= {name: column for name, (_, column) in columns.items()}
        if not self._clock.has_hours:
            return np.asarray(days)
        weekday = np.asarray(self._volume.days.dayofweek)[np.maximum(day, 0)]
        hours = self._hours.draw([context[name] for name in self._hour_context], len(day), rng)
        hours = self._clock.mend(weekday, hours, rng)
        if self._zone:
            hours = self._clock.on_the_clock(days, hours, self._zone)
        context[HOUR] = np.where(missing, np.nan, hours)
        return np.asarray(days + self._clock.offsets(hours, rng).astype("timedelta64[ns]"))

    def _slot_times(self, times: np.ndarray, context: dict[str, np.ndarray]) -> np.ndarray:
        """Times of a series; adds the calendar columns to ``context``."""
        stamps = pd.DatetimeIndex(times)
        context |= {name: column for name, (_, column) in self._calendar_columns(stamps).items()}
        if self._clock.has_hours:
            context[HOUR] = np.asarray(stamps.hour, dtype="float64")
        return times


def keeps_instants(schema: TableSchema) -> bool:
    """Whether the time index is kept with its zone (``timestamptz``)."""
    time = schema.roles.time_index
    return any(f.name == time and "WITH TIME ZONE" in f.physical_type for f in schema.fields)
