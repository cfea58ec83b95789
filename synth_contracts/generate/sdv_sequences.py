"""Whole entities by SDV's ``par``, a probabilistic autoregressive network (deepecho).

A sequence is the rows of one entity in order of time. Columns that are constant within entities are
its context, drawn by a Gaussian copula; the network draws row after row until it draws an end. What
this module guards against was measured on SDV 2.0 (see also sdv_rows.py):

- a declared sequence index is replaced by its gaps and the rows of every entity are then sorted by
  gap, not by time; and sampled gaps are clipped to the smallest and largest real one. So gaps are
  made here, a column like any other, with the entity's first time in its context;
- categories are numbered by a set of texts, whose order changes from process to process: they are
  handed over as numbers, so that no label reaches the model;
- no drawn entity has more rows than the longest real one: here, than the k-th longest;
- pieces of ``segment_size`` rows leave out shorter entities, and entities drawn are that long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Progress, Sampled
from synth_contracts.generate.dependencies import constant_within
from synth_contracts.generate.encode import time_unit
from synth_contracts.generate.parameters import read_parameters
from synth_contracts.generate.sdv_columns import SdvColumn, nothing
from synth_contracts.generate.sdv_rows import TABLE, rows_to_fit, told
from synth_contracts.generate.sdv_session import seed_model, seed_transformers, session
from synth_contracts.tables.schema import CATEGORICAL, Field, TableSchema

_KEY, _START, _GAP = "key", "start", "gap"


class SdvSequences:
    """``par``: rows of an entity one after another."""

    notes: tuple[str, ...] = ()

    def __init__(self, contract: Contract, progress: Progress) -> None:
        self._spec, self._k, self._progress = contract.generator, contract.k, progress
        self._parameters = read_parameters("par", self._spec.parameters)

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Train on random whole entities of at most ``fitRows`` rows together."""
        if roles.entity_key is None:
            raise GenerationError(
                "par models the rows of each entity together, and there is no entity key",
                where="roles.entityKey",
                mend="name the role entityKey, or another generator",
            )
        self._key = roles.entity_key
        train = self._part(train, rng)
        fields = [f for f in schema.features if f.name in train.columns]
        self._order = [field.name for field in fields]
        self._empty = [f for f in fields if train[f.name].isna().all()]
        time = roles.time_index
        self._time = None if time not in train.columns or train[time].isna().all() else time
        if self._time is not None:
            train = train.sort_values([self._key, self._time], kind="stable")
        else:
            train = train.sort_values(self._key, kind="stable")
        train = train.reset_index(drop=True)
        owner = train[self._key].to_numpy(dtype=np.int64)
        learned = [f for f in fields if f not in self._empty and f.name != self._time]
        self._columns = {
            f"c{i}": _Coded(f, train[f.name], clip=self._spec.outliers.top_code)
            for i, f in enumerate(learned)
        }
        data = pd.DataFrame({_KEY: owner})
        data[_START], data[_GAP] = self._gaps(train, owner, schema)
        for name, column in self._columns.items():
            data[name] = column.plain(train[column.name])
        self._context = constant_within(data[list(self._columns)], owner)
        self._progress(
            f"fitting: par over {data[_KEY].nunique()} entities, {len(data)} rows"
            f"{told(self._parameters)}"
        )
        with session("par", int(rng.integers(2**31))):
            self._model = self._synthesizer()
            self._model.fit({TABLE: data})
        lengths = np.sort(np.bincount(owner))
        lengths = lengths[lengths > 0]
        self._mean = self._parameters["segment_size"] or float(lengths.mean())
        if self._parameters["segment_size"] is None:
            self._model._model._min_length = 1
            self._model._model._max_length = int(lengths[-min(self._k, len(lengths))])

    def _part(self, train: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        """Entities in random order, as long as their rows together stay within ``fitRows``."""
        count = rows_to_fit(self._spec, len(train))
        size = self._parameters["segment_size"]
        owner = train[self._key].to_numpy(dtype=np.int64)
        rows = np.bincount(owner)
        if size is not None and rows.max() < size:
            raise GenerationError(
                f"segment_size is {size:,} and no entity has as many rows",
                where="generator.parameters.segment_size",
                mend="make it smaller, or leave it out",
            )
        if count == len(train):
            return train
        order = rng.permutation(len(rows))
        fitting = np.cumsum(rows[order]) <= count
        if not fitting[0]:
            fitting[0] = True
        return train[np.isin(owner, order[fitting])]

    def _gaps(
        self, train: pd.DataFrame, owner: np.ndarray, schema: TableSchema
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each row's entity's first time and its distance from the row before, in time units.

        NaN where the time is missing; zeros where there is no time.
        """
        if self._time is None:
            return np.zeros(len(train)), np.zeros(len(train))
        stamps = train[self._time].to_numpy().astype("datetime64[ns]")
        known = ~np.isnat(stamps)
        whole = stamps[known].astype("int64")
        self._unit, self._first = time_unit(whole), int(whole.min())
        self._range = SdvColumn(schema.field(self._time), train[self._time], clip=False)
        units = np.full(len(train), np.nan)
        units[known] = (whole - self._first) // self._unit
        frame = pd.Series(units)
        start = frame.groupby(owner).transform("min").to_numpy()
        # missing times come last within their entity, so that known ones are neighbours
        gap = frame.groupby(owner).diff().to_numpy()
        begins = np.append(True, owner[1:] != owner[:-1])
        gap[begins & known] = 0.0
        return start, gap

    def _synthesizer(self) -> Any:
        from sdv.metadata import Metadata
        from sdv.sequential import PARSynthesizer

        kinds = {name: column.metadata for name, column in self._columns.items()}
        kinds |= {_KEY: {"sdtype": "id"}} | {n: {"sdtype": "numerical"} for n in (_START, _GAP)}
        metadata = Metadata.load_from_dict(
            {"tables": {TABLE: {"columns": kinds, "sequence_key": _KEY}}}
        )
        return PARSynthesizer(
            metadata,
            enforce_min_max_values=False,
            context_columns=[_START, *self._context],
            cuda=False,
            verbose=False,
            **self._parameters,
        )

    def sample(self, n: int, rng: np.random.Generator) -> Sampled:
        """Entities until there are ``n`` rows; the last one ends where they do."""
        parts, rows, entities = [], 0, 0
        while rows < n:
            self._progress(f"sampling: rows {rows} to {n}")
            wanted = max(1, int((n - rows) / self._mean))
            seed = int(rng.integers(2**31))
            with session("par", seed):
                self._seed(seed)
                part = self._model.sample_sequences(wanted)[TABLE]
            part[_KEY] = entities + pd.factorize(part[_KEY])[0]
            entities = int(part[_KEY].max()) + 1
            rows += len(part)
            parts.append(part)
        made = pd.concat(parts, ignore_index=True).iloc[:n]
        return Sampled(self._canonical(made))

    def _seed(self, seed: int) -> None:
        seed_transformers(self._model, seed)
        seed_model(self._model._context_synthesizer, seed)

    def _canonical(self, made: pd.DataFrame) -> pd.DataFrame:
        owner = made[_KEY].to_numpy(dtype=np.int64)
        begins = np.append(True, owner[1:] != owner[:-1])
        first = np.flatnonzero(begins)[owner]  # entities are numbered as they come
        found: dict[str, Any] = {field.name: nothing(field, len(made)) for field in self._empty}
        for name, column in self._columns.items():
            values = made[name]
            if name in self._context:  # a missing value is drawn for each row
                values = values.iloc[first].reset_index(drop=True)
            found[column.name] = column.canonical(values)
        if self._time is not None:
            found[self._time] = self._times(made, owner, first)
        return pd.DataFrame({name: found[name] for name in self._order} | {self._key: owner})

    def _times(self, made: pd.DataFrame, owner: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Times from starts and gaps; gaps that lead past train's last day are shrunk."""
        last = (self._range.high - self._first) / self._unit
        start = made[_START].to_numpy(dtype="float64")[first]
        start = np.clip(start, (self._range.low - self._first) / self._unit, last)
        gaps = made[_GAP].to_numpy(dtype="float64")
        missing = np.isnan(gaps) | np.isnan(start)
        steps = np.maximum(np.where(missing, 0.0, gaps), 0.0)
        walked = np.cumsum(steps)
        walked -= walked[first]
        total = pd.Series(walked).groupby(owner).transform("max").to_numpy()
        room = last - np.where(np.isnan(start), last, start)
        walked *= np.where(total > room, room / np.where(total > 0, total, 1.0), 1.0)
        units = np.where(missing, 0.0, np.floor(start + walked)).astype(np.int64)
        stamps = (self._first + units * self._unit).astype("datetime64[ns]")
        stamps[missing] = np.datetime64("NaT")
        return np.asarray(stamps)


class _Coded(SdvColumn):
    """A column whose categories SDV knows by number, missing as one more."""

    def __init__(self, field: Field, column: pd.Series, *, clip: bool) -> None:
        super().__init__(field, column, clip=clip)
        self._labels: np.ndarray | None = None
        if field.kind in CATEGORICAL:
            self._labels = np.array([*pd.factorize(column, sort=True)[1], None], dtype=object)

    def plain(self, column: pd.Series) -> np.ndarray:
        if self._labels is None:
            return super().plain(column)
        codes = pd.Index(self._labels[:-1]).get_indexer(pd.Index(column)).astype(np.int64)
        return np.where(codes < 0, len(self._labels) - 1, codes)

    def canonical(self, column: pd.Series) -> np.ndarray:
        if self._labels is None:
            return super().canonical(column)
        return np.asarray(self._labels[column.to_numpy(dtype="float64").astype(np.int64)])
