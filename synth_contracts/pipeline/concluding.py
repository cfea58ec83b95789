"""Everything after the verdict: cards, then promotion or the record of the attempt."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from synth_contracts.contract import Contract
from synth_contracts.errors import Refused, SynthContractsError
from synth_contracts.gate import Outcome, Verdict, blocked, repeated_tries
from synth_contracts.metrics import Comparison, Evaluation
from synth_contracts.pipeline.clock import Clock
from synth_contracts.pipeline.preparing import Prepared
from synth_contracts.pipeline.results import BuildResult, versions
from synth_contracts.release import Registry, Release, promote, record_attempt
from synth_contracts.report import Card, build_card
from synth_contracts.settings import Settings
from synth_contracts.signing import KeyFolder, commit


@dataclass(frozen=True)
class Judged:
    """One run after its verdict: all that the cards and the registry need."""

    settings: Settings
    keys: KeyFolder
    ready: Prepared
    clock: Clock
    run_id: str
    comparison: Comparison
    evaluation: Evaluation
    verdict: Verdict
    protection: Mapping[str, Any]
    #: the run that fitted the kept model; None where this run fitted
    sampled_from: str | None = None

    @property
    def contract(self) -> Contract:
        """The settled contract."""
        return self.ready.contract

    @property
    def error(self) -> SynthContractsError | None:
        """What blocks this run; None for a passed one."""
        if self.verdict.outcome is Outcome.PASSED:
            return None
        return blocked(self.contract, self.verdict)

    @property
    def message(self) -> str:
        """The verdict in a sentence."""
        error = self.error
        if error is not None:
            return error.message
        held = sum(state.status == "passed" for state in self.verdict.states)
        return f"passed these tests: {held} rules hold"

    @property
    def broken(self) -> list[str]:
        """Ids of the metrics that broke a rule or were not measured, sorted."""
        return sorted({reason.metric for reason in self.verdict.reasons})

    @property
    def folder(self) -> Path:
        """Where this run's cards lie."""
        return card_folder(self.settings, self.contract.table, self.run_id)


def conclude(run: Judged) -> BuildResult:
    """Write the cards, then promote or record; cards of a failed promotion are taken back."""
    contract, passed = run.contract, run.error is None
    with Registry.open(run.settings.target.published, run.keys) as registry:
        attempts = _attempts(registry, run)
        try:
            with run.clock.step("card", "writing the report cards"):
                provenance = _provenance(run, len(attempts))
                cards = _write_cards(run, provenance, attempts)
            with run.clock.step("promote" if passed else "record", "writing the registry"):
                release = _settle(registry, run, provenance, cards)
        except BaseException:
            # a card that says "released" must not outlive a promotion that was refused
            if not _entered(registry, run):
                shutil.rmtree(run.folder, ignore_errors=True)
            raise
    docs = docs_page(run.evaluation)
    error = run.error
    return BuildResult(
        table=contract.table,
        run_id=run.run_id,
        outcome=run.verdict.outcome,
        exit_code=0 if error is None else error.exit_code,
        message=run.message,
        rows=release.rows if release else None,
        release_id=release.id if release else None,
        attempt=len(attempts),
        max_attempts=contract.export.max_attempts,
        card=run.folder / "report-card.html",
        docs=run.settings.gx / docs if docs else None,
        timings=run.clock.seconds,
        warnings=tuple(state.reason for state in run.verdict.warnings),
        protection=run.protection,
        sampled_from=run.sampled_from,
    )


def _settle(
    registry: Registry, run: Judged, provenance: Mapping[str, Any], cards: Mapping[str, Card]
) -> Release | None:
    """Promote what passed; record what did not. Either way the ledger holds one more entry."""
    contract = run.contract
    error = run.error
    if error is not None:
        record_attempt(
            registry,
            contract=contract,
            fingerprint=run.ready.fingerprint,
            run_id=run.run_id,
            outcome=run.verdict.outcome.value,
            exit_code=error.exit_code,
            message=run.message,
            broken=run.broken,
            card_digest=cards["owner"].digest,
            docs=docs_page(run.evaluation),
            sources=run.ready.sources,
            undecided=run.verdict.undecided,
        )
        return None
    for old in registry.releases(contract.table):
        if old.status == "revoked" and old.rows_digest == run.evaluation.rows_digest:
            raise Refused(
                "the same rows were released before and revoked",
                where=contract.table,
                mend="change what the revocation was about: the contract, its seed, the source",
            )
    return promote(
        registry,
        contract=contract,
        run_id=run.run_id,
        fingerprint=run.ready.fingerprint,
        work=run.settings.target.work,
        evaluation=run.evaluation,
        verdict=run.verdict,
        provenance=provenance,
        cards={name: {"html": card.html, "json": card.json} for name, card in cards.items()},
        keys=run.keys,
        message=run.message,
        docs=docs_page(run.evaluation),
    )


def _entered(registry: Registry, run: Judged) -> bool:
    """Whether the run stands in the ledger: a COMMIT that raised may have been applied."""
    kind = "promoted" if run.error is None else "attempt"
    try:
        return registry.has_committed(kind, run.run_id, name="run_id")
    except SynthContractsError:
        return False


def _attempts(registry: Registry, run: Judged) -> list[dict[str, Any]]:
    """Earlier blocked builds since the last promotion or approval, and this one, oldest first."""
    this = {
        "run_id": run.run_id,
        "fingerprint": run.ready.fingerprint,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "table": run.contract.table,
        "outcome": run.verdict.outcome.value,
        "broken": run.broken,
    }
    earlier = registry.attempt_entries(run.ready.sources)
    # the same build run again is the same attempt
    return [*(e for e in earlier if e["fingerprint"] != run.ready.fingerprint), this]


def _provenance(run: Judged, attempt: int) -> dict[str, Any]:
    contract, ready = run.contract, run.ready
    spec = contract.generator
    return {
        "run_id": run.run_id,
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
        "rows": run.evaluation.n_synthetic,
        "rows_digest": run.evaluation.rows_digest,
        "attempt": attempt,
        "max_attempts": contract.export.max_attempts,
        "tries": repeated_tries(contract, run.evaluation, attempt),
        "versions": versions(),
        **({"sampled_from": run.sampled_from} if run.sampled_from else {}),
        "timings": {step: round(seconds, 3) for step, seconds in run.clock.seconds.items()},
    }


def _write_cards(
    run: Judged, provenance: Mapping[str, Any], attempts: list[dict[str, Any]]
) -> dict[str, Card]:
    docs = docs_page(run.evaluation)
    link = _relative(run.settings.gx / docs, run.folder) if docs else None
    cards = {}
    run.folder.mkdir(parents=True, exist_ok=True)
    for audience, stem in (("owner", "report-card"), ("analyst", "report-card-analyst")):
        card = build_card(
            run.contract,
            run.evaluation,
            run.verdict,
            comparison=run.comparison,
            provenance=provenance,
            attempts=attempts,
            docs_link=link if audience == "owner" else None,
            audience="owner" if audience == "owner" else "analyst",
            protection=run.protection,
        )
        (run.folder / f"{stem}.html").write_text(card.html, encoding="utf-8")
        text = json.dumps(card.json, indent=2, allow_nan=False)
        (run.folder / f"{stem}.json").write_text(text, encoding="utf-8")
        cards[audience] = card
    return cards


def _relative(page: Path, folder: Path) -> str:
    """URL of ``page`` as a file in ``folder`` names it: the project may be moved as a whole."""
    return quote(Path(os.path.relpath(page, folder)).as_posix())


def docs_page(evaluation: Evaluation) -> str | None:
    """Path of the Data Docs page relative to the Great Expectations project, where there is one."""
    page = (evaluation.validation or {}).get("docs")
    return str(page) if page else None


def card_folder(settings: Settings, table: str, run_id: str) -> Path:
    """Folder of the cards of one run; the same for skipped repeats."""
    return settings.artifacts / "cards" / table / run_id
