"""How names and numbers of measurements read in sentences, cards and Data Docs."""

from __future__ import annotations

import math

#: Metrics whose values are counts; nobody should read of 1.00 people.
COUNTS = frozenset({"k_anonymity", "l_diversity", "recognized_entities", "constraint_violations"})


def title(metric: str, column: str | None) -> str:
    """``membership_inference`` or ``ks of amount``."""
    return metric if column is None else f"{metric} of {column}"


def number_text(number: float) -> str:
    """Two decimals, below 0.1 two significant digits; whole numbers from 2 on without decimals.

    What is nearer to 0 than 1e-9 reads 0.00.

    Args:
        number: finite.
    """
    if isinstance(number, int) or (number == int(number) and abs(number) >= 2):
        return str(int(number))
    if abs(number) < 1e-9 or abs(number) >= 0.1:  # what rounding errors leave is nothing
        return f"{number + 0:.2f}".replace("-0.00", "0.00")
    decimals = min(2 - math.floor(math.log10(abs(number))) - 1, 12)
    return f"{number:.{decimals}f}"


def value_text(metric: str, number: float) -> str:
    """:func:`number_text`, and counts that are whole numbers as such."""
    if metric in COUNTS and number == int(number):
        return str(int(number))
    return number_text(number)


def limit_text(limit: float) -> str:
    """A finite limit as the contract writes it, with at least two decimals: 0.005, 0.10, 10, 0."""
    if limit == int(limit):
        return str(int(limit))
    text = f"{limit:.10f}".rstrip("0")
    return text if len(text.split(".")[1]) >= 2 else f"{limit:.2f}"


def against(number: float, limit: float) -> str:
    """``number`` with as many digits as put it on its own side of a limit."""
    if number == int(number) and limit == int(limit):
        return str(int(number))
    text = number_text(number)
    digits = 3
    side = (number > limit) - (number < limit)
    while (float(text) > limit) - (float(text) < limit) != side and digits <= 15:
        text = f"{number:.{digits}f}"
        digits += 1
    return text
