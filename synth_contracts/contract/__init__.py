"""Contracts: ODCS documents, loaded with all their problems at once, expanded and hashed.

Light to import: no pandas, no jsonschema (that comes when a file is checked).
"""

from synth_contracts.contract.expand import canonical_json, settle, show_expanded
from synth_contracts.contract.generators import GENERATORS
from synth_contracts.contract.linting import LintReport, lint
from synth_contracts.contract.loading import load_contract, load_contracts
from synth_contracts.contract.model import (
    Calendar,
    Column,
    Contract,
    ExportPolicy,
    GeneratorSpec,
    NotAsked,
    Outliers,
    Roles,
    Rule,
    SourceRef,
)
from synth_contracts.contract.parameters import ParameterSpec
from synth_contracts.contract.rules import EXPECTATIONS, RULES
from synth_contracts.contract.servers import interpolate

__all__ = [
    "EXPECTATIONS",
    "GENERATORS",
    "RULES",
    "Calendar",
    "Column",
    "Contract",
    "ExportPolicy",
    "GeneratorSpec",
    "LintReport",
    "NotAsked",
    "Outliers",
    "ParameterSpec",
    "Roles",
    "Rule",
    "SourceRef",
    "canonical_json",
    "interpolate",
    "lint",
    "load_contract",
    "load_contracts",
    "settle",
    "show_expanded",
]
