"""docs/errors.md, run: each case ends with its code, one message, and nothing half written."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from synth_contracts.cli.main import run
from synth_contracts.metrics import METRICS
from synth_contracts.release import registry

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
CODES = {
    case: int(code)
    for case, code in re.findall(r"^\| ([a-z-]+) \|.*\| (\d+) \|$", DOC, flags=re.MULTILINE)
}
CASES: dict[str, Callable] = {}


def case(function: Callable) -> Callable:
    CASES[function.__name__.replace("_", "-")] = function
    return function


def contract_edit(project, old: str, new: str) -> None:
    path = project.folder / "contracts" / "transactions.odcs.yaml"
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new, 1))


def replace_source(project, sql: str) -> None:
    with duckdb.connect(str(project.source)) as connection:
        connection.execute(sql)


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Another process holds the database open for writing."""
    code = f"import duckdb,sys; c=duckdb.connect({str(path)!r}); print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
    finally:
        process.communicate("")


@case
def malformed_yaml(fresh, built) -> int:
    project = fresh()
    contract_edit(project, "kind: DataContract", "kind: [")
    return project.run("build")


@case
def duplicate_key(fresh, built) -> int:
    project = fresh()
    contract_edit(project, "kind: DataContract", "kind: DataContract\nkind: DataContract")
    return project.run("build")


@case
def mistyped_threshold(fresh, built) -> int:
    project = fresh()
    rule = (
        "    quality:\n      - id: ks_mean\n        type: custom\n        engine: greatExpectations\n"
        "        severity: error\n        implementation: {type: expect_table_ks_mean_to_be_at_most,"
        " kwargs: {max_value: .nan}}\n    customProperties:\n      - property: synthetic"
    )
    contract_edit(project, "    customProperties:\n      - property: synthetic", rule)
    return project.run("lint")


@case
def unknown_expectation(fresh, built) -> int:
    project = fresh()
    rule = (
        "    quality:\n      - id: ks_mean\n        type: custom\n        engine: greatExpectations\n"
        "        severity: error\n        implementation: {type: expect_table_ks_meen_to_be_at_most,"
        " kwargs: {max_value: 0.1}}\n    customProperties:\n      - property: synthetic"
    )
    contract_edit(project, "    customProperties:\n      - property: synthetic", rule)
    return project.run("lint")


@case
def unknown_key(fresh, built) -> int:
    project = fresh()
    contract_edit(project, "preset: standard", "preset: standard\n          presett: standard")
    return project.run("lint")


@case
def no_project(fresh, built) -> int:
    return run(["--project", str(built.folder / "warehouse"), "build"])


@case
def unknown_setting(fresh, built) -> int:
    project = fresh()
    settings = project.folder / "synth-contracts.yml"
    settings.write_text(settings.read_text() + "contractz: [contracts]\n")
    return project.run("build")


@case
def missing_source(fresh, built) -> int:
    project = fresh()
    project.source.unlink()
    code = project.run("build", "transactions")
    assert not project.source.exists()
    return code


@case
def not_a_database(fresh, built) -> int:
    project = fresh()
    project.source.write_text("not a database " * 100)
    return project.run("build", "transactions")


@case
def missing_table(fresh, built) -> int:
    project = fresh()
    replace_source(project, "ALTER TABLE raw.transactions RENAME TO baskets")
    return project.run("build", "transactions")


@case
def missing_column(fresh, built) -> int:
    project = fresh()
    replace_source(project, "ALTER TABLE raw.transactions DROP COLUMN amount")
    return project.run("build", "transactions")


@case
def empty_table(fresh, built) -> int:
    project = fresh()
    replace_source(project, "DELETE FROM raw.transactions")
    return project.run("build", "transactions")


@case
def broken_constraint(fresh, built) -> int:
    project = fresh()
    replace_source(
        project,
        "UPDATE raw.transactions SET amount = -5 WHERE basket_id ="
        " (SELECT min(basket_id) FROM raw.transactions)",
    )
    return project.run("build", "transactions")


def generator_edit(project, line: str) -> None:
    contract_edit(
        project, "            rows: source", f"            rows: source\n            {line}"
    )


@case
def unknown_generator(fresh, built) -> int:
    project = fresh()
    contract_edit(project, "type: calendar_cart", "type: calender_cart")
    return project.run("lint")


@case
def unknown_parameter(fresh, built) -> int:
    project = fresh()
    generator_edit(project, "parameters: {leaf_row: 100}")
    return project.run("lint")


@case
def unknown_country(fresh, built) -> int:
    project = fresh()
    contract_edit(project, "holidays: US", "holidays: US-XX")
    return project.run("lint")


@case
def role_without_column(fresh, built) -> int:
    project = fresh()
    contract_edit(project, "[amount, top_department]", "[amount, colour]")
    return project.run("build", "transactions")


@case
def text_time_index(fresh, built) -> int:
    project = fresh()
    contract_edit(project, "logicalType: timestamp", "logicalType: date")
    replace_source(project, "ALTER TABLE raw.transactions ALTER transaction_timestamp TYPE VARCHAR")
    return project.run("build", "transactions")


@case
def constraint_not_kept(fresh, built) -> int:
    """No store is 0 in the source, and grouped stores read 0."""
    project = fresh()
    contract_edit(
        project, "          roles:", "          constraints: [{id: s, check: store_id <> 0}]\n          roles:"
    )  # fmt: skip
    code = project.run("build", "transactions")
    assert not staged_tables(project)
    assert staged_tables(built)
    return code


def staged_tables(project) -> list[str]:
    """Tables of candidates in the project's work databases."""
    found: list[str] = []
    for path in project.folder.rglob("*.duckdb"):
        if path in (project.source, project.published):
            continue
        with duckdb.connect(str(path), read_only=True) as connection:
            found += [str(row) for row in connection.sql("SHOW ALL TABLES").fetchall()]
    return found


@case
def period_beyond_source(fresh, built) -> int:
    project = fresh()
    generator_edit(project, "period: {days: 30}")
    return project.run("build", "transactions")


@case
def few_entities(fresh, built) -> int:
    project = fresh()
    replace_source(project, "DELETE FROM raw.transactions WHERE household_id > 400")
    return project.run("build", "transactions")


@case
def broken_metric(fresh, built) -> int:
    def raises(*_arguments, **_options):
        raise ZeroDivisionError("a bug")

    faults = {
        "ks_max": lambda *_arguments, **_options: None,
        "hour_profile": raises,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, fault in faults.items():
            patch.setitem(METRICS, name, replace(METRICS[name], measure=fault))
        for name, value in (("ks_mean", float("nan")), ("weekday_profile", float("inf"))):
            patch.setitem(METRICS, name, replace(METRICS[name], measure=_valued(name, value)))
        code = built.run("build", "transactions", "--full-refresh")
    (result,) = json.loads((built.folder / "target" / "run_results.json").read_text())["results"]
    assert result["outcome"] == "NOT_EVALUATED"
    assert result["release_id"] is None
    for name in ("ks_mean", "ks_max", "hour_profile", "weekday_profile"):
        assert name in result["message"]
    assert built.run("verify", "transactions") == 0  # the release from before stands
    return code


def _valued(name: str, value: float) -> Callable:
    measure = METRICS[name].measure
    return lambda *arguments, **options: replace(measure(*arguments, **options), value=value)


@case
def locked_source(fresh, built) -> int:
    project = fresh()
    with held(project.source):
        return project.run("build", "transactions")


@case
def locked_registry(fresh, built) -> int:
    with held(built.published):
        return built.run("export", "transactions", "--ticket", "DATA-123")


@case
def public_split_key(fresh, built) -> int:
    project = fresh()
    settings = project.folder / "synth-contracts.yml"
    settings.write_text(settings.read_text() + "splitKey: demo\n")
    return project.run("build", "transactions")


@case
def attempts_used_up(fresh, built) -> int:
    path = built.folder / "contracts" / "transactions_gan.odcs.yaml"
    text = path.read_text()
    assert "maxAttempts: 5" in text
    path.write_text(text.replace("maxAttempts: 5", "maxAttempts: 1"))
    return built.run("build", "transactions_gan")


@case
def unknown_table(fresh, built) -> int:
    return built.run("export", "nobody", "--ticket", "DATA-123")


@case
def nothing_built(fresh, built) -> int:
    return fresh().run("export", "transactions", "--ticket", "DATA-123")


@case
def existing_output(fresh, built) -> int:
    output = str(built.folder / "contracts")
    return built.run("export", "transactions", "--ticket", "DATA-123", "--output", output)


@case
def bad_ticket(fresh, built) -> int:
    return built.run("export", "transactions", "--ticket", "nonsense")


@case
def unconfirmed_ticket(fresh, built) -> int:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        return with_tickets(
            built,
            f"{{url: 'http://127.0.0.1:{nobody.getsockname()[1]}', token: '${{PATH}}'}}",
            ["export", "transactions", "--ticket", "DATA-123"],
        )


@case
def ticket_system_token(fresh, built) -> int:
    return with_tickets(built, "{url: 'https://jira.example.com', token: abc}", ["lint"])


def with_tickets(project, jira: str, command: list[str]) -> int:
    """The code of a command while the project file holds that ``tickets.jira``."""
    settings = project.folder / "synth-contracts.yml"
    whole = settings.read_text()
    settings.write_text(f"{whole}tickets: {{jira: {jira}}}\n")
    try:
        return project.run(*command)
    finally:
        settings.write_text(whole)


@case
def not_released(fresh, built) -> int:
    return built.run("export", "transactions_gan", "--ticket", "DATA-123")


@case
def revoked(fresh, built) -> int:
    assert built.run("revoke", "transactions", "--reason", "a test") == 0
    return built.run("export", "transactions", "--ticket", "DATA-123")


@case
def expired(fresh, built) -> int:
    class Later(datetime):
        @classmethod
        def now(cls, tz=None) -> datetime:
            return datetime.now(tz) + timedelta(days=91)

    # not a number of days in the contract: what counts is bound into the release
    built.monkeypatch.setattr(registry, "datetime", Later)
    return built.run("export", "transactions", "--ticket", "DATA-123")


@case
def bad_retention(fresh, built) -> int:
    contract_edit(built, "value: 90, unit: d", "value: 90, unit: m")
    return built.run("lint")


@case
def broken_ledger(fresh, built) -> int:
    with duckdb.connect(str(built.published)) as connection:
        connection.execute("UPDATE registry.ledger SET kind = 'approved' WHERE seq = 1")
    return built.run("ledger", "verify")


@case
def existing_copy(fresh, built) -> int:
    return built.run("ledger", "export", str(built.folder / "synth-contracts.yml"))


@case
def untraceable_file(fresh, built) -> int:
    path = built.folder / "leak.csv"
    path.write_text("colour,weight\nred,3\n")
    return built.run("trace", str(path))


@case
def unmarked_release(fresh, built) -> int:
    path = built.folder / "leak.csv"
    path.write_text("amount,n_items\n3.5,2\n")
    return built.run("trace", str(path))


@case
def blank_reason(fresh, built) -> int:
    return built.run("revoke", "transactions", "--reason", " ")


@case
def tampered(fresh, built) -> int:
    with duckdb.connect(str(built.published)) as connection:
        names = connection.sql(
            "SELECT DISTINCT table_schema, table_name FROM information_schema.columns"
            " WHERE column_name = 'household_size' AND table_name != 'transactions'"
        ).fetchall()
        for schema, name in names:
            connection.execute(f'DELETE FROM "{schema}"."{name}" WHERE n_items = 3')
    return built.run("export", "transactions", "--ticket", "DATA-123")


def test_every_documented_case_is_run() -> None:
    assert set(CASES) == set(CODES)


def files_of(folder: Path) -> dict[str, int]:
    kept = ("warehouse/published", "exports/")
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and str(path.relative_to(folder)).startswith(kept)
    }


@pytest.mark.parametrize("name", sorted(CODES))
def test_case_ends_with_its_code_and_one_message(name: str, fresh, built, capsys) -> None:
    capsys.readouterr()
    before = files_of(built.folder)
    assert CASES[name](fresh, built) == CODES[name]
    said = capsys.readouterr()
    text = said.out + said.err
    assert "Traceback" not in text
    assert "unexpected" not in text, "an error must be one of ours, not a bug caught last"
    if name not in {"revoked", "tampered"}:
        assert files_of(built.folder).keys() == before.keys()
    assert text.strip()
