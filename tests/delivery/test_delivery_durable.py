"""What an export leaves is on the disk before the ledger says so: every fsync, and its place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from synth_contracts.errors import WarehouseError
from synth_contracts.release import Registry
from synth_contracts.release.anchor import Anchor
from synth_contracts.warehouse.connection import Database


@pytest.fixture
def told(released: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What one export did in order: inodes that were synced, COMMITs, entries that were made."""
    events: list[tuple[str, Any]] = []
    fsync, write, execute = os.fsync, Registry.write, Database.rows

    def synced(handle: int) -> None:
        events.append(("fsync", os.fstat(handle).st_ino))
        fsync(handle)

    def written(registry: Registry, kind: str, *rest: Any) -> Any:
        entry = write(registry, kind, *rest)
        events.append(("entry", kind))
        return entry

    def executed(database: Database, statement: str, *rest: Any) -> Any:
        if statement == "COMMIT":
            events.append(("commit", None))
        return execute(database, statement, *rest)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Registry, "write", written)
    monkeypatch.setattr(Database, "rows", executed)
    released.export()
    return events


def before(events: list[tuple[str, Any]], kind: str, *, after: str | None = None) -> set[int]:
    """Inodes that were synced before the entry, and after another one."""
    start = 0 if after is None else events.index(("entry", after))
    part = events[start : events.index(("entry", kind))]
    return {what for name, what in part if name == "fsync"}


def test_every_file_of_a_bundle_is_synced_before_it_is_sealed(released: Any, told: Any) -> None:
    (bundle,) = (released.root / "exports").iterdir()
    synced = before(told, "export_sealed", after="export_started")
    files = [path for path in bundle.rglob("*") if path.is_file()]
    assert len(files) == 14
    assert [p.name for p in files if p.stat().st_ino not in synced] == []


def test_the_folders_are_synced_too(released: Any, told: Any) -> None:
    (bundle,) = (released.root / "exports").iterdir()
    synced = before(told, "export_sealed", after="export_started")
    assert (bundle / "data").stat().st_ino in synced
    assert bundle.stat().st_ino in synced
    # the new name of the bundle stands in the folder of exports
    renamed = before(told, "export_delivered", after="export_sealed")
    assert bundle.parent.stat().st_ino in renamed


def test_the_heads_beside_the_keys_are_synced_around_each_commit(released: Any, told: Any) -> None:
    """The head and its folder before COMMIT (what is announced), and once more after it."""
    folder = Path(released.key_folder).stat().st_ino
    commits = [place for place, event in enumerate(told) if event[0] == "commit"]
    assert len(commits) == 4
    for place in commits:
        assert told[place - 1] == ("fsync", folder)
        assert told[place - 2][0] == "fsync"
        assert told[place - 2][1] != folder, "the file itself was not synced"
        assert [event[0] for event in told[place + 1 : place + 3]] == ["fsync", "fsync"]
        assert told[place + 2] == ("fsync", folder)


BODY = {"source_key": "k", "by": "b", "reason": "r"}


def fails(*_: Any) -> None:
    raise WarehouseError("this step failed")


def fail_to_commit(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announce an entry that never comes."""
    intend = Anchor.intend

    def intend_and_fail(anchor: Anchor, head: str) -> None:
        intend(anchor, head)
        fails()

    with monkeypatch.context() as patch:
        patch.setattr(Anchor, "intend", intend_and_fail)
        with pytest.raises(WarehouseError):
            registry.append("approved", BODY)


@pytest.mark.parametrize("crashed", [False, True])
def test_an_entry_after_one_that_was_noted_may_fail(
    released: Any, monkeypatch: pytest.MonkeyPatch, crashed: bool
) -> None:
    """Two heads are kept, so each must be noted, by the next opening where a crash came between:
    else the file would be called an older copy."""
    with released.registry() as registry, monkeypatch.context() as patch:
        if crashed:
            patch.setattr(Anchor, "committed", fails)
            with pytest.raises(WarehouseError):
                registry.append("approved", BODY)
        else:
            registry.append("approved", BODY)
            fail_to_commit(registry, monkeypatch)
    if crashed:
        with released.registry() as registry:
            fail_to_commit(registry, monkeypatch)
    with released.registry(read_only=True) as registry:
        assert [entry.kind for entry in registry.entries()] == ["promoted", "approved"]
