"""Generators: fitted on train alone, deterministic by seed, keys afresh."""

from synth_contracts.generate.base import Generator, Progress
from synth_contracts.generate.run import GENERATORS, generate

__all__ = ["GENERATORS", "Generator", "Progress", "generate"]
