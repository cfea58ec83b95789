"""`export`, `verify`, `trace`: what leaves the house, and proof of it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from synth_contracts.cli.project import settings_of
from synth_contracts.cli.registry import open_registry


@click.command()
@click.argument("table")
@click.option("--ticket", required=True, help="Ticket that this export is for, such as DATA-123.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to make; default exports/TABLE-TICKET-xxxxxxxx. It must not exist.",
)
@click.option("--format", "file_format", type=click.Choice(["parquet", "csv"]), help="Data format.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def export(
    context: click.Context,
    table: str,
    ticket: str,
    output: Path | None,
    file_format: str | None,
    as_json: bool,
) -> None:
    """Export the released TABLE as a bundle: data, report card, contract and a signed token.

    Only a table whose newest release is live can be exported, and only for a ticket of the form
    that its contract names.

    \b
    Exit codes: 0 written; 2 unknown table or existing output folder;
    5 refused: bad ticket, not released, revoked, tampered with, quota.
    """
    from synth_contracts.delivery import export as deliver
    from synth_contracts.signing import KeyFolder

    settings = settings_of(context)
    with open_registry(settings) as registry:
        bundle = deliver(
            registry,
            table,
            ticket,
            keys=KeyFolder.open(settings.keys),
            exports=settings.exports,
            output=output,
            format=file_format,
        )
    if as_json:
        click.echo(json.dumps(bundle.to_json(), indent=2))
        return
    click.echo(f"exported {bundle.rows:,} rows of {table} for {ticket} (local mode)")
    click.echo(f"  bundle: {bundle.path}")
    click.echo(f"  token:  {bundle.jti}, valid until {bundle.expires_at}")
    click.echo("  verify: sha256sum -c manifest-sha256.txt (in the bundle), or")
    click.echo(f"          synth-contracts verify {bundle.path}")


@click.command()
@click.argument("what", metavar="BUNDLE|TABLE")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def verify(context: click.Context, what: str, as_json: bool) -> None:
    """Verify an exported BUNDLE (a folder) or the released TABLE.

    Trusts the project's own public keys, never what lies in the bundle.

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
    else:
        with open_registry(settings, read_only=True) as registry:
            release = registry.verify_release(what)
        said = {"table": what, "release": release.id, "rows_digest": release.rows_digest}
        words = f"{what}: verified, {release.rows:,} rows of release {release.id}"
    click.echo(json.dumps({"verified": True, **said}, indent=2) if as_json else words)


@click.command()
@click.argument("what", metavar="TICKET|TOKEN|BUNDLE")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_context
def trace(context: click.Context, what: str, as_json: bool) -> None:
    """Say who exported what and when, by ticket, token (or its id) or bundle folder."""
    from synth_contracts.delivery import trace as look_up

    with open_registry(settings_of(context), read_only=True) as registry:
        exports = look_up(registry, what)
    if as_json:
        click.echo(json.dumps([item.to_json() for item in exports], indent=2))
        return
    if not exports:
        click.echo(f"no export is known for {what}")
    for item in exports:
        click.echo(
            f"{item.at}  {item.subject}  {item.table}  {item.rows:,} rows  ticket {item.ticket}  "
            f"{item.status}\n"
            f"  release {item.release}  token {item.jti}\n  sha256 {item.rows_digest}"
        )
