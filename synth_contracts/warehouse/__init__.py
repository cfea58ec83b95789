"""All the SQL: connections, identifier quoting, source snapshots, staging, the published file."""

from synth_contracts.warehouse.candidates import stage, stage_chunks, staged
from synth_contracts.warehouse.connection import Database, separate_files
from synth_contracts.warehouse.identifiers import literal, qualified, quote
from synth_contracts.warehouse.patience import waiting
from synth_contracts.warehouse.streaming import StoredRows

__all__ = [
    "Database",
    "StoredRows",
    "literal",
    "qualified",
    "quote",
    "separate_files",
    "stage",
    "stage_chunks",
    "staged",
    "waiting",
]
