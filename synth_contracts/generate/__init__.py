"""Generators: fitted on train alone, deterministic by seed, keys afresh."""

from synth_contracts.generate.base import (
    Chunked,
    Generator,
    Plan,
    Progress,
    Rows,
    Sampled,
    Spend,
)
from synth_contracts.generate.chunks import Produced
from synth_contracts.generate.run import GENERATORS, generate, rows_asked

__all__ = [
    "GENERATORS",
    "Chunked",
    "Generator",
    "Plan",
    "Produced",
    "Progress",
    "Rows",
    "Sampled",
    "Spend",
    "generate",
    "rows_asked",
]
