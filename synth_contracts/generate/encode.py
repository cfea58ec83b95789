"""Canonical columns as model values and back: codes for categories, floats for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_contracts.coarsening import Coarsening
from synth_contracts.errors import GenerationError
from synth_contracts.generate.trees import Values, Variable, number_variable
from synth_contracts.tables.schema import CATEGORICAL, TEMPORAL, Field

_UNITS = (86_400_000_000_000, 3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000)


def time_unit(nanoseconds: np.ndarray) -> int:
    """The coarsest of day, hour, minute, second, microsecond that all values are multiples of."""
    return next((unit for unit in _UNITS if not (nanoseconds % unit).any()), 1_000)


@dataclass(frozen=True)
class Codec:
    """One feature: its Variable, and how drawn values become a canonical column again."""

    variable: Variable
    labels: np.ndarray | None = None
    unit: int | None = None

    def encode(self, column: pd.Series) -> np.ndarray:
        """Codes (-1 missing or unknown) or floats (NaN missing) of a canonical column."""
        if self.labels is not None:
            return np.asarray(pd.Index(self.labels).get_indexer(pd.Index(column)), dtype=np.int64)
        if self.unit is not None:
            known = column.notna().to_numpy()
            out = np.full(len(column), np.nan)
            out[known] = column.to_numpy()[known].astype("int64") // self.unit
            return out
        return column.to_numpy(dtype="float64")

    def decode(self, values: np.ndarray) -> np.ndarray:
        """The canonical column of drawn values."""
        if self.labels is not None:
            return np.asarray(np.array([*self.labels, None], dtype=object)[values])
        if self.unit is not None:
            stamps = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[ns]")
            known = ~np.isnan(values)
            whole = np.round(values[known]).astype("int64") * self.unit
            stamps[known] = whole.astype("datetime64[ns]")
            return stamps
        return values


def codec(field: Field, column: pd.Series, entities: np.ndarray, coarsening: Coarsening) -> Codec:
    """Learn the Codec of a (protected) training column.

    Raises:
        GenerationError: the column holds infinite numbers.
    """
    if field.kind in CATEGORICAL:
        labels = np.asarray(pd.factorize(column, sort=True)[1], dtype=object)
        has_token, token = coarsening.token(field) if coarsening.on else (False, None)
        group = int(pd.Index(labels).get_indexer(pd.Index([token], dtype=object))[0])
        stands = has_token and (token is None or group >= 0)
        return Codec(
            Variable(field.name, max(len(labels), 1), group=group if stands else None), labels
        )
    unit = None
    if field.kind in TEMPORAL:
        known = column.dropna().to_numpy().astype("int64")
        unit = time_unit(known)
    plain = Codec(Variable(field.name), None, unit)
    values = plain.encode(column)
    if np.isinf(values).any():
        raise GenerationError(
            "infinite numbers cannot be learned",
            where=field.name,
            mend="declare a minimum and a maximum, or clean the source",
        )
    enumerated = field.declared is not None and field.declared.enum is not None
    variable = number_variable(field.name, values, entities, coarsening.k, exact=enumerated)
    return Codec(variable, None, unit)


def encode_features(
    fields: Sequence[Field], train: pd.DataFrame, entities: np.ndarray, coarsening: Coarsening
) -> tuple[dict[str, Codec], Values]:
    """The codecs of some of train's columns, and their model values, by name."""
    codecs = {field.name: codec(field, train[field.name], entities, coarsening) for field in fields}
    return codecs, {
        name: (coder.variable, coder.encode(train[name])) for name, coder in codecs.items()
    }
