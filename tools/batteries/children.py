"""Processes of their own for what kills or starves them, forked from one that has imported all."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Any
from unittest.mock import patch

_PRELOADED = ["batteries.kills", "synth_contracts.delivery"]
#: Imported beforehand where this process has it: seconds, which children that export do not need.
_IF_USED = "synth_contracts.pipeline"


def forks() -> ForkServerContext:
    """Children of one process that has imported everything and opened nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED + [_IF_USED] * (_IF_USED in sys.modules))
    # Python 3.11 does not hand its path to the server, which then preloads nothing and says nothing
    path = os.pathsep.join(dict.fromkeys(part for part in sys.path if part))
    with patch.dict(os.environ, PYTHONPATH=path):
        forkserver.ensure_running()
    return context


def ended(target: Callable[..., None], *arguments: Any, seconds: float = 120) -> int:
    """Run ``target`` in a child; its exit code, negative for a signal.

    Raises:
        RuntimeError: it did not end in time.
    """
    child = forks().Process(target=target, args=arguments)
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        raise RuntimeError(f"a child did not end within {seconds:g} seconds")
    return child.exitcode


def prints_into(path: str = os.devnull) -> None:
    """Let what this child prints go to a file, or nowhere."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
