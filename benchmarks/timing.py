"""Wall time, CPU time and memory of a command with all its descendants, from a cold start.

CPU seconds of children that are killed and never waited for are lost to ``wait4``; the process tree
is looked at as well, every 50 ms at first and twice a second later (each look costs 10 ms of the
same cores), and the larger of both sums is taken.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """``exit`` is None for a command that was stopped at its limit."""

    exit: int | None
    cpu: float
    wall: float
    mib: float
    output: str


def measured(command: list[str], *, limit: float, env: dict[str, str] | None = None) -> Cost:
    """Run ``command`` in a session of its own, for at most ``limit`` CPU seconds.

    Seconds of the processor, so that a busy machine stops nobody early; four times as many on the
    clock are the end for one that waits.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **(env or {})}, start_new_session=True,
    )  # fmt: skip
    ticks: dict[int, int] = {}
    peak = 0
    stopped = False
    finished = threading.Event()

    def watch() -> None:
        nonlocal peak, stopped
        while not finished.wait(pause(time.perf_counter() - start)):
            seen, resident = _session(process.pid)
            ticks.update(seen)
            peak = max(peak, resident)
            waited = time.perf_counter() - start
            if sum(ticks.values()) / _TICKS > limit or waited > 4 * limit:
                stopped = True
                os.killpg(process.pid, signal.SIGKILL)
                return

    before = os.times()
    watcher = threading.Thread(target=watch)
    watcher.start()
    output = process.communicate()[0]
    finished.set()
    watcher.join()
    wall = time.perf_counter() - start
    after = os.times()
    waited = after.children_user + after.children_system
    waited -= before.children_user + before.children_system
    return Cost(
        exit=None if stopped else process.returncode,
        cpu=round(max(waited, sum(ticks.values()) / _TICKS), 2),
        wall=round(wall, 2),
        mib=round(peak / 2**20),
        output=output[-4000:],
    )


def pause(since: float) -> float:
    """Seconds between two looks at a command that began ``since`` seconds ago."""
    return min(0.5, 0.05 + since / 40)


def _session(session: int) -> tuple[dict[int, int], int]:
    """CPU ticks per process of a session, and its resident bytes."""
    ticks, pages = {}, 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[3]) == session:
                ticks[int(entry.name)] = int(stat[11]) + int(stat[12])
                pages += int((entry / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return ticks, pages * _PAGE
