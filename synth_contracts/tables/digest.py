"""SHA-256 over a canonical stream of a table's rows.

Row order does not matter (rows are sorted first), column order and types do. Duplicates count:
unlike an exclusive-or of row hashes, nothing cancels and nothing can be forged short of SHA-256.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BLOCK = 65_536


def rows_digest(table: pa.Table) -> str:
    """Hex SHA-256 of the rows of ``table``.

    The stream is: a header (column count; per column name and type, length-prefixed; row count),
    then blocks of 65,536 sorted rows, in each block column by column the validity bytes and the
    values: numbers as 8 bytes little endian (-0.0 as 0.0, every NaN the same), text as lengths and
    UTF-8.
    """
    columns = [_plain(column) for column in table.columns]
    names = [str(i) for i in range(len(columns))]
    plain = pa.table(dict(zip(names, columns, strict=True)))
    if plain.num_rows and names:
        order = pc.sort_indices(plain, sort_keys=[(name, "ascending") for name in names])
        plain = plain.take(order).combine_chunks()
    digest = hashlib.sha256()
    digest.update(b"synth-contracts rows v1\n%d\n%d\n" % (len(columns), table.num_rows))
    for field, column in zip(table.schema, columns, strict=True):
        for text in (field.name, str(column.type)):
            raw = text.encode()
            digest.update(b"%d:%s" % (len(raw), raw))
    for start in range(0, plain.num_rows, _BLOCK):
        for name in names:
            _feed(digest, plain.column(name).slice(start, _BLOCK))
    return digest.hexdigest()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Fold each type into int64, float64 or large_string so that equal values hash equal."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        floats = column.cast(pa.float64())
        floats = pc.if_else(pc.is_nan(floats), pa.scalar(float("nan")), floats)
        return pc.if_else(pc.equal(floats, 0.0), pa.scalar(0.0), floats)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64())
    if pa.types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    return column.cast(pa.large_string())


def _feed(digest: hashlib._Hash, column: pa.ChunkedArray) -> None:
    digest.update(np.asarray(pc.is_valid(column).combine_chunks().cast(pa.int8())).tobytes())
    if pa.types.is_large_string(column.type):
        filled = pc.fill_null(column, "")
        lengths = pc.binary_length(filled).combine_chunks().cast(pa.int64())
        digest.update(np.asarray(lengths).astype("<i8").tobytes())
        digest.update("".join(filled.to_pylist()).encode())
        return
    values = np.asarray(pc.fill_null(column, pa.scalar(0, column.type)).combine_chunks())
    digest.update(values.astype("<f8" if pa.types.is_floating(column.type) else "<i8").tobytes())
