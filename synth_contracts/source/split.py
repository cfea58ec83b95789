"""Train and holdout, by entity, under a secret key.

Each entity is placed by itself: u = HMAC-SHA256(key, its canonical text) read as a number in
[0, 1), and u below the contract's share is holdout. Nothing else decides: no other entity, no
order of rows, no other column, no published seed (who knows an entity's key could then tell train
from holdout). The key is derived from the project's secret (signing.secrets).

What stands for an entity: its entity key. A row without one, and every row of a table without
an entity key, stands for itself: by its primary key, else by its whole content and how many equal
rows came before it.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synth_contracts.contract.model import Contract
from synth_contracts.errors import NotEvaluatedError, Refused
from synth_contracts.signing.secrets import derive
from synth_contracts.source.snapshot import SourceTable
from synth_contracts.tables import rows_digest

#: Below this many entities on either side the attacks have no verdict (METRICS).
MINIMUM_ENTITIES = 200
#: The demo's secret, public on purpose: the demo builds the same rows for everybody. Anybody
#: who reads it here can tell train from holdout, so it is refused for any other source.
DEMO_SECRET = hashlib.sha256(b"synth-contracts public demo secret v1").digest()
#: rows_digest of the shipped extract (warehouse/seeds/complete_journey_baskets.parquet).
DEMO_SOURCE_DIGEST = "ebc517e650351fc511e5e101bcaae8f17fb23c5f92edd2a2444f2470236a7e84"

_Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Split:
    """Both sides with all columns of the source, rows in canonical order (sorted by value).

    The digests are SHA-256 of the rows of each side (tables.rows_digest).
    """

    train: pa.Table
    holdout: pa.Table
    entities_train: int
    entities_holdout: int
    train_digest: str
    holdout_digest: str


def split(source: SourceTable, contract: Contract, secret: bytes) -> Split:
    """Split the source by entity; ``contract.holdout`` is the expected share of the holdout.

    Raises:
        NotEvaluatedError: fewer than 200 entities on either side.
    """
    table = _ordered(source.arrow, source.schema.roles.entity_key)
    units = _units(table, source)
    encoded = pa.array(units, pa.large_string()).dictionary_encode()
    key = derive(secret, "split")
    limit = int(contract.holdout * 2**64)
    names = encoded.dictionary.to_pylist()
    held = np.array([_place(key, name) < limit for name in names], dtype=bool)
    counts = int((~held).sum()), int(held.sum())
    if min(counts) < MINIMUM_ENTITIES:
        raise _too_few(source, contract.holdout, *counts)
    rows = held[np.asarray(encoded.indices)]
    train = table.filter(pa.array(~rows)).combine_chunks()
    holdout = table.filter(pa.array(rows)).combine_chunks()
    return Split(
        train=train,
        holdout=holdout,
        entities_train=counts[0],
        entities_holdout=counts[1],
        train_digest=rows_digest(train),
        holdout_digest=rows_digest(holdout),
    )


def refuse_public_secret(secret: bytes, source_digest: str) -> None:
    """Refuse the demo's public secret for any source but the shipped demo extract.

    Raises:
        Refused: (exit 5) the secret is DEMO_SECRET and the rows are not the demo's.
    """
    if hmac.compare_digest(secret, DEMO_SECRET) and source_digest != DEMO_SOURCE_DIGEST:
        raise Refused(
            "this key folder holds the demo's public split secret, and the source is not the "
            "demo's extract",
            mend="use another key folder: the secret there is made on first use",
        )


def _place(key: bytes, name: str) -> int:
    mac = hmac.digest(key, name.encode(), "sha256")
    return int.from_bytes(mac[:8], "big")


def _ordered(table: pa.Table, entity_key: str | None) -> pa.Table:
    """Rows sorted by all columns, the entity key first: no trace of the order in storage."""
    table = pa.table([_sortable(c) for c in table.columns], names=table.column_names)
    first = [entity_key] if entity_key else []
    names = first + [name for name in table.column_names if name != entity_key]
    numbered = table.select(names).rename_columns([str(i) for i in range(len(names))])
    keys = [(name, "ascending") for name in numbered.column_names]
    return table.take(pc.sort_indices(numbered, sort_keys=keys))


def _sortable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column.cast(pa.string()) if pa.types.is_null(column.type) else column


def _units(table: pa.Table, source: SourceTable) -> _Texts:
    """The canonical text of the entity that each row belongs to."""
    roles = source.schema.roles
    if roles.entity_key is None:
        return _rows(table, source)
    units = _texts(table.column(roles.entity_key))
    missing = np.asarray(pc.is_null(table.column(roles.entity_key)).combine_chunks())
    if missing.any():
        units[missing] = _rows(table.filter(pa.array(missing)), source)
    return units


def _rows(table: pa.Table, source: SourceTable) -> _Texts:
    keys = [f.name for f in source.schema.fields if f.declared and f.declared.primary_key]
    if keys:
        return _joined("primary key", [_texts(table.column(name)) for name in keys])
    content = _joined("row", [_texts(column) for column in table.columns])
    seen: dict[str, int] = {}
    units = np.empty(len(content), dtype=object)
    for position, text in enumerate(content):
        seen[text] = seen.get(text, 0) + 1
        units[position] = f"{text}#{seen[text]}"
    return units


def _joined(label: str, columns: Sequence[_Texts]) -> _Texts:
    joined = ["".join(f"{len(t)}:{t}" for t in row) for row in zip(*columns, strict=True)]
    units = np.empty(len(joined), dtype=object)
    units[:] = [f"{label} {text}" for text in joined]
    return units


def _texts(column: pa.ChunkedArray) -> _Texts:
    """Typed canonical text per value; computed once per distinct value."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    distinct = np.empty(len(encoded.dictionary), dtype=object)
    distinct[:] = [_text(value) for value in encoded.dictionary.to_pylist()]
    texts: _Texts = distinct[np.asarray(encoded.indices)]
    return texts


def _text(value: Any) -> str:
    """``integer 42``, ``text 42`` and ``number 42.0`` are three entities.

    Integer width and enumeration or plain text make no difference, time zone offsets neither.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean {value}"
    if isinstance(value, int):
        return f"integer {value}"
    if isinstance(value, float):
        return f"number {value.hex()}"
    if isinstance(value, Decimal):
        return f"decimal {value.normalize():f}"
    if isinstance(value, datetime):
        zoned = value.astimezone(UTC) if value.tzinfo else value
        return f"timestamp {zoned.isoformat()}"
    if isinstance(value, date):
        return f"date {value.isoformat()}"
    return f"text {value}"


def _too_few(source: SourceTable, share: float, train: int, holdout: int) -> NotEvaluatedError:
    total = train + holdout
    unit = "entities" if source.schema.roles.entity_key else "rows"
    side, count = ("holdout", holdout) if holdout <= train else ("train", train)
    needed = max(_entities_needed(min(share, 1 - share)), math.ceil(1.1 * total))
    rows = math.ceil(needed * source.rows / total)
    better = next((s / 100 for s in range(1, 51) if _reaches(total, s / 100)), None)
    advice = f"bring about {needed} {unit} (about {rows} rows) at a holdout of {share:g}"
    if better is None:
        advice += f"; {total} {unit} are too few to be sure of at any share"
    elif not _reaches(total, min(share, 1 - share)):
        advice += f", or set split.holdout to {better:g}"
    return NotEvaluatedError(
        f"only {count} {unit} of {total} fell into {side}, at least {MINIMUM_ENTITIES} are needed",
        where=source.schema.table,
        mend=advice,
    )


def _reaches(total: int, share: float) -> bool:
    """Whether 200 are reached with near certainty: three standard deviations below the mean."""
    return total * share - 3 * math.sqrt(total * share * (1 - share)) >= MINIMUM_ENTITIES


def _entities_needed(share: float) -> int:
    total = MINIMUM_ENTITIES
    while not _reaches(total, share):
        total += max(1, total // 50)
    return total
