"""`build`: the main job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from synth_contracts.cli.progress import ProgressLine
from synth_contracts.cli.project import contracts_of, settings_of
from synth_contracts.cli.registry import waits

if TYPE_CHECKING:
    from synth_contracts.pipeline import BuildResult


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--select", "-s", multiple=True, metavar="TABLE", help="Build only this table.")
@click.option("--full-refresh", is_flag=True, help="Build although nothing has changed.")
@click.option("--json", "as_json", is_flag=True, help="Print run_results.json to standard output.")
@waits
@click.pass_context
def build(
    context: click.Context,
    tables: tuple[str, ...],
    select: tuple[str, ...],
    full_refresh: bool,
    as_json: bool,
) -> int:
    """Generate, measure and judge tables; promote what passed to the release schema.

    Builds all contracts of the project, or only TABLES. A contract whose text, source, split key
    and library versions have not changed since its last run is skipped and repeats its exit code.

    \b
    Exit codes: 0 all promoted; 1 a release was blocked; 2 a contract is invalid;
    3 something could not be evaluated; 5 attempts are used up. The gravest wins: 2, 3, 5, 1.
    """
    settings = settings_of(context)
    contracts = contracts_of(settings, (*tables, *select))
    line = ProgressLine(silent=as_json)
    line.show("", "starting")

    from synth_contracts.pipeline import build_all, gravest

    results = build_all(
        settings,
        contracts,
        full_refresh=full_refresh,
        progress=line.show,
        done=lambda result: None if as_json else _print(result, line),
    )
    code = gravest([result.exit_code for result in results])
    if as_json:
        click.echo(json.dumps([result.to_json() for result in results], indent=2))
    else:
        promoted = sum(r.exit_code == 0 for r in results)
        click.echo(f"\n{promoted} of {len(results)} released; run results: "
                   f"{settings.artifacts / 'run_results.json'}")  # fmt: skip
    return code


@click.command()
@click.argument("table")
@click.option("--rows", type=click.IntRange(1, 10**9), help="How many; default: the contract's.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Default: the contract's.")
@click.option("--json", "as_json", is_flag=True, help="Print run_results.json to standard output.")
@click.pass_context
def sample(
    context: click.Context, table: str, rows: int | None, seed: int | None, as_json: bool
) -> int:
    """Sample TABLE again from its kept model: a new candidate, judged as `build` judges.

    Needs `saveModel: true` in the contract and a build since. Nothing is fitted, so a guarantee
    spends nothing; another seed, number of rows or fit counts as another attempt.

    \b
    Exit codes: 0 promoted; 1 the release was blocked; 2 the contract is invalid or keeps no model;
    3 it could not be evaluated; 5 no fitting model, or attempts are used up.
    """
    settings = settings_of(context)
    (contract,) = contracts_of(settings, (table,))
    line = ProgressLine(silent=as_json)
    line.show("", "starting")

    from synth_contracts.pipeline import sample_one

    result = sample_one(
        settings, contract, rows=rows, seed=seed, progress=lambda text: line.show(table, text)
    )
    if as_json:
        click.echo(json.dumps([result.to_json()], indent=2))
    else:
        _print(result, line)
    return result.exit_code


_WORDS = {
    "PASSED": ("released", "green"),
    "FAILED": ("BLOCKED", "red"),
    "NOT_EVALUATED": ("NOT EVALUATED", "yellow"),
}


def _print(result: BuildResult, line: ProgressLine) -> None:
    line.clear()
    word, colour = _WORDS[result.outcome.value]
    if not result.run_id:
        word = "ERROR" if result.exit_code != 5 else "REFUSED"
    skipped = " (unchanged since the last run, not built again)" if result.skipped else ""
    click.echo(f"\n{result.table}: {click.style(word, fg=colour, bold=True)}{skipped}")
    for reason in result.message.split("; "):
        click.echo(f"  {reason}")
    for warning in result.warnings:
        click.echo(f"  warning: {warning}")
    if result.rows is not None:
        click.echo(f"  {result.rows:,} rows as release {result.release_id}")
    elif result.attempt:
        most = f" of {result.max_attempts}" if result.max_attempts else ""
        click.echo(f"  attempt {result.attempt}{most}")
    if result.timings and not result.skipped:
        steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.timings.items())
        click.echo(f"  time: {steps}; in all {sum(result.timings.values()):.1f} s")
    if result.card:
        click.echo(f"  report card: {result.card}")
    if result.docs:
        click.echo(f"  Data Docs:   {result.docs}")
