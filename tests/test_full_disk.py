"""A disk that is full: an error that says so and what mends it, and nothing half written."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from batteries.aftermath import cards_without_runs, half_written
from batteries.ground import Ground, ground
from batteries.small import built

from synth_contracts.errors import WarehouseError
from synth_contracts.pipeline import results
from synth_contracts.release.anchor import Anchor
from synth_contracts.warehouse.staging import open_work


def no_room(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_database_that_cannot_grow_names_the_mend(tmp_path: Path) -> None:
    with open_work(tmp_path / "work.duckdb") as database:
        database.execute("CREATE TABLE staging.t (a INTEGER)")
        with (
            files_of_at_most(10),
            pytest.raises(WarehouseError, match="File too large") as full,
        ):
            database.execute("INSERT INTO staging.t SELECT * FROM range(100)")
    assert "make room" in full.value.mend


def test_a_build_without_room_leaves_no_card_of_a_release(
    small: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = small.copied("full")
    with monkeypatch.context() as patch:
        patch.setattr(Anchor, "intend", no_room)
        answer = built(copy)
    assert answer.code == 3
    assert "No space left on device" in answer.err
    assert "mend: make room" in answer.err
    assert "unexpected" not in answer.err
    assert cards_without_runs(copy) == []
    copy.remove()


def test_a_release_that_was_committed_keeps_its_cards(
    small: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last note failed: the release stands, and is settled by whoever opens it next."""
    copy = small.copied("full")
    with monkeypatch.context() as patch:
        patch.setattr(Anchor, "committed", no_room)
        assert built(copy).code == 3
    assert copy.command("verify", "transactions").code == 0
    assert cards_without_runs(copy) == []
    copy.remove()


def test_results_that_cannot_be_written_leave_no_part_of_them(
    small: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = small.copied("full")
    monkeypatch.setattr(results.Path, "replace", no_room)
    with pytest.raises(OSError, match="No space left"):
        results.write_artifacts(_settings(copy), [], [])
    assert half_written(copy) == []
    copy.remove()


def test_a_bug_is_still_called_unexpected(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "gone")

    with ground() as place:
        monkeypatch.setattr("synth_contracts.delivery.ask", gone)
        answer = place.export()
    assert answer.code == 3
    assert "unexpected FileNotFoundError" in answer.err


def _settings(copy: Ground) -> Any:
    from synth_contracts.settings import load_settings

    return load_settings(copy.root)
