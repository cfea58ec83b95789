"""A contract over the baskets, and its tables: 300 households each, 12 rows of each at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract import load_contract
from synth_contracts.contract.model import Contract
from synth_contracts.evaluation import Digests, evaluate
from synth_contracts.evaluation.checkpoint import run_checkpoint
from synth_contracts.metrics import Comparison
from synth_contracts.metrics.measurement import Evaluation
from synth_contracts.tables import canonical, duckdb_types, resolve, rows_digest, to_arrow

SECRET = b"a secret of at least sixteen bytes"
CONTRACT = """
apiVersion: v3.2.0
kind: DataContract
id: transactions
version: 1.0.0
status: active
servers:
  - {server: source, type: duckdb, database: source.duckdb, schema: raw}
schema:
  - name: transactions
    properties:
      - {name: basket_id, logicalType: integer, primaryKey: true, required: true, unique: true}
      - name: amount
        logicalType: number
        quality:
          - id: ks-amount
            type: custom
            engine: greatExpectations
            severity: warning
            implementation: {type: expect_column_ks_to_be_at_most, kwargs: {max_value: 0.04}}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: standard
          codes: [store_id]
          roles:
            entityKey: household_id
            timeIndex: transaction_timestamp
            quasiIdentifiers: [age, income]
            sensitive: [amount]
"""


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path = tmp_path_factory.mktemp("contracts") / "transactions.odcs.yaml"
    path.write_text(CONTRACT, encoding="utf-8")
    return load_contract(path)


@pytest.fixture(scope="session")
def thirds(few_baskets: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    rows = few_baskets.groupby("household_id").head(12)  # keeps the entities, saves the time
    part = rows["household_id"] % 3
    names = ("train", "holdout", "synthetic")
    return {n: rows[part == i].reset_index(drop=True) for i, n in enumerate(names)}


@pytest.fixture(scope="session")
def digests(thirds: Mapping[str, pd.DataFrame]) -> Digests:
    rows = {name: rows_digest(to_arrow(frame)) for name, frame in thirds.items()}
    return Digests(rows=rows["synthetic"], train=rows["train"], holdout=rows["holdout"])


def make_comparison(contract: Contract, tables: Mapping[str, pd.DataFrame]) -> Comparison:
    schema = resolve(contract, duckdb_types(to_arrow(tables["train"])))
    frames = {name: canonical(frame, schema) for name, frame in tables.items()}
    return Comparison(
        **frames, schema=schema, k=contract.k, seed=7, coarsening=Coarsening.of(contract)
    )


@pytest.fixture(scope="session")
def compare() -> Callable[[Contract, Mapping[str, pd.DataFrame]], Comparison]:
    return make_comparison


@pytest.fixture
def comparison(contract: Contract, thirds: Mapping[str, pd.DataFrame]) -> Comparison:
    return make_comparison(contract, thirds)


@pytest.fixture(scope="session")
def direct(contract: Contract, thirds: Mapping[str, pd.DataFrame]) -> Evaluation:
    """The fresh third evaluated without Great Expectations."""
    return evaluate(contract, **thirds, seed=7)


@pytest.fixture(scope="session")
def gx_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project") / "a space, 100%41 #1" / "gx"


@pytest.fixture(scope="session")
def checked(
    contract: Contract, thirds: Mapping[str, pd.DataFrame], digests: Digests, gx_root: Path
) -> Evaluation:
    """The same third evaluated by a checkpoint."""
    return run_checkpoint(
        contract, make_comparison(contract, thirds), digests=digests, gx_root=gx_root,
        secret=SECRET, run_name="first",
    )  # fmt: skip
