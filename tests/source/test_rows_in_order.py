"""Rows in the order of their digest are read once, and their digest is that of any other order."""

from __future__ import annotations

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
