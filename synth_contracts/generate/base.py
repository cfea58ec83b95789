"""What every generator is: fitted on train alone, sampled with a stream of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Roles
from synth_contracts.generate.protection import Protection
from synth_contracts.tables.schema import Field, TableSchema

#: Receives short sentences while a generator works; never a value of the data.
Progress = Callable[[str], None]
#: Takes what a fit is about to spend and makes it durable; raises when there is not enough.
Spend = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Sampled:
    """Rows as a generator made them, before quasi-identifiers are recoded.

    Args:
        frame: canonical features; with an entity key also that column, integers 0..S-1 that say
            which rows belong together.
        redraw: given ``frame`` with quasi-identifiers recoded, the same rows with whatever would
            tell a recoded value drawn again; None where nothing depends on them.
        again: given places of rows and a stream, those rows drawn anew for the same entities and
            times: some of ``frame``'s columns, as many rows. They are written into ``frame``
            itself. None where the generator cannot.
        redrawn: how many rows were drawn again because they stood too near a real outlier.
    """

    frame: pd.DataFrame
    redraw: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    again: Callable[[np.ndarray, np.random.Generator], pd.DataFrame] | None = None
    redrawn: int = 0


@dataclass(frozen=True)
class Produced:
    """A candidate.

    Args:
        frame: canonical frame of the schema's released columns, keys fresh.
        uncoarsened: the quasi-identifiers as they were before recoding, with the entity key
            column of ``frame`` where there is one; row i belongs to row i of ``frame``. None
            without quasi-identifiers. Only metrics may see it: it is never released.
        notes: sentences for the report card on what the generator publishes beyond rows.
        protection: what the protections touched, counted; for the owner of the source alone.
    """

    frame: pd.DataFrame
    uncoarsened: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    protection: Protection = field(default_factory=Protection)


class Generator(Protocol):
    """A model of one table.

    ``fit`` reads canonical features of the training part (rows sorted, so that their order on
    disk cannot matter) and, where there is an entity key, that column as integers 0..E-1.
    Real keys are never fitted nor returned.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report card, known after ``fit``."""

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Learn from ``train``. Raises GenerationError when the table cannot be learned."""

    def sample(self, n: int, rng: np.random.Generator) -> Sampled:
        """``n`` rows; the same stream gives the same rows."""


@runtime_checkable
class Private(Protocol):
    """A generator with a guarantee: each fit spends, and the number of rows may be released."""

    spend: Spend | None

    def released_rows(self) -> int:
        """The released number of rows, known after ``fit``."""


class Rows(Protocol):
    """A model of single rows that knows neither entities nor time."""

    def fit(self, table: pd.DataFrame, fields: Sequence[Field], rng: np.random.Generator) -> None:
        """Learn the canonical columns ``fields`` of ``table`` (none of them a key).

        Raises:
            GenerationError: more rows are asked for than ``table`` has, or it cannot be learned.
        """

    def draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n`` independent rows of those columns; the same stream gives the same rows."""
