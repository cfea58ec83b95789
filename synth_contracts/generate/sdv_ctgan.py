"""``ctgan``: SDV's CTGAN on single rows, without calendar or entities (Xu et al. 2019, NeurIPS).

SDV is licensed under BUSL-1.1 (no synthetic-data service to third parties). What this module
guards against was measured on SDV 2.0: ``datetime64[us]`` is sampled as January 1970 (canonical
frames are [ns]); sampling repeats one fixed stream unless the model's random state is set; joblib
starts worker processes; detected metadata holds real values, so ours is made from the schema and
names columns by number; SDV logs to a file in the user's home.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Progress
from synth_contracts.generate.parameters import read_parameters
from synth_contracts.tables.schema import CATEGORICAL, NUMERIC, TEMPORAL, Field, Kind, TableSchema

_TABLE = "table"
_LOGGERS = ("SingleTableSynthesizer", "MultiTableSynthesizer", "Metadata", "SingleTableMetadata")


class Ctgan:
    """Rows by a GAN; entities are dealt at random, in train's proportion to rows."""

    def __init__(self, contract: Contract, progress: Progress) -> None:
        self._contract, self._progress = contract, progress
        self._parameters = read_parameters("ctgan", contract.generator.parameters)

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Train on at most ``fitRows`` random rows."""
        self._key = roles.entity_key
        if self._key:
            self._rows_each = len(train) / (int(train[self._key].max()) + 1)
        rows = self._contract.generator.fit_rows
        if rows is not None and rows < len(train):
            train = train.iloc[np.sort(rng.choice(len(train), rows, replace=False))]
        fields = [f for f in schema.features if f.name in train.columns]
        self._empty = [f for f in fields if train[f.name].isna().all()]
        self._fields = [f for f in fields if f not in self._empty]
        if not self._fields:
            raise GenerationError("no column holds a value", where=schema.table)
        self._decimals = {f.name: _decimals(train[f.name]) for f in self._fields}
        data = train[[f.name for f in self._fields]].reset_index(drop=True)
        data.columns = [f"c{i}" for i in range(len(self._fields))]
        epochs = self._parameters["epochs"]
        self._progress(f"fitting: CTGAN over {len(data)} rows ({epochs} epochs)")
        with _quiet(int(rng.integers(2**31))):
            self._model = self._synthesizer()
            self._model.fit({_TABLE: data})

    def _synthesizer(self) -> Any:
        from sdv.metadata import Metadata
        from sdv.single_table import CTGANSynthesizer

        for name in _LOGGERS:
            logging.getLogger(name).disabled = True
        kinds = {f"c{i}": {"sdtype": _sdtype(f)} for i, f in enumerate(self._fields)}
        return CTGANSynthesizer(
            Metadata.load_from_dict({"tables": {_TABLE: {"columns": kinds}}}),
            # clipping repeats the smallest and largest value seen: only where those are coded
            enforce_min_max_values=self._contract.generator.outliers.top_code,
            epochs=self._parameters["epochs"],
            batch_size=_divisible(self._parameters["batch_size"]),
            enable_gpu=False,
            verbose=False,
        )

    def sample(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n`` rows; numbers rounded as in train and held inside the declared range."""
        self._progress(f"sampling: {n} rows")
        seed = int(rng.integers(2**31))
        with _quiet(seed):
            self._model._set_random_state(seed)  # no public door; the default stream is fixed
            made = self._model.sample(n)[_TABLE]
        columns: dict[str, Any] = {}
        for i, field in enumerate(self._fields):
            columns[field.name] = _canonical(made[f"c{i}"], field, self._decimals[field.name])
        for field in self._empty:
            columns[field.name] = _nothing(field, n)
        if self._key:
            count = int(np.clip(round(n / self._rows_each), 1, n))
            # every entity has a row, the others fall anywhere
            columns[self._key] = rng.permutation(
                np.append(np.arange(count), rng.integers(count, size=n - count))
            )
        return pd.DataFrame(columns)


@contextlib.contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """SDV silent, seeded, on one thread and without worker processes; global state put back."""
    import torch
    from joblib import parallel_config  # type: ignore[import-untyped]  # joblib has no stubs

    before, threads = np.random.get_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            torch.random.fork_rng(devices=[]),
            parallel_config(backend="sequential"),
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(before)
        torch.set_num_threads(threads)


def _sdtype(field: Field) -> str:
    if field.kind in CATEGORICAL:
        return "categorical"
    return "datetime" if field.kind in TEMPORAL else "numerical"


def _divisible(batch: int) -> int:
    """CTGAN packs ten rows: the batch is rounded down to a multiple of ten."""
    return batch - batch % 10


def _decimals(column: pd.Series) -> int | None:
    if column.dtype.kind != "f":
        return None
    known = column.dropna().to_numpy()
    return next((d for d in range(7) if np.allclose(known, np.round(known, d), 0, 1e-9)), None)


def _canonical(column: pd.Series, field: Field, decimals: int | None) -> np.ndarray:
    if field.kind in CATEGORICAL:
        values = column.to_numpy(dtype=object, copy=True)
        values[column.isna().to_numpy()] = None
        return values
    if field.kind in TEMPORAL:
        stamps = pd.to_datetime(column).astype("datetime64[ns]")
        unit = "D" if field.kind is Kind.DATE else "s"
        return np.asarray(stamps.dt.floor(unit).to_numpy())
    numbers = column.to_numpy(dtype="float64")
    numbers = numbers if decimals is None else np.round(numbers, decimals)
    return _inside(numbers, field, decimals)


def _inside(values: np.ndarray, field: Field, decimals: int | None) -> np.ndarray:
    """Clip to the declared range; an exclusive end is one unit of the last decimal away."""
    declared = field.declared
    if declared is None or field.kind not in NUMERIC:
        return values
    step = 10.0 ** -(6 if decimals is None else decimals)
    low = [v for v in (declared.minimum,) if v is not None]
    low += [v + step for v in (declared.exclusive_minimum,) if v is not None]
    high = [v for v in (declared.maximum,) if v is not None]
    high += [v - step for v in (declared.exclusive_maximum,) if v is not None]
    values = np.maximum(values, max(low)) if low else values
    return np.minimum(values, min(high)) if high else values


def _nothing(field: Field, n: int) -> np.ndarray:
    if field.kind in CATEGORICAL:
        return np.full(n, None, dtype=object)
    if field.kind in TEMPORAL:
        return np.full(n, np.datetime64("NaT"), dtype="datetime64[ns]")
    return np.full(n, np.nan)
