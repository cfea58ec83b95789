"""`export`, `verify`, `trace`: what leaves the house, and proof of it."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth_contracts.cli.exports import (
    as_csv,
    as_table,
    chosen,
    format_option,
    rows_of,
)
from synth_contracts.cli.leaks import told_of_leak
from synth_contracts.cli.progress import ProgressLine
from synth_contracts.cli.project import settings_of
from synth_contracts.cli.registry import open_registry, waits
from synth_contracts.cli.wording import plain
from synth_contracts.errors import Refused

if TYPE_CHECKING:
    from synth_contracts.delivery import Explanation


@click.command()
@click.argument("table")
@click.option("--ticket", required=True, help="Ticket that this export is for, such as DATA-123.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to make; default exports/TABLE-TICKET-xxxxxxxx. It must not exist.",
)
@click.option(
    "--format", "file_format", type=click.Choice(["parquet", "csv", "arrow"]), help="Data format."
)
@click.option(
    "--explain",
    "explains",
    is_flag=True,
    help="Say what would be allowed and why, condition by condition; write nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@waits
@click.pass_context
def export(
    context: click.Context,
    table: str,
    ticket: str,
    output: Path | None,
    file_format: str | None,
    explains: bool,
    as_json: bool,
) -> int:
    """Export the released TABLE as a bundle: data, report card, contract and a signed token.

    Only a table whose newest release is live can be exported, and only for a ticket of the form
    that its contract names. Where synth-contracts.yml names a Jira, the ticket must
    be open there and be assigned to or watched by you.

    \b
    Exit codes: 0 written, or --explain and allowed; 2 unknown table or existing
    output folder; 3 the registry cannot be opened, or the bundle not written;
    5 refused: bad ticket or none that Jira confirms, not released, revoked, tampered with, quota.
    """
    import pyarrow as pa

    from synth_contracts.delivery import ask, explain
    from synth_contracts.delivery import export as deliver
    from synth_contracts.signing import KeyFolder

    # batches of one size come and go: malloc gives the same pages again, Arrow's own pools new ones
    pa.set_memory_pool(pa.system_memory_pool())
    settings = settings_of(context)
    answer = ask(settings.jira, ticket)  # before the registry is opened: nobody waits for it
    if explains:
        with open_registry(settings, read_only=True, settle=False) as registry:
            told = explain(
                registry,
                table,
                ticket,
                keys=KeyFolder.open(settings.keys, create=False),
                output=output,
                format=file_format,
                answer=answer,
            )
        click.echo(json.dumps(told.to_json(), indent=2) if as_json else _explained(told))
        return 0 if told.allowed else Refused.exit_code
    line = ProgressLine(silent=as_json)
    try:
        with open_registry(settings) as registry:
            bundle = deliver(
                registry,
                table,
                ticket,
                keys=KeyFolder.open(settings.keys),
                exports=settings.exports,
                output=output,
                format=file_format,
                answer=answer,
                progress=lambda step, done, rows: line.show("", _so_far(step, done, rows)),
            )
    finally:
        line.clear()
    if as_json:
        click.echo(json.dumps(bundle.to_json(), indent=2))
        return 0
    click.echo(f"exported {bundle.rows:,} rows of {table} for {ticket} (local mode)")
    click.echo(f"  bundle: {bundle.path}")
    click.echo(f"  token:  {bundle.jti}, valid until {bundle.expires_at}")
    click.echo("  verify: sha256sum -c manifest-sha256.txt (in the bundle), or")
    click.echo(f"          synth-contracts verify {bundle.path}")
    return 0


def _so_far(step: str, done: int, rows: int) -> str:
    return f"{step} {done:,} of {rows:,} rows" if done else f"{step} rows"


_COLOURS = {"allowed": "green", "refused": "red", "not known": "yellow"}


def _explained(told: Explanation) -> str:
    """One line per condition, and one for its mend; wrapped on a terminal alone."""
    lines = [f"export of {told.table} for {_plain(told.ticket)} (nothing is written)"]
    for one in told.conditions:
        head = f"  {click.style(f'{one.state:<9}', fg=_COLOURS[one.state])}  {one.name:<8}  "
        lines.append(head + _wrapped(_plain(one.says)))
        if one.mend:
            lines.append(" " * _INDENT + _wrapped(f"mend: {_plain(one.mend)}"))
    lines.append("it would be exported" if told.allowed else "it would be refused (exit code 5)")
    if told.allowed and any(one.state == "not known" for one in told.conditions):
        lines[-1] += ", as far as is known before it is written"
    return "\n".join(lines)


#: Columns before the words of a condition.
_INDENT = 23


def _wrapped(text: str) -> str:
    if not sys.stdout.isatty():
        return text
    width = max(shutil.get_terminal_size().columns - _INDENT, 20)
    return ("\n" + " " * _INDENT).join(textwrap.wrap(text, width, break_on_hyphens=False))


def _plain(text: str) -> str:
    """A text of somebody's own, with what a terminal would obey written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@click.command()
@click.argument("what", metavar="BUNDLE|TABLE")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def verify(context: click.Context, what: str, as_json: bool) -> None:
    """Verify an exported BUNDLE (a folder) or the released TABLE.

    Trusts the project's own public keys, never what lies in the bundle. With a TABLE,
    its report cards under target/ must be those that the ledger names.

    \b
    Exit codes: 0 every digest and signature matches; 2 unknown table; 5 any mismatch.
    """
    settings = settings_of(context)
    if Path(what).is_dir():
        from synth_contracts.delivery import verify_bundle
        from synth_contracts.signing import KeyFolder

        found = verify_bundle(Path(what), KeyFolder.open(settings.keys, create=False))
        said = found.to_json()
        words = f"{what}: verified, {found.rows:,} rows of release {found.release}"
        ends = found.release_expires_at
        if ends is not None and datetime.fromisoformat(ends) <= datetime.now(UTC):
            words += f"\n  its retention ended at {ends[:19]} UTC: it should be in use no longer"
    else:
        from synth_contracts.release import check_cards

        with open_registry(settings, read_only=True) as registry:
            release = registry.verify_release(what)
            check_cards(settings.artifacts / "cards" / what, what, registry.entries())
        said = {"table": what, "release": release.id, "rows_digest": release.rows_digest}
        words = f"{what}: verified, {release.rows:,} rows of release {release.id}"
    click.echo(json.dumps({"verified": True, **said}, indent=2) if as_json else words)


@click.command()
@click.argument("what", metavar="TICKET|TOKEN|BUNDLE|FILE|RELEASE|TABLE")
@format_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.pass_context
def trace(context: click.Context, what: str, form: str | None, as_json: bool) -> None:
    """Say who exported what and when, and what became of the release since.

    By ticket, token (its text, its id or a file that holds it), bundle folder, exported data file,
    release or table. Times are UTC.

    A CSV or Parquet file that was made from an export (shuffled, cut, edited, columns dropped) is
    matched against the releases whose contract says `fingerprint: true`. An export is named only
    where the chance of naming any innocent one is below one in a million.

    \b
    Exit codes: 0 looked up, also when no export is known or can be named; 2 a file
    that cannot be traced; 5 a token that is not the one that was issued, or the key
    of fingerprints is lost.
    """
    from synth_contracts.delivery import LeakTrace
    from synth_contracts.delivery import trace as look_up

    form = chosen(form, as_json)
    with open_registry(settings_of(context), read_only=True) as registry:
        exports = look_up(registry, what)
        statuses = {release.id: release.status for release in registry.releases()}
    if isinstance(exports, LeakTrace):
        click.echo(told_of_leak(exports, statuses, form), nl=form != "csv")
        if form == "csv":
            click.echo(exports.says, err=True)  # the lines are for programs
        return
    rows = rows_of(exports, statuses)
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
    elif form == "csv":
        click.echo(as_csv(rows), nl=False)
    elif not rows:
        click.echo(f"no export is known for {plain(what)}")
    else:
        click.echo(as_table(rows))
        for name in dict.fromkeys(item["release"] for item in rows):
            click.echo(f"release {name} is {statuses.get(name, 'unknown')}")
