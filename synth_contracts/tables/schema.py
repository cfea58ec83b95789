"""What kind of value each column of a table holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from synth_contracts.contract.model import Column, Constraint, Roles


class Kind(StrEnum):
    """How a column is measured and generated."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    CODE = "code"  # integers that name a category (``synthetic.codes``)
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"


#: Kinds whose values are compared for equality only.
CATEGORICAL = frozenset({Kind.TEXT, Kind.CODE, Kind.BOOLEAN})
NUMERIC = frozenset({Kind.INTEGER, Kind.NUMBER})
TEMPORAL = frozenset({Kind.TIMESTAMP, Kind.DATE})


@dataclass(frozen=True)
class Field:
    """One column: its kind, its DuckDB type and what the contract declares of it.

    ``key`` columns (primary key, entity key) are never fitted: they are generated afresh and no
    metric compares their values. ``excluded`` columns are neither generated nor released.
    """

    name: str
    kind: Kind
    physical_type: str
    required: bool = False
    key: bool = False
    excluded: bool = False
    declared: Column | None = None


@dataclass(frozen=True)
class TableSchema:
    """The columns of one table in source order, with the roles that the contract gives them."""

    table: str
    fields: tuple[Field, ...]
    roles: Roles
    constraints: tuple[Constraint, ...] = ()

    def field(self, name: str) -> Field:
        """The field of exactly that name. Raises KeyError."""
        for item in self.fields:
            if item.name == name:
                return item
        raise KeyError(name)

    @property
    def released(self) -> tuple[Field, ...]:
        """Fields that a synthetic table holds, keys among them."""
        return tuple(f for f in self.fields if not f.excluded)

    @property
    def features(self) -> tuple[Field, ...]:
        """Released fields whose values are learned and compared (no keys)."""
        return tuple(f for f in self.released if not f.key)

    def of(self, kinds: frozenset[Kind]) -> tuple[Field, ...]:
        """Features of the given kinds."""
        return tuple(f for f in self.features if f.kind in kinds)
