"""Single rows by one of SDV's models: ``gaussian_copula``, ``ctgan``, ``copula_gan`` and ``tvae``.

SDV (Synthetic Data Vault) is under the Business Source License 1.1, which forbids one use: offering
a synthetic-data service to third parties. What this module guards against was measured on SDV 2.0:

- ``datetime64[us]`` is sampled as January 1970: times are cast to [ns];
- detected metadata holds real categories and ranges: ours is made from the schema, names columns
  by number and is kept nowhere;
- ``enforce_min_max_values`` gives real extremes back: it is always off, and ranges are drawn from
  protected train where the contract codes tails;
- sampling repeats one fixed stream, transformers one made of the first rows: both are seeded here;
- joblib starts worker processes, and only on one thread do runs repeat;
- SDV logs to a file in the user's home and prints, and quotes values in its errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.contract.model import GeneratorSpec
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Progress
from synth_contracts.generate.parameters import read_parameters
from synth_contracts.generate.sdv_columns import SdvColumn, nothing
from synth_contracts.generate.sdv_session import seed_model, session
from synth_contracts.tables.schema import CATEGORICAL, Field

TABLE = "table"
_MODELS = {
    "gaussian_copula": "GaussianCopulaSynthesizer",
    "ctgan": "CTGANSynthesizer",
    "copula_gan": "CopulaGANSynthesizer",
    "tvae": "TVAESynthesizer",
}


class SdvRows:
    """``Rows`` by an SDV single-table model."""

    def __init__(self, spec: GeneratorSpec, progress: Progress) -> None:
        self._spec, self._progress = spec, progress
        self._parameters = read_parameters(spec.type, spec.parameters)

    def fit(self, table: pd.DataFrame, fields: Sequence[Field], rng: np.random.Generator) -> None:
        """Train on ``fitRows`` random rows (all of them where the contract does not say)."""
        count = rows_to_fit(self._spec, len(table))
        if count < len(table):
            table = table.iloc[np.sort(rng.choice(len(table), count, replace=False))]
        self._order = [field.name for field in fields]
        self._empty = [f for f in fields if table[f.name].isna().all()]
        self._columns = [
            SdvColumn(f, table[f.name], clip=self._spec.outliers.top_code)
            for f in fields
            if f not in self._empty
        ]
        self._model = None
        parameters = self._parameters | self._shapes()
        if not self._columns:
            return
        data = pd.DataFrame(
            {f"c{i}": column.plain(table[column.name]) for i, column in enumerate(self._columns)}
        )
        self._progress(f"fitting: {self._spec.type} over {len(data)} rows{told(parameters)}")
        with session(self._spec.type, int(rng.integers(2**31))):
            self._model = self._synthesizer(parameters)
            self._model.fit({TABLE: data})

    def _shapes(self) -> dict[str, Any]:
        """``numerical_distributions`` by the numbers that stand for columns here."""
        given = self._parameters.get("numerical_distributions")
        if not given:
            return {}
        places = {
            column.name.casefold(): f"c{i}"
            for i, column in enumerate(self._columns)
            if column.field.kind not in CATEGORICAL
        }
        for name in given:
            if name.casefold() not in places:
                raise GenerationError(
                    f"numerical_distributions names `{name}`, which {self._spec.type} does not "
                    "learn as a number",
                    where="generator.parameters.numerical_distributions",
                    mend="take it out; in the frame, columns of the entity and the time index are "
                    "not the model's",
                )
        shapes = {places[name.casefold()]: shape for name, shape in given.items()}
        return {"numerical_distributions": shapes}

    def _synthesizer(self, parameters: Mapping[str, Any]) -> Any:
        from sdv import single_table
        from sdv.metadata import Metadata

        kinds = {f"c{i}": column.metadata for i, column in enumerate(self._columns)}
        metadata = Metadata.load_from_dict({"tables": {TABLE: {"columns": kinds}}})
        ours: dict[str, Any] = {"enforce_min_max_values": False}
        if self._spec.type != "gaussian_copula":
            ours |= {"enable_gpu": False, "verbose": False}
        return getattr(single_table, _MODELS[self._spec.type])(metadata, **ours, **parameters)

    def draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n`` rows; numbers rounded as in train and held inside the declared range."""
        found: dict[str, Any] = {field.name: nothing(field, n) for field in self._empty}
        if self._model is not None:
            self._progress(f"sampling: {n} rows")
            seed = int(rng.integers(2**31))
            with session(self._spec.type, seed):
                seed_model(self._model, seed)
                made = self._model.sample(n)[TABLE]
            for i, column in enumerate(self._columns):
                found[column.name] = column.canonical(made[f"c{i}"])
        return pd.DataFrame({name: found[name] for name in self._order})


def rows_to_fit(spec: GeneratorSpec, rows: int) -> int:
    """``fitRows``, or all ``rows`` where the contract does not say.

    Raises:
        GenerationError: more are asked for than there are.
    """
    count = rows if spec.fit_rows is None else spec.fit_rows
    if count > rows:
        raise GenerationError(
            f"fitRows is {count:,} and the training part holds {rows:,} rows",
            where="generator.fitRows",
            mend="make it smaller, or leave it out to fit all of them",
        )
    return count


def told(parameters: Mapping[str, Any]) -> str:
    """How long the fit is, for the progress line."""
    return f" ({parameters['epochs']} epochs)" if "epochs" in parameters else ""
