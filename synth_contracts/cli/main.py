"""The `synth-contracts` command and the one place where errors become exit codes."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path

import click

from synth_contracts.cli.build import build, sample
from synth_contracts.cli.contracts import lint, ls, report, show
from synth_contracts.cli.delivering import export, trace, verify
from synth_contracts.cli.keeping import flag, keys, revoke
from synth_contracts.cli.ledger import ledger
from synth_contracts.cli.project import init
from synth_contracts.errors import SynthContractsError, of_the_machine

DEBUG_VARIABLE = "SYNTH_CONTRACTS_DEBUG"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="synth-contracts", prog_name="synth-contracts")
@click.option(
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with synth-contracts.yml; default: here or the nearest folder above.",
)
@click.option("--target", help="Target of synth-contracts.yml to use.")
@click.pass_context
def cli(context: click.Context, project: Path | None, target: str | None) -> None:
    """Release synthetic tables only when they have passed their contract's tests.

    \b
    Exit codes: 0 ok; 1 release blocked by the gate; 2 usage or contract error;
    3 could not be evaluated; 5 refused by policy or failed verification; 130 interrupted.
    """
    context.obj = {"project": project, "target": target}


for command in (
    build,
    export,
    init,
    flag,
    keys,
    ledger,
    lint,
    ls,
    report,
    revoke,
    sample,
    show,
    trace,
    verify,
):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code that DESIGN gives the outcome."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code instead of an exit (for tests and other programs)."""
    _quiet_log()
    try:
        result = cli.main(arguments, prog_name="synth-contracts", standalone_mode=False)
    except SynthContractsError as error:
        click.echo(click.style("error: ", fg="red", bold=True) + str(error), err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug is never exit 0
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        if isinstance(error, OSError) and (known := of_the_machine(error)) is not None:
            click.echo(click.style("error: ", fg="red", bold=True) + str(known), err=True)
            return known.exit_code
        click.echo(
            f"error: unexpected {type(error).__name__}: {error}\n"
            f"  mend: this is a fault of synth-contracts; set {DEBUG_VARIABLE}=1 for the traceback",
            err=True,
        )
        return 3
    return result if isinstance(result, int) else 0


def _quiet_log() -> None:
    """Tracebacks of measured faults go to the log, which a user asks for by the debug variable."""
    if os.environ.get(DEBUG_VARIABLE):
        logging.basicConfig(level=logging.INFO)
    else:
        logging.getLogger("synth_contracts").addHandler(logging.NullHandler())
