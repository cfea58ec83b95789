"""Typed tables: the schema a contract resolves to, canonical frames, and the digest of rows."""

from synth_contracts.tables.constraints import broken, solved
from synth_contracts.tables.declared import breaches
from synth_contracts.tables.digest import (
    in_order,
    rows_digest,
    rows_digest_in_parts,
    rows_digest_of_batches,
)
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
    "breaches",
    "broken",
    "canonical",
    "duckdb_types",
    "in_order",
    "resolve",
    "restore",
    "rows_digest",
    "rows_digest_in_parts",
    "rows_digest_of_batches",
    "solved",
    "to_arrow",
]
