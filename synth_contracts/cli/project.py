"""`init`, and what every other command needs: the project's settings and its contracts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth_contracts.errors import UsageError

if TYPE_CHECKING:
    from synth_contracts.contract import Contract
    from synth_contracts.settings import Settings


def settings_of(context: click.Context) -> Settings:
    """The settings that the group's --project and --target choose."""
    from synth_contracts.settings import load_settings

    options = context.find_root().obj or {}
    return load_settings(options.get("project"), target=options.get("target"))


def contract_files(settings: Settings) -> list[Path]:
    """All contract files of the project, sorted.

    Raises:
        UsageError: a contract path does not exist or no contract is there.
    """
    files: list[Path] = []
    for place in settings.contracts:
        if place.is_file():
            files.append(place)
        elif place.is_dir():
            files += sorted([*place.rglob("*.odcs.yaml"), *place.rglob("*.odcs.yml")])
        else:
            raise UsageError(
                "the contract path does not exist",
                where=str(place),
                mend="correct `contracts` in synth-contracts.yml",
            )
    if not files:
        raise UsageError(
            "there is no contract",
            where=", ".join(map(str, settings.contracts)),
            mend="write <table>.odcs.yaml there; docs/contract.md says how",
        )
    return files


def contracts_of(settings: Settings, names: tuple[str, ...]) -> list[Contract]:
    """The project's contracts, or those named (by table), in file order.

    Raises:
        UsageError: a name is no contract's table.
        ContractError: any contract is invalid; all problems of all files.
    """
    import difflib

    from synth_contracts.contract import load_contracts

    contracts = list(load_contracts(contract_files(settings)))
    known = [contract.table for contract in contracts]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(
                f"no contract is for the table {name!r}", mend=f"{hint}tables: {', '.join(known)}"
            )
    return [c for c in contracts if not names or c.table in names]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Scaffold an empty project in FOLDER: settings, an example contract, ignore file.

    Existing files are never overwritten.
    """
    from synth_contracts.scaffold import scaffold

    for path in scaffold(folder):
        click.echo(f"wrote {path}")
    click.echo(
        "next: point targets.dev.servers.source at your DuckDB file, rename\n"
        "contracts/example.odcs.yaml.txt to <table>.odcs.yaml and fill it in, then run\n"
        "`synth-contracts lint` and `synth-contracts build`"
    )
