"""One line of progress on standard error."""

from __future__ import annotations

import sys

import click


class ProgressLine:
    """One line that is rewritten on a terminal, plain lines elsewhere; on standard error."""

    def __init__(self, *, silent: bool) -> None:
        self._tty = sys.stderr.isatty()
        self._silent = silent

    def show(self, table: str, text: str) -> None:
        """Say how far ``table`` is; without a table only a terminal is told."""
        if self._silent:
            return
        said = f"[{table}] {text}" if table else text
        if self._tty:
            click.echo(f"\r\x1b[2K{said}", nl=False, err=True)
        elif table:
            click.echo(said, err=True)

    def clear(self) -> None:
        """Empty the line, before something else is printed."""
        if self._tty and not self._silent:
            click.echo("\r\x1b[2K", nl=False, err=True)
