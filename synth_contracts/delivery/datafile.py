"""The data file of a bundle: Parquet, CSV or Arrow, written and read back batch by batch.

What is in memory is a batch, and of Parquet a row group, whatever the release holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq

from synth_contracts.errors import Refused
from synth_contracts.tables import rows_digest_of_batches

if TYPE_CHECKING:
    from synth_contracts.delivery.omitting import OmittedRows
    from synth_contracts.warehouse import StoredRows

#: Of each format, its media type.
MEDIA_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.file",
}
FORMATS = tuple(MEDIA_TYPES)
_SORTED = 262_144
#: Rows that are looked at for values that repeat.
_SOME = 65_536
#: Rows of a row group, and of a batch that is read back.
ROW_GROUP, _BATCH = 262_144, 65_536
#: Told how far a step is: its name, the rows done and the rows in all.
Progress = Callable[[str, int, int], None]


def silent(step: str, done: int, rows: int) -> None:
    """Progress that nobody looks at."""


def write_rows(
    path: Path, rows: StoredRows | OmittedRows, digest: str, progress: Progress = silent
) -> None:
    """Write the rows, durably, in the format that the file's ending names; hold them to ``digest``.

    Parquet and Arrow are read back, and what was read must have the digest. It is the only look
    at the rows, and one is enough: no other rows than the released ones have it, wherever they
    went astray. CSV loses types: there the rows are looked at before they are written, and it is
    the file itself that the signature binds.

    Args:
        path: the file to make.
        rows: the same ones in each pass.
        digest: hex SHA-256 of the rows that may leave (``rows_digest``).
        progress: told the rows written, then those read back.

    Raises:
        Refused: the rows, or those that were written, have another digest.
    """
    read_back = path.suffix != ".csv"
    if not read_back and rows.digest() != digest:
        raise Refused(f"the rows for {path.name} are not the released rows")
    done = 0
    with path.open("xb") as stream:
        with _writer(path.suffix, stream, rows.schema) as writer:
            for batch in rows.batches():
                writer.write_batch(_plain(batch) if path.suffix == ".csv" else batch)
                done += batch.num_rows
                progress("writing", done, rows.num_rows)
        stream.flush()
        os.fsync(stream.fileno())
    if done != rows.num_rows or (read_back and file_digest(path, progress) != digest):
        raise Refused(f"the rows written to {path.name} are not the released rows")


def _writer(suffix: str, stream: IO[bytes], schema: pa.Schema) -> AbstractContextManager[Any]:
    if suffix == ".parquet":
        writer: AbstractContextManager[Any] = _RowGroups(stream, schema)
    elif suffix == ".arrow":
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        writer = pa.ipc.new_file(stream, schema, options=options)
    else:
        plain = [
            pa.field(f.name, pa.string() if pa.types.is_decimal(f.type) else f.type) for f in schema
        ]
        writer = pyarrow.csv.CSVWriter(stream, pa.schema(plain))
    return writer


class _RowGroups:
    """A Parquet writer that takes batches and writes row groups of ``ROW_GROUP`` rows."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
        self._stream, self._schema = stream, schema
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> _RowGroups:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and (self._held or self._writer is None):
                self._write()
        finally:
            if self._writer is not None:
                self._writer.close()

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Take a batch; a row group that is full is written."""
        while self._rows + batch.num_rows >= ROW_GROUP:
            fits = ROW_GROUP - self._rows
            self._held.append(batch.slice(0, fits))
            self._write()
            batch = batch.slice(fits)
        if batch.num_rows:
            self._held.append(batch)
            self._rows += batch.num_rows

    def _write(self) -> None:
        rows = pa.Table.from_batches(self._held, self._schema)
        if self._writer is None:
            repeating = _repeating(rows)
            self._writer = pq.ParquetWriter(
                self._stream,
                self._schema,
                compression="zstd",
                use_dictionary=repeating,
                column_encoding=_deltas(self._schema, repeating),
                write_statistics=_leading(self._schema, repeating),
            )
        self._writer.write_table(rows, ROW_GROUP)
        self._held, self._rows = [], 0


def _repeating(rows: pa.Table) -> list[str]:
    """Columns that dictionaries make smaller; of others the attempt costs time and space."""
    some = rows.slice(0, _SOME)
    return [
        name
        for name, column in zip(some.column_names, some.columns, strict=True)
        if 2 * pc.count_distinct(column).as_py() <= some.num_rows
    ]


def _leading(schema: pa.Schema, repeating: Sequence[str]) -> list[str]:
    """The columns by which rows in order of their digest lie: up to the first that hardly repeats.

    Of any other each row group holds the whole range, and statistics would tell nobody anything.
    """
    found: list[str] = []
    for name in schema.names:
        found.append(name)
        if name not in repeating:
            break
    return found


def _deltas(schema: pa.Schema, repeating: Sequence[str]) -> dict[str, str]:
    """Whole numbers without a dictionary as differences: small ones, where rows lie in order."""
    whole = (pa.types.is_integer, pa.types.is_timestamp, pa.types.is_date32)
    return {
        field.name: "DELTA_BINARY_PACKED"
        for field in schema
        if field.name not in repeating and any(is_so(field.type) for is_so in whole)
    }


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Columns that Arrow's CSV writer does not know (decimals) as text."""
    for i, field in enumerate(batch.schema):
        if pa.types.is_decimal(field.type):
            batch = batch.set_column(i, field.name, pc.cast(batch.column(i), pa.string()))
    return batch


def file_digest(path: Path, progress: Progress = silent) -> str:
    """SHA-256 of the rows (``rows_digest``) of a Parquet or Arrow file, told as "reading back".

    Raises:
        Refused: it cannot be read.
    """
    try:
        read = _parquet if path.suffix == ".parquet" else _arrow
        schema, rows = read(path)

        def batches(places: Sequence[int] | None) -> Iterator[pa.RecordBatch]:
            done = 0
            for batch in _batches(path, schema, places):
                done += batch.num_rows
                progress("reading back", done, rows)
                yield batch

        return rows_digest_of_batches(schema, rows, batches, size=_SORTED)
    except (pa.ArrowException, ValueError, KeyError, IndexError) as error:
        raise Refused(f"the rows cannot be read: {error}", where=str(path)) from error


def _parquet(path: Path) -> tuple[pa.Schema, int]:
    with pq.ParquetFile(path) as file:
        return file.schema_arrow, int(file.metadata.num_rows)


def _arrow(path: Path) -> tuple[pa.Schema, int]:
    with pa.OSFile(str(path)) as stream, pa.ipc.open_file(stream) as file:
        rows = sum(file.get_batch(i).num_rows for i in range(file.num_record_batches))
        return file.schema, rows


def _batches(
    path: Path, schema: pa.Schema, places: Sequence[int] | None
) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".parquet":
        names = None if places is None else [schema.field(place).name for place in places]
        with pq.ParquetFile(path, read_dictionary=_dictionaries(path)) as parquet:
            for batch in parquet.iter_batches(_BATCH, columns=names):
                yield _decoded(batch, schema)
        return
    options = pa.ipc.IpcReadOptions(included_fields=None if places is None else list(places))
    with pa.OSFile(str(path)) as stream, pa.ipc.open_file(stream, options=options) as file:
        for i in range(file.num_record_batches):
            yield file.get_batch(i)


def _dictionaries(path: Path) -> list[str]:
    """Texts that the file holds as dictionaries: read as such, they take half the time."""
    with pq.ParquetFile(path) as file:
        if not file.metadata.num_row_groups:
            return []
        first = file.metadata.row_group(0)
        return [
            field.name
            for i, field in enumerate(file.schema_arrow)
            if pa.types.is_string(field.type) and "RLE_DICTIONARY" in first.column(i).encodings
        ]


def _decoded(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    for i, column in enumerate(batch.columns):
        name = batch.schema.field(i).name
        kind = schema.field(name).type
        if pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(kind):
            batch = batch.set_column(i, name, column.dictionary_decode())
    return batch
