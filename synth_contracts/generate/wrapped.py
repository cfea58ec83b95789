"""Rows of any model under the calendar and entity models of ``calendar_cart``.

The frame (visits.py) says who comes, how often and when, and what belongs to the entity. The base
model learns the columns that vary within entities, with weekday and hour beside them, and knows
nothing else. Its rows are put into the frame so that each stands on its own weekday and in the
order of its own hour. Counts are therefore the frame's; rows keep the base's quality, and do not
depend on the entity's attributes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.generators import GENERATORS
from synth_contracts.contract.model import Contract, Roles
from synth_contracts.generate.base import Progress, Rows, Sampled
from synth_contracts.generate.encode import encode_features
from synth_contracts.generate.reject import REJECT_ROUNDS, Outliers
from synth_contracts.generate.visits import HOUR, WEEKDAY, Leaves, Visits, keeps_instants
from synth_contracts.tables.schema import Field, Kind, TableSchema

_WEEK = 8  # seven weekdays, and missing


class Wrapped:
    """A model of rows, framed."""

    def __init__(self, contract: Contract, rows: Rows, progress: Progress) -> None:
        self._rows, self._coarsening = rows, Coarsening.of(contract)
        self._reject, self._progress = contract.generator.outliers.reject, progress
        known = GENERATORS["calendar_cart"].parameters
        leaves = [int(known[n].default) for n in ("leaf_rows", "leaf_entities", "entity_leaf")]
        self._visits = Visits(contract, Leaves(*leaves), progress)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report card."""
        return self._visits.notes

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Fit the frame on all of train, the base model on the columns that vary."""
        self._key = roles.entity_key
        entities = train[self._key].to_numpy(dtype=np.int64) if self._key else np.arange(len(train))
        self._time = self._visits.time_column(train, roles)
        fields = [f for f in schema.features if f.name in train.columns and f.name != self._time]
        self._codecs, values = encode_features(fields, train, entities, self._coarsening)
        self._visits.fit(
            train, roles, values, entities, rng, habits=False, instants=keeps_instants(schema)
        )
        self._constant = self._visits.constant
        varying = [f for f in fields if f.name not in self._constant]
        table = train[[f.name for f in varying]]
        self._clock = [n for n in (WEEKDAY, HOUR) if n in self._visits.context]
        extra = [Field(name, Kind.INTEGER, "INTEGER") for name in self._clock]
        if WEEKDAY in self._clock:
            extra[0] = Field(WEEKDAY, Kind.CODE, "INTEGER")
            day = self._visits.context[WEEKDAY][1]
            names = np.array([*map(str, range(_WEEK - 1)), None], dtype=object)
            table = table.assign(**{WEEKDAY: names[_whole(day)]})
        if HOUR in self._clock:
            table = table.assign(**{HOUR: self._visits.context[HOUR][1]})
        self._learned = bool(varying)
        self._outliers = None
        if varying and self._reject:
            self._progress("fitting: outliers")
            self._varying = [f.name for f in varying]
            near = {name: values[name] for name in self._varying}
            # a stream of its own: the base model makes the rows that it makes without
            self._outliers = Outliers().fit(near, entities, rng.spawn(1)[0])
        if varying:
            self._rows.fit(table, [*varying, *extra], rng)

    def sample(self, n: int, rng: np.random.Generator) -> Sampled:
        """``n`` rows of the base model in a new frame."""
        visits = self._visits.sample(n, rng)
        drawn = pd.DataFrame(index=range(n))
        redrawn = 0
        if self._learned:
            drawn = self._rows.draw(n, rng)
            redrawn = self._redraw_near(drawn, rng)
            drawn = drawn.iloc[self._places(visits.context, drawn, rng)].reset_index(drop=True)
            drawn = drawn.drop(columns=self._clock)
        for name in self._constant:
            drawn[name] = self._codecs[name].decode(visits.entity[name][visits.owner])
        if self._time is not None:
            drawn[self._time] = visits.times
        if self._key:
            drawn[self._key] = visits.owner
        return Sampled(drawn, redrawn=redrawn)

    def _redraw_near(self, drawn: pd.DataFrame, rng: np.random.Generator) -> int:
        """Draw again what stands near an outlier; returns how many rows, each draw counted."""
        if self._outliers is None:
            return 0
        redrawn, rows = 0, np.flatnonzero(self._near(drawn))
        for _ in range(REJECT_ROUNDS):
            if not len(rows):
                break
            redrawn += len(rows)
            self._progress(f"redrawing: {len(rows)} rows near outliers")
            again = self._rows.draw(len(rows), rng)
            for name in again.columns:
                column = drawn[name].to_numpy(copy=True)
                column[rows] = again[name].to_numpy()
                drawn[name] = column
            rows = rows[self._near(again)]
        return redrawn

    def _near(self, drawn: pd.DataFrame) -> np.ndarray:
        assert self._outliers is not None  # noqa: S101 - narrows the type for mypy
        return self._outliers.near(
            {name: self._codecs[name].encode(drawn[name]) for name in self._varying}
        )

    def _places(
        self, context: dict[str, np.ndarray], drawn: pd.DataFrame, rng: np.random.Generator
    ) -> np.ndarray:
        """Which drawn row stands at each place of the frame."""
        n = len(drawn)
        shuffled = rng.permutation(n)
        if WEEKDAY not in self._clock:
            return shuffled
        codes = pd.to_numeric(drawn[WEEKDAY]).to_numpy(dtype="float64", na_value=np.nan)
        asked, offered = _whole(context[WEEKDAY]), _whole(codes)[shuffled]
        hours = (np.zeros(n), np.zeros(n))
        if HOUR in self._clock:
            hours = context[HOUR], drawn[HOUR].to_numpy()[shuffled]
        return np.asarray(shuffled[match(asked, hours[0], offered, hours[1])])


def match(
    asked: np.ndarray, asked_hours: np.ndarray, offered: np.ndarray, offered_hours: np.ndarray
) -> np.ndarray:
    """For each place, the row that takes it: each row once.

    Rows go to places of their own weekday while there are any; what is left over fills what is
    left open. Within a weekday early rows take early places, so that a wrong hour profile of the
    base bends the link between hour and row but never the profile of the frame.

    Args:
        asked: weekday of each place, 0..7 (7 is missing).
        asked_hours: hour of each place, NaN where missing.
        offered: weekday of each row, as many as there are places.
        offered_hours: hour of each row.
    """
    day = offered.copy()
    spare, open_days = [], []
    for weekday in range(_WEEK):
        rows = np.flatnonzero(offered == weekday)
        wanted = int((asked == weekday).sum())
        spare.append(rows[wanted:])
        open_days += [weekday] * max(wanted - len(rows), 0)
    day[np.concatenate(spare)] = open_days
    place = np.lexsort((asked_hours, asked))
    row = np.lexsort((offered_hours, day))
    out = np.empty(len(asked), dtype=np.int64)
    out[place] = row
    return out


def _whole(weekday: np.ndarray) -> np.ndarray:
    """Weekdays as 0..6, missing as 7."""
    return np.where(np.isnan(weekday), _WEEK - 1, weekday).astype(np.int64)
