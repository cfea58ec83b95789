"""Settling exports that a crash left between ``issued`` and ``delivered``.

The exporter holds a lock on its partial folder while it works, so that an export under way in
another thread or process is told from one that died.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from synth_contracts.delivery.bundle import TOKEN, sha256_file
from synth_contracts.delivery.journal import ABORTED, DELIVERED, ExportRecord, exports

if TYPE_CHECKING:
    from synth_contracts.release import Registry


@contextmanager
def working_in(folder: Path) -> Iterator[bool]:
    """Hold the lock of a partial folder; yields False when somebody else holds it.

    A folder that is gone was moved or removed by whoever held it: also False.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def partial_path(target: Path, jti: str) -> Path:
    """Where the bundle of token ``jti`` is written before it is renamed to ``target``."""
    return target.with_name(f"{target.name}.{jti[:8]}.partial")


def recover(registry: Registry) -> list[ExportRecord]:
    """Settle every export that has no end yet; returns those settled now.

    A sealed export whose folder was renamed into place is ``delivered``. Everything else is
    ``aborted``, and its partial folder is removed. Exports under way are left alone.
    """
    with registry.exclusive():
        left = [record for record in exports(registry).values() if not record.settled]
        return [record for record in left if _settle(registry, record)]


def as_settled(registry: Registry) -> dict[str, ExportRecord]:
    """Every export by its jti as `recover` would leave it; nothing is written or removed."""
    with registry.exclusive():  # one that is being entered has no folder yet
        return {
            jti: replace(record, status=_end(record) or record.status)
            for jti, record in exports(registry).items()
        }


def _end(record: ExportRecord) -> str | None:
    """How an export without an end ends; None when it has one or is under way."""
    if record.settled:
        return None
    partial, target = partial_path(Path(record.path), record.jti), Path(record.path)
    if partial.is_dir() and not partial.is_symlink():
        with working_in(partial) as alone:
            return "aborted" if alone else None
    if _holds(target, record.token_sha256):
        with working_in(target) as alone:
            return "delivered" if alone else None
    return "aborted"


def _settle(registry: Registry, record: ExportRecord) -> bool:
    partial, target = partial_path(Path(record.path), record.jti), Path(record.path)
    if partial.is_dir() and not partial.is_symlink():
        with working_in(partial) as alone:
            if not alone:
                return False
            shutil.rmtree(partial)
    elif _holds(target, record.token_sha256):
        with working_in(target) as alone:
            if not alone:
                return False
            registry.append(DELIVERED, {"jti": record.jti, "reason": "recovered"})
        return True
    registry.append(ABORTED, {"jti": record.jti, "reason": f"interrupted while {record.status}"})
    return True


def _holds(folder: Path, token_sha256: str) -> bool:
    """Whether the bundle of just this token stands in ``folder``."""
    try:
        return sha256_file(folder / "data" / TOKEN) == token_sha256
    except OSError:
        return False
