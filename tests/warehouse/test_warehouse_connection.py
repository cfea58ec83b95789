"""Opening database files: who locks them, what they are, and what cannot be done through them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_contracts.errors import UsageError, WarehouseError
from synth_contracts.warehouse import Database, literal, quote, separate_files, stage, staged
from synth_contracts.warehouse.published import open_published
from synth_contracts.warehouse.snapshot import open_source
from synth_contracts.warehouse.staging import open_work

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "my shop's.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    return path


@pytest.mark.parametrize("opener", ["source", "work", "published"])
def test_a_locked_database_names_its_holder(database: Path, opener: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseError) as locked:
            {
                "source": open_source,
                "work": open_work,
                "published": lambda path: open_published(path, read_only=True),
            }[opener](database)
        holder.stdin.close()
    assert locked.value.exit_code == 3
    assert f"held by PID {holder.pid}" in locked.value.message
    assert locked.value.where == str(database)
    assert locked.value.mend


def test_a_file_open_in_this_process_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "work.duckdb"
    with (
        open_work(path),
        pytest.raises(WarehouseError, match="locked: held by this process"),
        open_work(path),
    ):
        pass


@pytest.mark.parametrize("content", [b"id,amount\n1,2\n" * 500, b"PAR1" * 2000])
def test_what_is_no_duckdb_file_is_said_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.duckdb"
    path.write_bytes(content)
    with pytest.raises(WarehouseError, match="not a DuckDB database"):
        open_source(path)
    assert path.read_bytes() == content


def test_missing_files_are_not_created_for_readers(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="does not exist"):
        open_source(tmp_path / "no" / "x.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_the_source_is_not_written(database: Path) -> None:
    before = database.read_bytes()
    with open_source(database) as source:
        for statement in ("INSERT INTO t VALUES (2)", "CREATE TABLE u (a INT)", "DROP TABLE t"):
            with pytest.raises(WarehouseError, match="read-only"):
                source.execute(statement)
    assert database.read_bytes() == before


LOCKED_DOWN = [
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_csv('/etc/hostname')",
    "SELECT * FROM glob('/etc/*')",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "ATTACH '{folder}/other.duckdb' AS other",
    "ATTACH '{file}' AS again",
    "EXPORT DATABASE '{folder}/dump'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET threads = 1",
    "SET allowed_directories = ['/']",
    "SET temp_directory = '{folder}'",
    "RESET lock_configuration",
    "SET lock_configuration = false",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "SELECT getenv('HOME')",
    "SELECT * FROM 'http://localhost/x.csv'",
    "SELECT * FROM held_in_python",
]


@pytest.mark.parametrize("statement", LOCKED_DOWN)
def test_lock_down(tmp_path: Path, statement: str) -> None:
    held_in_python = pa.table({"a": [1]})
    assert held_in_python.num_rows == 1
    path = tmp_path / "warehouse" / "published.duckdb"
    with open_published(path, read_only=False) as published:
        published.execute("CREATE SCHEMA release")
        with pytest.raises(WarehouseError):
            published.rows(statement.format(folder=tmp_path, file=path))
    assert [item.name for item in tmp_path.iterdir()] == ["warehouse"]


@pytest.mark.parametrize("name", ["release", "Registry", "staging", "main"])
def test_a_file_named_like_a_schema_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="named like a schema"):
        open_published(tmp_path / f"{name}.duckdb", read_only=False)
    assert list(tmp_path.iterdir()) == []


def test_a_users_own_database_is_not_taken_for_ours(database: Path) -> None:
    before = database.read_bytes()
    for open_ours in (open_work, lambda path: open_published(path, read_only=False)):
        with pytest.raises(WarehouseError, match="holds tables in schema main"):
            open_ours(database)
    assert database.read_bytes() == before


def test_three_files_never_one(tmp_path: Path) -> None:
    first, second = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    first.touch()
    second.symlink_to(first)
    separate_files(source=first, work=tmp_path / "c.duckdb")
    with pytest.raises(UsageError, match="source and published are one file"):
        separate_files(source=first, published=second)


NAMES = ['closes"; DROP TABLE t; --', '""', "'", "release.t", " x ", "../../x", "Ünï cödé", "a.b"]


@pytest.mark.parametrize("name", NAMES)
def test_awkward_names_are_only_names(tmp_path: Path, name: str) -> None:
    rows = pa.table({name: [1, 2], "t": ["x", None]})
    digest = stage(tmp_path / "work.duckdb", name, "run-1", rows)
    back = staged(tmp_path / "work.duckdb", name, "run-1")
    assert back.column_names == [name, "t"]
    assert back.to_pydict() == rows.to_pydict()
    assert len(digest) == 64


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "a\x7fb", "\ud800"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        quote(name)


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40))
def test_any_name_and_text_comes_back(text: str) -> None:
    found = duckdb.sql(f"SELECT {literal(text)} AS {quote(text)}")
    assert found.fetchall() == [(text,)]
    assert found.columns == [text]


@pytest.mark.parametrize("run_id", ["", "a__b", "../x", "a b", "x'", "_a", "a" * 200])
def test_run_ids_are_plain(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(UsageError):
        stage(tmp_path / "work.duckdb", "t", run_id, pa.table({"a": [1]}))


def test_staging_keeps_the_newest_candidates(tmp_path: Path) -> None:
    work = tmp_path / "work.duckdb"
    for run in ("run-1", "run-2", "run-3"):
        stage(work, "t", run, pa.table({"a": [run]}))
        stage(work, "other", run, pa.table({"a": [run]}))
    assert staged(work, "t", "run-2").to_pydict() == {"a": ["run-2"]}
    with pytest.raises(WarehouseError, match="no candidate of run run-1"):
        staged(work, "t", "run-1")
    stage(work, "t", "run-3", pa.table({"a": ["again"]}))
    assert staged(work, "t", "run-3").to_pydict() == {"a": ["again"]}


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    with Database.open(tmp_path / "x.duckdb", "x_db", read_only=False) as database:
        database.execute("CREATE TABLE t (a INT)")

        def fail() -> Any:
            with database.transaction():
                database.execute("INSERT INTO t VALUES (1)")
                raise ValueError("in the middle")

        with pytest.raises(ValueError, match="middle"):
            fail()
        assert database.rows("SELECT count(*) FROM t") == [(0,)]
