"""Values keep their code through a CSV and back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from batteries import house

from synth_contracts.delivery.leakfile import read_leak, shared_codes
from synth_contracts.omission import codes, combined


def test_a_csv_of_every_type_matches_what_it_was_made_of(tmp_path: Path) -> None:
    table = house.rows(n=200)
    table = table.set_column(
        2, "amount", pa.array([Decimal(i) / 4 for i in range(200)], pa.decimal128(10, 2))
    )
    plain = table.set_column(2, "amount", table["amount"].cast(pa.string()))
    pyarrow.csv.write_csv(plain, tmp_path / "leak.csv")
    frame = table.to_pandas()
    frame.to_csv(tmp_path / "pandas.csv", index=False, sep=";")
    frame.to_parquet(tmp_path / "pandas.parquet", index=False)
    for name in ("leak.csv", "pandas.csv", "pandas.parquet"):
        found = shared_codes(read_leak(tmp_path / name), table.schema)
        assert set(found) == set(table.column_names)
        for column, theirs in found.items():
            ours, values = codes(table[column]), theirs
            if name == "pandas.csv" and column == "label":  # it does not tell "" from a missing one
                ours, values = (v[np.asarray(table[column].is_valid())] for v in (ours, values))
                assert (ours == values).mean() > 0.8
            else:
                assert (ours == values).all(), (name, column)


def test_values_that_are_not_of_the_type_match_nothing() -> None:
    schema = pa.schema({"n": pa.int64(), "day": pa.date32(), "ok": pa.bool_(), "x": pa.float64()})
    table = pa.table(
        {"N": ["1", "1.5", "many", None], "day": ["2026-01-02", "no", "", None],
         "ok": ["True", "yes", "0", None], "x": ["1e3", "ten", "-0.0", None]}
    )  # fmt: skip
    found = shared_codes(table, schema)
    own = {
        "n": pa.array([1, None], pa.int64()),
        "day": pa.array([dt.date(2026, 1, 2), None]),
        "ok": pa.array([True, None]),
        "x": pa.array([1_000.0, None]),
    }
    for name, values in own.items():
        one, missing = codes(values)
        assert (found[name][0], found[name][3]) == (one, missing)
        assert found[name][1] not in (one, missing)
    assert found["x"][2] == codes(pa.array([0.0]))[0]


def test_a_number_is_its_first_six_digits() -> None:
    same = [(12.3456789, 12.34568), (0.1 + 0.2, 0.3), (999999.7, 1_000_000.0), (-0.0, 0.0)]
    for one, two in same:
        assert codes(pa.array([one]))[0] == codes(pa.array([two]))[0]
    different = [(12.3456, 12.3457), (1.0, 10.0), (-1.0, 1.0), (float("inf"), 0.0)]
    for one, two in different:
        assert codes(pa.array([one]))[0] != codes(pa.array([two]))[0]
    assert codes(pa.array([1e-320, 1e308])).size == 2


def test_columns_count_by_name_and_not_by_place() -> None:
    a, b = codes(pa.array([1, 2])), codes(pa.array([2, 1]))
    assert (combined([("a", a), ("b", b)]) == combined([("b", b), ("A", a)])).all()
    assert (combined([("a", a), ("b", b)]) != combined([("a", b), ("b", a)])).all()


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_no_chunk_and_no_row(kind: pa.DataType) -> None:
    assert codes(pa.chunked_array([], kind)).size == 0
    assert codes(pa.chunked_array([pa.array([], kind)])).size == 0
