"""Quoting of names and texts for SQL, in this one place."""

from __future__ import annotations

import unicodedata

from synth_contracts.errors import UsageError


def quote(name: str) -> str:
    """An SQL identifier: double quotes around, double quotes inside doubled.

    Raises:
        UsageError: the name is empty or holds NUL, another control character or a lone surrogate.
    """
    if not name or any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise UsageError(
            f"{name!r} cannot be the name of a table or column",
            mend="names are not empty and hold no control characters",
        )
    return '"' + name.replace('"', '""') + '"'


def qualified(*parts: str) -> str:
    """A dotted name of quoted parts: ``qualified("release", "t")`` is ``"release"."t"``."""
    return ".".join(quote(part) for part in parts)


def literal(text: str) -> str:
    """An SQL text literal, for the few statements that take no parameters (ATTACH).

    Raises:
        UsageError: the text holds NUL.
    """
    if "\0" in text:
        raise UsageError(f"{text!r} holds a NUL character")
    return "'" + text.replace("'", "''") + "'"
