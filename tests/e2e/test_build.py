"""The main job on real baskets: what passed is released, what did not is not."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import duckdb
import pandas as pd
import pytest
from batteries.ground import Ground
from batteries.small import built as built_anew

from synth_contracts.pipeline import building

CALENDAR = {"autocorrelation", "hour_profile", "weekday_profile"}


def results(project) -> dict[str, dict]:
    body = json.loads((project.folder / "target" / "run_results.json").read_text())
    return {item["table"]: item for item in body["results"]}


def test_released_table_has_the_sources_rows_and_the_gan_is_not_there(
    built, source_table: pd.DataFrame
) -> None:
    with duckdb.connect(str(built.published), read_only=True) as connection:
        views = connection.sql(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'release' AND table_type = 'VIEW'"
        ).fetchall()
        assert views == [("transactions",)]
        (count,) = connection.sql("SELECT count(*) FROM release.transactions").fetchall()[0]
    assert count == len(source_table)


def test_run_results_name_steps_and_a_calendar_reason(built) -> None:
    found = results(built)
    assert found["transactions"]["exit_code"] == 0
    assert {"source", "generate", "evaluate", "promote"} <= set(found["transactions"]["timings"])
    gan = found["transactions_gan"]
    assert gan["exit_code"] == 1
    assert gan["message"].startswith("Synthetic release blocked: ")
    assert any(metric in gan["message"] for metric in CALENDAR)


def test_what_the_protections_touched_is_counted_for_the_owner(built) -> None:
    found = results(built)["transactions"]
    counted = found["protection"]
    assert {"store_id", "amount"} <= {touched["column"] for touched in counted["columns"]}
    assert set(counted["afresh"]) == {"household_id", "basket_id"}
    folder = built.folder / "target" / "cards" / "transactions" / found["run_id"]
    owner, analyst = (
        json.loads((folder / f"report-card{audience}.json").read_text())["protection"]
        for audience in ("", "-analyst")
    )
    assert owner["counts"] == counted
    assert "counts" not in analyst


def test_unchanged_builds_are_skipped_and_repeat_their_exit_code(built, capsys) -> None:
    before = {table: item["run_id"] for table, item in results(built).items()}
    assert built.run("build") == 1
    after = results(built)
    assert all(item["skipped"] for item in after.values())
    assert {table: item["run_id"] for table, item in after.items()} == before
    assert "unchanged since the last run" in capsys.readouterr().out


class OneSecond(datetime):
    """A clock that goes a millisecond on each time it is read."""

    read = 0

    @classmethod
    def now(cls, tz=None):
        cls.read += 1
        return datetime(2026, 3, 1, 12, tzinfo=tz) + timedelta(milliseconds=cls.read)


def test_two_builds_of_one_second_are_two_releases(small: Ground, monkeypatch) -> None:
    copy = small.copied("one-second")
    monkeypatch.setattr(building, "datetime", OneSecond)
    assert [built_anew(copy).code for _ in range(2)] == [0, 0]
    with copy.house.registry(read_only=True) as registry:
        made = [str(entry.body["release_id"]) for entry in registry.entries("promoted")]
    assert len(set(made)) == 3
    copy.remove()


def test_cards_of_both_attempts_and_data_docs_are_written(built) -> None:
    for item in results(built).values():
        card = built.folder / "target" / "cards" / item["table"] / item["run_id"]
        html = (card / "report-card.html").read_text(encoding="utf-8")
        assert "<script" not in html
        assert (card / "report-card-analyst.json").is_file()
    assert list((built.folder / "gx" / "uncommitted" / "data_docs").rglob("index.html"))


def test_one_table_by_name_and_an_unknown_one(built, capsys) -> None:
    assert built.run("build", "transactions") == 0
    assert built.run("build", "transactoins") == 2
    assert "did you mean 'transactions'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["ls"], ["report", "transactions"], ["ledger", "list"]])
def test_reading_commands_work(built, capsys, command: list[str]) -> None:
    assert built.run(*command) == 0
    assert "transactions" in capsys.readouterr().out


def test_show_expanded_names_every_rule_of_the_preset(built, capsys) -> None:
    assert built.run("show", "transactions", "--expanded") == 0
    out = capsys.readouterr().out
    for rule in ("membership_inference", "identical_match", "k_anonymity", "ks_mean", *CALENDAR):
        assert rule in out
