"""The steps from a contract to a release, in one direction and nothing else.

contract -> source -> split -> generate -> stage -> evaluate -> judge -> card -> promote
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract import Contract
from synth_contracts.errors import SynthContractsError
from synth_contracts.evaluation.checkpoint import run_checkpoint
from synth_contracts.evaluation.thinning import Thinning, thin
from synth_contracts.gate import Outcome, judge
from synth_contracts.generate import Produced, Spend, generate, rows_asked
from synth_contracts.metrics import Comparison
from synth_contracts.pipeline.clock import Clock, Progress
from synth_contracts.pipeline.composing import Earlier, earlier_releases
from synth_contracts.pipeline.concluding import Judged, card_folder, conclude
from synth_contracts.pipeline.models import drop_model, keep_model
from synth_contracts.pipeline.preparing import Prepared, prepare
from synth_contracts.pipeline.results import BuildResult, failed, write_artifacts
from synth_contracts.release import Registry, check_attempts, check_budget, reserve
from synth_contracts.settings import Settings
from synth_contracts.signing import KeyFolder, derive, stream
from synth_contracts.tables import canonical, restore
from synth_contracts.warehouse import stage_chunks, staged


def build(
    settings: Settings,
    contract: Contract,
    *,
    full_refresh: bool = False,
    progress: Progress = lambda _: None,
) -> BuildResult:
    """Fit, generate, stage, evaluate, judge, write the cards, and promote what passed.

    A blocked or unevaluated candidate is a result, not an exception: its card is written, its
    attempt is recorded, and ``exit_code`` and ``message`` say why.

    Args:
        settings: the project.
        contract: one loaded contract.
        full_refresh: build although nothing changed since the last run.
        progress: called with one line of text at each step.

    Raises:
        SourceError, WarehouseError, NotEvaluatedError: exit code 3; nothing was promoted.
        Refused: attempts are used up, or the rows were revoked before (5).
    """
    clock = Clock(progress)
    keys = KeyFolder.open(settings.keys)
    with clock.step("source", "reading and checking the source"):
        ready = prepare(settings, contract, keys)
    contract = ready.contract
    with Registry.open(settings.target.published, keys) as registry:
        if not full_refresh:
            done = _unchanged(registry, ready, settings)
            if done is not None:
                return replace(done, timings=clock.seconds)
        check_attempts(registry, contract, ready.fingerprint, ready.sources)
        if contract.generator.guarantee is not None:
            check_budget(registry, keys, contract, ready.budget)
        attempt = registry.attempt_number(ready.sources, ready.fingerprint)
        earlier = earlier_releases(registry, ready)
    run_id = run_id_of(contract, ready.fingerprint)
    if contract.generator.save_model:
        keys.model_key(create=True)  # refused before the fit, not after
    if contract.export.fingerprint:
        keys.fingerprint_key(create=True)  # likewise

    spend = _spending(settings, keys, ready, run_id)
    produced = _generated(ready, clock, progress, spend)
    if contract.generator.save_model:
        with clock.step("keep", "keeping the fitted model, encrypted"):
            keep_model(settings, keys, ready, produced.learned, run_id, progress)
    elif drop_model(settings, contract.table):
        progress("the contract keeps no model any more: the kept one is deleted")
    return gate(
        Candidate(settings, keys, ready, clock, run_id, produced, attempt, earlier, progress)
    )


def _generated(ready: Prepared, clock: Clock, progress: Progress, spend: Spend | None) -> Produced:
    """The candidate, of a frame of train that nobody holds afterwards."""
    contract, schema = ready.contract, ready.source.schema
    train = canonical(ready.split.train, schema)
    rows = rows_asked(contract, train, schema, ready.source.rows)
    asked = "a released number of" if rows is None else f"{rows:,}"
    with clock.step("generate", f"generating {asked} rows ({contract.generator.type})"):
        return generate(
            contract,
            train,
            schema,
            secret_seed=stream(ready.secret, "generate", str(contract.generator.seed)),
            rows=rows,
            progress=progress,
            spend=spend,
        )


@dataclass(frozen=True)
class Candidate:
    """Rows that were made and not judged. ``sampled_from``: the run that fitted a kept model."""

    settings: Settings
    keys: KeyFolder
    ready: Prepared
    clock: Clock
    run_id: str
    produced: Produced
    attempt: int
    earlier: Earlier
    progress: Progress
    sampled_from: str | None = None


def gate(made: Candidate) -> BuildResult:
    """Stage, evaluate and judge; then promote or record. The one way to a release.

    Nothing can be drawn from ``made.produced`` afterwards.
    """
    settings, keys, ready, clock = made.settings, made.keys, made.ready, made.clock
    contract, run_id, produced, earlier = ready.contract, made.run_id, made.produced, made.earlier
    schema = ready.source.schema
    with clock.step("stage", "writing the candidate to staging"):
        rows_digest = stage_chunks(
            settings.target.work,
            contract.table,
            run_id,
            (restore(chunk, schema) for chunk in produced.chunks()),
        )
        candidate = staged(settings.target.work, contract.table, run_id)
    uncoarsened, notes = produced.uncoarsened, list(produced.notes)
    if made.sampled_from:
        notes.append(f"Sampled from the kept model of run {made.sampled_from}: nothing was fitted.")
    protection = {**produced.protection.to_json(), "notes": notes}
    produced.forget()
    with clock.step("evaluate", f"measuring {len(contract.rules)} rules"):
        thinning = Thinning()
        if contract.export.fingerprint:
            key = keys.fingerprint_key(create=False)
            thinning = thin(candidate, schema, key=key, run_id=run_id)
        comparison = Comparison(
            train=canonical(ready.split.train, schema),
            holdout=canonical(ready.split.holdout, schema),
            synthetic=canonical(candidate, schema),
            schema=schema,
            k=contract.k,
            seed=stream(ready.secret, "evaluate", str(contract.generator.seed)),
            attempt=made.attempt,
            coarsening=Coarsening.of(contract),
            uncoarsened=uncoarsened,
            earlier=earlier.frames,
            kept=thinning.kept,
        )
        del candidate  # the comparison has its own
        evaluation = run_checkpoint(
            contract,
            comparison,
            digests={
                "rows": rows_digest,
                "train": ready.split.train_digest,
                "holdout": ready.split.holdout_digest,
            },
            gx_root=settings.gx,
            secret=derive(keys.secret(), "evaluation-seal"),
            run_name=run_id,
            progress=made.progress,
            sources=ready.sources,
            card=card_folder(settings, contract.table, run_id) / "report-card.html",
            beside=earlier.record,
            thinned=thinning.record,
        )
        verdict = judge(contract, evaluation)
    return conclude(
        Judged(
            settings, keys, ready, clock, run_id, comparison, evaluation, verdict, protection,
            made.sampled_from,
        )
    )  # fmt: skip


def _spending(settings: Settings, keys: KeyFolder, ready: Prepared, run_id: str) -> Spend | None:
    """What makes the spending of a fit durable before it draws noise."""
    contract = ready.contract
    if contract.generator.guarantee is None:
        return None

    def spend(details: Mapping[str, Any]) -> None:
        with Registry.open(settings.target.published, keys) as registry:
            reserve(registry, keys, contract, ready.budget, run_id=run_id, details=details)

    return spend


def _unchanged(registry: Registry, ready: Prepared, settings: Settings) -> BuildResult | None:
    """The last run's result when neither contract, source, split key nor versions changed.

    Releases of other tables that came out since do not count: what is out stays out, and it was
    they who were measured together with it.
    """
    table = ready.contract.table
    last = registry.last_run(table)
    if last is None or last.fingerprint != ready.fingerprint:
        return None
    release = registry.release(table)
    if last.outcome == Outcome.PASSED:
        if release is None or release.id != last.run_id or release.status != "live":
            return None
        registry.verify_release(table)
    card = card_folder(settings, table, last.run_id) / "report-card.html"
    if not card.is_file():
        return None
    docs = settings.gx / last.docs if last.docs else None
    return BuildResult(
        table=table,
        run_id=last.run_id,
        outcome=Outcome(last.outcome),
        exit_code=last.exit_code,
        message=last.message,
        skipped=True,
        rows=release.rows if release and last.outcome == Outcome.PASSED else None,
        release_id=release.id if release and last.outcome == Outcome.PASSED else None,
        attempt=registry.attempt_number(ready.sources, ready.fingerprint),
        max_attempts=ready.contract.export.max_attempts,
        card=card,
        docs=docs if docs and docs.is_file() else None,
    )


def run_id_of(contract: Contract, fingerprint: str) -> str:
    """A fresh id: table, time to the microsecond and the first digits of the fingerprint.

    A small table is built twice in a second, and the second run must not be taken for the first.
    """
    now = datetime.now(UTC)
    return f"{contract.table}-{now:%Y%m%dt%H%M%S%f}-{fingerprint[:8]}"


def build_all(
    settings: Settings,
    contracts: Sequence[Contract],
    *,
    full_refresh: bool = False,
    progress: Callable[[str, str], None] = lambda _table, _text: None,
    done: Callable[[BuildResult], None] = lambda _result: None,
) -> list[BuildResult]:
    """Build contracts one after the other and write run_results.json and manifest.json.

    An error of one contract becomes its result (with the error's exit code); the others still run.
    """
    results = []
    for contract in contracts:
        table = contract.table

        def say(text: str, table: str = table) -> None:
            progress(table, text)

        try:
            result = build(settings, contract, full_refresh=full_refresh, progress=say)
        except SynthContractsError as error:
            result = failed(contract, error)
        results.append(result)
        done(result)
        write_artifacts(settings, contracts, results)
    return results
