"""What was spent stays spent: no file deleted, renamed or put back gives budget."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synth_contracts.contract.guarantee import Guarantee
from synth_contracts.contract.model import GeneratorSpec, Roles, SourceRef
from synth_contracts.errors import Refused
from synth_contracts.release import Registry
from synth_contracts.release.budget import budget_marks, check_budget, reserve, spent
from synth_contracts.signing.keys import KeyFolder

from .conftest import make_contract


def contract(
    epsilon: float = 2.0, lifetime: float = 4.0, unit: str | None = "household_id", **more: Any
) -> Any:
    asked = Guarantee(epsilon, 1e-6, lifetime, unit or "row", 8)
    spec = GeneratorSpec(type="dp_marginals", rows=100, guarantee=asked)
    return make_contract(generator=spec, roles=Roles(entity_key=unit), **more)


class World:
    """A project's keys, registry and source, each of which can be lost."""

    def __init__(self, folder: Path) -> None:
        self.published, self.database = folder / "published.duckdb", folder / "source.duckdb"
        self.keys = KeyFolder.open(folder / "keys")
        self.digest = "a" * 64

    def marks(self, asked: Any) -> tuple[str, ...]:
        return budget_marks(asked, database=str(self.database), digest=self.digest)

    def spend(self, asked: Any) -> None:
        with Registry.open(self.published, self.keys) as registry:
            reserve(registry, self.keys, asked, self.marks(asked), run_id="r", details={"rho": 0.1})

    def refused(self, asked: Any) -> str:
        with Registry.open(self.published, self.keys) as registry:
            with pytest.raises(Refused) as found:
                check_budget(registry, self.keys, asked, self.marks(asked))
            assert found.value.exit_code == 5
            with pytest.raises(Refused):
                reserve(registry, self.keys, asked, self.marks(asked), run_id="r", details={})
            return f"{found.value.message} {found.value.mend}"

    def left(self, asked: Any) -> float:
        with Registry.open(self.published, self.keys) as registry:
            known = spent(registry, self.keys, self.marks(asked))
        return 4.0 - known.epsilon


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_fits_add_up_until_the_lifetime_is_spent(world):
    world.spend(contract())
    assert world.left(contract()) == 2
    world.spend(contract())
    said = world.refused(contract())
    assert "asks for epsilon 2 per household_id" in said
    assert "2 fits so far have spent 4" in said
    assert "never comes back" in said


def test_what_is_left_may_still_be_spent(world):
    world.spend(contract(epsilon=3))
    assert "ask for epsilon 1 or less" in world.refused(contract(epsilon=2))
    world.spend(contract(epsilon=1))
    assert world.left(contract()) == 0


def lost_registry(world: World) -> Any:
    for path in world.published.parent.glob("published.duckdb*"):
        path.unlink()
    return contract()


def appended_row(world: World) -> Any:
    world.digest = "b" * 64
    return contract()


def renamed_in_its_database(world: World) -> Any:
    world.digest = "b" * 64  # and a row appended
    return contract(source=SourceRef("raw", "duckdb", "source.duckdb", "raw", "baskets"))


def renamed_release(world: World) -> Any:
    world.digest = "b" * 64
    return contract(table="visits", id="visits", version="2.0.0", k=20)


def moved_file(world: World) -> Any:
    world.database = world.database.with_name("elsewhere.duckdb")
    world.digest = "b" * 64
    return contract()


def renamed_server(world: World) -> Any:
    world.digest = "b" * 64
    return contract(source=SourceRef("other", "duckdb", "source.duckdb", "raw", "transactions"))


def linked_file(world: World) -> Any:
    world.database.touch()
    link = world.database.with_name("link.duckdb")
    link.symlink_to(world.database)
    world.database = link
    world.digest = "b" * 64
    return contract(source=SourceRef("other", "duckdb", "link.duckdb", "raw", "transactions"))


def raised_lifetime(world: World) -> Any:
    return contract(lifetime=100.0)


def lost_log_entry(world: World) -> Any:
    (world.keys.path / "budget.jsonl").unlink()
    (world.keys.path / "head-budget").unlink()
    return contract()


TRICKS = [
    lost_registry, appended_row, renamed_in_its_database, renamed_release, moved_file,
    renamed_server, linked_file, raised_lifetime, lost_log_entry,
]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_no_trick_gives_budget_back(world, trick):
    world.spend(contract())
    world.spend(contract())
    world.refused(trick(world))


def test_tricks_one_after_the_other_are_followed(world):
    world.spend(contract(epsilon=1))
    for trick in (moved_file, lost_registry, renamed_server):
        asked = replace(trick(world), generator=contract(epsilon=1, lifetime=9).generator)
        world.spend(asked)
    world.refused(asked)


def test_another_unit_is_refused_not_added(world):
    world.spend(contract(epsilon=1))
    assert "kept for the unit household_id" in world.refused(contract(epsilon=1, unit=None))


def test_another_source_has_a_budget_of_its_own(world):
    world.spend(contract())
    world.spend(contract())
    other = contract(source=SourceRef("other", "duckdb", "b", "raw", "visits"))
    world.database, world.digest = world.database.with_name("b.duckdb"), "c" * 64
    world.spend(other)


@pytest.mark.parametrize("harm", ["cut", "edited", "deleted", "older"])
def test_a_log_that_was_touched_is_refused(world, harm):
    log = world.keys.path / "budget.jsonl"
    world.spend(contract(epsilon=1))
    older = log.read_bytes()
    world.spend(contract(epsilon=1))
    world.spend(contract(epsilon=1))
    lines = log.read_bytes().splitlines(keepends=True)
    if harm == "cut":
        log.write_bytes(b"".join(lines[:-1]))
    elif harm == "edited":
        log.write_bytes(b"".join(lines).replace(b'"epsilon":1,', b'"epsilon":0,', 1))
    elif harm == "deleted":
        log.unlink()
    else:
        log.write_bytes(older)
    assert "log of spent privacy budgets" in world.refused(contract(epsilon=1))


def test_a_crash_between_log_and_head_has_spent(world):
    world.spend(contract(epsilon=1))
    head = (world.keys.path / "head-budget").read_bytes()
    world.spend(contract(epsilon=1))
    (world.keys.path / "head-budget").write_bytes(head)  # as if killed before it was written
    lost_registry(world)
    assert world.left(contract()) == 2
    world.spend(contract())
    world.refused(contract(epsilon=0.5))


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from tests.release.test_budget import World, contract
from pathlib import Path
world = World(Path({folder!r}))
world.spend(contract(epsilon=4))
print("noise", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_fit_has_spent(world):
    root = Path(__file__).resolve().parents[2]
    script = KILLED.format(root=str(root), folder=str(world.published.parent))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout == "noise\n"
    lost_registry(world)  # the log beside the keys was written before the noise
    world.refused(contract(epsilon=0.5))
