"""`lint`, `show`, `ls`, `report`: reading commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth_contracts.cli.project import contract_files, contracts_of, settings_of
from synth_contracts.errors import UsageError

if TYPE_CHECKING:
    from synth_contracts.contract import Contract
    from synth_contracts.release import Release
    from synth_contracts.settings import Settings


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print problems and warnings as JSON.")
@click.pass_context
def lint(context: click.Context, files: tuple[Path, ...], as_json: bool) -> int:
    """Check contracts without running anything: all problems at once, with file:line:col.

    \b
    Exit codes: 0 valid; 2 at least one problem.
    """
    from synth_contracts.contract import lint as check

    for file in files:
        if not file.is_file():
            raise UsageError("there is no such file", where=str(file))
    paths = list(files) or contract_files(settings_of(context))
    found = check(paths)
    if as_json:
        body = {
            "problems": [vars(problem) for problem in found.problems],
            "warnings": [vars(warning) for warning in found.warnings],
        }
        click.echo(json.dumps(body, indent=2))
    else:
        for warning in found.warnings:
            click.echo(f"{click.style('warning', fg='yellow')}: {warning}")
        for problem in found.problems:
            click.echo(f"{click.style('error', fg='red')}: {problem}", err=True)
        valid = len(found.contracts)
        click.echo(f"{valid} of {len(paths)} contracts valid, {len(found.problems)} problems")
    return 2 if found.problems else 0


@click.command()
@click.argument("table")
@click.option("--expanded", is_flag=True, help="With the preset's rules and defaults filled in.")
@click.pass_context
def show(context: click.Context, table: str, expanded: bool) -> None:
    """Print the contract of TABLE, as written or as it is hashed and judged (--expanded).

    How many attempts on its source were blocked stands on standard error.
    """
    from synth_contracts.contract import show_expanded

    settings = settings_of(context)
    (contract,) = contracts_of(settings, (table,))
    click.echo(show_expanded(contract) if expanded else contract.text)
    used = _attempts(settings, [contract])[contract.table]
    if used:
        click.echo(_attempt_words(used, contract.export.max_attempts), err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_context
def ls(context: click.Context, as_json: bool) -> None:
    """List the project's contracts with what is released of each, and until when.

    Status: live, flagged, expired (its retention is over), revoked, or not released. The JSON
    lists each table's releases, superseded ones too.
    """
    from synth_contracts.cli.registry import open_registry

    settings = settings_of(context)
    contracts = contracts_of(settings, ())
    releases = {}
    every: list[Release] = []
    attempts = _attempts(settings, contracts)
    if settings.target.published.is_file():
        with open_registry(settings, read_only=True) as registry:
            releases = {c.table: registry.release(c.table) for c in contracts}
            every = registry.releases()
    rows: list[dict[str, Any]] = []
    for contract in contracts:
        release = releases.get(contract.table)
        rows.append(
            {
                "table": contract.table,
                "version": contract.version,
                "preset": contract.preset,
                "generator": contract.generator.type,
                "status": release.status if release else "not released",
                "release": release.id if release else None,
                "rows": release.rows if release else None,
                "attempts": attempts[contract.table],
                "max_attempts": contract.export.max_attempts,
                "expires_at": release.expires_at if release else None,
                # superseded ones too, oldest first
                "releases": [_release(item) for item in every if item.table == contract.table],
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        tail = f"{row['rows']:,} rows, {row['release']}" if row["release"] else ""
        if row["expires_at"] and row["status"] in {"live", "flagged", "expired"}:
            verb = "ended" if row["status"] == "expired" else "until"
            tail += f", {verb} {row['expires_at'][:10]}"
        if row["attempts"]:
            said = _attempt_words(row["attempts"], row["max_attempts"])
            tail = f"{tail}, {said}" if tail else said
        click.echo(
            f"{row['table']:<24} {row['version']:<8} {row['preset'] or '-':<12} "
            f"{row['generator']:<16} {row['status']:<14} {tail}".rstrip()
        )


def _release(release: Release) -> dict[str, Any]:
    names = ("status", "version", "rows", "rows_digest", "promoted_at", "expires_at")
    return {"release": release.id, **{name: getattr(release, name) for name in names}}


def _attempts(settings: Settings, contracts: Sequence[Contract]) -> dict[str, int]:
    """Table -> blocked builds of its source that count; 0 where nothing was built yet."""
    from synth_contracts.cli.registry import marks_of, open_registry

    if not settings.target.published.is_file():
        return {contract.table: 0 for contract in contracts}
    with open_registry(settings, read_only=True) as registry:
        return {
            contract.table: registry.attempts(marks_of(settings, contract))
            if contract.source
            else 0
            for contract in contracts
        }


def _attempt_words(used: int, most: int) -> str:
    return f"attempt {used} of {most} was blocked"


@click.command()
@click.argument("table")
@click.pass_context
def report(context: click.Context, table: str) -> None:
    """Print the path of the newest report card of TABLE."""
    settings = settings_of(context)
    contracts_of(settings, (table,))
    folder = settings.artifacts / "cards" / table
    cards = sorted(folder.glob("*/report-card.html"), key=lambda path: path.stat().st_mtime)
    if not cards:
        raise UsageError(
            "no report card has been written", where=table, mend=f"synth-contracts build {table}"
        )
    click.echo(str(cards[-1]))
