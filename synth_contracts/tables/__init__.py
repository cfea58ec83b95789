"""Typed tables: the schema a contract resolves to, canonical frames, and the digest of rows."""

from synth_contracts.tables.constraints import broken
from synth_contracts.tables.digest import rows_digest
from synth_contracts.tables.frame import canonical, duckdb_types, restore, to_arrow
from synth_contracts.tables.resolving import resolve
from synth_contracts.tables.schema import CATEGORICAL, NUMERIC, TEMPORAL, Field, Kind, TableSchema

__all__ = [
    "CATEGORICAL",
    "NUMERIC",
    "TEMPORAL",
    "Field",
    "Kind",
    "TableSchema",
    "broken",
    "canonical",
    "duckdb_types",
    "resolve",
    "restore",
    "rows_digest",
    "to_arrow",
]
