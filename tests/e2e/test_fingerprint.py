"""build -> export -> trace of a contract with a fingerprint, through the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from synth_contracts.contract.rules import preset_rules

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: small
version: 1.0.0
servers:
  - {{server: source, type: duckdb, database: "", schema: raw}}
schema:
  - name: small
    physicalName: transactions
    properties:
      - {{name: basket_id, logicalType: integer, primaryKey: true}}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: exploratory
          k: 4
          split: {{holdout: 0.4}}
          disable: [{disable}]
          roles: {{entityKey: household_id, timeIndex: transaction_timestamp,
                   quasiIdentifiers: [age, income]}}
          generator: {{type: calendar_cart, seed: 1, outliers: {{reject: false}}}}
customProperties:
  - property: export
    vendor: synth-contracts
    value: {{fingerprint: true, maxRows: {rows}}}
"""
#: of one export, at most: fewer than the pool holds
MOST = 2_300
KEPT = {"membership_inference", "ks_mean", "k_anonymity"}


@pytest.fixture
def small(fresh: Callable[[pd.DataFrame], Any], few_baskets: pd.DataFrame) -> Any:
    """Four baskets of each of 540 households, seven columns; not built yet."""
    columns = [
        "basket_id", "household_id", "transaction_timestamp", "amount", "n_items", "age", "income",
    ]  # fmt: skip
    households = few_baskets["household_id"].drop_duplicates().sort_values().iloc[:540]
    rows = few_baskets[few_baskets["household_id"].isin(households)]
    project = fresh(rows.groupby("household_id").head(4)[columns].reset_index(drop=True))
    for path in (project.folder / "contracts").glob("*.yaml"):
        path.unlink()
    asked = ", ".join(rule for rule in preset_rules("exploratory") if rule not in KEPT)
    (project.folder / "contracts" / "small.odcs.yaml").write_text(
        CONTRACT.format(disable=asked, rows=MOST), encoding="utf-8"
    )
    assert project.run("keys", "import-split", str(project.folder / "split.raw")) == 0
    return project


def test_a_leak_of_a_built_release_is_traced(
    small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small.run("build") == 0
    assert (small.keys / "fingerprint.key").stat().st_mode & 0o777 == 0o600
    with duckdb.connect(str(small.published), read_only=True) as connection:
        pool = connection.execute("SELECT * FROM release.small").df()
    with duckdb.connect(str(small.source), read_only=True) as connection:
        (source,) = connection.execute("SELECT count(*) FROM raw.transactions").fetchone()
    assert len(pool) == -(-source * 10 // 9)
    # classes hold more than k, so that an export holds k
    assert pool.groupby(["age", "income"], dropna=False)["household_id"].nunique().min() >= 10

    results = json.loads((small.folder / "target" / "run_results.json").read_text())["results"]
    card = json.loads(Path(results[0]["card"]).with_suffix(".json").read_text())
    states = {row["rule"]: row["state"] for row in card["rules"]}
    assert all(states[name] in ("holds", "close") for name in KEPT)

    capsys.readouterr()
    held = {}
    for number in range(2):
        command = ("export", "small", "--ticket", f"DATA-{number}", "--format", "parquet")
        assert small.run(*command, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        held[told["jti"]] = pd.read_parquet(Path(told["path"]) / told["data_file"])
        assert small.run("verify", told["path"]) == 0
        assert abs(told["rows"] / source - 1) < 0.03
        classes = held[told["jti"]].groupby(["age", "income"], dropna=False)
        assert classes["household_id"].nunique().min() >= 4
        capsys.readouterr()
    for jti, rows in held.items():
        leak = rows.sample(400, random_state=1).drop(
            columns=["basket_id", "household_id", "income"]
        )
        leak.to_csv(tmp_path / "leak.csv", index=False)
        assert small.run("trace", str(tmp_path / "leak.csv"), "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert [one["jti"] for one in found["named"]] == [jti]
