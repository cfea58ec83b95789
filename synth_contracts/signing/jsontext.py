"""JSON and base64 of which there is exactly one spelling, so that what is signed is what is read.

Python's own reader keeps the last of duplicate keys and reads ``NaN``; its base64 reader skips
padding and trailing bits. Two readers of one signed text could then see two documents.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from synth_contracts.errors import Refused


def dump_canonical(document: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no white space.

    Raises:
        ValueError: a NaN or an infinity is in it; TypeError: something that is not JSON.
    """
    text = json.dumps(
        document, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )
    return text.encode()


def load_strict(raw: bytes | str, what: str) -> Any:
    """Parse JSON; ``what`` names the document in the message.

    Raises:
        Refused: not UTF-8 JSON, a duplicate key, NaN or an infinity (also 1e400), a lone surrogate.
    """
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        text.encode()
        document = json.loads(text, object_pairs_hook=_unique)
        dump_canonical(document)  # NaN, 1e400 and lone surrogates cannot be written back
    except (ValueError, RecursionError) as error:  # UnicodeError and JSONDecodeError are both
        raise Refused(f"{what} is not valid JSON: {error}") from error
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice")
    return document


def b64url(raw: bytes) -> str:
    """Base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64url(text: str, what: str) -> bytes:
    """Decode base64url without padding, canonical spelling only.

    Raises:
        Refused: padding, white space, another alphabet, or non-zero trailing bits.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"{what} is not base64url: {error}") from error
    if b64url(raw) != text:
        raise Refused(f"{what} is not canonical base64url")
    return raw


def unb64(text: str, what: str) -> bytes:
    """Decode standard base64 with padding, canonical spelling only. Raises Refused."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"{what} is not base64: {error}") from error
    if base64.b64encode(raw).decode() != text:
        raise Refused(f"{what} is not canonical base64")
    return raw
