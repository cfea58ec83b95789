"""A process killed at any moment: nothing acknowledged is lost, and the file still opens."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synth_contracts.errors import Refused, WarehouseError
from synth_contracts.release import promote
from synth_contracts.release.anchor import Anchor
from synth_contracts.warehouse.published import open_published

CHILD = """
import os, pickle, signal, sys
from pathlib import Path
from synth_contracts.release.anchor import Anchor
from synth_contracts.release import Registry
from synth_contracts.signing.keys import KeyFolder

root, where = Path(sys.argv[1]), sys.argv[2]
keys = KeyFolder.open(root / "keys")

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if where == "before COMMIT":
    intend = Anchor.intend
    def intend_and_die(self, head):
        intend(self, head)
        die()
    Anchor.intend = intend_and_die
elif where == "after COMMIT":
    Anchor.committed = die
with Registry.open(root / "warehouse" / "published.duckdb", keys) as registry:
    if where == "anywhere":
        while True:
            entry = registry.append("approved", {"source_key": "k", "by": "b", "reason": "r"})
            print(entry.seq, flush=True)
    from synth_contracts.release import promote
    arguments = pickle.loads((root / "arguments.pickle").read_bytes())
    promote(registry, keys=keys, **arguments)
"""


def child(world: Any, where: str) -> subprocess.Popen[str]:
    script = world.root / "child.py"
    script.write_text(CHILD)
    return subprocess.Popen(
        [sys.executable, str(script), str(world.root), where], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("where", "applied"),
    [("before COMMIT", False), ("after COMMIT", True)],
)
def test_a_promotion_killed_around_its_commit(released: Any, where: str, applied: bool) -> None:
    released.rows = released.rows.slice(0, 700)
    arguments = released.arguments("run-2")
    keys = arguments.pop("keys")
    (released.root / "arguments.pickle").write_bytes(pickle.dumps(arguments))
    with child(released, where) as process:
        assert process.wait(60) == -signal.SIGKILL
    with released.registry() as registry:
        release = registry.verify_release("transactions")
        assert release.id == ("run-2" if applied else "run-1")
        assert len(registry.entries("promoted")) == 1 + applied
        again = promote(registry, keys=keys, **arguments)  # as a retry would
        assert again == registry.verify_release("transactions")
        assert len(registry.entries("promoted")) == 2
        assert len(registry.releases()) == 2


def test_entries_killed_anywhere(released: Any) -> None:
    known = 1
    for told in (1, 7):
        with child(released, "anywhere") as process:
            assert process.stdout is not None
            for _ in range(told):
                known = int(process.stdout.readline())
            process.kill()
            rest = process.stdout.read().split()  # acknowledged before the kill reached it
        known = int(rest[-1]) if rest else known
        with released.registry(read_only=True) as registry:
            # one more may have been committed without a word
            assert known <= len(registry.entries()) <= known + 1
            known = len(registry.entries())
            assert registry.verify_release("transactions").id == "run-1"


def test_a_commit_that_was_never_acknowledged_settles_once(released: Any) -> None:
    """An intent that came to nothing does not stay open for somebody to fulfil."""
    with released.registry() as registry:
        anchor, head = Anchor(released.keys, registry.id), registry.head()
    anchor.intend("f" * 64)
    with released.registry(read_only=True):
        pass
    with pytest.raises(Refused):
        anchor.settle("f" * 64, 1)
    anchor.settle(head, 1)


def test_a_write_that_fails_leaves_nothing(released: Any, monkeypatch: Any) -> None:
    before = released.bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with released.registry() as registry:
        with monkeypatch.context() as patch:
            patch.setattr(Anchor, "intend", full)
            with pytest.raises(OSError, match="No space"):
                registry.append("approved", {})
        assert len(registry.entries()) == 1
        head = registry.head()
    assert released.bytes() == before
    with released.registry() as registry:
        assert registry.head() == head


def test_a_registry_that_moved_on_by_itself_writes_no_more(released: Any, monkeypatch: Any) -> None:
    """A COMMIT that was applied although it raised: only opening anew can tell."""
    from synth_contracts.warehouse.connection import Database

    rows = Database.rows

    def commit_then_raise(self: Database, sql: str, parameters: Any = ()) -> Any:
        found = rows(self, sql, parameters)
        if sql == "COMMIT":
            raise WarehouseError("the connection broke")
        return found

    with released.registry() as registry:
        with monkeypatch.context() as patch:
            patch.setattr(Database, "rows", commit_then_raise)
            with pytest.raises(WarehouseError, match="broke"):
                registry.append("approved", {"reason": "r"})
        with pytest.raises(WarehouseError, match="half-way"):
            registry.append("approved", {"reason": "r"})
    with released.registry() as registry:
        assert [entry.kind for entry in registry.entries()] == ["promoted", "approved"]


def test_a_registry_that_was_never_finished_is_made_anew(world: Any) -> None:
    open_published(world.published, read_only=False).close()
    assert world.published.exists()
    with world.registry() as registry:
        assert registry.entries() == []
        assert registry.append("approved", {}).seq == 1


def test_a_file_of_no_bytes_is_named(world: Any) -> None:
    world.published.parent.mkdir(parents=True)
    world.published.touch()
    with pytest.raises(WarehouseError, match="empty") as raised, world.registry():
        pass
    assert "remove it" in raised.value.mend


def test_a_missing_registry_is_not_made_for_a_reader(world: Any) -> None:
    with pytest.raises(WarehouseError, match="does not exist"), world.registry(read_only=True):
        pass
    assert not Path(world.published).exists()
