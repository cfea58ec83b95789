"""A small house for tests and attacks: real keys, a real registry, a really promoted table.

The evaluation is put together here and sealed under the project's own secret; everything after it
(promotion, ledger, statement, export) is the product's.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth_contracts.cli.main import run
from synth_contracts.contract import Contract, Rule, load_contract, settle
from synth_contracts.delivery import Bundle, export
from synth_contracts.evaluation.seal import seal
from synth_contracts.evaluation.thinning import thin
from synth_contracts.gate import judge
from synth_contracts.metrics.measurement import Evaluation, Measurement
from synth_contracts.omission import SUBSETS
from synth_contracts.release import Registry, Release, promote, record_attempt
from synth_contracts.signing import KeyFolder, derive
from synth_contracts.tables import duckdb_types, resolve, rows_digest
from synth_contracts.warehouse import stage

NOON = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: {table}
version: 1.0.0
status: active
servers:
  - {{server: source, type: duckdb, database: source.duckdb, schema: raw}}
schema:
  - name: {table}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value: {{preset: standard, k: {k}, roles: {roles}}}
customProperties:
  - property: export
    vendor: synth-contracts
    value: {policy}
{retention}"""
PROJECT = """\
name: house
keys: ../house-keys
targets:
  dev:
    servers: {source: source.duckdb}
    work: work.duckdb
    published: published.duckdb
"""
POLICY = 'ticketPattern: "^DATA-[0-9]+$", tokenTtl: 15m'


def rows(seed: int = 0, n: int = 40) -> pa.Table:
    """Rows of every type that a release may hold, with awkward texts."""
    texts = ["plain", "", 'a "quoted", one', "two\nlines", "späť", None, "=1+1", "'"]
    day = dt.date(2026, 1, 1)
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    numbers = range(seed, seed + n)
    return pa.table(
        {
            "household": pa.array([i // 2 for i in numbers], pa.int64()),
            "label": pa.array([texts[i % len(texts)] for i in numbers], pa.string()),
            "amount": pa.array([Decimal(i) / 4 for i in numbers], pa.decimal128(10, 2)),
            "share": pa.array([None if i % 7 == 0 else i / 3 for i in numbers], pa.float64()),
            "stamp": pa.array(
                [noon + dt.timedelta(minutes=i) for i in numbers], pa.timestamp("us", tz="UTC")
            ),
            "day": pa.array([day + dt.timedelta(days=i) for i in numbers], pa.date32()),
            "known": pa.array([i % 2 == 0 for i in numbers], pa.bool_()),
        }
    )


def _passing(rule: Rule) -> Measurement:
    low = rule.operator == "<="
    value = rule.threshold if low else rule.threshold + 0.1
    return Measurement(
        metric=rule.metric,
        value=value,
        n=400,
        unit="entities",
        direction="lower_is_better" if low else "higher_is_better",
        method="set by hand",
        compared_with="holdout",
        column=rule.column,
        lower=value - 0.01,
        upper=value + 0.01,
        bound_lower=value - 0.01,
        bound_upper=value,
        floor=0.0,
        ceiling=1.0,
        details={"subsets": {"whole": value, "values": [value] * SUBSETS}},
    )


@dataclass
class House:
    """A project in a folder, with its registry and clock."""

    root: Path
    now: dt.datetime = NOON
    _runs: int = field(default=0)
    #: of the contracts that are written, such as ``value: 90, unit: d``
    retention: str = ""
    #: of the contracts that are written
    roles: str = "{entityKey: household}"
    k: int = 10

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)

    @property
    def key_folder(self) -> Path:
        """Outside the project, where keys must be."""
        return self.root.with_name("house-keys")

    @property
    def keys(self) -> KeyFolder:
        return KeyFolder.open(self.key_folder)

    def like(self, root: Path) -> House:
        """Filled with a copy of another house and its keys."""
        shutil.copytree(root, self.root, dirs_exist_ok=True)
        shutil.copytree(House(root).key_folder, self.key_folder)
        return self

    @property
    def published(self) -> Path:
        return self.root / "published.duckdb"

    def registry(self, **options: Any) -> AbstractContextManager[Registry]:
        return Registry.open(self.published, self.keys, clock=lambda: self.now, **options)

    def contract(self, table: str, policy: str = POLICY, data: pa.Table | None = None) -> Contract:
        path = self.root / f"{table}.odcs.yaml"
        kept = f"slaProperties: [{{property: retention, {self.retention}}}]\n"
        path.write_text(
            CONTRACT.format(
                table=table,
                policy="{" + policy + "}",
                roles=self.roles,
                k=self.k,
                retention=kept if self.retention else "",
            )
        )
        loaded = load_contract(path)
        schema = resolve(loaded, duckdb_types(rows() if data is None else data))
        return settle(loaded, {f.name: str(f.kind) for f in schema.fields})

    def release(
        self, table: str = "transactions", *, policy: str = POLICY, data: pa.Table | None = None
    ) -> Release:
        """Promote rows that passed every rule of the contract."""
        candidate = self.candidate(table, policy=policy, data=data)
        with self.registry() as registry:
            return promote(registry, **candidate)

    def candidate(
        self,
        table: str = "transactions",
        *,
        policy: str = POLICY,
        data: pa.Table | None = None,
        attempt: int = 1,
    ) -> dict[str, Any]:
        """Staged rows that passed every rule, with all that a promotion asks for beside them."""
        self._runs += 1
        data = rows() if data is None else data
        contract = self.contract(table, policy, data)
        run_id = f"{table}-run{self._runs}"
        digest = stage(self.root / "work.duckdb", table, run_id, data)
        if digest != rows_digest(data):
            raise AssertionError("the staged rows are not those given")
        evaluation = Evaluation(
            contract_digest=contract.digest,
            rows_digest=digest,
            train_digest="11" * 32,
            holdout_digest="22" * 32,
            seed=1,
            n_train=40,
            n_holdout=40,
            n_synthetic=data.num_rows,
            entities_train=20,
            entities_holdout=20,
            results={rule.id: _passing(rule) for rule in contract.rules},
            thinned=self._thinned(contract, data, run_id),
            validation={"run_id": run_id},
            attempt=attempt,
        )
        with self.registry() as registry:  # as if it was measured together with all of them
            beside = {"releases": [old.id for old in registry.releases()]}
        evaluation = replace(evaluation, beside=beside if beside["releases"] else {})
        secret = derive(self.keys.secret(), "evaluation-seal")
        evaluation = replace(evaluation, seal=seal(evaluation, secret))
        card = {"html": f"<!doctype html><p>{run_id}</p>\n", "json": {"verdict": "PASSED"}}
        return {
            "contract": contract,
            "run_id": run_id,
            "fingerprint": "33" * 32,
            "work": self.root / "work.duckdb",
            "evaluation": evaluation,
            "verdict": judge(contract, evaluation),
            "provenance": {
                "source_commitment": "44" * 32,
                "seed_commitment": "55" * 32,
                "split_commitment": "66" * 32,
                "versions": {"synth-contracts": "0"},
            },
            "cards": {"owner": card, "analyst": card},
            "keys": self.keys,
        }

    def _thinned(self, contract: Contract, data: pa.Table, run_id: str) -> Mapping[str, Any]:
        """What the build tells of the subsets; nothing without a fingerprint."""
        if not contract.export.fingerprint:
            return {}
        key = self.keys.fingerprint_key(create=True)
        schema = resolve(contract, duckdb_types(data))
        return thin(data, schema, key=key, run_id=run_id).record or {}

    def block(self, table: str, fingerprint: str = "77" * 32) -> None:
        """Record a build that did not pass."""
        contract = self.contract(table)
        with self.registry() as registry:
            record_attempt(
                registry,
                contract=contract,
                fingerprint=fingerprint,
                run_id=f"{table}-blocked",
                outcome="FAILED",
                exit_code=1,
                message="Synthetic release blocked",
                broken=["hour_profile"],
                card_digest="88" * 32,
                docs=None,
            )

    def export(
        self, table: str = "transactions", ticket: str = "DATA-123", **options: Any
    ) -> Bundle:
        with self.registry() as registry:
            return self.export_with(registry, table, ticket, **options)

    def export_with(
        self, registry: Registry, table: str = "transactions", ticket: str = "DATA-123", **o: Any
    ) -> Bundle:
        options = {
            "keys": self.keys, "exports": self.root / "exports", "now": lambda: self.now, **o,
        }  # fmt: skip
        return export(registry, table, ticket, **options)

    def run(self, *arguments: str) -> int:
        """The command line in this project; its exit code."""
        (self.root / "contracts").mkdir(exist_ok=True)
        for path in self.root.glob("*.odcs.yaml"):
            shutil.copy(path, self.root / "contracts")
        (self.root / "synth-contracts.yml").write_text(PROJECT)
        return run(["--project", str(self.root), *arguments])

    def bytes(self) -> bytes:
        """The published database as it stands on the disk."""
        return self.published.read_bytes()

    def kinds(self) -> list[str]:
        """Kinds of the ledger's entries about exports, in order, without their prefix."""
        with self.registry(read_only=True) as registry:
            kinds = [entry.kind for entry in registry.entries()]
        return [k.removeprefix("export_") for k in kinds if k.startswith("export_")]

    def left_behind(self) -> list[str]:
        """Whatever stands in exports/."""
        folder = self.root / "exports"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
