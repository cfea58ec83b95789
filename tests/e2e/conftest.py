"""A built project over real baskets, made once and copied for tests that break it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from synth_contracts.cli.main import run
from synth_contracts.metrics.controls import run as controls
from synth_contracts.scaffold import scaffold

ROOT = Path(__file__).resolve().parents[2]
#: fewer rows and epochs for the GAN than in the demo: it is blocked either way
_GAN = (
    ("rows: source", "rows: 3000"),
    ("fitRows: 4000", "fitRows: 500"),
    ("epochs: 15", "epochs: 1"),
)
#: Plantings of each leak in these tests; see `few_plantings`.
PLANTINGS = 1


@dataclass(frozen=True)
class Project:
    """A project folder and a way to run the command line in it."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def run(self, *arguments: str) -> int:
        self.monkeypatch.setenv("SYNTH_CONTRACTS_KEYS", str(self.keys))
        return run(["--project", str(self.folder), *arguments])

    @property
    def keys(self) -> Path:
        """The key folder, beside the project."""
        return self.folder.with_name(f"{self.folder.name}-keys")

    @property
    def published(self) -> Path:
        return self.folder / "warehouse" / "published.duckdb"

    @property
    def source(self) -> Path:
        return self.folder / "warehouse" / "source.duckdb"


def write_project(folder: Path, table: pd.DataFrame) -> None:
    """A project with both demo contracts over ``table``; nothing built yet."""
    scaffold(folder)  # as a user would: `init`, then contracts and a source file
    for name in ("transactions", "transactions_gan"):
        text = (ROOT / "contracts" / f"{name}.odcs.yaml").read_text(encoding="utf-8")
        for old, new in _GAN if name == "transactions_gan" else ():
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / "contracts" / f"{name}.odcs.yaml").write_text(text, encoding="utf-8")
    folder.with_name(f"{folder.name}-keys").mkdir(mode=0o700)
    # a fixed split key, so that a run of the tests repeats
    (folder / "split.raw").write_bytes(b"synth-contracts test split key 1")
    with duckdb.connect(str(folder / "warehouse" / "source.duckdb")) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.register("frame", table)
        connection.execute("CREATE TABLE raw.transactions AS SELECT * FROM frame")


@pytest.fixture(scope="session")
def source_table(baskets: pd.DataFrame) -> pd.DataFrame:
    """Up to 6 baskets of each of the 2,469 households, drawn over the year.

    All households, because of few an honest candidate may be blocked by chance (of 900, with all
    their baskets, entity_profile read .12 in .05 to .18, limit .10); few baskets of each, because
    rows take the time.
    """
    drawn = baskets.sample(frac=1, random_state=0).groupby("household_id").head(6)
    return drawn.sort_index().reset_index(drop=True)


@pytest.fixture(autouse=True)
def few_plantings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each leak is planted once instead of 20 times: the same code with a coarser answer.

    No verdict depends on it. Beside a GAN that is far off a planted row comes nearest to nearly
    all real ones, and reading a copy is slow. tests/metrics/test_controls.py plants 20.
    """
    monkeypatch.setattr(controls, "REPLICATES", PLANTINGS)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory, source_table: pd.DataFrame) -> Path:
    """The folder of a project after `build`: transactions released, transactions_gan blocked."""
    folder = tmp_path_factory.mktemp("built") / "project"
    write_project(folder, source_table)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(controls, "REPLICATES", PLANTINGS)
        project = Project(folder, monkeypatch)
        assert project.run("keys", "import-split", str(folder / "split.raw")) == 0
        assert project.run("build") == 1
    return folder


@pytest.fixture
def built(built_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the built project, to be broken at will."""
    project = Project(tmp_path / "project", monkeypatch)
    shutil.copytree(built_once, project.folder)
    shutil.copytree(Project(built_once, monkeypatch).keys, project.keys)
    return project


@pytest.fixture
def fresh(
    tmp_path: Path, source_table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> Callable[[pd.DataFrame], Project]:
    """Makes an unbuilt project over a table."""

    def make(table: pd.DataFrame = source_table) -> Project:
        folder = tmp_path / "fresh"
        write_project(folder, table)
        return Project(folder, monkeypatch)

    return make
