"""`flag`, `revoke`, `keys`: what compliance and key holders do."""

from __future__ import annotations

import json
from pathlib import Path

import click

from synth_contracts.cli.project import settings_of
from synth_contracts.cli.registry import by_user, open_registry
from synth_contracts.errors import UsageError


@click.command()
@click.argument("table")
@click.option("--reason", required=True, help="Why, in words; it stands in the ledger.")
@click.option("--clear", is_flag=True, help="Take the flag off again.")
@click.pass_context
def flag(context: click.Context, table: str, reason: str, clear: bool) -> None:
    """Put the release of TABLE under review: no export until the flag is cleared."""
    from synth_contracts.release import flag as put

    with open_registry(settings_of(context)) as registry:
        release = put(registry, table, reason, by_user(), clear=clear)
    click.echo(f"{table}: release {release.id} is {release.status}")


@click.command()
@click.argument("table")
@click.option("--reason", required=True, help="Why, in words; it stands in the ledger.")
@click.pass_context
def revoke(context: click.Context, table: str, reason: str) -> None:
    """Withdraw the release of TABLE for good: later exports are refused.

    What was delivered cannot be recalled; `synth-contracts trace` lists who holds it.
    """
    from synth_contracts.release import revoke as withdraw

    with open_registry(settings_of(context)) as registry:
        release = withdraw(registry, table, reason, by_user())
    click.echo(f"{table}: release {release.id} is {release.status}")


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
