"""A build that is killed, or has too little memory, leaves no candidate, and a rerun the same rows.

Each build is a process of its own, forked from one that has the imports done. Chunks are small, so
that several are staged; the build ends when the candidate is staged, because what follows reads it
only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

PARENT = """
import json, os, resource, signal, sys, traceback
from pathlib import Path
from synth_contracts.contract import load_contract
from synth_contracts.errors import SynthContractsError
from synth_contracts.generate import chunks
from synth_contracts.pipeline import building
from synth_contracts.settings import load_settings
chunks.CHUNK, chunks.Produced.__init__.__kwdefaults__["held"] = 500, 1

class Staged(Exception):
    pass

def stop(*_, **__):
    raise Staged

building.Comparison = stop

def build(folder, point, times):
    def progress(text):
        nonlocal point, times
        if point == "memory" and text.startswith("sampling: entities"):
            used = int(open("/proc/self/statm").read().split()[0]) * 4096
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
        if point == "staging" and text.startswith("writing the candidate"):
            point = "sampling: rows"
        if text.startswith(point):
            times -= 1
            if not times:
                os.kill(os.getpid(), signal.SIGKILL)

    os.environ["SYNTH_CONTRACTS_KEYS"] = folder + "-keys"
    settings = load_settings(Path(folder))
    contract = load_contract(settings.root / "contracts" / "transactions.odcs.yaml")
    try:
        building.build(settings, contract, full_refresh=True, progress=progress)
    except Staged:
        return 0, ""
    except SynthContractsError as error:
        return error.exit_code, error.message
    return 1, "it went on"

for line in sys.stdin:
    asked = json.loads(line)
    where, told = os.pipe()
    if (child := os.fork()) == 0:
        code = 1
        try:
            code, words = build(*asked)
            os.write(told, words.encode())
        except Exception:  # told by trace and exit code: a child must never go on with this loop
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(told)
    with os.fdopen(where) as words:
        said = words.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said]), flush=True)
"""


@pytest.fixture(scope="module")
def parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}, text=True,
    ) as running:  # fmt: skip
        yield running
        assert running.stdin is not None
        running.stdin.close()


@pytest.fixture
def build(parent, folder: Path) -> Callable[..., tuple[int, str]]:
    """Build in a process of its own and be killed at a point: exit code and error message."""

    def built(point: str = "-", times: int = 1) -> tuple[int, str]:
        parent.stdin.write(json.dumps([str(folder), point, times]) + "\n")
        parent.stdin.flush()
        code, said = json.loads(parent.stdout.readline())
        return int(code), str(said)

    return built


def candidates(folder: Path) -> list[tuple[str, str, int]]:
    """(run, digest, rows) of what the work database calls a candidate."""
    work = folder / "warehouse" / "work.duckdb"
    if not work.exists():
        return []
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{work}' AS w (READ_ONLY)")
        found = connection.sql("SELECT run_id, rows_digest, row_count FROM w.runs.candidates")
        return [(str(run), str(digest), int(rows)) for run, digest, rows in found.fetchall()]


def tables(folder: Path) -> list[str]:
    work = folder / "warehouse" / "work.duckdb"
    if not work.exists():
        return []
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{work}' AS w (READ_ONLY)")
        found = connection.sql(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'w' "
            "AND schema_name = 'staging'"
        )
        return [str(name) for (name,) in found.fetchall()]


@pytest.fixture
def folder(fresh, few_baskets: pd.DataFrame) -> Path:
    project = fresh(few_baskets.groupby("household_id").head(2).reset_index(drop=True))
    assert project.run("keys", "import-split", str(project.folder / "split.raw")) == 0
    return Path(project.folder)


def test_a_killed_build_leaves_no_candidate_and_a_rerun_makes_the_same_rows(folder, build) -> None:
    assert build() == (0, "")
    ((_, undisturbed, rows),) = candidates(folder)
    assert rows > 1_500
    (folder / "warehouse" / "work.duckdb").unlink()
    # in the middle of the fit; and of staging, when chunks are written and others are drawn
    for point, times in (("fitting: amount", 1), ("staging", 4)):
        assert build(point, times)[0] == -signal.SIGKILL, point
        assert candidates(folder) == []
        assert tables(folder) == []
    assert build() == (0, "")
    ((_, digest, count),) = candidates(folder)
    assert (digest, count) == (undisturbed, rows)
    assert len(tables(folder)) == 1


def test_too_little_memory_ends_in_an_error_with_nothing_staged(folder, build) -> None:
    path = folder / "contracts" / "transactions.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count("rows: source") == 1
    path.write_text(text.replace("rows: source", "rows: 30000000"), encoding="utf-8")
    code, said = build("memory")
    assert code == 3, said
    assert "ran out of memory" in said
    assert candidates(folder) == []
    assert tables(folder) == []
