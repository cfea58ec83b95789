"""What every generator is: fitted on train alone, sampled with a stream of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Roles
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


class Plan(Protocol):
    """What all rows of a candidate share, drawn once and kept in compact arrays.

    Attributes:
        owner: entity of each row, ascending integers from 0: rows of one entity are together;
            without an entity key each row is its own.
    """

    @property
    def owner(self) -> np.ndarray:
        """Entity of each row."""

    def draw(self, rows: slice, rng: np.random.Generator) -> Sampled:
        """Those rows (whole entities, with step 1); the same stream gives the same rows."""


@runtime_checkable
class Chunked(Protocol):
    """What a generator may offer beside ``sample``, so that its rows need not fit into memory.

    A generator without it makes its rows in one piece.
    """

    def plan(self, n: int, rng: np.random.Generator) -> Plan:
        """The plan of ``n`` rows; the same stream gives the same plan."""


class Rows(Protocol):
    """A model of single rows that knows neither entities nor time."""

    def fit(self, table: pd.DataFrame, fields: Sequence[Field], rng: np.random.Generator) -> None:
        """Learn the canonical columns ``fields`` of ``table`` (none of them a key).

        Raises:
            GenerationError: more rows are asked for than ``table`` has, or it cannot be learned.
        """

    def draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n`` independent rows of those columns; the same stream gives the same rows."""
