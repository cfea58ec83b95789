"""The public Python API; every name is typed and documented where it is defined.

>>> import synth_contracts as sc
>>> contract = sc.load_contract("contracts/transactions.odcs.yaml")
>>> evaluation = sc.evaluate(contract, train=a, holdout=b, synthetic=c, seed=1)  # doctest: +SKIP
>>> sc.judge(contract, evaluation).outcome                                     # doctest: +SKIP
<Outcome.PASSED: 'PASSED'>
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from synth_contracts.contract import Contract, load_contract
from synth_contracts.delivery import Bundle, VerifiedBundle, ask, verify_bundle
from synth_contracts.delivery import export as _export
from synth_contracts.errors import ReleaseBlocked, SynthContractsError
from synth_contracts.evaluation import evaluate
from synth_contracts.gate import Outcome, Verdict, judge
from synth_contracts.metrics import Evaluation, Measurement, NotMeasured
from synth_contracts.metrics.record import evaluation_schema
from synth_contracts.release import Registry, Release
from synth_contracts.settings import load_settings
from synth_contracts.signing import KeyFolder

if TYPE_CHECKING:
    from synth_contracts.pipeline import BuildResult

__all__ = [
    "Bundle",
    "Contract",
    "Evaluation",
    "Measurement",
    "NotMeasured",
    "Outcome",
    "Release",
    "ReleaseBlocked",
    "SynthContractsError",
    "Verdict",
    "VerifiedBundle",
    "build",
    "evaluate",
    "evaluation_schema",
    "export",
    "judge",
    "load_contract",
    "verify",
]


def build(
    contract: Contract, *, project: Path | None = None, full_refresh: bool = False
) -> BuildResult:
    """Build one contract in the project of ``project`` (default: the working folder's).

    Returns:
        The result of a promoted build.

    Raises:
        ReleaseBlocked: the gate came to FAILED; the message names every broken rule.
        NotEvaluatedError: the evaluation came to no verdict.
        SourceError, WarehouseError, Refused, UsageError: see their docstrings.
    """
    from synth_contracts.errors import NotEvaluatedError
    from synth_contracts.pipeline import build as run

    result = run(load_settings(project), contract, full_refresh=full_refresh)
    if result.outcome is Outcome.FAILED:
        raise ReleaseBlocked(result.message)
    if result.outcome is Outcome.NOT_EVALUATED:
        raise NotEvaluatedError(result.message)
    return result


def export(
    table: str,
    ticket: str,
    *,
    project: Path | None = None,
    output: Path | None = None,
    format: str | None = None,  # noqa: A002 - the word that users of pandas and DuckDB expect
) -> Bundle:
    """Export the released ``table`` for ``ticket`` as a bundle folder.

    Raises:
        UsageError: unknown table, or ``output`` exists.
        Refused: bad ticket, none that a configured Jira confirms, not released, revoked, tampered
            with, quota used up.
    """
    settings = load_settings(project)
    answer = ask(settings.jira, ticket)  # before the registry is opened: nobody waits for it
    keys = KeyFolder.open(settings.keys)
    with Registry.open(settings.target.published, keys) as registry:
        return _export(
            registry, table, ticket, keys=keys, exports=settings.exports, output=output,
            format=format, answer=answer, now=lambda: datetime.now(UTC),
        )  # fmt: skip


def verify(what: str | Path, *, project: Path | None = None) -> VerifiedBundle | Release:
    """Verify a bundle folder or, by name, the released table.

    Raises:
        Refused: any digest, signature or status does not hold.
    """
    settings = load_settings(project)
    keys = KeyFolder.open(settings.keys, create=False)
    if Path(what).is_dir():
        return verify_bundle(Path(what), keys)
    with Registry.open(settings.target.published, keys, read_only=True) as registry:
        return registry.verify_release(str(what))
