"""Files that their owner alone may read, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_private(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Put ``content`` in the place of ``path``, mode 0600; on the disk before this returns.

    Args:
        path: where.
        content: the whole file.
        replace: whether it may take the place of another file.

    Raises:
        FileExistsError: something stands there, and it is not to be replaced.
        OSError: it cannot be written; what stood there before stands there still.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)  # unlike a rename it does not take another's place
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
