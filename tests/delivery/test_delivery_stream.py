"""Data files are written and read in batches: the same rows and bytes, and checked as one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from batteries.house import PROJECT

from synth_contracts.delivery import datafile, exporting, trace, verify_bundle
from synth_contracts.delivery.journal import exports
from synth_contracts.errors import Refused, WarehouseError
from synth_contracts.release import Registry
from synth_contracts.tables import rows_digest, rows_digest_of_batches
from synth_contracts.warehouse import streaming

ALL = "formats: [parquet, csv, arrow]"


def read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None)
    with pa.ipc.open_file(path) as file:
        return file.read_all()


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_in_small_batches_the_same_rows_leave(
    house: Any, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Batches of 7 rows, parts of 16: borders fall everywhere."""
    release = house.release(policy=ALL)
    with house.registry(read_only=True) as registry:
        rows = registry.verified_rows("transactions")[1]
    monkeypatch.setattr(streaming, "BATCH", 7)
    monkeypatch.setattr(streaming, "SORTED", 16)
    monkeypatch.setattr(datafile, "_BATCH", 5)
    monkeypatch.setattr(datafile, "ROW_GROUP", 16)
    monkeypatch.setattr(datafile, "_SORTED", 16)
    bundle = house.export(ticket="DATA-1", format=form)
    path = bundle.path / bundle.data_file
    if form == "parquet":
        metadata = pq.read_metadata(path)
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert sizes == [16, 16, 8]
    if form != "csv":
        assert read(path).equals(rows)
        assert rows_digest(read(path)) == release.rows_digest == datafile.file_digest(path)
    else:
        for i, field in enumerate(rows.schema):
            if pa.types.is_decimal(field.type):
                rows = rows.set_column(i, field.name, rows.column(i).cast(pa.string()))
        whole = house.root / "whole.csv"
        pyarrow.csv.write_csv(rows, whole)
        assert path.read_bytes() == whole.read_bytes()
    assert verify_bundle(bundle.path, house.keys).format == form


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_file_that_lacks_a_batch_is_not_sealed(
    house: Any, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """One batch is written twice, another is lost: as many rows, other rows."""
    house.release(policy=ALL)
    monkeypatch.setattr(streaming, "BATCH", 10)
    real = datafile._writer

    class Twice:
        def __init__(self, writer: Any) -> None:
            self.writer, self.seen = writer, 0

        def __enter__(self) -> Any:
            self.inner = self.writer.__enter__()
            return self

        def __exit__(self, *rest: Any) -> None:
            self.writer.__exit__(*rest)

        def write_batch(self, batch: pa.RecordBatch) -> None:
            self.seen += 1
            self.first = batch if self.seen == 1 else self.first
            self.inner.write_batch(self.first if self.seen == 3 else batch)

    monkeypatch.setattr(datafile, "_writer", lambda *a: Twice(real(*a)))
    with pytest.raises(Refused, match="not the released rows"):
        house.export(ticket="DATA-1", format=form)
    assert house.kinds() == ["issued", "started", "aborted"]
    assert house.left_behind() == []


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE {} SET label = 'forged' WHERE household = 3",
        "UPDATE {} SET household = household + 1",
        "INSERT INTO {} SELECT * FROM {} LIMIT 1",
        "DELETE FROM {} WHERE household = 3",
    ],
)
def test_edited_rows_do_not_leave(house: Any, form: str, edit: str) -> None:
    """What is stored is read once, to be written, and held against what was signed all the same."""
    release = house.release(policy=ALL)
    with duckdb.connect(str(house.published)) as connection:
        name = f'release_data."transactions__{release.id}"'
        connection.execute(edit.replace("{}", name))
    with pytest.raises(Refused, match="not the rows that were evaluated and signed") as caught:
        house.export(ticket="DATA-1", format=form)
    assert "put back the newest copy" in caught.value.mend
    assert house.left_behind() == []
    assert house.kinds() in ([], ["issued", "started", "aborted"])


def test_a_parquet_file_is_laid_out_for_rows_in_order(house: Any) -> None:
    """Keys that hardly repeat as differences, texts that do as dictionaries, statistics where the
    rows lie in order."""
    rows = 3_000
    house.release(
        data=pa.table(
            {"household": range(10, 10 + rows), "label": ["abc", "de", None] * (rows // 3)}
        )
    )
    bundle = house.export(ticket="DATA-1")
    first = pq.read_metadata(bundle.path / bundle.data_file).row_group(0)
    key, label = (first.column(place) for place in range(2))
    assert (key.path_in_schema, label.path_in_schema) == ("household", "label")
    assert set(key.encodings) == {"DELTA_BINARY_PACKED", "RLE"}
    assert "RLE_DICTIONARY" in label.encodings
    assert (key.statistics.min, key.statistics.max) == (10, 9 + rows)
    assert label.statistics is None
    assert verify_bundle(bundle.path, house.keys).rows == rows


def test_delivery_starts_without_pandas(house: Any) -> None:
    """It takes as long to import as a million rows to export."""
    house.release(policy=ALL)
    code = (
        "import sys\n"
        "from synth_contracts.cli.main import run\n"
        f"code = run(['--project', {str(house.root)!r}, 'export', 'transactions', '--ticket', 'DATA-1'])\n"
        "sys.exit(code or 9 * ('pandas' in sys.modules) or 8 * ('scipy' in sys.modules))"
    )
    env = {**os.environ, "SYNTH_CONTRACTS_KEYS": str(house.key_folder)}
    (house.root / "synth-contracts.yml").write_text(PROJECT)
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


def test_rows_that_are_written_are_those_that_were_checked(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changes the stored rows between check and writing, through the open database."""
    release = house.release(policy="formats: [csv]")
    real = exporting.write_rows
    with house.registry() as registry:

        def changed(*args: Any) -> None:
            registry._database.execute(
                f"UPDATE release_data.\"transactions__{release.id}\" SET label = 'forged'"
            )
            real(*args)

        monkeypatch.setattr(exporting, "write_rows", changed)
        bundle = house.export_with(registry, ticket="DATA-1")
        monkeypatch.undo()
        with pytest.raises(Refused, match="rows"):
            house.export_with(registry, ticket="DATA-1")
    assert "forged" not in (bundle.path / bundle.data_file).read_text()


def test_an_arrow_bundle_that_was_changed_is_refused(house: Any) -> None:
    house.release(policy=ALL)
    bundle = house.export(ticket="DATA-1", format="arrow")
    path = bundle.path / bundle.data_file
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(Refused):
        datafile.file_digest(path)
    with pytest.raises(Refused):
        verify_bundle(bundle.path, house.keys)


def test_a_format_must_be_in_the_contract(released: Any) -> None:
    with pytest.raises(Refused, match="does not allow the format arrow"):
        released.export(format="arrow")
    assert released.kinds() == []


def test_a_digest_by_batches_is_the_digest() -> None:
    rng = np.random.default_rng(5)
    table = pa.table(
        {
            "a.b": rng.integers(0, 3, 1000),
            "a": pa.array(rng.choice(["x", "y", None], 1000)),
            "c": rng.integers(0, 9, 1000),
        }
    )

    def batches(places: Any) -> Any:
        return table.select(places or range(3)).to_batches(max_chunksize=37)

    for size in (2000, 100, 7):
        assert rows_digest_of_batches(table.schema, 1000, batches, size=size) == rows_digest(table)
    with pytest.raises(ValueError, match="rows were read"):
        rows_digest_of_batches(table.schema, 1001, batches)


def test_progress_is_told_in_rows(released: Any) -> None:
    told: list[Any] = []
    released.export(progress=lambda *step: told.append(step))
    assert told == [("checking", 0, 0), ("writing", 40, 40), ("reading back", 40, 40)]


INTERRUPTED = """
import os, shutil, signal, sys, time
from synth_contracts.cli.main import run
from synth_contracts.delivery import datafile

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
real, rmtree = datafile._plain, shutil.rmtree
def slowly(batch):
    print("writing", flush=True)
    for _ in range(600):
        time.sleep(0.1)  # a signal just before one long sleep would be looked at after it
    return real(batch)
def impatient(*args, **options):
    os.kill(os.getpid(), signal.SIGINT)  # a second Ctrl-C, while the first is tidied up
    rmtree(*args, **options)
datafile._plain, shutil.rmtree = slowly, impatient
sys.exit(run(["--project", sys.argv[1], "export", "transactions", "--ticket", "DATA-1",
              "--format", "csv"]))
"""


def test_ctrl_c_leaves_no_folder_and_an_entry(project: Any) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(project.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()[-2000:]
    assert project.left_behind() == []
    with project.registry(read_only=True) as registry:
        (record,) = trace(registry, "DATA-1")
    assert (record.status, record.reason) == ("aborted", "KeyboardInterrupt")


@pytest.mark.parametrize("kind", ["export_started", "export_delivered"])
def test_an_interrupt_after_commit_does_not_break_the_ledger(
    released: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The entry is in the file; the object that wrote it does not know yet."""
    from synth_contracts.release.anchor import Anchor

    real = Anchor.committed
    with released.registry() as registry:
        write = Registry.write

        def watched(self: Registry, which: str, *rest: Any) -> Any:
            monkeypatch.setattr(Anchor, "committed", interrupt if which == kind else real)
            return write(self, which, *rest)

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Registry, "write", watched)
        with pytest.raises(KeyboardInterrupt):
            released.export_with(registry)
        with pytest.raises(WarehouseError, match="settled first"):
            registry.append("export_aborted", {"jti": "0"})
    monkeypatch.undo()
    delivered = kind == "export_delivered"
    assert len(released.left_behind()) == delivered
    released.export(ticket="DATA-2")
    with released.registry(read_only=True) as registry:
        found = [record.status for record in exports(registry).values()]
    assert found == ["delivered" if delivered else "aborted", "delivered"]


def test_many_exports_at_once_from_one_process(released: Any) -> None:
    failures: list[BaseException] = []

    def one(number: int) -> None:
        try:
            released.export_with(registry, ticket=f"DATA-{number}")
        except BaseException as error:  # noqa: BLE001 - a thread that dies must be seen
            failures.append(error)

    with released.registry() as registry:
        threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    with released.registry(read_only=True) as registry:  # opening verifies the chain
        found = exports(registry).values()
        assert {r.status for r in found} == {"delivered"}
        assert {r.ticket for r in found} == {f"DATA-{i}" for i in range(8)}
    assert len(released.left_behind()) == 8
    assert not [name for name in released.left_behind() if "partial" in name]
