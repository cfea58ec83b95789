"""Opening the registry for a command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from synth_contracts.errors import UsageError

if TYPE_CHECKING:
    from synth_contracts.contract import Contract
    from synth_contracts.release import Registry
    from synth_contracts.settings import Settings

R = TypeVar("R")


def open_registry(
    settings: Settings, *, read_only: bool = False, settle: bool = True
) -> AbstractContextManager[Registry]:
    """The project's registry, its ledger verified (see ``Registry.open``).

    Raises:
        UsageError: nothing has been built yet.
    """
    from synth_contracts.release import Registry
    from synth_contracts.signing import KeyFolder

    if not settings.target.published.is_file():
        raise UsageError(
            "nothing has been built yet",
            where=str(settings.target.published),
            mend="synth-contracts build",
        )
    return Registry.open(
        settings.target.published, KeyFolder.open(settings.keys), read_only=read_only, settle=settle
    )


def by_user() -> str:
    """Who gives a command: the operating-system user, by user id and not by a variable."""
    from synth_contracts.delivery.policy import check_subject

    return check_subject(None)


def waits(command: Callable[..., R]) -> Callable[..., R]:
    """The option ``--wait SECONDS`` of a command: databases that others hold are waited for."""

    @click.option(
        "--wait",
        type=click.IntRange(0, 86_400),
        default=0,
        metavar="SECONDS",
        help="Wait up to this long for a database that another process holds; default 0.",
    )
    @wraps(command)
    def waiting_command(*arguments: Any, wait: int, **options: Any) -> R:
        if not wait:
            return command(*arguments, **options)
        from synth_contracts.warehouse import waiting

        with waiting(wait, lambda text: click.echo(text, err=True)):
            return command(*arguments, **options)

    return waiting_command


def marks_of(settings: Settings, contract: Contract) -> dict[str, str]:
    """The marks that attempts on a contract's source are counted under, without reading its rows.

    Raises:
        UsageError: the contract declares no source.
    """
    from synth_contracts.release import source_marks

    database = None
    if contract.source is not None:
        with suppress(UsageError):  # no database is known here: the declared name still counts
            database = settings.source_database(
                contract.source.server, contract.source.database, str(contract.path)
            )
    return source_marks(contract, database=database)
