"""Typed tables: the schema a contract resolves to, canonical frames, and the digest of rows.

What works on frames is imported when it is first asked for: to export, verify and trace rows that
are stored, nothing needs pandas, which takes longer to import than a small file to write.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from synth_contracts.tables.digest import (
    in_order,
    rows_digest,
    rows_digest_in_parts,
    rows_digest_of_batches,
)
from synth_contracts.tables.schema import CATEGORICAL, NUMERIC, TEMPORAL, Field, Kind, TableSchema

if TYPE_CHECKING:
    from synth_contracts.tables.constraints import broken, solved
    from synth_contracts.tables.declared import breaches
    from synth_contracts.tables.frame import canonical, duckdb_types, restore, to_arrow
    from synth_contracts.tables.resolving import resolve

_LATER = {
    "breaches": "declared",
    "broken": "constraints",
    "canonical": "frame",
    "duckdb_types": "frame",
    "resolve": "resolving",
    "restore": "frame",
    "solved": "constraints",
    "to_arrow": "frame",
}

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


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found
