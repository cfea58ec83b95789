"""One thread inside a linear algebra call, several calls at once.

The bits of a product may depend on how many threads share it. Here each call has one thread, and
the work is cut into pieces that depend on its size alone: the same bits with any number of threads.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, local
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_lock = Lock()
_inside = 0
_held: Any = None
_found: tuple[int, ThreadpoolController] | None = None
_threads = 1
_here = local()
#: Seconds after which a thread gives Python to another that waits.
_SWITCH = 0.0005


def _pools() -> ThreadpoolController:
    """The process's thread pools, looked for anew only after an import, which may bring another.

    Looking goes through all shared libraries: 3 ms, a hundred times in one evaluation.
    """
    global _found  # noqa: PLW0603 - of the process, as the pools are
    modules = len(sys.modules)
    if _found is None or _found[0] != modules:
        _found = modules, ThreadpoolController()
    return _found[1]


@contextmanager
def single_threaded() -> Iterator[int]:
    """Linear algebra on one thread until the last of all who are inside has left.

    The limit belongs to the process: threads that set and restored it on their own would restore
    the limits of each other. Yields how many threads there were before.
    """
    global _inside, _held, _threads  # noqa: PLW0603 - the limit that it keeps is global too
    with _lock:
        _inside += 1
        if _inside == 1:
            pools = _pools()
            _threads = max((int(pool["num_threads"]) for pool in pools.info()), default=1)
            _held = pools.limit(limits=1)
        threads = _threads
    try:
        yield threads
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _held is not None:
                _held.restore_original_limits()
                _held = None


@contextmanager
def alone() -> Iterator[None]:
    """No threads but the caller's own: for work in a thread beside other work.

    :func:`each` starts none here, nor does OpenMP, whose limit belongs to the thread that sets it:
    the classifier of a thread without that limit waits in spins for a core that others hold (a
    control of 11 s took more than 150 beside one busy process).
    """
    before = getattr(_here, "alone", False)
    _here.alone = True
    try:
        with _pools().limit(limits=1, user_api="openmp"):
            yield
    finally:
        _here.alone = before


class Lanes:
    """Threads beside each other, of which one may use the core of another that has left."""

    def __init__(self) -> None:
        self._lock, self._left, self._open = Lock(), 0, True

    @contextmanager
    def lane(self) -> Iterator[None]:
        """:func:`alone`, but that :func:`each` may have the cores of lanes that were left."""
        with alone():
            _here.lanes = self
            try:
                yield
            finally:
                _here.lanes = None
                self.give()

    def take(self) -> bool:
        """Whether a lane was left whose core nobody uses; it is the caller's until it gives it."""
        with self._lock:
            taken = self._open and self._left > 0
            self._left -= taken
            return taken

    def give(self) -> None:
        """Leave a core to the others."""
        with self._lock:
            self._left += 1

    def close(self) -> None:
        """From now on no core is given away: other work has begun on them."""
        with self._lock:
            self._open = False


@contextmanager
def prompt() -> Iterator[None]:
    """Threads that wait for Python get it sooner.

    A thread whose product is done waits up to 5 ms for one that computes in Python; of many short
    products that is a tenth of all time.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def each(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """``work`` of every piece, in order, on as many threads as linear algebra may have."""
    with single_threaded() as threads:
        beside = getattr(_here, "lanes", None)
        if beside is not None:
            return _helped(work, pieces, beside)
        workers = 1 if getattr(_here, "alone", False) else min(threads, len(pieces))
        if workers < 2:
            return [work(piece) for piece in pieces]
        with ThreadPoolExecutor(max_workers=workers) as pool:
            return list(pool.map(work, pieces))


def _helped(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], beside: Lanes
) -> list[Result]:
    """In the caller's thread, and on the core of a lane from when it is left on."""
    found: dict[int, Result] = {}
    left = iter(range(len(pieces)))  # next() of it is one step: no piece is taken twice

    def help_out() -> None:
        try:
            for number in left:
                found[number] = work(pieces[number])
        finally:
            beside.give()

    with ThreadPoolExecutor(max_workers=1) as pool:
        helping = None
        for number in left:
            if helping is None and number + 1 < len(pieces) and beside.take():
                helping = pool.submit(help_out)
            found[number] = work(pieces[number])
        if helping is not None:
            helping.result()
    return [found[number] for number in range(len(pieces))]
