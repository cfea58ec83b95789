"""Single rows by one of SDV's models: ``gaussian_copula``, ``ctgan`` and ``tvae``.

SDV (Synthetic Data Vault) is under the Business Source License 1.1, which forbids one use: offering
a synthetic-data service to third parties. What this module guards against was measured on SDV 2.0:

- ``datetime64[us]`` is sampled as January 1970: times are cast to [ns];
- detected metadata holds real categories and ranges: ours is made from the schema, names columns
  by number and is kept nowhere;
- ``enforce_min_max_values`` gives real extremes back: it is always off, and ranges are drawn from
  protected train where the contract codes tails;
- sampling repeats one fixed stream, transformers one made of the first rows: both are seeded here;
- joblib starts worker processes, and only on one thread do runs repeat;
- SDV logs to a file in the user's home and prints.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.contract.model import GeneratorSpec
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Progress
from synth_contracts.generate.encode import time_unit
from synth_contracts.generate.parameters import read_parameters
from synth_contracts.tables.schema import CATEGORICAL, NUMERIC, TEMPORAL, Field

_TABLE = "table"
_LOGGERS = ("SingleTableSynthesizer", "MultiTableSynthesizer", "Metadata", "SingleTableMetadata")
_DAY = 86_400_000_000_000


def _gaussian_copula(metadata: Any, parameters: Mapping[str, Any]) -> Any:
    from sdv.single_table import GaussianCopulaSynthesizer

    return GaussianCopulaSynthesizer(
        metadata, enforce_min_max_values=False, default_distribution=parameters["distribution"]
    )


def _ctgan(metadata: Any, parameters: Mapping[str, Any]) -> Any:
    from sdv.single_table import CTGANSynthesizer

    return CTGANSynthesizer(
        metadata, enforce_min_max_values=False, enable_gpu=False, verbose=False, **parameters
    )


def _tvae(metadata: Any, parameters: Mapping[str, Any]) -> Any:
    from sdv.single_table import TVAESynthesizer

    return TVAESynthesizer(
        metadata, enforce_min_max_values=False, enable_gpu=False, verbose=False, **parameters
    )


_MODELS: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "gaussian_copula": _gaussian_copula,
    "ctgan": _ctgan,
    "tvae": _tvae,
}


class SdvRows:
    """``Rows`` by an SDV single-table model."""

    def __init__(self, spec: GeneratorSpec, progress: Progress) -> None:
        self._spec, self._progress = spec, progress
        self._parameters = read_parameters(spec.type, spec.parameters)

    def fit(self, table: pd.DataFrame, fields: Sequence[Field], rng: np.random.Generator) -> None:
        """Train on ``fitRows`` random rows (all of them where the contract does not say)."""
        count = self._spec.fit_rows
        if count is not None and count > len(table):
            raise GenerationError(
                f"fitRows is {count:,} and the training part holds {len(table):,} rows",
                where="generator.fitRows",
                mend="make it smaller, or leave it out to fit all of them",
            )
        if count is not None:
            table = table.iloc[np.sort(rng.choice(len(table), count, replace=False))]
        self._order = [field.name for field in fields]
        self._empty = [f for f in fields if table[f.name].isna().all()]
        self._columns = [
            _Column(f, table[f.name], clip=self._spec.outliers.top_code)
            for f in fields
            if f not in self._empty
        ]
        self._model = None
        if not self._columns:
            return
        data = pd.DataFrame(
            {f"c{i}": column.plain(table[column.name]) for i, column in enumerate(self._columns)}
        )
        epochs = self._parameters.get("epochs")
        more = "" if epochs is None else f" ({epochs} epochs)"
        self._progress(f"fitting: {self._spec.type} over {len(data)} rows{more}")
        with _quiet(int(rng.integers(2**31))):
            self._model = self._synthesizer()
            self._model.fit({_TABLE: data})

    def _synthesizer(self) -> Any:
        from sdv.metadata import Metadata

        for name in _LOGGERS:
            logging.getLogger(name).disabled = True
        kinds = {f"c{i}": {"sdtype": column.sdtype} for i, column in enumerate(self._columns)}
        metadata = Metadata.load_from_dict({"tables": {_TABLE: {"columns": kinds}}})
        return _MODELS[self._spec.type](metadata, self._parameters)

    def draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n`` rows; numbers rounded as in train and held inside the declared range."""
        found: dict[str, Any] = {field.name: _nothing(field, n) for field in self._empty}
        if self._model is not None:
            self._progress(f"sampling: {n} rows")
            seed = int(rng.integers(2**31))
            with _quiet(seed):
                self._seed(seed)
                made = self._model.sample(n)[_TABLE]
            for i, column in enumerate(self._columns):
                found[column.name] = column.canonical(made[f"c{i}"])
        return pd.DataFrame({name: found[name] for name in self._order})

    def _seed(self, seed: int) -> None:
        """Seed model and transformers; there is no public door, and the defaults are fixed."""
        model: Any = self._model
        model._set_random_state(seed)
        transformers = model._data_processor._hyper_transformer.field_transformers
        for i, name in enumerate(sorted(n for n, t in transformers.items() if t is not None), 1):
            state = np.random.RandomState((seed + i) % 2**32)
            transformers[name].set_random_state(state, "reverse_transform")


class _Column:
    """One column: as SDV is given it, and back."""

    def __init__(self, field: Field, column: pd.Series, *, clip: bool) -> None:
        self.field, self.name = field, field.name
        self._decimals, self._unit = None, 1
        known = column.dropna().to_numpy()
        self._low, self._high = -np.inf, np.inf
        if field.kind in TEMPORAL:
            stamps = known.astype("datetime64[ns]").astype("int64")
            self._unit = time_unit(stamps)
            # whole days: the first and the last moment belong to somebody
            self._low = stamps.min() // _DAY * _DAY
            self._high = (stamps.max() // _DAY + 1) * _DAY - self._unit
        elif field.kind in NUMERIC:
            if not np.isfinite(known).all():
                raise GenerationError(
                    "infinite numbers cannot be learned",
                    where=field.name,
                    mend="declare a minimum and a maximum, or clean the source",
                )
            self._decimals = next(
                (d for d in range(7) if np.allclose(known, np.round(known, d), 0, 1e-9)), None
            )
            if clip:  # the tails are coded: these are values of k entities
                self._low, self._high = known.min(), known.max()
            self._declared()

    def _declared(self) -> None:
        """Narrow to the declared range; an exclusive end is one unit of the last decimal away."""
        declared = self.field.declared
        if declared is None:
            return
        step = 10.0 ** -(6 if self._decimals is None else self._decimals)
        if declared.minimum is not None:
            self._low = max(self._low, declared.minimum)
        if declared.exclusive_minimum is not None:
            self._low = max(self._low, declared.exclusive_minimum + step)
        if declared.maximum is not None:
            self._high = min(self._high, declared.maximum)
        if declared.exclusive_maximum is not None:
            self._high = min(self._high, declared.exclusive_maximum - step)

    @property
    def sdtype(self) -> str:
        """SDV's word for the kind."""
        if self.field.kind in CATEGORICAL:
            return "categorical"
        return "datetime" if self.field.kind in TEMPORAL else "numerical"

    def plain(self, column: pd.Series) -> np.ndarray:
        """The canonical column with the dtype that SDV reads rightly."""
        if self.field.kind in TEMPORAL:
            return column.to_numpy().astype("datetime64[ns]")
        return column.to_numpy()

    def canonical(self, column: pd.Series) -> np.ndarray:
        """What SDV drew, with the dtype, resolution and range of the canonical column."""
        if self.field.kind in CATEGORICAL:
            values = column.to_numpy(dtype=object, copy=True)
            values[column.isna().to_numpy()] = None
            return values
        if self.field.kind in TEMPORAL:
            stamps = pd.to_datetime(column).astype("datetime64[ns]").to_numpy()
            known = ~np.isnat(stamps)
            inside = np.clip(stamps[known].astype("int64"), self._low, self._high)
            stamps[known] = (inside // self._unit * self._unit).astype("datetime64[ns]")
            return np.asarray(stamps)
        numbers = column.to_numpy(dtype="float64")
        if self._decimals is not None:
            numbers = np.round(numbers, self._decimals)
        return np.asarray(np.clip(numbers, self._low, self._high))


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
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(before)
        torch.set_num_threads(threads)


def _nothing(field: Field, n: int) -> np.ndarray:
    if field.kind in CATEGORICAL:
        return np.full(n, None, dtype=object)
    if field.kind in TEMPORAL:
        return np.full(n, np.datetime64("NaT"), dtype="datetime64[ns]")
    return np.full(n, np.nan)
