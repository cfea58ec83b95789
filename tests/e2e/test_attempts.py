"""Attempts are counted over seeds, versions, contracts, names of servers and deleted files.

The contract asks an impossible ks_mean, so every build of real baskets is blocked at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from synth_contracts.contract.rules import preset_rules
from synth_contracts.pipeline import building

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: {table}
version: {version}
servers:
  - {{server: {server}, type: duckdb, database: "", schema: raw}}
schema:
  - name: {table}
    physicalName: transactions
    properties:
      - {{name: basket_id, logicalType: integer, primaryKey: true}}
    quality:
      - id: membership_inference
        type: custom
        engine: greatExpectations
        implementation:
          type: expect_table_membership_inference_to_be_at_most
          kwargs: {{max_value: 0.3}}
      - id: ks_mean
        type: custom
        engine: greatExpectations
        implementation: {{type: expect_table_ks_mean_to_be_at_most, kwargs: {{max_value: {limit}}}}}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: strict
          disable: [{disable}]
          roles: {{entityKey: household_id, timeIndex: transaction_timestamp}}
          generator: {{type: calendar_cart, seed: {seed}, outliers: {{reject: false}}}}
customProperties:
  - property: export
    vendor: synth-contracts
    value: {{maxAttempts: 5}}
"""
#: the smallest limit that a contract may hold here; no table of 5,000 rows comes under it
IMPOSSIBLE = 1e-6


def contract_text(**changes: Any) -> str:
    kept = {"membership_inference", "ks_mean"}
    asked = [rule_id for rule_id in preset_rules("strict") if rule_id not in kept]
    values = {
        "table": "small",
        "version": "1.0.0",
        "server": "source",
        "seed": 1,
        "limit": IMPOSSIBLE,
        "disable": ", ".join(asked),
    }
    return CONTRACT.format(**{**values, **changes})


class Small:
    """A project with one contract over a few baskets, and what its last build came to."""

    def __init__(self, project: Any) -> None:
        self.project = project
        for path in (project.folder / "contracts").glob("*.yaml"):
            path.unlink()
        self.write()
        assert project.run("keys", "import-split", str(project.folder / "split.raw")) == 0

    def write(self, **changes: Any) -> None:
        table = changes.get("table", "small")
        path = self.project.folder / "contracts" / f"{table}.odcs.yaml"
        path.write_text(contract_text(**changes), encoding="utf-8")

    def build(self, table: str = "small") -> int:
        return int(self.project.run("build", table))

    def result(self) -> dict[str, Any]:
        body = json.loads((self.project.folder / "target" / "run_results.json").read_text())
        (found,) = body["results"]
        return dict(found)

    def attempt(self) -> int:
        """The number on the newest card, which its page says in words and its rows count."""
        page = Path(self.result()["card"])
        owner = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
        number = int(owner["attempts"]["number"])
        assert f"attempt {number} of 5" in page.read_text(encoding="utf-8").lower()
        assert len(owner["attempts"]["rows"]) == number
        assert self.result()["attempt"] == number
        return number


@pytest.fixture
def small(fresh: Callable[[pd.DataFrame], Any], few_baskets: pd.DataFrame) -> Small:
    """Six baskets of each of 750 households, five columns."""
    columns = ["basket_id", "household_id", "transaction_timestamp", "amount", "n_items"]
    households = few_baskets["household_id"].drop_duplicates().sort_values().iloc[:750]
    rows = few_baskets[few_baskets["household_id"].isin(households)]
    return Small(fresh(rows.groupby("household_id").head(6)[columns].reset_index(drop=True)))


def test_every_new_try_counts_on_until_an_approver_enters(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations = []

    def judge(contract: Any, evaluation: Any) -> Any:
        evaluations.append(evaluation)
        return original(contract, evaluation)

    original = building.judge
    monkeypatch.setattr(building, "judge", judge)

    assert small.build() == 1
    assert small.attempt() == 1
    assert small.build() == 1, "skipped: it repeats its exit code"
    assert small.result()["skipped"]
    assert small.attempt() == 1

    small.write(seed=2)
    assert small.build() == 1
    assert small.attempt() == 2

    small.write(seed=2, version="7.0.0")
    assert small.build() == 1
    assert small.attempt() == 3

    small.write(table="renamed", server="elsewhere")
    _name_server(small, "elsewhere")
    assert small.build("renamed") == 1
    assert small.attempt() == 4, "another contract over another name of the same file"

    (small.project.folder / "warehouse" / "work.duckdb").unlink()
    with duckdb.connect(str(small.project.source)) as connection:
        connection.execute(
            "INSERT INTO raw.transactions SELECT max(basket_id) + 1, min(household_id),"
            " max(transaction_timestamp), 1.5, 2 FROM raw.transactions"
        )
    small.write(table="renamed", server="third")
    _name_server(small, "third")
    assert small.build("renamed") == 1
    assert small.attempt() == 5, "one more row, no work.duckdb and a third name of the same file"

    # attempt n was measured and sealed at its own level
    assert [item.attempt for item in evaluations] == [1, 2, 3, 4, 5]
    levels = [e.results["membership_inference"].details["bound_level"] for e in evaluations]
    assert levels == pytest.approx([1 - 0.05 / n for n in range(1, 6)])

    capsys.readouterr()
    built = len(evaluations)
    for table in ("small", "renamed"):
        small.write(table=table, seed=9, server="source" if table == "small" else "third")
        assert small.build(table) == 5
        said = capsys.readouterr().out
        assert "REFUSED" in said
        assert "attempt 6 of 5" in said
        assert "ledger approve" in said
    assert len(evaluations) == built, "refused before anything is generated"

    for command in (["ls"], ["show", "small"]):
        assert small.project.run(*command) == 0
        captured = capsys.readouterr()
        assert "attempt 5 of 5 was blocked" in captured.out + captured.err
    assert small.project.run("ledger", "list") == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert re.findall(r"FAILED attempt ([0-9]+):", listed) == list("12345")

    assert small.project.run("ledger", "approve", "renamed", "--reason", "a new generator") == 0
    assert small.build("small") == 1
    assert small.attempt() == 1, "counted afresh"


def _name_server(small: Small, name: str) -> None:
    """Let the target know the same file under one more name."""
    path = small.project.folder / "synth-contracts.yml"
    text = path.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.strip().startswith("source:"))
    path.write_text(text.replace(line, f"{line}\n{line.replace('source:', name + ':', 1)}"))
