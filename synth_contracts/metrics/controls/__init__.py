"""Positive control and null: leaks planted into copies of the candidate, read by its own rules."""

from synth_contracts.metrics.controls.run import (
    DOSES,
    POWER,
    REPLICATES,
    control,
    null_beside,
)

__all__ = ["DOSES", "POWER", "REPLICATES", "control", "null_beside"]
