"""The fingerprint of an export: which tenth of a released pool it leaves out (docs/fingerprint.md).

Pure functions of columns and of a secret key. Build, export and trace reach the same cells from the
same rows, in whatever order they are stored.
"""

from synth_contracts.omission.cells import ONE_OF, Cells, assign, in_batches, pool_rows, room
from synth_contracts.omission.codes import codes, combined, mixed
from synth_contracts.omission.digits import digits, identity
from synth_contracts.omission.subsets import SUBSETS, is_told, subset_names, told, weight

__all__ = [
    "ONE_OF",
    "SUBSETS",
    "Cells",
    "assign",
    "codes",
    "combined",
    "digits",
    "identity",
    "in_batches",
    "is_told",
    "mixed",
    "pool_rows",
    "room",
    "subset_names",
    "told",
    "weight",
]
