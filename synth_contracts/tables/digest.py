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
        if not _ascending(plain if last is None else pa.concat_tables([last, plain])):
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
    left, right = values.slice(0, len(values) - 1), values.slice(1)
    before = pc.fill_null(pc.less(left, right), False)
    if pa.types.is_floating(values.type):
        nan = pc.fill_null(pc.is_nan(values), False)
        to_nan = pc.and_(pc.invert(nan.slice(0, len(nan) - 1)), nan.slice(1))
        before = pc.or_(before, pc.and_(to_nan, pc.is_valid(left)))
    return np.asarray(pc.or_(before, pc.and_(pc.is_valid(left), pc.is_null(right))))


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
    left, right = ordered.slice(0, len(ordered) - 1), ordered.slice(1)
    both = pc.and_(pc.is_null(left), pc.is_null(right))
    if pa.types.is_floating(ordered.type):
        both = pc.or_(both, pc.fill_null(pc.and_(pc.is_nan(left), pc.is_nan(right)), False))
    return np.asarray(pc.or_(both, pc.fill_null(pc.equal(left, right), False)))


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
        floats = column.cast(pa.float64())
        floats = pc.if_else(pc.is_nan(floats), pa.scalar(float("nan")), floats)
        return pc.if_else(pc.equal(floats, 0.0), pa.scalar(0.0), floats)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64())
    if pa.types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    return column.cast(pa.large_string())


def _feed(digest: hashlib._Hash, column: pa.ChunkedArray) -> None:
    if column.null_count:
        digest.update(np.asarray(pc.is_valid(column).combine_chunks().cast(pa.int8())).data)
        text = pa.types.is_large_string(column.type)
        column = pc.fill_null(column, "" if text else pa.scalar(0, column.type))
    else:
        digest.update(_VALID[: len(column)])
    values = column.combine_chunks()
    if pa.types.is_large_string(values.type):
        _, ends, text = values.buffers()
        places = np.frombuffer(ends, "<i8")[values.offset : values.offset + len(values) + 1]
        digest.update(np.diff(places).astype("<i8", copy=False).data)
        if text is not None:
            digest.update(memoryview(text)[int(places[0]) : int(places[-1])])
        return
    numbers = np.asarray(values)
    # no copy where the machine is little endian
    digest.update(numbers.astype("<f8" if numbers.dtype.kind == "f" else "<i8", copy=False).data)
