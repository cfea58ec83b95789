"""Rows in the order of their digest are read once, and their digest is that of any other order."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_contracts.tables import in_order, rows_digest, rows_digest_of_batches

NUMBERS = st.one_of(
    st.none(), st.sampled_from([0.0, -0.0, float("nan"), float("inf"), -1.5]), st.integers(-2, 2)
)
ROWS = st.lists(
    st.tuples(NUMBERS, st.one_of(st.none(), st.integers(-1, 1)),
              st.one_of(st.none(), st.sampled_from(["", "a", "ab", "é", "\U00010348"]))),
    max_size=12,
)  # fmt: skip


def table_of(rows: Sequence[tuple[float | None, int | None, str | None]]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    floats = [None if v is None else float(v) for v in columns[0]]
    return pa.table(
        {
            "x": pa.array(floats, pa.float64(), from_pandas=False),
            "n": pa.array(columns[1], pa.int32()),
            "t": pa.array(columns[2], pa.string()),
        }
    )


def by_hand(table: pa.Table) -> str:
    """The digest as docs and docstring say it, value by value, without Arrow's buffers."""
    kinds = {"x": b"number", "n": b"integer", "t": b"text"}
    digest = hashlib.sha256(b"synth-contracts rows v2\n%d\n%d\n" % (3, table.num_rows))
    for name, kind in kinds.items():
        digest.update(b"%d:%s%d:%s" % (len(name), name.encode(), len(kind), kind))

    def place(row):  # numbers, then NaN, then missing ones
        return [
            (2, 0) if v is None else (1, 0) if isinstance(v, float) and math.isnan(v) else (0, v)
            for v in (row[0], row[1], row[2] if row[2] is None else row[2].encode())
        ]

    rows = sorted(zip(*(table.column(i).to_pylist() for i in range(3)), strict=True), key=place)
    columns = [list(column) for column in zip(*rows, strict=True)]
    for column, form in zip(columns, ("<d", "<q", None), strict=False):
        digest.update(bytes(v is not None for v in column))
        if form is not None:
            for v in column:
                digest.update(
                    struct.pack(form, math.nan if v is not None and math.isnan(v) else (v or 0))
                )
        else:
            texts = [(v or "").encode() for v in column]
            for text in texts:
                digest.update(struct.pack("<q", len(text)))
            digest.update(b"".join(texts))
    return digest.hexdigest()


class Reading:
    """Batches of two rows, and how often they were begun and how far they were read."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.passes, self.read = table, 0, 0

    def __call__(self, places: Sequence[int] | None) -> Iterator[pa.RecordBatch]:
        self.passes += 1
        names = self.table.column_names
        kept = names if places is None else [names[i] for i in places]
        for batch in self.table.select(kept).to_batches(2):
            self.read += batch.num_rows
            yield batch

    def digest(self, rows: int | None = None, size: int = 3) -> str:
        count = self.table.num_rows if rows is None else rows
        return rows_digest_of_batches(self.table.schema, count, self, size=size)


@settings(max_examples=80)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_digest_is_the_same_in_every_order(rows, random) -> None:
    table = table_of(rows)
    ordered = in_order(table)
    assert rows_digest(ordered) == rows_digest(table)
    reading = Reading(ordered)
    assert reading.digest() == rows_digest(table)
    assert reading.passes == 1
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert Reading(table_of(shuffled)).digest() == rows_digest(table)


@settings(max_examples=80)
@given(ROWS, st.integers(0, 2))
def test_the_digest_is_what_its_description_says(rows, first) -> None:
    table = table_of(rows).slice(first)
    assert rows_digest(table) == by_hand(table)


def test_what_a_null_hides_does_not_count() -> None:
    """Arrow allows any bytes where a value is missing, and other signs and payloads of a NaN.

    The rows lie in order, so that no sorting makes other bytes of them first.
    """
    bits = pa.py_buffer(bytes([0b011]))
    numbers = pa.py_buffer(np.array([1, 3, 7]))
    floats = pa.py_buffer(np.array([0x8000000000000000, 0xFFF8000000000001, 7], "u8"))
    ends, text = pa.py_buffer(np.array([0, 1, 2, 4], "i4")), pa.py_buffer(b"abcd")
    hidden = {
        "x": pa.Array.from_buffers(pa.float64(), 3, [bits, floats]),
        "n": pa.Array.from_buffers(pa.int64(), 3, [bits, numbers]),
        "t": pa.Array.from_buffers(pa.string(), 3, [bits, ends, text]),
    }
    plain = {"x": [0.0, math.nan, None], "n": [1, 3, None], "t": ["a", "b", None]}
    for name, values in plain.items():
        array = pa.array(values, hidden[name].type, from_pandas=False)
        assert rows_digest(pa.table({name: hidden[name]})) == rows_digest(pa.table({name: array}))


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 0.0],
        [float("nan"), 5.0],
        [None, 5.0],
        [None, float("nan")],
        [0.0, float("inf"), float("nan"), None, 0.0],
    ],
)
def test_what_is_not_in_order_is_seen_at_a_border_of_batches_too(values) -> None:
    for before in ([], [-9.0]):
        table = pa.table({"x": pa.array([*before, *values], pa.float64(), from_pandas=False)})
        reading = Reading(table)
        assert reading.digest() == rows_digest(table)
        assert reading.passes > 1


def test_reading_ends_where_the_order_is_broken() -> None:
    table = pa.table({"x": [2, 1, *range(100)]})
    reading = Reading(table)
    assert reading.digest(size=1000) == rows_digest(table)
    assert reading.read == 2 + 102


def test_a_value_moved_to_the_next_row_is_another_table() -> None:
    texts = [pa.table({"t": column}) for column in (["ab", "c"], ["a", "bc"], ["", "abc"])]
    assert len({rows_digest(in_order(table)) for table in texts}) == 3


def test_a_slice_is_what_it_shows() -> None:
    whole = pa.table({"t": [f"v{i:03}" for i in range(200)], "n": np.arange(200)})
    part = whole.slice(50, 20)
    again = pa.table({name: part.column(name).to_pylist() for name in part.column_names})
    assert rows_digest(part) == rows_digest(again)


def test_missing_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="4 rows were read where there are 5"):
        Reading(pa.table({"x": [1, 2, 3, 4]})).digest(5)


def test_texts_that_are_moved_are_wide() -> None:
    """Of plain ones Arrow refuses to take more than 2 GiB of a column."""
    moved = in_order(pa.table({"t": ["b", "a"], "n": [1, 2]}))
    assert moved.schema.types == [pa.large_string(), pa.int64()]
    assert moved.to_pydict() == {"t": ["a", "b"], "n": [2, 1]}
