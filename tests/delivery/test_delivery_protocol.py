"""The export protocol under failure: a dead ledger, a full disk, a revoke, SIGKILL."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from synth_contracts.delivery import datafile, exporting, recover, trace, verify_bundle
from synth_contracts.delivery.journal import exports
from synth_contracts.delivery.recovery import working_in
from synth_contracts.errors import Refused, SynthContractsError, WarehouseError
from synth_contracts.release import Registry, revoke

STEPS = ["issued", "started", "sealed", "delivered"]


def statuses(house: Any) -> list[str]:
    with house.registry(read_only=True) as registry:
        return [record.status for record in exports(registry).values()]


@pytest.mark.parametrize("step", STEPS)
def test_when_the_ledger_cannot_be_written_nothing_is_exported(
    released: Any, monkeypatch, step: str
) -> None:
    write = Registry.write

    def broken(self: Registry, kind: str, *rest: Any) -> Any:
        if kind == f"export_{step}":
            raise WarehouseError("no space left on device")
        return write(self, kind, *rest)

    monkeypatch.setattr(Registry, "write", broken)
    with pytest.raises(WarehouseError, match="no space"):
        released.export()
    assert released.left_behind() == []
    assert released.kinds() == STEPS[: STEPS.index(step)] + (
        ["aborted"] if step != "issued" else []
    )


def _write_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full once an export has started."""
    write = Registry.write

    def broken(self: Registry, kind: str, *rest: Any) -> Any:
        if kind in {"export_sealed", "export_aborted"}:
            raise WarehouseError("no space left on device")
        return write(self, kind, *rest)

    monkeypatch.setattr(Registry, "write", broken)


def test_when_not_even_the_end_can_be_written_the_next_export_settles_it(
    released: Any, monkeypatch
) -> None:
    _write_no_end(monkeypatch)
    with pytest.raises(WarehouseError):
        released.export()
    assert released.left_behind() == []
    assert statuses(released) == ["started"]
    monkeypatch.undo()
    released.export()
    assert statuses(released) == ["aborted", "delivered"]


def test_an_open_registry_settles_it_as_well(released: Any, monkeypatch) -> None:
    with released.registry() as registry:
        _write_no_end(monkeypatch)
        with pytest.raises(WarehouseError):
            released.export_with(registry)
        monkeypatch.undo()
        released.export_with(registry)
    assert statuses(released) == ["aborted", "delivered"]


def test_a_read_only_registry_exports_nothing(released: Any) -> None:
    with (
        released.registry(read_only=True) as registry,
        pytest.raises(WarehouseError, match="read-only"),
    ):
        released.export_with(registry)
    assert released.left_behind() == []


@pytest.mark.parametrize("name", ["write_file", "write_rows", "finish", "fsync_folder"])
def test_a_full_disk_leaves_nothing_behind(released: Any, monkeypatch, name: str) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, name, full)
    with pytest.raises(SynthContractsError, match="No space left") as caught:
        released.export()
    assert caught.value.exit_code == 3
    assert released.left_behind() == []
    assert statuses(released) == ["aborted"]
    monkeypatch.undo()
    released.export()


def test_a_place_that_cannot_be_written_is_said_plainly(released: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SynthContractsError, match="cannot be written"):
        released.export(output=tmp_path / "file" / "inside")
    assert statuses(released) == ["aborted"]  # it counts as no export


def test_an_interrupt_leaves_nothing_behind(released: Any, monkeypatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "data_package", interrupt)
    with pytest.raises(KeyboardInterrupt):
        released.export()
    assert released.left_behind() == []
    with released.registry(read_only=True) as registry:
        (record,) = exports(registry).values()
    assert (record.status, record.reason) == ("aborted", "KeyboardInterrupt")


def test_rows_that_do_not_read_back_are_refused(released: Any, monkeypatch) -> None:
    write = datafile.pq.ParquetWriter.write_table
    monkeypatch.setattr(
        datafile.pq.ParquetWriter, "write_table", lambda w, t, *a, **k: write(w, t.slice(1))
    )
    with pytest.raises(Refused, match="not the released rows"):
        released.export()
    assert released.left_behind() == []
    assert statuses(released) == ["aborted"]


@pytest.mark.parametrize("moment", ["while writing", "after the rename"])
def test_a_revoke_under_way_ends_the_export(released: Any, monkeypatch, moment: str) -> None:
    name = "data_package" if moment == "while writing" else "fsync_folder"
    real = getattr(exporting, name)
    with released.registry() as registry:

        def revoked(*args: Any, **options: Any) -> Any:
            revoke(registry, "transactions", "a test", "compliance")
            return real(*args, **options)

        monkeypatch.setattr(exporting, name, revoked)
        with pytest.raises(Refused, match="not live"):
            released.export_with(registry)
    assert released.left_behind() == []
    assert statuses(released) == ["aborted"]
    # a revoke is seen before the folder gets its name, not only after
    assert ("sealed" in released.kinds()) == (moment == "after the rename")


def test_an_output_that_appears_meanwhile_is_left_alone(
    released: Any, monkeypatch, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    real = exporting.data_package

    def occupied(*args: Any, **options: Any) -> Any:
        there.mkdir()
        (there / "mine").write_text("mine")
        return real(*args, **options)

    monkeypatch.setattr(exporting, "data_package", occupied)
    with pytest.raises(SynthContractsError, match="exists already"):
        released.export(output=there)
    assert [p.name for p in there.iterdir()] == ["mine"]
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []
    assert statuses(released) == ["aborted"]


def test_recovery_leaves_an_export_under_way_alone(released: Any, monkeypatch) -> None:
    """At each step of an export, another thread settles whatever it finds."""
    seen: list[Any] = []
    with released.registry() as registry:
        write, fsync = Registry.write, exporting.fsync_folder

        def elsewhere() -> None:
            thread = threading.Thread(target=lambda: seen.append(recover(registry)))
            thread.start()
            thread.join()

        def watched(self: Registry, kind: str, *rest: Any) -> Any:
            entry = write(self, kind, *rest)
            if kind in {"export_started", "export_sealed"}:
                elsewhere()
            return entry

        def renamed(folder: Path) -> None:
            elsewhere()
            fsync(folder)

        monkeypatch.setattr(Registry, "write", watched)
        monkeypatch.setattr(exporting, "fsync_folder", renamed)
        bundle = released.export_with(registry)
    assert seen == [[], [], []]
    assert released.kinds() == STEPS
    verify_bundle(bundle.path, released.keys)


def test_concurrent_exports_stay_within_the_quota(house: Any) -> None:
    house.release(policy="maxExportsPerTicketPerDay: 3")
    results: list[str] = []

    def one() -> None:
        try:
            house.export_with(registry)
        except Refused:
            results.append("refused")
        else:
            results.append("delivered")

    with house.registry() as registry:
        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == ["delivered"] * 3 + ["refused"] * 5
    assert len(house.left_behind()) == 3


# SIGKILL: a process dies at a chosen moment, the next export settles what it left

KILLED = """
import os, signal, sys
from pathlib import Path
from synth_contracts.delivery import export, exporting
from synth_contracts.release import Registry
from synth_contracts.signing import KeyFolder

root, moment = Path(sys.argv[1]), sys.argv[2]
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
write, finish = Registry.write, exporting.finish

def dying(self, kind, *rest):
    if moment == f"before {kind}":
        kill()
    entry = write(self, kind, *rest)
    if moment == f"after {kind}":
        kill()
    return entry

def half(*args):
    if moment == "writing":
        kill()
    return finish(*args)

Registry.write, exporting.finish = dying, half
keys = KeyFolder.open(root.with_name("house-keys"))
with Registry.open(root / "published.duckdb", keys) as registry:
    export(registry, "transactions", "DATA-1", keys=keys, exports=root / "exports")
"""


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("before export_issued", None),
        ("after export_issued", "aborted"),
        ("writing", "aborted"),
        ("after export_sealed", "aborted"),
        ("before export_delivered", "delivered"),
        ("after export_delivered", "delivered"),
    ],
)
def test_a_killed_export_is_settled_by_the_next(
    released: Any, moment: str, status: str | None
) -> None:
    command = [sys.executable, "-c", KILLED, str(released.root), moment]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    with released.registry() as registry:
        settled = recover(registry)
        assert recover(registry) == []
        found = trace(registry, "DATA-1")
    assert [record.status for record in found] == ([status] if status else [])
    assert len(settled) == (0 if status is None or moment.startswith("after export_del") else 1)
    left = released.left_behind()
    if status == "delivered":
        (bundle,) = left
        assert verify_bundle(released.root / "exports" / bundle, released.keys).rows == 40
    else:
        assert left == []
    released.export()
    assert statuses(released)[-1] == "delivered"


def test_a_folder_that_was_moved_on_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """Between the look at a partial folder and its lock, its export may have been delivered."""
    with working_in(tmp_path / "gone") as alone:
        assert not alone
    with working_in(tmp_path) as first, working_in(tmp_path) as second:
        assert (first, second) == (True, False)
