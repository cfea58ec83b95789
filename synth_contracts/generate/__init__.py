"""Generators: fitted on train alone, deterministic by seed, keys afresh."""

from synth_contracts.generate.base import Generator, Produced, Progress, Rows, Sampled, Spend
from synth_contracts.generate.run import GENERATORS, generate, rows_asked

__all__ = [
    "GENERATORS",
    "Generator",
    "Produced",
    "Progress",
    "Rows",
    "Sampled",
    "Spend",
    "generate",
    "rows_asked",
]
