"""The ticket that an export is for: checked against the pattern of the released contract."""

from __future__ import annotations

import re

from synth_contracts.errors import Refused

#: Whatever a contract's pattern allows, a ticket becomes part of a folder name and of a tag file.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_safe(ticket: object) -> bool:
    """Whether a ticket may stand in a path, an address and a tag file."""
    return isinstance(ticket, str) and _SAFE.fullmatch(ticket) is not None


def check_ticket(ticket: str, pattern: str) -> None:
    """Refuse a ticket that is not, from first to last character, of the form ``pattern``.

    ``$`` alone would let a trailing new line pass, and ``\\d`` digits of other scripts: the match
    is full, and a ticket holds ASCII alone.

    Raises:
        Refused: exit code 5.
    """
    if not is_safe(ticket):
        raise Refused(
            "a ticket is up to 64 letters, digits, points, hyphens and underscores",
            mend=f"give a ticket of the form {pattern}",
        )
    if not re.fullmatch(pattern, ticket):
        raise Refused(
            f"the ticket {ticket} is not of the form that the contract asks",
            mend=f"give a ticket of the form {pattern}",
        )
