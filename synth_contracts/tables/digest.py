"""SHA-256 over a canonical stream of a table's rows.

Row order does not matter (rows are sorted first), column order and types do. Duplicates count:
unlike an exclusive-or of row hashes, nothing cancels and nothing can be forged short of SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BLOCK = 65_536
#: Validity of a block without missing values.
_VALID = memoryview(bytes([1]) * _BLOCK)
#: Rows that are sorted at once where a table is too large to be sorted as a whole.
PART = 1_048_576


def rows_digest(table: pa.Table) -> str:
    """Hex SHA-256 of the rows of ``table``.

    The stream is: a header (column count; per column name and kind of value, length-prefixed; row
    count; the kind is "date", "integer" ..., whatever its width, unit or encoding),
    then blocks of 65,536 sorted rows, in each block column by column the validity bytes and the
    values: numbers as 8 bytes little endian (-0.0 as 0.0, every NaN the same), text as lengths and
    UTF-8.
    """
    stream = _Stream(table.schema, table.num_rows)
    stream.feed(_sorted(table))
    return stream.finish()


def rows_digest_in_parts(
    schema: pa.Schema,
    rows: int,
    column: Callable[[int], pa.ChunkedArray],
    part: Callable[[np.ndarray], pa.Table],
    *,
    size: int = PART,
) -> str:
    """The digest of :func:`rows_digest` of a table that is never in memory as a whole.

    The order of all rows is found by as many leading columns as tell them apart to parts of
    ``size`` rows, and the parts are sorted one after the other.

    Args:
        schema: of the table.
        rows: how many it has.
        column: given a place in ``schema``, that column of all rows, in an order that stays.
        part: given int64 numbers of rows in that order (ascending), these rows in any order.
        size: rows of a part, at most.
    """
    stream = _Stream(schema, rows)
    for numbers in _parts(schema, rows, column, size):
        stream.feed(_sorted(part(numbers)))
    return stream.finish()


def rows_digest_of_batches(
    schema: pa.Schema,
    rows: int,
    batches: Callable[[Sequence[int] | None], Iterable[pa.RecordBatch]],
    *,
    size: int = PART,
) -> str:
    """The digest of :func:`rows_digest` of rows that are read batch by batch.

    Rows that come in the order of :func:`in_order`, as those of a release do, are read once; others
    again and again.

    Args:
        schema: of the rows.
        rows: how many there are.
        batches: all rows, of the columns at the given places in ``schema`` or of all; each time
            in the same order.
        size: rows of a part, at most.

    Raises:
        ValueError: ``batches`` gives more or fewer than ``rows``.
    """
    found = _of_ordered(schema, rows, batches(None))
    if found is not None:
        return found

    def read(places: Sequence[int] | None) -> Iterator[tuple[int, pa.RecordBatch]]:
        first = 0
        for batch in batches(places):
            yield first, batch
            first += batch.num_rows
        if first != rows:
            raise ValueError(f"{first:,} rows were read where there are {rows:,}")

    def column(place: int) -> pa.ChunkedArray:
        name = schema.field(place).name
        found = [batch.column(batch.schema.get_field_index(name)) for _, batch in read([place])]
        return pa.chunked_array(found, schema.field(place).type)

    def part(numbers: np.ndarray) -> pa.Table:
        taken = []
        for first, batch in read(None):
            low, high = np.searchsorted(numbers, [first, first + batch.num_rows])
            if high - low == batch.num_rows:
                taken.append(batch)
            elif high > low:
                taken.append(batch.take(pa.array(numbers[low:high] - first)))
        return pa.Table.from_batches(taken, schema)

    return rows_digest_in_parts(schema, rows, column, part, size=size)


def in_order(table: pa.Table) -> pa.Table:
    """The rows of ``table`` in the order in which their digest takes them.

    Texts come back as large ones: of plain ones Arrow cannot take 2 GiB of a column.
    """
    plain = _folded(table)
    if _ascending(plain):
        return table
    wide = [
        field.with_type(pa.large_string()) if pa.types.is_string(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(wide)).take(_order(plain))


def _of_ordered(schema: pa.Schema, rows: int, batches: Iterable[pa.RecordBatch]) -> str | None:
    """The digest in one pass; None as soon as the rows are seen not to be in order."""
    stream, last, count = _Stream(schema, rows), None, 0
    reading = iter(batches)
    for batch in reading:
        if not batch.num_rows:
            continue
        plain = _folded(pa.Table.from_batches([batch], schema))
        border = pa.concat_tables([*([] if last is None else [last]), plain.slice(0, 1)])
        if not (_ascending(border) and _ascending(plain)):
            if isinstance(reading, Generator):
                reading.close()  # what it reads from is asked again
            return None
        stream.feed(plain)
        count += plain.num_rows
        last = plain.slice(plain.num_rows - 1)
    if count != rows:
        raise ValueError(f"{count:,} rows were read where there are {rows:,}")
    return stream.finish()


def _ascending(plain: pa.Table) -> bool:
    """Whether sorting folded rows would leave them where they are."""
    if plain.num_rows < 2:
        return True
    tied = np.ones(plain.num_rows - 1, dtype=bool)
    for column in plain.columns:
        values = column.combine_chunks()
        before, equal = _before(values), _equal(values)
        if (tied & ~before & ~equal).any():
            return False
        tied &= equal
        if not tied.any():
            break
    return True


def _before(values: pa.Array) -> np.ndarray:
    """Whether each value but the last sorts before the next: numbers, NaN, missing ones."""
    left, right, there = _neighbours(values)
    if pa.types.is_large_string(values.type):
        less = _flags(pc.less(left, right))
    else:
        numbers = _bare(values)
        less = (numbers[:-1] < numbers[1:]) | (~np.isnan(numbers[:-1]) & np.isnan(numbers[1:]))
    return np.asarray((less & there[:-1] & there[1:]) | (there[:-1] & ~there[1:]))


def _parts(
    schema: pa.Schema, rows: int, column: Callable[[int], pa.ChunkedArray], size: int
) -> Iterator[np.ndarray]:
    """Row numbers, part by part: no row of a part comes after one of the next."""
    if rows <= size:
        yield np.arange(rows)
        return
    held: dict[str, pa.ChunkedArray] = {}
    for place in range(len(schema)):
        held[str(place)] = _plain(column(place))
        keys = pa.table(held)
        order = np.asarray(pc.sort_indices(keys, sort_keys=[(n, "ascending") for n in held]))
        new = np.zeros(rows, dtype=bool)
        for values in held.values():
            new[1:] |= ~_equal(values.take(pa.array(order)).combine_chunks())
        starts = np.append(np.flatnonzero(new), rows)
        if np.diff(starts, prepend=0).max() <= size:
            break
        if place + 1 == len(schema):  # what is equal in every column may be cut anywhere
            starts = np.unique(np.concatenate([starts, np.arange(size, rows, size)]))
    begin = 0
    while begin < rows:
        # the last border within reach, or the end of a group that is larger
        after = np.searchsorted(starts, begin, side="right")
        reach = np.searchsorted(starts, begin + size, side="right") - 1
        end = int(starts[max(after, reach)])
        yield np.sort(order[begin:end]).astype(np.int64)
        begin = end


def _equal(ordered: pa.Array) -> np.ndarray:
    """Whether each value but the first equals the one before it; two missing ones do."""
    left, right, there = _neighbours(ordered)
    if pa.types.is_large_string(ordered.type):
        same = _flags(pc.equal(left, right))
    else:
        numbers = _bare(ordered)
        same = (numbers[:-1] == numbers[1:]) | (np.isnan(numbers[:-1]) & np.isnan(numbers[1:]))
    return np.asarray((same & there[:-1] & there[1:]) | ~(there[:-1] | there[1:]))


def _neighbours(values: pa.Array) -> tuple[pa.Array, pa.Array, np.ndarray]:
    """All folded values but the last, all but the first, and which are not missing."""
    valid = _valid(values)
    there = np.ones(len(values), dtype=bool) if valid is None else valid.astype(bool)
    return values.slice(0, len(values) - 1), values.slice(1), there


def _folded(table: pa.Table) -> pa.Table:
    """Its columns, folded and named by their places."""
    return pa.table({str(i): _plain(column) for i, column in enumerate(table.columns)})


def _order(plain: pa.Table) -> pa.Array:
    """Row numbers of folded columns in their order."""
    return pc.sort_indices(plain, sort_keys=[(n, "ascending") for n in plain.column_names])


def _sorted(table: pa.Table) -> pa.Table:
    """Its columns, folded and named by their places, with the rows sorted by all of them."""
    plain = _folded(table)
    if plain.num_rows and plain.num_columns and not _ascending(plain):
        plain = plain.take(_order(plain)).combine_chunks()
    return plain


class _Stream:
    """SHA-256 fed with a header and then with sorted rows, in blocks whose borders are fixed."""

    def __init__(self, schema: pa.Schema, rows: int) -> None:
        self._digest = hashlib.sha256()
        self._digest.update(b"synth-contracts rows v2\n%d\n%d\n" % (len(schema), rows))
        for field in schema:
            for text in (field.name, _kind(field.type)):
                raw = text.encode()
                self._digest.update(b"%d:%s" % (len(raw), raw))
        self._left: pa.Table | None = None

    def feed(self, rows: pa.Table) -> None:
        """More rows: folded, sorted among themselves and after all before."""
        if self._left is not None and self._left.num_rows:
            rows = pa.concat_tables([self._left, rows])
        whole = rows.num_rows // _BLOCK * _BLOCK
        for start in range(0, whole, _BLOCK):
            self._block(rows.slice(start, _BLOCK))
        self._left = rows.slice(whole)

    def finish(self) -> str:
        """Hex, after the last rows."""
        if self._left is not None and self._left.num_rows:
            self._block(self._left)
        return self._digest.hexdigest()

    def _block(self, rows: pa.Table) -> None:
        for column in rows.columns:
            _feed(self._digest, column)


def _kind(kind: pa.DataType) -> str:
    """What values of a type are: a date is not the count of its days, though both hash as int64."""
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "number"
    if pa.types.is_decimal(kind):
        return "decimal"
    if pa.types.is_timestamp(kind):
        return "instant" if kind.tz else "timestamp"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    return str(kind)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Fold each type into int64, float64 or large_string so that equal values hash equal."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        wide = column.cast(pa.float64())
        return pa.chunked_array([_floats(chunk) for chunk in wide.chunks], pa.float64())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64())
    if pa.types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    return column.cast(pa.large_string())


def _feed(digest: hashlib._Hash, column: pa.ChunkedArray) -> None:
    values = column.combine_chunks()
    valid = _valid(values)
    digest.update(_VALID[: len(values)] if valid is None else valid.data)
    if pa.types.is_large_string(values.type):
        _feed_texts(digest, values, valid)
        return
    numbers = _bare(values)
    if valid is not None:
        numbers = np.where(valid, numbers, numbers.dtype.type(0))
    # no copy where the machine is little endian
    digest.update(numbers.astype("<f8" if numbers.dtype.kind == "f" else "<i8", copy=False).data)


def _feed_texts(
    digest: hashlib._Hash, values: pa.LargeStringArray, valid: np.ndarray | None
) -> None:
    places, text = _places(values)
    if valid is not None and np.diff(places)[valid == 0].any():  # Arrow allows a null to hide some
        values = pc.fill_null(values, "")
        places, text = _places(values)
    digest.update(np.diff(places).astype("<i8", copy=False).data)
    if text is not None:
        digest.update(memoryview(text)[int(places[0]) : int(places[-1])])


def _places(values: pa.LargeStringArray) -> tuple[np.ndarray, pa.Buffer | None]:
    """Where each text begins, and where the last ends, in the bytes of all."""
    _, ends, text = values.buffers()
    return np.frombuffer(ends, "<i8")[values.offset : values.offset + len(values) + 1], text


# Arrow's own ways to numpy and to scalars import pandas, which takes as long as a million rows.


def _valid(values: pa.Array) -> np.ndarray | None:
    """Bytes that are 0 where a value is missing; None where none is."""
    if not values.null_count:
        return None
    return _bits(values, 0)


def _flags(values: pa.BooleanArray) -> np.ndarray:
    """Truth values as they lie, whatever lies where one is missing."""
    return _bits(values, 1).astype(bool)


def _bits(values: pa.Array, buffer: int) -> np.ndarray:
    """The bits of a buffer that belong to ``values``, as bytes."""
    bits = np.frombuffer(values.buffers()[buffer], np.uint8)
    found: np.ndarray = np.unpackbits(bits, bitorder="little")
    return found[values.offset : values.offset + len(values)]


def _bare(values: pa.Array) -> np.ndarray:
    """Numbers of 64 bits as they lie, whatever lies where one is missing."""
    kind = "f8" if pa.types.is_floating(values.type) else "i8"
    return np.frombuffer(values.buffers()[1], kind)[values.offset : values.offset + len(values)]


def _floats(values: pa.DoubleArray) -> pa.DoubleArray:
    """With -0.0 as 0.0 and every NaN the same."""
    held = len(values) + values.offset
    if not held:
        return values
    numbers = np.frombuffer(values.buffers()[1], "f8")[:held] + 0.0  # of -0.0, IEEE 754 makes 0.0
    nan = np.isnan(numbers)
    if nan.any():
        numbers[nan] = np.nan
    buffers = [values.buffers()[0], pa.py_buffer(numbers)]
    return pa.Array.from_buffers(
        values.type, len(values), buffers, values.null_count, values.offset
    )
