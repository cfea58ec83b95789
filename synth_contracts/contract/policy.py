"""The vendor section ``export``: who may take a release out, and how much of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synth_contracts.contract.columns import regex_fault
from synth_contracts.contract.document import Map, Problems, locate, suggest
from synth_contracts.contract.model import ExportPolicy

_DAY = 86_400
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": _DAY}
_BYTES = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip


def read_policy(section: Map, roles: list[str], problems: Problems) -> ExportPolicy:
    """The policy; faults are recorded. ``roles`` are the document's own, empty if it has none."""
    for index, role in enumerate(section.get("roles") or ()):
        if roles and role not in roles:
            problems.add(
                locate(section, ["roles", index]),
                f"export.roles names `{role[:80]}`, which `roles` does not hold",
                suggest(role, roles),
            )
    default = ExportPolicy()
    return ExportPolicy(
        formats=tuple(section.get("formats", default.formats)),
        ticket_pattern=_ticket(section, default.ticket_pattern, problems),
        token_ttl=_ttl(section, default.token_ttl, problems),
        roles=tuple(section.get("roles") or ()),
        max_rows=section.get("maxRows"),
        max_bytes=_size(section, problems),
        max_exports_per_ticket_per_day=section.get(
            "maxExportsPerTicketPerDay", default.max_exports_per_ticket_per_day
        ),
        max_attempts=section.get("maxAttempts", default.max_attempts),
        fingerprint=section.get("fingerprint") is True,
    )


def _ticket(section: Map, default: str, problems: Problems) -> str:
    pattern: str = section.get("ticketPattern", default)
    at = section.values_at.get("ticketPattern", section.at)
    fault = regex_fault(pattern)
    if fault:
        problems.add(at, f"ticketPattern {fault}")
    elif not pattern.startswith("^") or not _ends_anchored(pattern):
        problems.add(at, "ticketPattern must begin with ^ and end with $", f'write "^{pattern}$"')
    elif _open_alternative(pattern):
        problems.add(
            at,
            "ticketPattern has a | outside of brackets, so that its anchors hold one side only",
            'write "^(A|B)$"',
        )
    elif re.fullmatch(pattern, "") or all(
        re.fullmatch(pattern, odd) for odd in ("x", "no ticket at all", "DATA-1")
    ):
        problems.warn(at, "ticketPattern takes anything for a ticket", "say what one looks like")
    return pattern


def _ends_anchored(pattern: str) -> bool:
    body = pattern[:-1]
    escapes = len(body) - len(body.rstrip("\\"))
    return pattern.endswith("$") and escapes % 2 == 0


def _open_alternative(pattern: str) -> bool:
    """Whether a ``|`` stands outside of all groups and character classes."""
    depth, inside, i = 0, False, 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            i += 1
        elif inside:
            # a ] right after [ or [^ is a member of the class
            inside = char != "]" or pattern[:i].endswith(("[", "[^"))
        elif char == "[":
            inside = True
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and depth == 0:
            return True
        i += 1
    return False


def _ttl(section: Map, default: int, problems: Problems) -> int:
    raw = section.get("tokenTtl", default)
    seconds = _quantity(raw, _SECONDS, "s")
    if seconds is None or not 1 <= seconds <= _DAY:
        problems.add(
            section.values_at["tokenTtl"],
            f"tokenTtl `{str(raw)[:80]}` is no time from 1 second to 24 hours",
            "write 900, 900s, 15m or 1h",
        )
        return default
    return seconds


def _size(section: Map, problems: Problems) -> int | None:
    raw = section.get("maxBytes")
    if raw is None:
        return None
    size = _quantity(raw.upper() if isinstance(raw, str) else raw, _BYTES, "B")
    if size is None or not 1 <= size <= 2**60:
        problems.add(
            section.values_at["maxBytes"],
            f"maxBytes `{str(raw)[:80]}` is no size above 0",
            "write 500000000, 500MB or 2GiB",
        )
        return None
    return size


def _quantity(raw: Any, units: Mapping[str, int], plain: str) -> int | None:
    if isinstance(raw, int):
        return raw
    match = re.fullmatch(r"([0-9]{1,15}) ?([A-Za-z]*)", raw)
    if match is None:
        return None
    unit = units.get(match[2] or plain)
    return None if unit is None else int(match[1]) * unit
