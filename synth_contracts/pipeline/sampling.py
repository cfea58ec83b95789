"""More rows from a kept model: a new candidate, through the same gate, under the same budget."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from synth_contracts.contract import Contract
from synth_contracts.errors import SynthContractsError, UsageError
from synth_contracts.generate import rows_asked
from synth_contracts.generate.kept import produce_again
from synth_contracts.pipeline.building import Candidate, gate, run_id_of
from synth_contracts.pipeline.clock import Clock, Progress
from synth_contracts.pipeline.composing import earlier_releases
from synth_contracts.pipeline.models import kept_model
from synth_contracts.pipeline.preparing import prepare
from synth_contracts.pipeline.results import BuildResult, failed, write_artifacts
from synth_contracts.release import Registry, check_attempts
from synth_contracts.settings import Settings
from synth_contracts.signing import KeyFolder, stream
from synth_contracts.tables import canonical


def sample(
    settings: Settings,
    contract: Contract,
    *,
    rows: int | None = None,
    seed: int | None = None,
    progress: Progress = lambda _: None,
) -> BuildResult:
    """Draw a candidate from the kept model, and promote or block it as ``build`` does.

    Nothing is fitted and no budget is spent. Another seed or number of rows, or another fit, is
    another attempt; the fit's own seed and rows give its candidate again.

    Args:
        settings: the project.
        contract: one loaded contract.
        rows: how many; the contract's if None.
        seed: names the random stream; the contract's if None.
        progress: called with one line of text at each step.

    Raises:
        UsageError: the contract keeps no model (2).
        Refused: no model is kept, it does not fit, or attempts are used up (5).
        SourceError, WarehouseError, NotEvaluatedError: exit code 3; nothing was promoted.
    """
    spec = contract.generator
    if not spec.save_model:
        raise UsageError(
            "the contract keeps no model",
            where=str(contract.path),
            mend="write `saveModel: true` under synthetic.generator and build",
        )
    asked = replace(
        spec, rows=spec.rows if rows is None else rows, seed=spec.seed if seed is None else seed
    )
    clock = Clock(progress)
    keys = KeyFolder.open(settings.keys)
    with clock.step("source", "reading and checking the source"):
        ready = prepare(settings, replace(contract, generator=asked), keys)
    contract, schema = ready.contract, ready.source.schema
    with clock.step("model", "reading the kept model"):
        learned, fitted_by = kept_model(settings, keys, ready, progress)
    body = json.dumps([ready.fingerprint, fitted_by])
    ready = replace(ready, fingerprint=hashlib.sha256(body.encode()).hexdigest())
    with Registry.open(settings.target.published, keys) as registry:
        check_attempts(registry, contract, ready.fingerprint, ready.sources)
        attempt = registry.attempt_number(ready.sources, ready.fingerprint)
        earlier = earlier_releases(registry, ready)
    train = canonical(ready.split.train, schema)
    with clock.step("generate", f"sampling from the model of {fitted_by}"):
        secret_seed = stream(ready.secret, "generate", str(contract.generator.seed))
        produced = produce_again(
            replace(learned, secret_seed=secret_seed),
            rows_asked(contract, train, schema, ready.source.rows),
            progress,
        )
    run_id = run_id_of(contract, ready.fingerprint)
    return gate(
        Candidate(
            settings, keys, ready, clock, run_id, produced, attempt, earlier, progress, fitted_by
        )
    )


def sample_one(
    settings: Settings,
    contract: Contract,
    *,
    rows: int | None,
    seed: int | None,
    progress: Progress,
) -> BuildResult:
    """``sample``, with an error as a result, and run_results.json and manifest.json written."""
    try:
        result = sample(settings, contract, rows=rows, seed=seed, progress=progress)
    except SynthContractsError as error:
        result = failed(contract, error)
    write_artifacts(settings, [contract], [result])
    return result
