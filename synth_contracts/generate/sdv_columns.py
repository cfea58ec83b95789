"""Columns as SDV is given them, and back: dtype, resolution and range of the canonical column."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_contracts.errors import GenerationError
from synth_contracts.generate.encode import time_unit
from synth_contracts.tables.schema import CATEGORICAL, NUMERIC, TEMPORAL, Field

_DAY = 86_400_000_000_000


class SdvColumn:
    """One column: as SDV is given it, and back. ``low`` and ``high`` bound what comes back."""

    def __init__(self, field: Field, column: pd.Series, *, clip: bool) -> None:
        self.field, self.name = field, field.name
        self._decimals, self._unit = None, 1
        known = column.dropna().to_numpy()
        self.low, self.high = -np.inf, np.inf
        if field.kind in TEMPORAL:
            stamps = known.astype("datetime64[ns]").astype("int64")
            self._unit = time_unit(stamps)
            # whole days: the first and the last moment belong to somebody
            self.low = stamps.min() // _DAY * _DAY
            self.high = (stamps.max() // _DAY + 1) * _DAY - self._unit
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
                self.low, self.high = known.min(), known.max()
            self._declared()

    def _declared(self) -> None:
        """Narrow to the declared range; an exclusive end is one unit of the last decimal away."""
        declared = self.field.declared
        if declared is None:
            return
        step = 10.0 ** -(6 if self._decimals is None else self._decimals)
        if declared.minimum is not None:
            self.low = max(self.low, declared.minimum)
        if declared.exclusive_minimum is not None:
            self.low = max(self.low, declared.exclusive_minimum + step)
        if declared.maximum is not None:
            self.high = min(self.high, declared.maximum)
        if declared.exclusive_maximum is not None:
            self.high = min(self.high, declared.exclusive_maximum - step)

    @property
    def metadata(self) -> dict[str, str]:
        """The column in SDV's metadata: its kind, and for times how they would be written."""
        if self.field.kind in CATEGORICAL:
            return {"sdtype": "categorical"}
        if self.field.kind not in TEMPORAL:
            return {"sdtype": "numerical"}
        # without a format SDV guesses one for each of 1,000 values: 1.3 of 1.7 CPU seconds of a fit
        # of 3,000 rows; all that our times can have is in it
        return {"sdtype": "datetime", "datetime_format": "%Y-%m-%d %H:%M:%S.%f"}

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
            inside = np.clip(stamps[known].astype("int64"), self.low, self.high)
            stamps[known] = (inside // self._unit * self._unit).astype("datetime64[ns]")
            return np.asarray(stamps)
        numbers = column.to_numpy(dtype="float64")
        if self._decimals is not None:
            numbers = np.round(numbers, self._decimals)
        return np.asarray(np.clip(numbers, self.low, self.high))


def nothing(field: Field, n: int) -> np.ndarray:
    """A canonical column of ``n`` missing values."""
    if field.kind in CATEGORICAL:
        return np.full(n, None, dtype=object)
    if field.kind in TEMPORAL:
        return np.full(n, np.datetime64("NaT"), dtype="datetime64[ns]")
    return np.full(n, np.nan)
