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


def each(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """``work`` of every piece, in order, on as many threads as linear algebra may have."""
    with single_threaded() as threads:
        workers = 1 if getattr(_here, "alone", False) else min(threads, len(pieces))
        if workers < 2:
            return [work(piece) for piece in pieces]
        with ThreadPoolExecutor(max_workers=workers) as pool:
            return list(pool.map(work, pieces))
