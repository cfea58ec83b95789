"""The real table: read-only snapshot, declared constraints, split into train and holdout."""

from synth_contracts.source.constraints import check_constraints, violations
from synth_contracts.source.snapshot import SourceTable, read_source
from synth_contracts.source.split import (
    DEMO_SECRET,
    MINIMUM_ENTITIES,
    Split,
    refuse_public_secret,
    split,
)

__all__ = [
    "DEMO_SECRET",
    "MINIMUM_ENTITIES",
    "SourceTable",
    "Split",
    "check_constraints",
    "read_source",
    "refuse_public_secret",
    "split",
    "violations",
]
