"""Numbers as a reader sees them: text, rounding for outsiders, and JSON without NaN."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from synth_contracts.metrics import words

MINUS = "\u2212"
NOTHING = "\u2013"


def finite(number: Any) -> float | None:
    """The number as float if it is a finite int or float and no bool; else None."""
    if isinstance(number, bool):
        return None
    try:
        value = float(number)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def text(number: float | None, limit: float | None = None) -> str:
    """The number in the words of metrics/words.py, with a true minus and thousands separated.

    ``limit``: digits are added until the text differs from it, unless the two are equal, so that a
    card never shows "0.25, limit 0.25, broken".
    """
    if number is None:
        return NOTHING
    return _typeset(words.number_text(number) if limit is None else words.against(number, limit))


def percent(share: float | None) -> str:
    """A share in per cent, with one decimal below 10 %."""
    if share is None:
        return NOTHING
    shown = f"{100 * share:.1f}" if abs(share) < 0.1 else f"{100 * share:.0f}"
    return _typeset(shown) + " %"


def limit_text(limit: float | None) -> str:
    """A limit as the contract writes it."""
    return NOTHING if limit is None else _typeset(words.limit_text(limit))


def _typeset(shown: str) -> str:
    if shown.lstrip("-").isdigit():
        shown = f"{int(shown):,}"
    return shown.replace("-", MINUS)


def rounded(number: float | None, limit: float | None = None) -> float | None:
    """``number`` to two significant digits, at most three decimals: what an outsider may read.

    With a ``limit`` the rounded number stays on its own side of it.
    """
    if number is None or number == 0 or not math.isfinite(number):
        return number
    decimals = min(3, 1 - math.floor(math.log10(abs(number))))
    short = round(number, decimals)
    if limit is not None:
        step = 10.0**-decimals
        if number > limit and short <= limit:
            short = limit + step
        elif number < limit and short >= limit:
            short = limit - step
        short = round(short, decimals + 3)
    return short


def rounded_count(count: int) -> int:
    """``count`` to two significant digits: an exact number of real units would answer questions."""
    if count < 100:
        return round(count, -1) if count >= 10 else 0
    return round(count, 1 - math.floor(math.log10(count)))


def blurred(words: str) -> str:
    """``words`` with every whole number of three figures and more rounded to two digits."""
    return re.sub(
        r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![.,]?\d)|(?<![\d.])\d{3,}(?!\.?\d)",
        lambda found: f"{rounded_count(int(found[0].replace(',', ''))):,}",
        words,
    )


def plain(value: Any) -> Any:
    """``value`` as finite JSON: mappings, lists, text, bool, int, finite float or None."""
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, Enum) else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if isinstance(value, int):
        return value
    number = finite(value)
    if number is not None or isinstance(value, float):
        return number
    return str(value)
