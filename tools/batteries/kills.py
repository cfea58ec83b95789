"""SIGKILL at named moments of ``export`` and of a promotion, placed by the killed process itself.

The killed process runs the shipped ``export``, or promotes a second release as ``build`` does.
Afterwards ``ledger verify`` holds, the next export succeeds and verifies, every export that the
ledger calls delivered stands whole and verifies, nothing else stands in the folder of exports, and
promoting the same run again gives the one release.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from batteries.aftermath import faults
from batteries.children import ended, prints_into
from batteries.ground import FORMATS, TABLE, Ground, ground
from batteries.house import POLICY, House, rows
from batteries.outcome import Outcome
from synth_contracts.cli.main import run
from synth_contracts.delivery import exporting
from synth_contracts.release import Registry
from synth_contracts.release.anchor import Anchor
from synth_contracts.warehouse import published as sql
from synth_contracts.warehouse.connection import Database

EXPORTS = ("export_issued", "export_started", "export_sealed", "export_delivered")
_STEPS = ("write", "announcement", "COMMIT", "note")
#: Moments of each task that are a point; the child is killed there, each time.
POINTS: dict[str, tuple[str, ...]] = {
    "export": (
        *(f"{when} {step} of {kind}" for kind in EXPORTS for step in _STEPS
          for when in ("before", "after")),
        *(f"{when} {step}" for step in ("folder", "rows", "package", "manifests", "fsync")
          for when in ("before", "after")),
        "before CHECKPOINT",
        "after CHECKPOINT",
    ),
    "promote": (
        *(f"{when} {step} of promoted" for step in _STEPS for when in ("before", "after")),
        "before table",
        "after table",
        "before CHECKPOINT",
        "after CHECKPOINT",
    ),
}  # fmt: skip
#: Moments that last: the child is killed at a random instant of them.
SPANS: dict[str, tuple[str, ...]] = {
    "export": (*(f"inside COMMIT of {kind}" for kind in EXPORTS), "inside CHECKPOINT"),
    "promote": ("inside COMMIT of promoted", "inside CHECKPOINT"),
}
#: Seconds that such a moment lasts at most, here; the instant is drawn from them.
_LONGEST = 0.004


def attack(seed: int, *, kills: int = 200) -> Outcome:
    """``kills`` of each task: three fifths at points, in turn, the rest in spans."""
    outcome = Outcome(
        "a registry that does not open, a ledger that does not verify, an export without an end, a "
        "delivered bundle that does not verify, any other folder left, a next export that fails, or "
        "a promotion that is there twice"
    )
    rng = random.Random(seed)
    with outcome.running(), ground() as place:
        _control(outcome, place)
        for task, moments in POINTS.items():
            points = rng.sample(moments, len(moments))
            for moment in [
                *islice(cycle(points), kills - 2 * kills // 5),
                *islice(cycle(SPANS[task]), 2 * kills // 5),
            ]:
                _kill(outcome, place, task, moment, rng.uniform(0, _LONGEST))
        _control(outcome, place)
    return outcome


def _control(outcome: Outcome, place: Ground) -> None:
    """Both tasks end well in a child that nobody kills."""
    for task in POINTS:
        copy = place.copied("control")
        code, _ = _run(copy, task, "never", 0.0)
        outcome.control(code == 0, f"{task} ends with {code} although nobody killed it")
        outcome.control(_faults(copy, task) == [], "; ".join(_faults(copy, task)))
        copy.remove()


def _kill(outcome: Outcome, place: Ground, task: str, moment: str, delay: float) -> None:
    copy = place.copied("killed")
    code, trace = _run(copy, task, moment, delay)
    if code != -signal.SIGKILL:
        raise RuntimeError(f"{task} never came to {moment!r}: it ended with {code}")
    faults = _faults(copy, task)
    outcome.attack(f"{task}, {moment}", "; ".join(faults) or None)
    outcome.count(f"kills in {task}")
    if moment.startswith("inside"):
        hit = "inside" if trace == "B" else "just after"
        outcome.count(f"{hit} {moment.split()[1]}")
    copy.remove()


def _run(copy: Ground, task: str, moment: str, delay: float) -> tuple[int, str]:
    """Exit code of the child (negative: the signal), and what it wrote down of a span."""
    trace = copy.root.parent / "trace"
    trace.write_bytes(b"")
    code = ended(_task, str(copy.root), task, moment, delay, str(trace))
    return code, trace.read_text()


# after the kill


def _faults(copy: Ground, task: str) -> list[str]:
    """What is not as it must be after a kill; empty when all is well."""
    return [*(_promoted(copy) if task == "promote" else []), *faults(copy)]


def _promoted(copy: Ground) -> list[str]:
    """The first release or the second is the live one, whole; the same run again is the second."""
    found = []
    answer = copy.verify(Path(TABLE))
    if answer.code:
        found.append(f"verify {TABLE}: exit code {answer.code} {answer.err[:200]}")
    again = _promote(copy.root)
    with copy.house.registry(read_only=True) as registry:
        made = [str(e.body["release_id"]) for e in registry.entries("promoted")]
        live = [r.id for r in registry.releases() if r.status == "live"]
    if made != [f"{TABLE}-run1", f"{TABLE}-run2"] or live != [again] or again != made[-1]:
        found.append(f"promoted {made}, live {live}")
    return found


def _promote(root: Path) -> str:
    house = House(root, _runs=1)
    return house.release(TABLE, policy=f"{POLICY}, {FORMATS}", data=rows(3)).id


# in the child


def _task(root: str, task: str, moment: str, delay: float, trace: str) -> None:
    """Run the task; die at the moment."""
    prints_into()
    Trap(moment, delay, trace).set()
    if task == "promote":
        _promote(Path(root))
        os._exit(0)
    os._exit(run(["--project", root, "export", TABLE, "--ticket", "DATA-1"]))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Trap:
    """Wraps the steps of a protocol and kills its own process at one moment of them."""

    def __init__(self, moment: str, delay: float, trace: str) -> None:
        self.moment, self.delay = moment, delay
        self.trace = os.open(trace, os.O_WRONLY | os.O_APPEND)
        self.kind = ""

    def set(self) -> None:
        write, execute = Registry.write, Database.rows

        def written(registry: Registry, kind: str, *rest: Any) -> Any:
            self.kind = kind
            return self.through(f"write of {kind}", lambda: write(registry, kind, *rest))

        def executed(database: Database, statement: str, *rest: Any) -> Any:
            def real() -> Any:
                return execute(database, statement, *rest)

            return self.through(f"COMMIT of {self.kind}", real) if statement == "COMMIT" else real()

        # in a process of its own, which is about to be killed
        Registry.write, Database.rows = written, executed  # type: ignore[method-assign]
        self.wrap(Anchor, "intend", lambda: f"announcement of {self.kind}")
        self.wrap(Anchor, "committed", lambda: f"note of {self.kind}")
        # only the writing connection is still open when something was written: DuckDB folds its
        # log into the file as it is closed
        self.wrap(Database, "close", lambda: "CHECKPOINT" if self.kind else "closing")
        self.wrap(sql, "add_release", lambda: "table")
        self.wrap(exporting, "_make_partial", lambda: "folder")
        self.wrap(exporting, "write_rows", lambda: "rows")
        self.wrap(exporting, "data_package", lambda: "package")
        self.wrap(exporting, "finish", lambda: "manifests")
        self.wrap(exporting, "fsync_folder", lambda: "fsync")

    def wrap(self, owner: Any, name: str, label: Callable[[], str]) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **options: Any) -> Any:
            return self.through(label(), lambda: real(*args, **options))

        setattr(owner, name, wrapped)

    def through(self, label: str, real: Callable[[], Any]) -> Any:
        if self.moment == f"before {label}":
            _die()
        if self.moment == f"inside {label}":
            threading.Thread(target=self._die_soon, daemon=True).start()
            os.write(self.trace, b"B")
            real()
            os.write(self.trace, b"E")
            _die()
        found = real()
        if self.moment == f"after {label}":
            _die()
        return found

    def _die_soon(self) -> None:
        time.sleep(self.delay)
        _die()
