"""Keyed derivation from the project's secret: splits, random streams, commitments.

HMAC-SHA256 (RFC 2104) over length-prefixed labels, so that ("ab", "c") and ("a", "bc") differ.
"""

from __future__ import annotations

import hashlib
import hmac

_DOMAIN = b"synth-contracts secrets v1"


def derive(secret: bytes, *labels: str) -> bytes:
    """32 bytes that depend on the secret and on each label.

    Raises:
        ValueError: the secret is shorter than 16 bytes.
    """
    if len(secret) < 16:
        raise ValueError("a secret holds at least 16 bytes")
    message = bytearray(_DOMAIN)
    for label in labels:
        raw = label.encode()
        message += len(raw).to_bytes(8, "big") + raw
    return hmac.new(secret, bytes(message), hashlib.sha256).digest()


def stream(secret: bytes, *labels: str) -> int:
    """A seed of 128 bits for ``np.random.default_rng``, one per purpose."""
    return int.from_bytes(derive(secret, "stream", *labels)[:16], "big")


def commit(secret: bytes, label: str, text: str) -> str:
    """A commitment (hex) to ``text``: shows later what it was, tells nothing to who lacks the key.

    A plain digest of a source would let anyone who can guess the source confirm the guess.
    """
    return hmac.new(derive(secret, "commit", label), text.encode(), hashlib.sha256).hexdigest()
