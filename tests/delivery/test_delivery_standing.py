"""`flag`, `revoke` and `trace` list who holds what: for people, programs and spreadsheets."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest

from synth_contracts.cli.exports import COLUMNS, as_csv
from synth_contracts.delivery import ExportRecord
from synth_contracts.errors import UsageError
from synth_contracts.release import approve, flag, revoke

HOLDER = "=cmd|' /C calc'!A0"


@pytest.fixture(scope="module")
def exported_once(tmp_path_factory: Any, house_class: Any, released_once: Path) -> Any:
    """A house with an export of a release that was superseded, and two of the one after it."""
    root = tmp_path_factory.mktemp("standing") / "house"
    house = house_class(root, _runs=1).like(released_once)
    house.export(subject="analyst zero")
    house.now += dt.timedelta(hours=1)
    house.newest = house.release().id
    house.export(subject=HOLDER, ticket="DATA-7", format="csv")
    house.export(subject="analyst two")
    return house


@pytest.fixture
def exported(exported_once: Any, house: Any) -> Any:
    house.like(exported_once.root)
    house.newest = exported_once.newest
    return house


def out(house: Any, capsys: Any, *arguments: str) -> str:
    capsys.readouterr()
    assert house.run(*arguments) == 0
    return str(capsys.readouterr().out)


@pytest.mark.parametrize("command", ["flag", "revoke"])
def test_who_holds_the_release_is_listed_at_once(exported: Any, capsys: Any, command: str) -> None:
    with exported.registry(read_only=True) as registry:
        sealed = [e.body["data_sha256"] for e in registry.entries("export_sealed")]
    text = out(exported, capsys, command, "transactions", "--reason", "a household is in it")
    assert max(map(len, text.splitlines())) <= 80
    for word in (HOLDER, "analyst two", "DATA-7", "DATA-123", "2026-03-01 13:00", "delivered"):
        assert word in text
    assert all(digest in text for digest in sealed[1:])
    assert text.count("file sha256") == 2
    assert "analyst zero" not in text
    assert "1 more of other releases" in text
    assert "a household is in it" in text

    before = exported.bytes()
    again = out(exported, capsys, command, "transactions", "--reason", "once more")
    assert exported.bytes() == before, "twice is once"
    assert "was already" in again
    assert "since 20" in again
    assert "a household is in it" in again
    assert "once more" not in again


def test_json_and_csv_say_the_same(exported: Any, capsys: Any) -> None:
    ask = ["revoke", "transactions", "--reason", "why", "--format"]
    first = json.loads(out(exported, capsys, *ask, "json"))
    second = json.loads(out(exported, capsys, *ask, "json"))
    assert (first.pop("changed"), second.pop("changed")) == (True, False)
    assert first == second
    assert (first["status"], first["reason"], first["release"]) == (
        "revoked", "why", exported.newest,
    )  # fmt: skip
    assert first["since"].startswith("20")
    text = out(exported, capsys, *ask, "csv")
    assert text == out(exported, capsys, "trace", exported.newest, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["subject"] for row in rows] == [f"'{HOLDER}", "analyst two"]
    for row, item in zip(rows, first["exports"], strict=True):
        assert set(row) == set(item) == set(COLUMNS)
        for name in set(COLUMNS) - {"subject"}:
            assert row[name] == ("" if item[name] is None else str(item[name]))


def test_trace_in_three_formats(exported: Any, capsys: Any) -> None:
    found = json.loads(out(exported, capsys, "trace", "transactions", "--format", "json"))
    assert found == json.loads(out(exported, capsys, "trace", "transactions", "--json"))
    assert [item["release_status"] for item in found] == ["superseded", "live", "live"]
    table = out(exported, capsys, "trace", "transactions", "--format", "table")
    assert table == out(exported, capsys, "trace", "transactions")
    assert max(map(len, table.splitlines())) <= 80
    assert "is superseded" in table
    assert out(exported, capsys, "trace", "DATA-9", "--format", "json") == "[]\n"
    assert out(exported, capsys, "trace", "DATA-9", "--format", "csv").count("\n") == 1
    assert "no export is known" in out(exported, capsys, "trace", "DATA-9")
    assert exported.run("trace", "transactions", "--json", "--format", "csv") == 2


def record(subject: str) -> dict[str, Any]:
    item = ExportRecord(
        jti="0" * 32, at="2026-03-01T12:00:00+00:00", subject=subject, ticket="DATA-1",
        table="t", release="r", rows=40, rows_digest="1" * 64, format="csv", mode="local",
        status="delivered", expires_at="2026-03-01T12:15:00+00:00", token_sha256="2" * 64, path="/x",
    )  # fmt: skip
    return {**item.to_json(), "release_status": "live"}


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "＝", "－"])
def test_no_cell_begins_a_formula(sign: str) -> None:
    for subject in (f'{sign}HYPERLINK("http://x","a")', f"{sign}1+1", sign):
        text = as_csv([record(subject)])
        (_, row) = csv.reader(io.StringIO(text))
        cell = row[COLUMNS.index("subject")]
        assert cell.startswith("'")
        assert len(text.splitlines()) == 2


@pytest.mark.parametrize("separator", [";", ",", "|", '"', '";', "; ", "\t"])
def test_no_separator_of_another_country_begins_a_formula(separator: str) -> None:
    text = as_csv([record(f"analyst{separator}=1+1")])
    assert "'=1+1" in text
    (_, row) = csv.reader(io.StringIO(text))
    assert len(row) == len(COLUMNS)


def test_cells_are_quoted_and_keep_what_is_harmless() -> None:
    subject = 'Späth, "Ana"; a-b\x1b[2J'
    (_, row) = csv.reader(io.StringIO(as_csv([record(subject)])))
    assert row[COLUMNS.index("subject")] == 'Späth, "Ana"; a-b\\x1b[2J'
    assert row[COLUMNS.index("rows")] == "40"


@pytest.mark.parametrize("reason", ["", " ", "\t\n", "\u200b", "...", "\u2800", "a\x1b[2J", "a\u202e",
                                    "a\0", "a" * 2001])  # fmt: skip
def test_a_reason_is_needed_in_words(exported_once: Any, reason: str) -> None:
    before = exported_once.bytes()
    with exported_once.registry() as registry:
        for change in (flag, revoke):
            with pytest.raises(UsageError, match="reason"):
                change(registry, "transactions", reason, "ana")
        with pytest.raises(UsageError, match="reason"):
            approve(registry, {"declared": "x"}, "ana", reason)
        assert registry.entries()[-1].kind == "export_delivered"
    assert exported_once.bytes() == before


def test_the_reason_is_one_line_and_the_name_is_the_users(
    exported: Any, capsys: Any, monkeypatch: Any
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "somebody else")
    out(exported, capsys, "revoke", "transactions", "--reason", "two\n  lines")
    with exported.registry(read_only=True) as registry:
        body = registry.entries("revoked")[0].body
    assert body["reason"] == "two lines"
    assert body["by"] != "somebody else"


def test_refusals_write_nothing(exported: Any, capsys: Any) -> None:
    exported.block("other")
    before = exported.bytes()
    for command in ("flag", "revoke"):
        for table, code in (("other", 5), ("nothing", 2)):
            assert exported.run(command, table, "--reason", "why", "--format", "csv") == code
            assert capsys.readouterr().out == ""
    assert exported.bytes() == before


def test_what_a_crash_left_is_settled_before_it_is_listed(exported: Any, capsys: Any) -> None:
    """A bundle that was renamed into place is in somebody's hands, whatever the ledger missed."""
    with exported.registry() as registry:
        entries = [entry.kind for entry in registry.entries()]
        issued = dict(registry.entries("export_issued")[-1].body)
        issued |= {"jti": "ab" * 16, "subject": "analyst three"}
        registry.append("export_issued", issued)  # its token lies in the delivered bundle
        issued |= {"jti": "cd" * 16, "subject": "analyst four", "path": str(exported.root / "no")}
        registry.append("export_issued", issued)
    found = json.loads(
        out(exported, capsys, "revoke", "transactions", "--reason", "why", "--format", "json")
    )
    ended = {item["subject"]: item["status"] for item in found["exports"]}
    assert (ended["analyst three"], ended["analyst four"]) == ("delivered", "aborted")
    with exported.registry(read_only=True) as registry:
        added = [entry.kind for entry in registry.entries()][len(entries) + 2 :]
    assert added == ["revoked", "export_delivered", "export_aborted"], "the revoke comes first"
