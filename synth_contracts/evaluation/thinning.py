"""Subsets of a candidate that stand for the exports of it, where each export omits a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from synth_contracts.omission import assign, digits, identity, in_batches, subset_names, told
from synth_contracts.tables import TableSchema, canonical
from synth_contracts.tables.schema import NUMERIC


@dataclass(frozen=True)
class Thinning:
    """Which rows each subset keeps, and what is told of them; both empty without a fingerprint."""

    kept: tuple[np.ndarray, ...] = ()
    record: Mapping[str, Any] | None = None


def thin(candidate: pa.Table, schema: TableSchema, *, key: bytes, run_id: str) -> Thinning:
    """The subsets of a candidate, drawn as exports of the release ``run_id`` will be.

    Args:
        candidate: the rows as they are stored.
        schema: of the table.
        key: the 32 secret bytes of fingerprints.
        run_id: of the run, which becomes the release's id.
    """
    cells = assign(
        candidate.schema,
        in_batches(candidate),
        entity_key=schema.roles.entity_key,
        quasi_identifiers=schema.roles.quasi_identifiers,
        key=key,
        release=run_id,
    )
    kept = tuple(cells.kept(row) for row in digits(key, run_id, subset_names(), cells.groups))
    numeric = [field.name for field in schema.of(NUMERIC)]
    frame = canonical(candidate, schema)
    return Thinning(kept, told(frame, kept, cells, numeric, key=identity(key, run_id)))
