"""Waiting for a database file that another process holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from synth_contracts.errors import LockedError

T = TypeVar("T")
#: Seconds between two tries.
_PAUSE = 0.1


@dataclass(frozen=True)
class _Patience:
    seconds: float
    told: Callable[[str], None]


_patience: ContextVar[_Patience | None] = ContextVar("patience", default=None)


@contextmanager
def waiting(seconds: float, told: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """While the block runs, opening a file that is held waits up to ``seconds`` for it.

    ``told`` gets one sentence when a wait begins.
    """
    token = _patience.set(_Patience(seconds, told))
    try:
        yield
    finally:
        _patience.reset(token)


def patiently(attempt: Callable[[], T]) -> T:
    """Try until it no longer raises LockedError of another process, or patience ends.

    Raises:
        LockedError: the file is still held, or by this process itself.
    """
    patience = _patience.get()
    end: float | None = None
    while True:
        try:
            return attempt()
        except LockedError as error:
            if patience is None or error.pid is None:
                raise
            if end is None:  # the first try is no wait, however long it took
                end = time.monotonic() + patience.seconds
                patience.told(f"waiting up to {patience.seconds:g} s: {error.message}")
            elif time.monotonic() >= end:
                raise
        time.sleep(min(_PAUSE, max(end - time.monotonic(), 0.0)))
