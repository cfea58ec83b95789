"""Rows that belong to nobody: a null entity key is learned like any other fact about a row.

Such rows are entities of their own (split, counts of holders and attacks see them so). A generator
that gave each of them a fresh key would release as many entities of one row; so it learns a column
that says which rows have none, and where it says so no key is given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synth_contracts.generate.base import Sampled
from synth_contracts.tables.schema import Field, Kind, TableSchema

_WITHOUT, _WITH = "without", "with"


@dataclass(frozen=True)
class Keyless:
    """The column that a generator learns beside the table's own; ``name`` None where it need not.

    Args:
        name: of the column, one that the table does not hold.
        without: which rows of train have no key.
    """

    name: str | None
    without: np.ndarray

    @classmethod
    def of(cls, keys: pd.Series | None, schema: TableSchema, k: int) -> Keyless:
        """Of train's keys (None: no entity key). Fewer than k rows without one are not told of."""
        without = np.zeros(0, dtype=bool) if keys is None else keys.isna().to_numpy()
        if not k <= without.sum() < len(without):
            return cls(None, without)
        name = f"{schema.roles.entity_key} given"
        held = {field.name.casefold() for field in schema.fields}
        while name.casefold() in held:
            name += "?"
        return cls(name, without)

    def schema(self, learned: TableSchema) -> TableSchema:
        """``learned`` with the column."""
        if self.name is None:
            return learned
        return replace(learned, fields=(*learned.fields, Field(self.name, Kind.TEXT, "VARCHAR")))

    def mark(self, features: pd.DataFrame) -> pd.DataFrame:
        """``features`` of train with the column, which nothing needs to group."""
        if self.name is None:
            return features
        words = np.where(self.without, _WITHOUT, _WITH).astype(object)
        return features.assign(**{self.name: words})

    def taken(self, sampled: Sampled, owner: np.ndarray) -> tuple[Sampled, np.ndarray, int]:
        """The candidate without the column, the entity of each row, and how many have a key.

        Entities with a key are numbered first; every row without one is an entity of its own.
        """
        name = self.name
        if name is None:
            return sampled, owner, int(owner.max()) + 1
        told = sampled.frame[name]
        without = (told == _WITHOUT).to_numpy()
        out = np.empty(len(owner), dtype=np.int64)
        codes, labels = pd.factorize(owner[~without], sort=True)
        out[~without] = codes
        out[without] = len(labels) + np.arange(int(without.sum()))

        def redraw(recoded: pd.DataFrame) -> pd.DataFrame:
            assert sampled.redraw is not None  # noqa: S101 - asked below
            return sampled.redraw(recoded.assign(**{name: told})).drop(columns=name)

        def again(rows: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
            assert sampled.again is not None  # noqa: S101 - asked below
            return sampled.again(rows, rng).drop(columns=name, errors="ignore")

        alone = Sampled(
            sampled.frame.drop(columns=name),
            redraw if sampled.redraw else None,
            again if sampled.again else None,
            sampled.redrawn,
        )
        return alone, out, len(labels)
