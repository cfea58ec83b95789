"""The protected view of a table: what the generator's protections leave of its categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from synth_contracts.coarsening.rare import group_rare
from synth_contracts.coarsening.recode import Quasi, recode
from synth_contracts.coarsening.tokens import other_token
from synth_contracts.contract.model import Contract
from synth_contracts.tables.schema import CATEGORICAL, Field, TableSchema


@dataclass(frozen=True)
class Coarsening:
    """How categories and quasi-identifiers are coarsened.

    ``k`` counts entities; ``other_value`` maps codes to the value that stands for grouped ones;
    ``on`` is False where the contract switched the protection off: every method then returns the
    frame as it is.
    """

    k: int
    other_value: Mapping[str, int] = field(default_factory=dict)
    on: bool = True

    @classmethod
    def of(cls, contract: Contract) -> Coarsening:
        """What the contract asks: its k and ``generator.outliers``.

        With a guarantee it is always on: it then reads synthetic rows, and tables to be compared.
        """
        outliers = contract.generator.outliers
        on = outliers.rare_category or contract.generator.guarantee is not None
        return cls(contract.k, dict(outliers.other_value), on)

    def token(self, column: Field) -> tuple[bool, str | None]:
        """The value for grouped values of a column; (False, None) where there is none."""
        return other_token(column, self.other_value)

    def group(self, frame: pd.DataFrame, entities: np.ndarray, schema: TableSchema) -> pd.DataFrame:
        """``frame`` with the categories of fewer than k entities grouped, column by column.

        Columns declared unique are left alone: they are made afresh, never compared.

        Args:
            frame: canonical; features that it does not hold are passed over.
            entities: integer entity of each row.
            schema: the table's columns.
        """
        if not self.on:
            return frame
        out = frame.copy(deep=False)
        for column in schema.of(CATEGORICAL):
            unique = column.declared is not None and column.declared.unique
            if column.name in frame.columns and not unique:
                before = frame[column.name]
                after = group_rare(before, entities, self.k, self.token(column))
                if not np.may_share_memory(after, before.to_numpy()):
                    out[column.name] = after
        return out

    def recode(
        self, frame: pd.DataFrame, entities: np.ndarray, schema: TableSchema
    ) -> pd.DataFrame:
        """``frame`` with every class of the quasi-identifiers held by at least k entities."""
        if not self.on:
            return frame
        quasi = []
        for name in schema.roles.quasi_identifiers:
            column = schema.field(name)
            if column.key or column.excluded or name not in frame.columns:
                continue
            has_token, token = self.token(column)
            quasi.append(Quasi(name, column.kind not in CATEGORICAL, has_token, token))
        return recode(frame, entities, quasi, self.k)

    def view(self, frame: pd.DataFrame, entities: np.ndarray, schema: TableSchema) -> pd.DataFrame:
        """Rare categories grouped, then small classes recoded.

        Each step alone done twice is once. Recoding counts entities and moves rows, so that what
        stays of a category may be dominated afterwards: grouping once more could find some. How
        much is coarsened depends on how many entities the table holds: compare tables with equal
        numbers of them only.
        """
        return self.recode(self.group(frame, entities, schema), entities, schema)
