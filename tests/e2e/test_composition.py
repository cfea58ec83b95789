"""Two releases of one source that each pass alone, and together recognise households.

Some train households have one of their baskets copied into each release, other ones into each: too
few to be recognised for certain in one table, and enough in both. The contracts ask little else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.rules import preset_rules
from synth_contracts.pipeline import building

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: {table}
version: 1.0.0
servers:
  - {{server: source, type: duckdb, database: "", schema: raw}}
schema:
  - name: {table}
    physicalName: transactions
    properties:
      - {{name: basket_id, logicalType: integer, primaryKey: true}}
    quality:
      - id: recognized_entities
        type: custom
        engine: greatExpectations
        implementation:
          type: expect_table_recognized_entities_to_be_at_most
          kwargs: {{max_value: 25}}
      - id: membership_inference
        type: custom
        engine: greatExpectations
        implementation:
          type: expect_table_membership_inference_to_be_at_most
          kwargs: {{max_value: 0.9}}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: standard
          disable: [{disable}]
          split: {{holdout: 0.5}}
          roles: {{entityKey: household_id, timeIndex: transaction_timestamp}}
          generator: {{type: calendar_cart, seed: {seed}, outliers: {{reject: false}}}}
"""
ASKED = {"recognized_entities", "membership_inference"}
#: Among 50 guesses 22 copied households leave room for chance, 44 leave none.
COPIED = 22
FIRST, SECOND, NOBODY = range(COPIED), range(COPIED, 2 * COPIED), range(0)


class Leaking:
    """A project whose generator copies one basket of each of the households that are asked for."""

    def __init__(self, project: Any, generate: Callable[..., Any]) -> None:
        self.project, self._generate = project, generate
        #: table -> which train households, by their place in the order of keys
        self.copied: dict[str, range] = {}
        for path in (project.folder / "contracts").glob("*.yaml"):
            path.unlink()
        assert project.run("keys", "import-split", str(project.folder / "split.raw")) == 0

    def generate(self, contract: Any, train: pd.DataFrame, schema: Any, **more: Any) -> Any:
        produced = self._generate(contract, train, schema, **more)
        who = np.array(self.copied[contract.table], dtype=int)
        baskets = train.sort_values("basket_id").drop_duplicates("household_id", ignore_index=True)
        frame = produced.frame.copy()
        # one row each of as many synthetic households
        places = frame.drop_duplicates("household_id").index[: len(who)]
        for field in schema.features:
            values = frame[field.name].to_numpy().copy()
            values[places] = baskets[field.name].to_numpy()[who]
            frame[field.name] = values
        return SimpleNamespace(
            chunks=lambda: [frame],
            uncoarsened=produced.uncoarsened,
            protection=produced.protection,
            notes=produced.notes,
            forget=produced.forget,
        )

    def build(self, table: str, copied: range, *more: str, seed: int = 1) -> int:
        self.copied[table] = copied
        path = self.project.folder / "contracts" / f"{table}.odcs.yaml"
        disable = ", ".join(rule for rule in preset_rules("standard") if rule not in ASKED)
        path.write_text(CONTRACT.format(table=table, seed=seed, disable=disable), encoding="utf-8")
        return int(self.project.run("build", table, *more))

    def result(self) -> dict[str, Any]:
        body = json.loads((self.project.folder / "target" / "run_results.json").read_text())
        (found,) = body["results"]
        return dict(found)

    def card(self, stem: str = "report-card") -> str:
        return Path(self.result()["card"]).with_name(f"{stem}.html").read_text("utf-8")

    def released(self) -> set[str]:
        with duckdb.connect(str(self.project.published), read_only=True) as connection:
            found = connection.sql(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'release'"
            ).fetchall()
        return {name for (name,) in found}


@pytest.fixture
def leaking(
    fresh: Callable[[pd.DataFrame], Any],
    few_baskets: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> Leaking:
    """Six baskets of each of 750 households."""
    columns = ["basket_id", "household_id", "transaction_timestamp", "amount", "n_items"]
    households = few_baskets["household_id"].drop_duplicates().sort_values().iloc[:750]
    rows = few_baskets[few_baskets["household_id"].isin(households)]
    table = rows.groupby("household_id").head(6)[columns].reset_index(drop=True)
    project = Leaking(fresh(table), building.generate)
    monkeypatch.setattr(building, "generate", project.generate)
    return project


def test_two_releases_that_pass_alone_and_recognise_together(
    leaking: Leaking, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second is blocked beside the first, and passes where the first was revoked."""
    assert leaking.build("first", FIRST) == 0
    first = leaking.result()["release_id"]
    capsys.readouterr()

    assert leaking.build("second", SECOND) == 1
    message = leaking.result()["message"]
    assert message.startswith("Synthetic release blocked: recognized_entities ")
    assert ", together with 1 earlier release of the same source (alone it reads " in message
    assert leaking.released() == {"first"}
    assert first in leaking.card()
    assert first not in leaking.card("report-card-analyst")

    # the very same candidate, once the first one no longer counts
    assert leaking.project.run("revoke", "first", "--reason", "found to leak") == 0
    assert leaking.build("second", SECOND, "--full-refresh") == 0
    assert leaking.released() == {"second"}


def test_what_was_exported_counts_after_it_was_superseded(leaking: Leaking) -> None:
    """A clean rebuild does not take back what is out: the other half is blocked all the same."""
    assert leaking.build("first", FIRST) == 0
    assert leaking.project.run("export", "first", "--ticket", "DATA-7") == 0
    assert leaking.build("first", NOBODY, seed=2) == 0
    assert "1 earlier release of the same source" in leaking.card("report-card-analyst")
    assert leaking.build("second", SECOND) == 1
    assert "together with 2 earlier releases of the same source" in leaking.result()["message"]


def test_an_edited_earlier_release_is_refused_before_anything_is_generated(
    leaking: Leaking, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leaking.build("first", NOBODY) == 0
    with duckdb.connect(str(leaking.project.published)) as connection:
        ((name,),) = connection.sql(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'release_data'"
        ).fetchall()
        connection.execute(f'UPDATE release_data."{name}" SET amount = amount + 1')
    assert leaking.build("second", NOBODY) == 5
    said = capsys.readouterr()
    assert "are not those that were released" in said.out + said.err
