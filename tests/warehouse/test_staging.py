"""Candidates are staged chunk by chunk: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from synth_contracts.errors import WarehouseError
from synth_contracts.tables import digest, rows_digest
from synth_contracts.warehouse import stage, stage_chunks, staged, staging
from synth_contracts.warehouse.staging import open_work


def chunks_of(rows: int, size: int) -> list[pa.Table]:
    whole = pa.table({"a": list(range(rows)), "b": [f"x{i % 7}" for i in range(rows)]})
    return [whole.slice(start, size) for start in range(0, rows, size)]


def stored_names(work: Path) -> list[str]:
    with open_work(work, read_only=True) as database:
        found = database.rows(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'staging'"
        )
    return [str(name) for (name,) in found]


def test_chunks_are_one_candidate_in_their_order(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(digest.rows_digest_in_parts.__kwdefaults__, "size", 300)
    work, parts = tmp_path / "work.duckdb", chunks_of(1_000, 130)
    found = stage_chunks(work, "t", "run-1", iter(parts))
    whole = staged(work, "t", "run-1")
    assert whole.column("a").to_pylist() == list(range(1_000))
    assert found == rows_digest(whole) == stage(work, "t", "run-2", pa.concat_tables(parts))


def test_a_chunk_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    work = tmp_path / "work.duckdb"

    def broken() -> Iterator[pa.Table]:
        yield from chunks_of(500, 250)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        stage_chunks(work, "t", "run-1", broken())
    assert stored_names(work) == []

    def hungry() -> Iterator[pa.Table]:
        yield from chunks_of(500, 250)
        raise MemoryError

    with pytest.raises(WarehouseError, match="memory is used up"):
        stage_chunks(work, "t", "run-1", hungry())
    assert stored_names(work) == []


def test_rows_that_nobody_read_back_are_no_candidate(tmp_path: Path, monkeypatch) -> None:
    """As after a kill between the last row and the note."""
    work = tmp_path / "work.duckdb"

    def gone(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(staging, "note", gone)
        with pytest.raises(KeyboardInterrupt):
            stage_chunks(work, "t", "run-1", chunks_of(500, 250))
    assert stored_names(work) == ["t__run-1"]
    with pytest.raises(WarehouseError, match="holds no candidate of run run-1"):
        staged(work, "t", "run-1")
    stage_chunks(work, "other", "run-2", chunks_of(10, 10))
    assert stored_names(work) == ["other__run-2"]


def test_rows_that_change_when_they_are_stored_are_refused(tmp_path: Path, monkeypatch) -> None:
    """The second chunk alone; each is read back."""
    real = staging.stored

    def other(database, table, run_id, first, rows):
        return real(database, table, run_id, 0, rows)

    monkeypatch.setattr(staging, "stored", other)
    with pytest.raises(WarehouseError, match="are not the rows that were written"):
        stage_chunks(tmp_path / "work.duckdb", "t", "run-1", chunks_of(500, 250))
