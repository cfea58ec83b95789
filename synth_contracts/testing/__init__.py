"""What authors of generators run in pytest against theirs; nothing of the product imports it."""

from synth_contracts.testing.conformance import GeneratorConformance

__all__ = ["GeneratorConformance"]
