"""A small released world: a contract, a sealed evaluation of real rows, a registry with keys."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from synth_contracts.contract.expand import with_digest
from synth_contracts.contract.model import (
    Column,
    Contract,
    ExportPolicy,
    GeneratorSpec,
    Roles,
    Rule,
    SourceRef,
)
from synth_contracts.evaluation.seal import seal
from synth_contracts.gate import Verdict, judge
from synth_contracts.metrics.measurement import Evaluation, Measurement
from synth_contracts.release import Registry, Release, promote
from synth_contracts.signing.keys import KeyFolder
from synth_contracts.signing.secrets import derive
from synth_contracts.tables import rows_digest
from synth_contracts.warehouse import stage

LIMIT = 0.25


def rule(metric: str, family: str, threshold: float) -> Rule:
    return Rule(
        id=metric,
        metric=metric,
        expectation=f"expect_table_{metric}_to_be_at_most",
        column=None,
        operator="<=",
        threshold=threshold,
        judged="value",
        severity="error",
        family=family,  # type: ignore[arg-type]
    )


def make_contract(**changes: Any) -> Contract:
    values: dict[str, Any] = {
        "path": Path("transactions.odcs.yaml"),
        "text": "id: transactions\n",
        "id": "transactions",
        "table": "transactions",
        "version": "1.0.0",
        "description": {},
        "source": SourceRef("raw", "duckdb", "source.duckdb", "raw", "transactions"),
        "columns": (Column("basket_id", primary_key=True),),
        "preset": None,
        "k": 10,
        "roles": Roles(entity_key="household_id"),
        "codes": (),
        "holdout": 0.3,
        "generator": GeneratorSpec(),
        "rules": (
            rule("membership_inference", "privacy", LIMIT),
            rule("ks_mean", "fidelity", 0.09),
        ),
        "not_asked": (),
        "report_only": (),
        "export": ExportPolicy(max_attempts=3),
        "expanded": {},
        "digest": "",
    }
    return with_digest(Contract(**{**values, **changes}))


def measurement(metric: str, value: float) -> Measurement:
    return Measurement(
        metric=metric,
        value=value,
        n=400,
        unit="entities",
        direction="lower_is_better",
        method="counted",
        compared_with="holdout",
        lower=value - 0.05,
        upper=value + 0.05,
    )


@dataclass
class World:
    """Files of one project and the steps of a build, each of which a test may spoil."""

    root: Path
    rows: pa.Table
    contract: Contract = field(default_factory=make_contract)

    def __post_init__(self) -> None:
        self.keys = KeyFolder.open(self.root / "keys")
        self.published = self.root / "warehouse" / "published.duckdb"
        self.work = self.root / "warehouse" / "work.duckdb"

    def registry(self, **options: Any) -> AbstractContextManager[Registry]:
        return Registry.open(self.published, self.keys, **options)

    def evaluate(self, rows_digest: str, value: float = 0.1, **changes: Any) -> Evaluation:
        evaluation = Evaluation(
            contract_digest=self.contract.digest,
            rows_digest=rows_digest,
            train_digest="1" * 64,
            holdout_digest="2" * 64,
            seed=1,
            n_train=700,
            n_holdout=300,
            n_synthetic=self.rows.num_rows,
            entities_train=500,
            entities_holdout=210,
            results={
                "membership_inference": measurement("membership_inference", value),
                "ks_mean": measurement("ks_mean", 0.05),
            },
            validation={"suite": "transactions", "run_id": "r", "evaluated": 2, "docs": "d.html"},
        )
        evaluation = replace(evaluation, **changes)
        return replace(evaluation, seal=self.seal(evaluation))

    def digest(self) -> str:
        return rows_digest(self.rows)

    def seal(self, evaluation: Evaluation) -> str:
        return seal(evaluation, derive(self.keys.secret(), "evaluation-seal"))

    def arguments(self, run_id: str, **changes: Any) -> dict[str, Any]:
        """What ``promote`` is called with for a staged run that passed."""
        digest = stage(self.work, self.contract.table, run_id, self.rows)
        evaluation = changes.pop("evaluation", None) or self.evaluate(digest)
        contract = changes.get("contract", self.contract)
        verdict: Verdict = changes.pop("verdict", None) or judge(contract, evaluation)
        return {
            "contract": self.contract,
            "run_id": run_id,
            "fingerprint": hashlib.sha256(run_id.encode()).hexdigest(),
            "work": self.work,
            "evaluation": evaluation,
            "verdict": verdict,
            "provenance": {
                "source_digest": "5" * 64,
                "seed": 424242,
                "source_commitment": "3" * 64,
                "seed_commitment": "4" * 64,
                "split_commitment": "6" * 64,
                "versions": {"duckdb": "2.0.0"},
            },
            "cards": {
                "owner": {"html": "<p>owner</p>", "json": {"for": "owner"}},
                "analyst": {"html": "<p>analyst</p>", "json": {"for": "analyst"}},
            },
            "keys": self.keys,
            "message": "passed these tests",
            **changes,
        }

    def release(self, run_id: str = "run-1", **changes: Any) -> Release:
        arguments = self.arguments(run_id, **changes)
        with self.registry() as registry:
            return promote(registry, **arguments)

    def bytes(self) -> bytes:
        return self.published.read_bytes()


@pytest.fixture(scope="session")
def thousand(baskets: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(baskets.head(1000), preserve_index=False).replace_schema_metadata()


@pytest.fixture
def world(tmp_path: Path, thousand: pa.Table) -> World:
    return World(tmp_path, thousand)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, thousand: pa.Table) -> World:
    """A project that released run-1; copied, never used itself."""
    world = World(tmp_path_factory.mktemp("template"), thousand)
    world.release("run-1")
    return world


@pytest.fixture
def released(tmp_path: Path, template: World) -> World:
    """A project of its own that released run-1."""
    shutil.copytree(template.root, tmp_path / "project")
    return World(tmp_path / "project", template.rows)
