"""Sequences of a model of entities, put onto the simulated calendar.

The model says who comes, how often, in which order, and with what rows. Its visits, in the order of
its own times, fill the days of the simulated volume; hours are those of the clock on each day's
weekday. Nothing but the time index changes hands.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from synth_contracts.contract.generators import GENERATORS
from synth_contracts.contract.model import Contract, Roles
from synth_contracts.generate.base import Generator, Progress, Sampled
from synth_contracts.generate.visits import Leaves, Visits
from synth_contracts.tables.schema import TableSchema


class Timed:
    """A model of entities whose times are mapped onto a simulated calendar."""

    def __init__(self, contract: Contract, model: Generator, progress: Progress) -> None:
        self._model = model
        known = GENERATORS["calendar_cart"].parameters
        leaves = [int(known[n].default) for n in ("leaf_rows", "leaf_entities", "entity_leaf")]
        self._visits = Visits(contract, Leaves(*leaves), progress)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report card."""
        return (*self._visits.notes, *self._model.notes)

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Fit the calendar on all of train, and the model."""
        self._time = self._visits.time_column(train, roles)
        key = roles.entity_key
        entities = train[key].to_numpy(dtype=np.int64) if key else np.arange(len(train))
        # no entity key: entities are the model's own
        alone = replace(roles, entity_key=None)
        if self._time is not None:
            # a stream of its own, so that the model makes the rows that it makes without calendar
            self._visits.fit(train, alone, {}, entities, rng.spawn(1)[0], habits=False)
        self._model.fit(train, roles, schema, rng)

    def sample(self, n: int, rng: np.random.Generator) -> Sampled:
        """``n`` rows of the model on new days."""
        calendar = rng.spawn(1)[0]
        sampled = self._model.sample(n, rng)
        if self._time is None:
            return sampled
        stamps = sampled.frame[self._time].to_numpy()
        order = np.argsort(stamps, kind="stable")  # missing times last
        place = np.empty(n)
        place[order] = (np.arange(n) + 0.5) / n
        # rows that the model left without a time stand anywhere
        lost = np.isnat(stamps)
        place[lost] = calendar.random(int(lost.sum()))
        times = self._visits.sample(n, calendar, place).times
        return replace(sampled, frame=sampled.frame.assign(**{self._time: times}))
