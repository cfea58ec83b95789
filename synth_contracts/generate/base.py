"""What every generator is: fitted on train alone, sampled with a stream of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract, Roles
from synth_contracts.tables.schema import TableSchema

#: Receives short sentences while a generator works; never a value of the data.
Progress = Callable[[str], None]


class Generator(Protocol):
    """A model of one table.

    ``fit`` reads canonical features of the training part (rows sorted, so that their order on
    disk cannot matter) and, where there is an entity key, that column as integers 0..E-1.
    ``sample`` returns ``n`` rows of the features, and, where there is an entity key, integers
    0..S-1 that say which rows belong together; real keys are never fitted nor returned.
    """

    def __init__(self, contract: Contract, progress: Progress) -> None: ...

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Learn from ``train``. Raises GenerationError when the table cannot be learned."""

    def sample(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n`` rows; the same stream gives the same rows."""
