"""Rows of a table batch by batch, all of them as they are at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from synth_contracts.tables import rows_digest_of_batches
from synth_contracts.warehouse.connection import Database, Snapshot
from synth_contracts.warehouse.identifiers import quote

#: Rows of a batch, at most.
BATCH = 65_536
#: Rows that are sorted at once to find a digest: what is in memory, whatever the table has.
SORTED = 262_144


class StoredRows:
    """The rows of one table in one snapshot: each pass over them reads the same rows."""

    def __init__(self, snapshot: Snapshot, source: str) -> None:
        self._snapshot = snapshot
        self._source = source
        self.schema = snapshot.schema(f"SELECT * FROM {source}")  # noqa: S608 - quoted by stored_rows
        self.num_rows = snapshot.count(f"SELECT count(*) FROM {source}")  # noqa: S608 - as above

    def batches(self, places: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows in an order that stays, of all columns or of those at ``places``."""
        names = self.schema.names
        columns = ", ".join(quote(names[i]) for i in range(len(names)) if _in(i, places))
        query = f"SELECT {columns} FROM {self._source}"  # noqa: S608 - both quoted
        return self._snapshot.batches(query, BATCH)

    def digest(self) -> str:
        """SHA-256 of the rows (``rows_digest``), of which a part at a time is in memory."""
        return rows_digest_of_batches(self.schema, self.num_rows, self.batches, size=SORTED)

    def table(self) -> pa.Table:
        """All rows, in memory."""
        return pa.Table.from_batches(self.batches(), self.schema)


def _in(place: int, places: Sequence[int] | None) -> bool:
    return places is None or place in places


@contextmanager
def stored_rows(database: Database, source: str) -> Iterator[StoredRows]:
    """The rows of table ``source`` (already quoted) as they are now, until the block is left."""
    with database.snapshot() as snapshot:
        yield StoredRows(snapshot, source)
