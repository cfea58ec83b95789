"""A full disk under the shipped ``export`` and ``build``, in a child process.

Two ways. A limit on the size of a file (RLIMIT_FSIZE), drawn between nothing and the largest file
that the command writes. And a file system that is full: the project is copied into a tmpfs of its
own, with room left for a drawn number of pages. Afterwards the limit is lifted and the project is
looked at as after a crash.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import resource
import shutil
from pathlib import Path

from batteries.aftermath import cards_without_runs, faults, half_written
from batteries.children import ended
from batteries.ground import TABLE, Answer, Ground, ground
from batteries.house import House
from batteries.outcome import Outcome
from batteries.small import small_ground

#: Task -> the command.
TASKS: dict[str, tuple[str, ...]] = {
    "export": ("export", TABLE, "--ticket", "DATA-1"),
    "build": ("build", "--full-refresh"),
}
_PAGE = 4096
_NEW_NAMESPACE, _PRIVATE = 0x00020000, 0x40000 | 0x4000
_ERRORS = (3, 5)


def attack(seed: int, *, limits: int = 25, full: int = 25, builds: int = 1) -> Outcome:
    """Of each task ``limits`` limits of file size and ``full`` full file systems.

    Without ``builds`` it is exports alone, of rows that were promoted without a build.
    """
    outcome = Outcome(
        "an exit code other than 3 or 5 where there was no room; an error that names no mend or "
        "is called a fault of the tool; a registry, ledger, release or earlier bundle that does not "
        "verify afterwards; anything half written; a next run that does not succeed"
    )
    rng = random.Random(seed)
    tasks = list(TASKS) if builds else ["export"]
    with outcome.running(), small_ground() if builds else ground() as place:
        place.bundle(ticket="DATA-7")
        _control(outcome, place, tasks)
        mounts = ended(_try_mount, str(place.root.parent)) == 0
        for task in tasks:
            sizes, pages = _needs(place, task)
            for number in range(limits):
                # some file that the task writes is longer
                _limited(outcome, place, task, int(number and rng.randrange(rng.choice(sizes))))
            for number in range(full if mounts else 0):
                share = ((number and number + rng.random()) / full) ** 2
                _full(outcome, place, task, int(pages * share))
        if not mounts:
            outcome.notes.append("No file system could be mounted here: only limits were tried.")
        _control(outcome, place, tasks)
    return outcome


def _control(outcome: Outcome, place: Ground, tasks: list[str]) -> None:
    """In a child without any limit each task ends well."""
    for task in tasks:
        copy = place.copied("control")
        answer = _run(copy, task, None)
        outcome.control(answer.code == 0, answer.err)
        found = _looked_at(copy)
        outcome.control(not found, "; ".join(found))
        copy.remove()


def _sizes(place: Ground) -> dict[Path, int]:
    return {path: path.stat().st_size for path in place.root.parent.rglob("*") if path.is_file()}


def _needs(place: Ground, task: str) -> tuple[list[int], int]:
    """Bytes of every file that the task writes, and the pages of 4 KiB that it needs in all."""
    copy = place.copied("measured")
    before = _sizes(copy)
    _run(copy, task, None)
    after = _sizes(copy)
    copy.remove()
    written = sorted(size for path, size in after.items() if before.get(path) != size and size)
    grown = sum(after.values()) - sum(before.values())
    # DuckDB writes a transaction into its log first, and then a block of 256 KiB
    return written, grown // _PAGE + 128


# a limit on the size of a file


def _limited(outcome: Outcome, place: Ground, task: str, limit: int) -> None:
    copy = place.copied("limited")
    answer = _run(copy, task, limit)
    _judge(outcome, f"{task}, files of at most {limit:,} bytes", answer, _looked_at(copy))
    outcome.count(f"{task} with a limit")
    copy.remove()


def _run(copy: Ground, task: str, limit: int | None) -> Answer:
    """The command in a child, whose files may not grow over ``limit`` bytes."""
    told = copy.root.parent / "answer.json"
    ended(_limited_task, str(copy.root), task, -1 if limit is None else limit, str(told))
    answer = Answer(**json.loads(told.read_text()))
    told.unlink()
    return answer


def _limited_task(root: str, task: str, limit: int, told: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    if limit >= 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    answer = Ground(House(Path(root))).command(*TASKS[task])
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    Path(told).write_text(json.dumps(vars(answer)))
    os._exit(0)


# a full file system


def _full(outcome: Outcome, place: Ground, task: str, pages: int) -> None:
    told = place.root.parent.with_name("told.json")
    ended(_full_task, str(place.root.parent), task, pages, str(told))
    found = json.loads(told.read_text())
    told.unlink()
    _judge(outcome, f"{task}, {pages:,} pages left", Answer(**found["answer"]), found["faults"])
    outcome.count(f"{task} on a full file system")


def _full_task(first: str, task: str, pages: int, told: str) -> None:
    """All in one child, whose mounts nobody else sees and which end with it."""
    needed = sum(
        -(-size // _PAGE) + 1 for size in _sizes(Ground(House(Path(first) / "house"))).values()
    )
    folder = Path(first).with_name("small")
    folder.mkdir(exist_ok=True)
    _mount(folder, f"size={(needed + 400) * _PAGE}")
    shutil.copytree(first, folder / "first")
    used = os.statvfs(folder)
    taken = used.f_blocks - used.f_bfree
    _mount(folder, f"size={(taken + pages) * _PAGE}", again=True)
    copy = Ground(House(folder / "first" / "house"))
    answer = copy.command(*TASKS[task])
    _mount(folder, "size=256m", again=True)
    found = _looked_at(copy)
    Path(told).write_text(json.dumps({"answer": vars(answer), "faults": found}))
    os._exit(0)


def _try_mount(place: str) -> None:
    folder = Path(place).with_name("tried")
    folder.mkdir()
    try:
        _mount(folder, "size=1m")
    except OSError:
        os._exit(1)
    os._exit(0)


def _mount(folder: Path, options: str, *, again: bool = False) -> None:
    """A tmpfs in a mount namespace of this process alone. Raises OSError where that is forbidden."""
    libc = ctypes.CDLL(None, use_errno=True)

    def check(code: int) -> None:
        if code:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    if not again:
        check(libc.unshare(_NEW_NAMESPACE))
        check(libc.mount(b"none", b"/", None, ctypes.c_ulong(_PRIVATE), None))
    flags = ctypes.c_ulong(32 if again else 0)  # MS_REMOUNT
    check(libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", flags, options.encode()))


# afterwards


def _looked_at(copy: Ground) -> list[str]:
    """What is not as it must be once there is room again; empty when all is well."""
    found = half_written(copy)
    answer = copy.command("verify", TABLE)
    if answer.code:
        found.append(f"verify {TABLE}: exit code {answer.code} {answer.err[:200]}")
    if (copy.root / "source.duckdb").exists():
        found += cards_without_runs(copy)
        answer = copy.command(*TASKS["build"])
        if answer.code:
            found.append(f"the next build: exit code {answer.code} {answer.err[-300:]}")
    return [*found, *faults(copy)]


def _judge(outcome: Outcome, name: str, answer: Answer, found: list[str]) -> None:
    """An attack is a command that fails as it should, or that had room enough after all."""
    told = answer.err + answer.out
    if answer.code == 0:
        outcome.count("had room enough")
    elif answer.code not in _ERRORS:
        found = [*found, f"exit code {answer.code} {told[-300:]!r}"]
    elif "a fault of synth-contracts" in told or "Traceback" in told:
        found = [*found, f"called a fault of ours: {told[-300:]!r}"]
    elif "mend:" not in told:
        found = [*found, f"no mend: {told[-300:]!r}"]
    else:
        outcome.count(f"exit code {answer.code}")
    outcome.attack(name, "; ".join(found) or None)
