"""What a token leaves out: in each group of cells one digit of ten, drawn under a secret key."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256, shake_256

import numpy as np
import numpy.typing as npt

_DOMAIN = b"synth-contracts fingerprint v1"


def _prefix(key: bytes, release: str) -> bytes:
    """The key in front (a sponge is a PRF keyed by its prefix), then length-prefixed labels."""
    if len(key) != 32:
        raise ValueError("the key of fingerprints holds 32 bytes")
    raw = release.encode()
    return key + _DOMAIN + len(raw).to_bytes(8, "big") + raw


def digits(key: bytes, release: str, names: Sequence[str], groups: int) -> npt.NDArray[np.uint8]:
    """Of each name (a token's id) and group the digit, 0 to 9, that is left out.

    One stream of SHAKE-256 per name, 32 bits a group. Each digit has a chance of .1 within 3e-10.

    Returns:
        Shape (names, groups). The same name has the same digits, whoever else is asked for.

    Raises:
        ValueError: a key that is not 32 bytes.
    """
    prefix = _prefix(key, release)
    found = np.empty((len(names), groups), dtype=np.uint8)
    for row, name in enumerate(names):
        raw = shake_256(prefix + name.encode()).digest(4 * groups)
        words = np.frombuffer(raw, dtype="<u4").astype(np.uint64)
        found[row] = (words * np.uint64(10)) >> np.uint64(32)
    return found


def identity(key: bytes, release: str) -> str:
    """Which key a release was built with (hex), to be told to anyone: another key is noticed."""
    return sha256(_prefix(key, release) + b"identity").hexdigest()[:32]
