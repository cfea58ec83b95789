"""Earlier releases of the same source, read from the registry and made ready for the attacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synth_contracts.errors import Refused
from synth_contracts.evaluation.earlier import earlier_frame
from synth_contracts.metrics.composition import comparable
from synth_contracts.pipeline.preparing import Prepared
from synth_contracts.release import Registry, Release, stand_beside
from synth_contracts.signing import commit
from synth_contracts.signing.dsse import open_envelope
from synth_contracts.tables import rows_digest


@dataclass(frozen=True)
class Earlier:
    """Canonical frames of what stands beside, and what is told of them (Evaluation.beside)."""

    frames: tuple[pd.DataFrame, ...]
    record: Mapping[str, Any]


def earlier_releases(registry: Registry, ready: Prepared) -> Earlier:
    """The releases that stand beside a candidate made of ``ready``, from their stored rows.

    Raises:
        Refused: (exit 5) the rows of one are gone, or are not those that the ledger names: what
            was given away cannot be told from a table that somebody edited.
    """
    schema = ready.source.schema
    standing = stand_beside(registry, ready.contract, ready.sources)
    promised = {
        str(entry.body["release_id"]): entry.body["rows_digest"]
        for entry in registry.entries("promoted")
    }
    frames = []
    told: dict[str, Any] = {
        "releases": [], "other_columns": [], "not_compared": [], "other_split": [],
        "revoked": standing.revoked,
    }  # fmt: skip
    for release in standing.releases:
        rows = registry.read_rows(release)
        if rows_digest(rows) != promised[release.id]:
            raise Refused(
                f"the rows of release {release.id} are not those that were released",
                where=release.table,
                mend="somebody edited the published database: put back the newest copy of it",
            )
        told["releases"].append(release.id)
        frame = earlier_frame(rows, schema)
        shared = len(comparable(frame, schema))
        if not shared:
            told["not_compared"].append(release.id)
            continue
        frames.append(frame)
        if shared < len(schema.features):
            told["other_columns"].append(release.id)
        if not _of_this_split(registry, release, ready):
            told["other_split"].append(release.id)
    return Earlier(tuple(frames), told)


def _of_this_split(registry: Registry, release: Release, ready: Prepared) -> bool:
    """Whether nobody in today's holdout was in the training rows of ``release``.

    Each entity is placed by itself under the secret key, and the holdout of a smaller share lies
    inside that of a larger one (source/split.py). So that is certain where the key is the same (as
    the commitment to the seed shows), the unit is the same, and the holdout was not smaller then.
    """
    try:
        statement = open_envelope(release.statement, registry.keys.public_keys())
        told = release.contract_expanded["synthetic"]
        seed, share = str(told["generator"]["seed"]), float(told["split"]["holdout"])
        unit = str(told["roles"]["entityKey"] or "")
    except (Refused, KeyError, TypeError, ValueError):
        return False
    same_key = statement["predicate"].get("seed_commitment") == commit(ready.secret, "seed", seed)
    here = ready.contract.roles.entity_key or ""
    return same_key and unit.casefold() == here.casefold() and share >= ready.contract.holdout
