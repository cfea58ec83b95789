"""Rows of a model as they come: no calendar, and entities dealt at random."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Roles
from synth_contracts.generate.base import Rows, Sampled
from synth_contracts.tables.schema import TableSchema


class Bare:
    """``calendar: false``: the model learns all columns, the time index among them."""

    notes: tuple[str, ...] = ()

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Fit the model on every feature."""
        self._key = roles.entity_key
        if self._key:
            self._rows_each = len(train) / (int(train[self._key].max()) + 1)
        self._rows.fit(train, [f for f in schema.features if f.name in train.columns], rng)

    def sample(self, n: int, rng: np.random.Generator) -> Sampled:
        """``n`` rows; entities in train's proportion to rows."""
        frame = self._rows.draw(n, rng)
        if self._key:
            count = int(np.clip(round(n / self._rows_each), 1, n))
            # every entity has a row, the others fall anywhere
            owner = np.append(np.arange(count), rng.integers(count, size=n - count))
            frame[self._key] = rng.permutation(owner)
        return Sampled(frame)
