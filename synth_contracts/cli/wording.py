"""Texts as they may stand in a terminal: one line each, nothing that steers the terminal."""

from __future__ import annotations

import shutil
import textwrap

import click

#: Where no terminal is asked, and the bounds of what is read well.
_WIDTH, _NARROWEST, _WIDEST = 80, 60, 120


def plain(text: object) -> str:
    """A text with all that is not printable written out (``\\x1b``, ``\\u202e``, ``\\n``).

    Reasons and names are others' words: an escape sequence or a new line in one of them could
    paint over the lines around it.
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text)
    )


def width() -> int:
    """Columns to write in: the terminal's within 60 to 120; 80 where there is none."""
    columns = shutil.get_terminal_size((_WIDTH, 24)).columns
    return max(_NARROWEST, min(columns, _WIDEST))


def hanging(head: str, text: str, *, keep: bool = False) -> str:
    """``head``, then ``text`` wrapped to the width with its lines below one another.

    A text that is a row of a table has its spaces kept where it fits (``keep``).
    """
    if keep and len(head) + len(text.rstrip()) < width():
        return head + plain(text)
    indent = " " * len(head)
    lines = textwrap.wrap(
        plain(text), width() - 1, initial_indent=head, subsequent_indent=indent,
        break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines) or head.rstrip()


def facts(rows: dict[str, object]) -> None:
    """Print names and values in two columns; what is empty is left out.

    A long value goes on below itself; one that has no place to break, such as a hash, stands in
    a line of its own, so that it can be copied.
    """
    told = {name: plain(value) for name, value in rows.items() if value not in {None, ""}}
    widest = max(map(len, told), default=0)
    for name, value in told.items():
        lead = f"  {name:<{widest}}  "
        if " " not in value and len(lead) + len(value) >= width():
            click.echo(f"  {name}\n      {value}")
        else:
            click.echo(hanging(lead, value))
