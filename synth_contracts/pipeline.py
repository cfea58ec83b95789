"""The steps from a contract to a release, in one direction and nothing else.

contract -> source -> split -> generate -> stage -> evaluate -> judge -> card -> promote
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from synth_contracts.contract import Contract, settle
from synth_contracts.errors import (
    NotEvaluatedError,
    Refused,
    ReleaseBlocked,
    SynthContractsError,
    UsageError,
)
from synth_contracts.evaluation.checkpoint import run_checkpoint
from synth_contracts.gate import Outcome, Verdict, blocked, judge
from synth_contracts.generate import generate
from synth_contracts.metrics import Comparison, Evaluation
from synth_contracts.release import (
    Registry,
    Release,
    check_attempts,
    promote,
    record_attempt,
    source_key,
)
from synth_contracts.report import Card, build_card
from synth_contracts.settings import Settings
from synth_contracts.signing import KeyFolder, commit, derive, stream
from synth_contracts.source import (
    DEMO_SECRET,
    SourceTable,
    Split,
    check_constraints,
    read_source,
    refuse_public_secret,
    split,
)
from synth_contracts.tables import canonical, restore
from synth_contracts.warehouse import stage, staged

Progress = Callable[[str], None]
_LIBRARIES = (
    "synth-contracts", "great-expectations", "sdv", "torch", "pandas", "numpy", "scipy",
    "scikit-learn", "faiss-cpu", "duckdb", "pyarrow",
)  # fmt: skip


@dataclass(frozen=True)
class BuildResult:
    """What one contract's build came to. ``timings`` in seconds, by step, in order."""

    table: str
    run_id: str
    outcome: Outcome
    exit_code: int
    message: str
    skipped: bool = False
    rows: int | None = None
    release_id: str | None = None
    attempt: int | None = None
    card: Path | None = None
    docs: Path | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object for run_results.json and ``--json``."""
        return {
            "table": self.table,
            "run_id": self.run_id,
            "outcome": self.outcome.value,
            "exit_code": self.exit_code,
            "message": self.message,
            "skipped": self.skipped,
            "rows": self.rows,
            "release_id": self.release_id,
            "attempt": self.attempt,
            "card": str(self.card) if self.card else None,
            "docs": str(self.docs) if self.docs else None,
            "timings": {step: round(seconds, 3) for step, seconds in self.timings.items()},
            "warnings": list(self.warnings),
        }


class _Clock:
    """Times the steps of one build and tells the progress line which one runs."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str, saying: str) -> Iterator[None]:
        self._progress(saying)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class _Prepared:
    """A contract met with its source: everything before the first fit."""

    contract: Contract
    source: SourceTable
    split: Split
    secret: bytes
    fingerprint: str


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
    clock = _Clock(progress)
    keys = KeyFolder.open(settings.keys)
    with clock.step("source", "reading and checking the source"):
        ready = _prepare(settings, contract, keys)
    contract = ready.contract
    with Registry.open(settings.target.published, keys) as registry:
        if not full_refresh:
            done = _unchanged(registry, ready, settings)
            if done is not None:
                return replace(done, timings=clock.seconds)
        check_attempts(registry, contract, ready.fingerprint)
    run_id = _run_id(contract, ready.fingerprint)

    rows = contract.generator.rows or ready.source.rows
    schema = ready.source.schema
    with clock.step("generate", f"generating {rows:,} rows ({contract.generator.type})"):
        train = canonical(ready.split.train, schema)
        produced = generate(
            contract,
            train,
            schema,
            secret_seed=stream(ready.secret, "generate", str(contract.generator.seed)),
            rows=rows,
            progress=progress,
        )
    with clock.step("stage", "writing the candidate to staging"):
        rows_digest = stage(settings.target.work, contract.table, run_id, restore(produced, schema))
        candidate = staged(settings.target.work, contract.table, run_id)
    with clock.step("evaluate", f"measuring {len(contract.rules)} rules"):
        comparison = Comparison(
            train=train,
            holdout=canonical(ready.split.holdout, schema),
            synthetic=canonical(candidate, schema),
            schema=schema,
            k=contract.k,
            seed=stream(ready.secret, "evaluate", str(contract.generator.seed)),
        )
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
            progress=progress,
        )
        verdict = judge(contract, evaluation)
    return _conclude(settings, keys, ready, clock, run_id, comparison, evaluation, verdict)


def _prepare(settings: Settings, contract: Contract, keys: KeyFolder) -> _Prepared:
    where = str(contract.path)
    if contract.source is None:
        raise UsageError(
            "the contract names no server", where=where, mend="add a `servers` entry to it"
        )
    database = settings.source_database(contract.source.server, contract.source.database, where)
    source = read_source(contract, database)
    contract = settle(contract, {f.name: str(f.kind) for f in source.schema.fields})
    secret = DEMO_SECRET if settings.demo_split else keys.secret()
    refuse_public_secret(secret, source.digest)
    check_constraints(source, contract)
    parts = split(source, contract, secret)
    body = {
        "contract": contract.digest,
        "source": source.digest,
        "split": derive(secret, "fingerprint").hex(),
        "versions": _versions(),
    }
    fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return _Prepared(contract, source, parts, secret, fingerprint)


def _unchanged(registry: Registry, ready: _Prepared, settings: Settings) -> BuildResult | None:
    """The last run's result when neither contract, source, split key nor versions changed."""
    table = ready.contract.table
    last = registry.last_run(table)
    if last is None or last.fingerprint != ready.fingerprint:
        return None
    release = registry.release(table)
    if last.outcome == Outcome.PASSED:
        if release is None or release.id != last.run_id or release.status != "live":
            return None
        registry.verify_release(table)
    card = _card_folder(settings, table, last.run_id) / "report-card.html"
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
        attempt=registry.attempts(source_key(ready.contract)),
        card=card,
        docs=docs if docs and docs.is_file() else None,
    )


def _conclude(
    settings: Settings,
    keys: KeyFolder,
    ready: _Prepared,
    clock: _Clock,
    run_id: str,
    comparison: Comparison,
    evaluation: Evaluation,
    verdict: Verdict,
) -> BuildResult:
    contract = ready.contract
    passed = verdict.outcome is Outcome.PASSED
    error = None if passed else blocked(contract, verdict)
    message = (
        f"passed these tests: {_count(verdict)} rules hold" if error is None else error.message
    )
    with Registry.open(settings.target.published, keys) as registry:
        attempts = _attempts(registry, contract, run_id, verdict)
        with clock.step("card", "writing the report cards"):
            provenance = _provenance(ready, run_id, evaluation, clock, attempts, contract)
            cards = _write_cards(
                settings, contract, evaluation, verdict, comparison, provenance, attempts
            )
        with clock.step("promote" if passed else "record", "writing the registry"):
            release = _settle(
                registry, settings, keys, ready, run_id, evaluation, verdict, provenance, cards,
                message,
            )  # fmt: skip
    docs = _docs(evaluation)
    return BuildResult(
        table=contract.table,
        run_id=run_id,
        outcome=verdict.outcome,
        exit_code=0 if error is None else error.exit_code,
        message=message,
        rows=release.rows if release else None,
        release_id=release.id if release else None,
        attempt=len(attempts),
        card=_card_folder(settings, contract.table, run_id) / "report-card.html",
        docs=settings.gx / docs if docs else None,
        timings=clock.seconds,
        warnings=tuple(state.reason for state in verdict.warnings),
    )


def _settle(
    registry: Registry,
    settings: Settings,
    keys: KeyFolder,
    ready: _Prepared,
    run_id: str,
    evaluation: Evaluation,
    verdict: Verdict,
    provenance: Mapping[str, Any],
    cards: Mapping[str, Card],
    message: str,
) -> Release | None:
    """Promote what passed; record what did not. Either way the ledger holds one more entry."""
    contract = ready.contract
    docs = _docs(evaluation)
    if verdict.outcome is Outcome.PASSED:
        for old in registry.releases(contract.table):
            if old.status == "revoked" and old.rows_digest == evaluation.rows_digest:
                raise Refused(
                    "the same rows were released before and revoked",
                    where=contract.table,
                    mend="change what the revocation was about: the contract, its seed, the source",
                )
        return promote(
            registry,
            contract=contract,
            run_id=run_id,
            fingerprint=ready.fingerprint,
            work=settings.target.work,
            evaluation=evaluation,
            verdict=verdict,
            provenance=provenance,
            cards={name: {"html": card.html, "json": card.json} for name, card in cards.items()},
            keys=keys,
            message=message,
            docs=docs,
        )
    record_attempt(
        registry,
        contract=contract,
        fingerprint=ready.fingerprint,
        run_id=run_id,
        outcome=verdict.outcome.value,
        exit_code=1 if verdict.outcome is Outcome.FAILED else 3,
        message=message,
        broken=sorted({reason.metric for reason in verdict.reasons}),
        card_digest=cards["owner"].digest,
        docs=docs,
    )
    return None


def _attempts(
    registry: Registry, contract: Contract, run_id: str, verdict: Verdict
) -> list[dict[str, Any]]:
    """Earlier blocked builds since the last promotion or approval, and this one, oldest first."""
    earlier = registry.attempt_entries(source_key(contract))
    this = {
        "run_id": run_id,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "table": contract.table,
        "outcome": verdict.outcome.value,
        "broken": sorted({reason.metric for reason in verdict.reasons}),
    }
    return [*earlier, this]


def _provenance(
    ready: _Prepared,
    run_id: str,
    evaluation: Evaluation,
    clock: _Clock,
    attempts: Sequence[Mapping[str, Any]],
    contract: Contract,
) -> dict[str, Any]:
    spec = contract.generator
    return {
        "run_id": run_id,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "mode": "local",
        "contract_digest": contract.digest,
        "source_digest": ready.source.digest,
        "source_commitment": commit(ready.secret, "source", ready.source.digest),
        "source_rows": ready.source.rows,
        "seed": spec.seed,
        "seed_commitment": commit(ready.secret, "seed", str(spec.seed)),
        "split": {
            "holdout": contract.holdout,
            "entities_train": ready.split.entities_train,
            "entities_holdout": ready.split.entities_holdout,
        },
        "split_commitment": commit(
            ready.secret, "split", ready.split.train_digest + ready.split.holdout_digest
        ),
        "generator": {
            "type": spec.type,
            "fit_rows": spec.fit_rows,
            "parameters": dict(spec.parameters),
            "calendar": spec.calendar.volume if spec.calendar.enabled else "off",
        },
        "rows": evaluation.n_synthetic,
        "rows_digest": evaluation.rows_digest,
        "attempt": len(attempts),
        "max_attempts": contract.export.max_attempts,
        "versions": _versions(),
        "timings": {step: round(seconds, 3) for step, seconds in clock.seconds.items()},
        "differential_privacy": "none",
    }


def _write_cards(
    settings: Settings,
    contract: Contract,
    evaluation: Evaluation,
    verdict: Verdict,
    comparison: Comparison,
    provenance: Mapping[str, Any],
    attempts: list[dict[str, Any]],
) -> dict[str, Card]:
    folder = _card_folder(settings, contract.table, str(provenance["run_id"]))
    docs = _docs(evaluation)
    link = (settings.gx / docs).as_uri() if docs else None
    cards = {}
    folder.mkdir(parents=True, exist_ok=True)
    for audience in ("owner", "analyst"):
        card = build_card(
            contract,
            evaluation,
            verdict,
            comparison=comparison,
            provenance=provenance,
            attempts=attempts,
            docs_link=link if audience == "owner" else None,
            audience=audience,
        )
        stem = "report-card" if audience == "owner" else "report-card-analyst"
        (folder / f"{stem}.html").write_text(card.html, encoding="utf-8")
        text = json.dumps(card.json, indent=2, allow_nan=False)
        (folder / f"{stem}.json").write_text(text, encoding="utf-8")
        cards[audience] = card
    return cards


def _docs(evaluation: Evaluation) -> str | None:
    """Path of the Data Docs page relative to the Great Expectations project, where there is one."""
    page = (evaluation.validation or {}).get("docs")
    return str(page) if page else None


def _card_folder(settings: Settings, table: str, run_id: str) -> Path:
    return settings.artifacts / "cards" / table / run_id


def _run_id(contract: Contract, fingerprint: str) -> str:
    now = datetime.now(UTC)
    return f"{contract.table}-{now:%Y%m%dt%H%M%S}-{fingerprint[:8]}"


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES}


def _count(verdict: Verdict) -> int:
    return sum(state.status == "passed" for state in verdict.states)


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
            result = _failed(contract, error)
        results.append(result)
        done(result)
        _write_artifacts(settings, contracts, results)
    return results


def _failed(contract: Contract, error: SynthContractsError) -> BuildResult:
    blocked_by_gate = isinstance(error, ReleaseBlocked) and not isinstance(error, NotEvaluatedError)
    return BuildResult(
        table=contract.table,
        run_id="",
        outcome=Outcome.FAILED if blocked_by_gate else Outcome.NOT_EVALUATED,
        exit_code=error.exit_code,
        message=str(error),
    )


def _write_artifacts(
    settings: Settings, contracts: Sequence[Contract], results: Sequence[BuildResult]
) -> None:
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    written = datetime.now(UTC).isoformat(timespec="seconds")
    run = {
        "schema_version": 1,
        "generated_at": written,
        "versions": _versions(),
        "results": [result.to_json() for result in results],
    }
    manifest = {
        "schema_version": 1,
        "generated_at": written,
        "contracts": {c.table: {"digest": c.digest, "expanded": c.expanded} for c in contracts},
    }
    for name, body in (("run_results.json", run), ("manifest.json", manifest)):
        partial = settings.artifacts / f".{name}.partial"
        partial.write_text(json.dumps(body, indent=2, default=str), encoding="utf-8")
        partial.replace(settings.artifacts / name)


def gravest(codes: Sequence[int]) -> int:
    """The exit code of several builds: the gravest wins, in the order 2, 3, 5, 1, 4, 0."""
    return next((code for code in (2, 3, 5, 1, 4) if code in codes), 0)
