"""A list of exports as a table, as JSON or as CSV: who holds what, and since when."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from synth_contracts.cli.wording import hanging, plain
from synth_contracts.errors import UsageError

if TYPE_CHECKING:
    from synth_contracts.delivery import ExportRecord

FORMATS = ("table", "json", "csv")
#: Columns of the CSV, and the first keys that a reader looks for; the rest follows.
COLUMNS = (
    "at", "subject", "ticket", "table", "release", "release_status", "rows", "status", "ended_at",
    "data_sha256", "rows_digest", "data_bytes", "format", "mode", "jti", "expires_at",
    "token_sha256", "path", "reason", "ticket_check",
)  # fmt: skip
#: What begins a formula; the full-width forms count in some spreadsheets.
_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
#: A spreadsheet of another country may split a cell at these.
_AFTER_SEPARATOR = re.compile(rf'([;,|"\t\r\n]\s*)(?=[{re.escape(_SIGNS)}])')


def format_option(command: Any) -> Any:
    """Adds ``--format`` to a command that lists exports."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        help="How exports are listed; default: table.",
    )(command)


def chosen(form: str | None, as_json: bool) -> str:
    """The format that ``--format`` and ``--json`` ask for. Raises UsageError: two of them."""
    if as_json and form not in {None, "json"}:
        raise UsageError(f"--json and --format {form} are two formats", mend="give one of them")
    return "json" if as_json else form or "table"


def rows_of(exports: Sequence[ExportRecord], statuses: Mapping[str, str]) -> list[dict[str, Any]]:
    """One object per export, in order of issue; ``statuses`` is what became of each release."""
    return [
        {**item.to_json(), "release_status": statuses.get(item.release, "unknown")}
        for item in exports
    ]


def as_csv(exports: Sequence[dict[str, Any]]) -> str:
    """CSV (RFC 4180) with a header; every text is quoted, and none is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for item in exports:
        cells = [item[name] for name in COLUMNS]
        writer.writerow(["" if c is None else c if type(c) is int else _cell(c) for c in cells])
    return text.getvalue()


def _cell(text: object) -> str:
    """A text that no spreadsheet runs and no terminal obeys.

    An apostrophe stands before whatever would begin a formula; what is not printable is written
    out. JSON holds the texts as they are.
    """
    told = str(text)
    if told.lstrip(" ")[:1] in tuple(f"{_SIGNS}\t\r\n"):
        told = f"'{told}"
    return plain(_AFTER_SEPARATOR.sub(r"\1'", told))


def as_table(exports: Sequence[dict[str, Any]]) -> str:
    """For people: two lines per export, the second with the digest of the file they hold."""
    if not exports:
        return ""
    names = {"who": "subject", "ticket": "ticket", "table": "table"}
    wide = {
        title: max(len(title), *(len(plain(item[key])) for item in exports))
        for title, key in names.items()
    }
    rows = max(4, *(len(f"{item['rows']:,}") for item in exports))
    head = "  ".join(f"{title:<{wide[title]}}" for title in names)
    lines = [f"{'when (UTC)':<16}  {'state':<9}  {'rows':>{rows}}  {head}".rstrip()]
    for item in exports:
        when = item["at"][:16].replace("T", " ")
        told = "  ".join(f"{plain(item[key]):<{wide[title]}}" for title, key in names.items())
        lead = f"{when}  {item['status']:<9}  {item['rows']:>{rows},}  "
        lines.append(hanging(lead, told, keep=True).rstrip())
        digest = item["data_sha256"]
        lines.append(f"    file sha256 {digest}" if digest else "    no file was sealed")
        if item["reason"]:
            lines.append(hanging("    ", f"because: {item['reason']}"))
    return "\n".join(lines)
