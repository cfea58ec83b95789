"""`flag`, `revoke`, `keys`: what compliance and key holders do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth_contracts.cli.exports import as_csv, as_table, format_option, rows_of
from synth_contracts.cli.project import settings_of
from synth_contracts.cli.registry import by_user, open_registry, waits
from synth_contracts.cli.wording import hanging, plain
from synth_contracts.errors import SynthContractsError, UsageError

if TYPE_CHECKING:
    from synth_contracts.release import Registry, Release


@click.command()
@click.argument("table")
@click.option("--reason", required=True, help="Why, in words; it stands in the ledger.")
@click.option("--clear", is_flag=True, help="Take the flag off again.")
@format_option
@waits
@click.pass_context
def flag(context: click.Context, table: str, reason: str, clear: bool, form: str | None) -> None:
    """Put the release of TABLE under review: no export until the flag is cleared.

    Prints every export of that release: what was delivered cannot be recalled. Flagging twice
    changes nothing and says since when.

    \b
    Exit codes: 0 it is so; 2 unknown table, or no reason; 5 nothing of it is
    released, or it was revoked.
    """
    from synth_contracts.release import flag as put

    _stand(context, form, lambda registry, by: put(registry, table, reason, by, clear=clear))


@click.command()
@click.argument("table")
@click.option("--reason", required=True, help="Why, in words; it stands in the ledger.")
@format_option
@waits
@click.pass_context
def revoke(context: click.Context, table: str, reason: str, form: str | None) -> None:
    """Withdraw the release of TABLE for good: later exports are refused.

    Prints every export of that release: what was delivered cannot be recalled. Revoking twice
    changes nothing and says since when.

    \b
    Exit codes: 0 it is so; 2 unknown table, or no reason; 5 nothing of it is
    released.
    """
    from synth_contracts.release import revoke as withdraw

    _stand(context, form, lambda registry, by: withdraw(registry, table, reason, by))


def _stand(
    context: click.Context, form: str | None, change: Callable[[Registry, str], Release]
) -> None:
    """Change how a release stands, then list who holds it."""
    from synth_contracts.delivery import recover, trace_release
    from synth_contracts.release import standing_entry

    with open_registry(settings_of(context)) as registry:
        before = registry.head()
        release = change(registry, by_user())
        changed = registry.head() != before
        entry = standing_entry(registry, release)
        try:
            recover(registry)  # what a crash left: was it delivered, or is it nobody's?
        except (OSError, SynthContractsError) as error:
            # the release stands as it was asked to; that is what must not be lost
            click.echo(f"an unfinished export could not be settled: {plain(error)}", err=True)
        exports = trace_release(registry, release=release.id)
        older = len(trace_release(registry, table=release.table)) - len(exports)
    rows = rows_of(exports, {release.id: release.status})
    since = (
        {"since": entry.at, "by": entry.body["by"], "reason": entry.body["reason"]} if entry else {}
    )
    said = {"table": release.table, "release": release.id, "status": release.status}
    if form == "json":
        document = {**said, "changed": changed, **since, "exports": rows}
        click.echo(json.dumps(document, indent=2))
        return
    _say_standing(said, since, changed, to_stderr=form == "csv")
    if form == "csv":
        click.echo(as_csv(rows), nl=False)
        return
    if not rows:
        click.echo("nobody exported it")
    else:
        told = f"{len(rows):,} export{'' if len(rows) == 1 else 's'} of it"
        click.echo(f"{told}; what was delivered cannot be recalled:")
        click.echo(as_table(rows))
    if older:
        click.echo(f"{older:,} more of other releases: synth-contracts trace {release.table}")


def _say_standing(
    said: Mapping[str, str], since: Mapping[str, str], changed: bool, *, to_stderr: bool
) -> None:
    word = "is" if changed else "was already"
    click.echo(f"{said['table']}: release {said['release']} {word} {said['status']}", err=to_stderr)
    if since:
        when = since["since"][:19].replace("T", " ")
        told = f"since {when} UTC, by {since['by']}: {since['reason']}"
        click.echo(hanging("  ", told), err=to_stderr)
    if since and not changed:
        click.echo("  nothing was changed, and the reason given now was not entered", err=to_stderr)


@click.group()
def keys() -> None:
    """Make, rotate and list signing keys, and share the secret split key."""


@keys.command("list")
@click.option("--jwks", is_flag=True, help="Print the public keys as a JSON Web Key Set.")
@click.pass_context
def list_keys(context: click.Context, jwks: bool) -> None:
    """List all public keys, rotated ones too: old bundles verify for ever."""
    from synth_contracts.signing import KeyFolder

    settings = settings_of(context)
    folder = KeyFolder.open(settings.keys, create=False)
    public = folder.public_keys()
    if jwks:
        click.echo(json.dumps({"keys": [key.jwk() for key in public.values()]}, indent=2))
        return
    click.echo(f"folder: {settings.keys}")
    for kid in public:
        click.echo(kid)


@keys.command("init")
@click.pass_context
def init_keys(context: click.Context) -> None:
    """Make the signing key and the split key where they do not exist yet."""
    from synth_contracts.signing import KeyFolder

    settings = settings_of(context)
    folder = KeyFolder.open(settings.keys)
    folder.secret()
    click.echo(f"{folder.signing_key().kid} in {settings.keys}")


@keys.command()
@click.pass_context
def rotate(context: click.Context) -> None:
    """Make a new signing key; the old one signs nothing more but verifies for ever."""
    from synth_contracts.signing import KeyFolder

    click.echo(KeyFolder.open(settings_of(context).keys).rotate().kid)


@keys.command("import-split")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def import_split(context: click.Context, file: Path) -> None:
    """Import a split key (32 bytes) from FILE, so that two projects split a source alike."""
    from synth_contracts.signing import KeyFolder

    if not file.is_file():
        raise UsageError("there is no such file", where=str(file))
    KeyFolder.open(settings_of(context).keys).import_secret(file.read_bytes())
    click.echo("imported")
