"""What a build came to, and the artifacts of a run of several."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from synth_contracts.contract import Contract
from synth_contracts.errors import ReleaseBlocked, SynthContractsError
from synth_contracts.gate import Outcome
from synth_contracts.settings import Settings

_LIBRARIES = (
    "synth-contracts", "great-expectations", "sdv", "torch", "pandas", "numpy", "scipy",
    "scikit-learn", "sqlglot", "duckdb", "pyarrow",
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
    max_attempts: int | None = None
    card: Path | None = None
    docs: Path | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    #: what the generator's protections touched, counted; None where nothing was generated
    protection: Mapping[str, Any] | None = None
    #: the run that fitted the kept model these rows come from; None where this run fitted
    sampled_from: str | None = None

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
            "max_attempts": self.max_attempts,
            "card": str(self.card) if self.card else None,
            "docs": str(self.docs) if self.docs else None,
            "timings": {step: round(seconds, 3) for step, seconds in self.timings.items()},
            "warnings": list(self.warnings),
            "protection": self.protection,
            "sampled_from": self.sampled_from,
        }


def versions() -> dict[str, str]:
    """Versions of the libraries that a result depends on."""
    return {name: version(name) for name in _LIBRARIES}


def failed(contract: Contract, error: SynthContractsError) -> BuildResult:
    """The result of a contract whose build raised ``error``."""
    blocked_by_gate = isinstance(error, ReleaseBlocked)
    return BuildResult(
        table=contract.table,
        run_id="",
        outcome=Outcome.FAILED if blocked_by_gate else Outcome.NOT_EVALUATED,
        exit_code=error.exit_code,
        message=str(error),
    )


def write_artifacts(
    settings: Settings, contracts: Sequence[Contract], results: Sequence[BuildResult]
) -> None:
    """Write run_results.json and manifest.json, each whole or not at all."""
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    written = datetime.now(UTC).isoformat(timespec="seconds")
    run = {
        "schema_version": 1,
        "generated_at": written,
        "versions": versions(),
        "results": [result.to_json() for result in results],
    }
    manifest = {
        "schema_version": 1,
        "generated_at": written,
        "contracts": {c.table: {"digest": c.digest, "expanded": c.expanded} for c in contracts},
    }
    for name, body in (("run_results.json", run), ("manifest.json", manifest)):
        partial = settings.artifacts / f".{name}.partial"
        try:
            partial.write_text(json.dumps(body, indent=2, default=str), encoding="utf-8")
            partial.replace(settings.artifacts / name)
        finally:
            partial.unlink(missing_ok=True)


def gravest(codes: Sequence[int]) -> int:
    """The exit code of several builds: the gravest wins, in the order 2, 3, 5, 1, 4, 0."""
    return next((code for code in (2, 3, 5, 1, 4) if code in codes), 0)
