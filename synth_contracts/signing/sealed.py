"""A file that only who holds the key can read or make: AES-256-GCM (NIST SP 800-38D)."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from synth_contracts.errors import Refused
from synth_contracts.signing.private import write_private

_MAGIC = b"synth-contracts sealed v1\n"
_NONCE = 12


def write_sealed(path: Path, content: bytes, key: bytes) -> None:
    """Encrypt ``content`` under ``key`` (32 bytes) to a file of mode 0600, whole or not at all."""
    nonce = secrets.token_bytes(_NONCE)
    body = _MAGIC + nonce + AESGCM(key).encrypt(nonce, content, _MAGIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, body)


def read_sealed(path: Path, key: bytes) -> bytes:
    """What ``write_sealed`` was given.

    Raises:
        Refused: it cannot be read, others may read it, or it is not as this key wrote it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(
            f"cannot be read: {error.strerror}", where=str(path), mend="build again to make it"
        ) from error
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise Refused(
                "other users may read or write it, or own it",
                where=str(path),
                mend=f"chmod 600 {path}",
            )
        body = file.read()
    start = len(_MAGIC) + _NONCE
    try:
        return AESGCM(key).decrypt(body[len(_MAGIC) : start], body[start:], body[: len(_MAGIC)])
    except (InvalidTag, ValueError):
        raise Refused(
            "it was changed, cut, or encrypted with another key",
            where=str(path),
            mend="delete it and build again",
        ) from None
