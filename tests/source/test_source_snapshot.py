"""Reading the source: what is missing is named, what is there is digested, nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from synth_contracts.contract.model import Column, Contract, Roles, SourceRef
from synth_contracts.errors import SourceError
from synth_contracts.source import read_source
from synth_contracts.tables import rows_digest

Make = Callable[..., Contract]
Load = Callable[..., str]
EVERY = """SELECT i::BIGINT AS household_id, (i % 3)::UTINYINT AS small, i::HUGEINT AS huge,
  (i / 7)::FLOAT AS f, (i / 4)::DECIMAL(9, 2) AS d, i % 2 = 0 AS b, uuid()::UUID AS u,
  ['x', 'y'][1 + i % 2]::ENUM('x', 'y') AS e, DATE '2020-01-01' + i::INT AS "the day",
  TIMESTAMPTZ '2020-01-01 00:00:00+02' AS tz, TIMESTAMP_NS '2020-01-01' AS ns,
  if(i % 5 = 0, NULL, 'T' || i) AS "quo""ted" FROM range(300) r(i)"""


def test_every_releasable_type_is_read(load: Load, contract: Make) -> None:
    path = load(EVERY)
    before = Path(path).read_bytes()
    one, other = read_source(contract(), path), read_source(contract(), path)
    assert one.rows == 300
    assert one.digest == other.digest == rows_digest(one.arrow)
    assert one.arrow.column("e").to_pylist()[:2] == ["x", "y"]
    assert [f.name for f in one.schema.fields][-1] == 'quo"ted'
    assert Path(path).read_bytes() == before


def test_the_digest_sees_one_changed_value_and_no_order(load: Load, contract: Make) -> None:
    rows = "SELECT i AS household_id, i * 1.5::DOUBLE AS v FROM range(500) r(i)"
    first = read_source(contract(), load(rows)).digest
    assert read_source(contract(), load(rows + " ORDER BY i DESC")).digest == first
    edited = rows.replace("i * 1.5::DOUBLE", "CASE i WHEN 7 THEN 0 ELSE i * 1.5::DOUBLE END")
    assert read_source(contract(), load(edited)).digest != first
    negative = "SELECT i AS household_id, -0.0::DOUBLE AS v FROM range(5) r(i)"
    positive = negative.replace("-0.0", "0.0")
    both = [read_source(contract(), load(query)).arrow for query in (negative, positive)]
    assert str(both[0].to_pylist()) == str(both[1].to_pylist())


def test_missing_things_are_named_with_what_is_close(load: Load, contract: Make) -> None:
    path = load(EVERY)
    with pytest.raises(SourceError, match="does not exist") as missing:
        read_source(contract(), path.replace("source.", "sourse."))
    assert "source.duckdb" in missing.value.mend
    assert missing.value.exit_code == 3
    ref = SourceRef("raw", "duckdb", "x", "raw", "transaction")
    with pytest.raises(SourceError, match=r"no table raw\.transaction") as missing:
        read_source(contract(source=ref), path)
    assert "did you mean raw.transactions?" in missing.value.mend
    with pytest.raises(SourceError, match="household") as missing:
        read_source(contract(roles=Roles(entity_key="household")), path)
    assert "household_id" in missing.value.mend
    with pytest.raises(SourceError, match="amount"):
        read_source(contract(columns=(Column("amount"),)), path)
    with pytest.raises(SourceError, match="names no source"):
        read_source(contract(source=None), path)


def test_an_empty_table_is_not_read(load: Load, contract: Make) -> None:
    with pytest.raises(SourceError, match="empty"):
        read_source(contract(), load(EVERY + " WHERE i < 0"))


def test_names_are_compared_as_duckdb_does(load: Load, contract: Make) -> None:
    ref = SourceRef("raw", "duckdb", "x", "RAW", "Transactions")
    found = read_source(contract(source=ref, roles=Roles(entity_key="HOUSEHOLD_ID")), load(EVERY))
    assert found.schema.roles.entity_key == "household_id"


def test_a_view_over_another_schema(tmp_path: Path, contract: Make) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA source")
        connection.execute("CREATE TABLE source.t AS SELECT 1 AS household_id")
        connection.execute("CREATE VIEW source.v AS SELECT * FROM source.t")
    for name in ("t", "v"):
        ref = SourceRef("raw", "duckdb", "x", "source", name)
        assert read_source(contract(source=ref), str(path)).rows == 1


def test_excluded_columns_may_be_of_any_type(load: Load, contract: Make) -> None:
    query = "SELECT i AS household_id, {'a': i} AS nested, [i] AS list, 'x'::BLOB AS raw, \
        TIME '12:00' AS t FROM range(9) r(i)"
    path = load(query)
    with pytest.raises(SourceError, match="cannot be generated"):
        read_source(contract(), path)
    excluded = Roles(entity_key="household_id", exclude=("nested", "list", "raw", "t"))
    found = read_source(contract(roles=excluded), path)
    assert [f.name for f in found.schema.released] == ["household_id"]
    other = load(query.replace("{'a': i}", "{'a': i + 1}"))
    assert read_source(contract(roles=excluded), other).digest != found.digest


def test_control_characters_in_a_column_name(load: Load, contract: Make) -> None:
    with pytest.raises(SourceError, match="control characters"):
        read_source(contract(), load(pd.DataFrame({"household_id": [1], "a\nb": [2]})))
