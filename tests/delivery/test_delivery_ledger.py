"""`ledger verify`, `show` and `export`: what a compliance reader types, and what an insider edits."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from synth_contracts.cli.ledger import _KINDS
from synth_contracts.delivery import verify_bundle
from synth_contracts.errors import Refused, UsageError
from synth_contracts.release import flag, ledger_copy
from synth_contracts.release.auditing import check_statements
from synth_contracts.release.ledger import KINDS, genesis, make_entry
from synth_contracts.release.ledger_copy import verify_copy, write_copy
from synth_contracts.signing import KeyFolder, dump_canonical, open_envelope, sign_statement

SPOOF = "a question\n 9  2026-01-01 00:00  revoked           nothing \x1b[2J\u202e"


@pytest.fixture(scope="module")
def told_once(tmp_path_factory: Any, house_class: Any, released_once: Path) -> Any:
    """A house with an export, a blocked build, a flag put and cleared, and a copy of its ledger."""
    root = tmp_path_factory.mktemp("told") / "house"
    house = house_class(root).like(released_once)
    house.bundle = house.export(subject="analyst one").path.name
    house.block("other")
    with house.registry() as registry:
        flag(registry, "transactions", "a question", "ana")
        flag(registry, "transactions", "answered", "ana", clear=True)
    assert house.run("ledger", "export", str(root / "ledger.jsonl")) == 0
    return house


@pytest.fixture
def told(told_once: Any, house: Any) -> Any:
    """A house of its own like ``told_once``; ``copy`` is the copy of its ledger."""
    house.like(told_once.root)
    house.bundle = house.root / "exports" / told_once.bundle
    house.copy = house.root / "ledger.jsonl"
    return house


def plain_duckdb(house: Any, statement: str) -> None:
    with duckdb.connect(str(house.published)) as connection:
        connection.execute(statement)


def said(house: Any, capsys: Any, *arguments: str, code: int = 0) -> str:
    """What the command prints; nothing of it may steer a terminal or be wider than it."""
    capsys.readouterr()
    assert house.run(*arguments) == code
    captured = capsys.readouterr()
    text = str(captured.err if code else captured.out)
    assert all(sign.isprintable() or sign == "\n" for sign in text)
    return text


def test_verify_says_how_many_entries_and_the_head(told: Any, capsys: Any) -> None:
    text = said(told, capsys, "ledger", "verify")
    found = json.loads(said(told, capsys, "ledger", "verify", "--json"))
    with told.registry(read_only=True) as registry:
        assert found["head"] == registry.head()
        assert found["entries"] == len(registry.entries()) == 8
    assert (found["verified"], found["anchor"], found["signed"], found["releases"]) == (
        True, True, 1, 1,
    )  # fmt: skip
    assert "verified, 8 entries" in text
    assert found["head"] in text
    assert max(map(len, text.splitlines())) <= 80


BROKEN = {
    "UPDATE registry.ledger SET body = replace(body, 'question', 'whim') WHERE seq = 7": 7,
    "UPDATE registry.ledger SET kind = 'flag_cleared' WHERE seq = 7": 7,
    "UPDATE registry.ledger SET recorded_at = NULL WHERE seq = 3": 3,
    "UPDATE registry.ledger SET body = NULL WHERE seq = 3": 3,
    "UPDATE registry.ledger SET body = '[]' WHERE seq = 3": 3,
    "UPDATE registry.ledger SET hash = repeat('0', 64) WHERE seq = 4": 4,
    "UPDATE registry.ledger SET prev = repeat('0', 64) WHERE seq = 4": 4,
    "UPDATE registry.ledger SET seq = NULL WHERE seq = 5": 5,
    "DELETE FROM registry.ledger WHERE seq = 2": 2,
    "DELETE FROM registry.ledger WHERE seq = 1": 1,
    "INSERT INTO registry.ledger SELECT * FROM registry.ledger WHERE seq = 3": 4,
}


@pytest.mark.parametrize("statement", BROKEN)
def test_verify_names_the_first_broken_entry(told: Any, capsys: Any, statement: str) -> None:
    plain_duckdb(told, statement)
    text = said(told, capsys, "ledger", "verify", code=5)
    assert f"broken at entry {BROKEN[statement]}:" in text
    assert "mend:" in text


def test_a_broken_ledger_is_neither_shown_nor_copied(told: Any, capsys: Any) -> None:
    plain_duckdb(told, next(iter(BROKEN)))
    before = told.bytes()
    for command in (["show"], ["show", "1"], ["list"], ["export", str(told.root / "new")]):
        assert "broken at entry 7" in said(told, capsys, "ledger", *command, code=5)
    assert told.bytes() == before
    assert not (told.root / "new").exists()


def test_a_cut_tail_and_an_altered_table_are_refused(told: Any, capsys: Any) -> None:
    plain_duckdb(told, "DELETE FROM registry.ledger WHERE seq = 8")
    assert "of 7 entries does not end where" in said(told, capsys, "ledger", "verify", code=5)
    plain_duckdb(told, "ALTER TABLE registry.ledger DROP COLUMN hash")
    assert "altered" in said(told, capsys, "ledger", "verify", code=5)
    plain_duckdb(told, "DROP TABLE registry.ledger")
    assert "gone" in said(told, capsys, "ledger", "verify", code=5)


UNSIGNED = {
    "the statement replaced": "UPDATE registry.releases SET statement = '{}'",
    "the release gone": "DELETE FROM registry.releases",
    "the status set back": "UPDATE registry.releases SET status = 'superseded'",
    "a release added": "INSERT INTO registry.releases SELECT * REPLACE ('x' AS id) "
    "FROM registry.releases",
}


@pytest.mark.parametrize("edit", UNSIGNED)
def test_verify_holds_the_ledger_against_what_was_signed(told: Any, capsys: Any, edit: str) -> None:
    """The chain is whole, and yet the registry says something else than the ledger."""
    plain_duckdb(told, UNSIGNED[edit])
    said(told, capsys, "ledger", "verify", code=5)


def test_a_promotion_signed_for_something_else(told_once: Any) -> None:
    """Each part that the statement binds: with any other one the entry is named."""
    with told_once.registry(read_only=True) as registry:
        entries, identifier = registry.entries(), registry.id
        release = registry.releases()[0]
    keys = told_once.keys
    statements = {release.id: release.statement}
    assert check_statements(entries, statements, identifier, keys.public_keys()) == 1
    signed = open_envelope(dict(release.statement), keys.public_keys())
    other = sign_statement({**signed, "note": "another one"}, keys.signing_key())
    with pytest.raises(Refused, match=r"entry 1 .promoted.*signed for something else"):
        check_statements(entries, {release.id: other}, identifier, keys.public_keys())
    with pytest.raises(Refused, match="something else"):
        check_statements(entries, statements, "0" * 32, keys.public_keys())
    for change in ("rows_digest", "contract_digest", "table", "statement_sha256"):
        first = replace(entries[0], body={**entries[0].body, change: "x"})
        with pytest.raises(Refused, match="something else"):
            check_statements([first, *entries[1:]], statements, identifier, keys.public_keys())


def test_show_lists_everything_in_80_columns(told: Any, capsys: Any) -> None:
    with told.registry() as registry:
        flag(registry, "transactions", "placeholder", "ana")
        registry.write("flag_cleared", {"release_id": "transactions-run1", "table": "transactions",
                                        "reason": SPOOF, "by": "ana"})  # fmt: skip
    text = said(told, capsys, "ledger", "show")
    assert max(map(len, text.splitlines())) <= 80
    assert [line.split()[0] for line in text.splitlines()[:-1] if line[:2].strip().isdigit()] == [
        str(number) for number in range(1, 11)
    ]
    assert "\\n" in text
    assert "\\x1b" in text
    assert "\\u202e" in text
    assert "10 entries, verified" in text
    assert said(told, capsys, "ledger", "list") == text


FILTERS = {
    ("--table", "transactions"): [1, 2, 3, 4, 5, 7, 8],
    ("--table", "other"): [6],
    ("--kind", "flagged", "--kind", "attempt"): [6, 7],
    ("--kind", "flagged", "--table", "other"): [],
    ("--since", "2026-03-01T12:00"): [1, 2, 3, 4, 5, 6, 7, 8],
    ("--since", "2026-03-01T14:00:01+02:00"): [],
    ("--since", "2026-03-02"): [],
}


@pytest.mark.parametrize("filters", FILTERS)
def test_show_filters(told_once: Any, capsys: Any, filters: tuple[str, ...]) -> None:
    found = json.loads(said(told_once, capsys, "ledger", "show", "--json", *filters))
    assert [entry["seq"] for entry in found] == FILTERS[filters]
    said(told_once, capsys, "ledger", "show", *filters)


def test_an_approval_is_about_the_tables_of_its_source(told: Any, capsys: Any) -> None:
    assert told.run("ledger", "approve", "other", "--reason", "looked at") == 0
    found = json.loads(said(told, capsys, "ledger", "show", "--json", "--table", "other"))
    assert [entry["kind"] for entry in found] == ["attempt", "approved"]


def test_show_one_entry_by_number_and_by_hash(told: Any, capsys: Any) -> None:
    by_number = json.loads(said(told, capsys, "ledger", "show", "7", "--json"))
    assert (by_number["kind"], by_number["body"]["reason"]) == ("flagged", "a question")
    by_hash = json.loads(said(told, capsys, "ledger", "show", by_number["hash"][:8], "--json"))
    assert by_hash == by_number
    text = said(told, capsys, "ledger", "show", "7")
    assert "a question" in text
    assert any(line.strip().endswith(by_number["hash"]) for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [["9"], ["0"], ["-1"], ["x"], [""], ["deadbeef"], ["7", "--table", "other"],
     ["--table", "nothing"], ["--kind", "nothing"], ["--since", "yesterday"]],
)  # fmt: skip
def test_what_cannot_be_shown(told_once: Any, capsys: Any, arguments: list[str]) -> None:
    said(told_once, capsys, "ledger", "show", *arguments, code=2)


def test_every_kind_can_be_asked_for() -> None:
    assert set(_KINDS) == KINDS


# a copy of its own


def test_a_copy_holds_every_entry_and_changes_nothing(told: Any, capsys: Any) -> None:
    lines = [json.loads(line) for line in told.copy.read_text().splitlines()]
    with told.registry(read_only=True) as registry:
        assert [line for line in lines if "seq" in line] == [
            {**vars(entry), "body": dict(entry.body)} for entry in registry.entries()
        ]
    assert stat.S_IMODE(told.copy.stat().st_mode) == 0o600
    before = told.bytes()
    assert "verified, 8 entries" in said(told, capsys, "ledger", "verify", "--file", str(told.copy))
    said(told, capsys, "ledger", "export", str(told.root / "second"))
    assert told.bytes() == before
    assert not list(told.root.glob(".*"))


def test_an_existing_file_is_never_overwritten(told: Any, capsys: Any, monkeypatch: Any) -> None:
    before = told.copy.read_bytes()
    link = told.root / "link"
    link.symlink_to(told.root / "nowhere")
    for path in (told.copy, link, told.root, told.root / "no folder" / "copy"):
        said(told, capsys, "ledger", "export", str(path), code=2)
    # one that appears between the check and the writing
    monkeypatch.setattr(ledger_copy, "_refuse_existing", lambda path: None)
    assert told.run("ledger", "export", str(told.copy)) == 3
    assert told.copy.read_bytes() == before
    assert not (told.root / "nowhere").exists()
    assert not list(told.root.glob(".*"))


def write_lines(path: Path, lines: list[Any]) -> None:
    path.write_bytes(b"".join(dump_canonical(line) + b"\n" for line in lines))


Edit = Callable[[list[Any]], list[Any]]


def _edited(lines: list[Any], index: int, **changes: Any) -> list[Any]:
    return [*lines[:index], {**lines[index], **changes}, *lines[index + 1 :]]


EDITS: dict[str, tuple[Edit, str]] = {
    "an entry edited": (
        lambda x: _edited(x, 7, body={**x[7]["body"], "reason": "a whim"}), "entry 7"),
    "an entry dropped": (lambda x: [*x[:4], *x[5:]], "entry 4"),
    "two entries swapped": (lambda x: [*x[:3], x[4], x[3], *x[5:]], "entry 3"),
    "an entry doubled": (lambda x: [*x[:3], x[2], *x[3:]], "entry 3"),
    "a number as text": (lambda x: _edited(x, 5, seq="5"), "entry 5"),
    "a body that is a list": (lambda x: _edited(x, 5, body=[]), "entry 5"),
    "a part too many": (lambda x: _edited(x, 5, more=1), "entry 5"),
    "the tail cut": (lambda x: x[:8], "entry 8|lacks|end"),
    "the signed head cut": (lambda x: x[:-1], "signed head"),
    "the statement cut": (lambda x: [*x[:-2], x[-1]], "entry 1"),
    "the statement of another": (lambda x: [*x[:-2], {**x[-2], "release": "x"}, x[-1]], "entry 1"),
    "a line after the end": (lambda x: [*x, x[1]], "signed head"),
    "a line before the end": (lambda x: [*x[:-1], {"note": 1}, x[-1]], "between"),
    "another registry": (lambda x: _edited(x, 0, ledger={**x[0]["ledger"], "registry": "0" * 32}),
                         "entry 1"),
    "another time": (lambda x: _edited(x, 0, ledger={**x[0]["ledger"], "exported_at": "2020"}),
                     "not the head"),
    "another format": (lambda x: _edited(x, 0, ledger={**x[0]["ledger"], "format": "v2"}), "format"),
    "a negative count": (lambda x: _edited(x, 0, ledger={**x[0]["ledger"], "entries": -1}),
                         "malformed"),
    "no line": (lambda _: [], "no exported ledger"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_is_refused(told_once: Any, tmp_path: Path, edit: str) -> None:
    change, words = EDITS[edit]
    copy = (told_once.root / "ledger.jsonl").read_text()
    write_lines(tmp_path / "copy", change([json.loads(line) for line in copy.splitlines()]))
    with pytest.raises(Refused, match=words):
        verify_copy(tmp_path / "copy", told_once.keys.public_keys())


@pytest.mark.parametrize("spelling", [" ", "\n", '{"seq":1,"seq":1}\n', "\x00", '"text"\n'])
def test_a_copy_has_one_spelling(told_once: Any, tmp_path: Path, spelling: str) -> None:
    text = (told_once.root / "ledger.jsonl").read_text()
    (tmp_path / "copy").write_text(text)
    assert verify_copy(tmp_path / "copy", told_once.keys.public_keys())[0].signed == 1
    (tmp_path / "copy").write_text(text + spelling)
    with pytest.raises(Refused):
        verify_copy(tmp_path / "copy", told_once.keys.public_keys())


def _rewritten(house: Any, key: Any) -> None:
    """The copy made anew without its last entries: sound in itself, signed by ``key``."""
    lines = [json.loads(line) for line in house.copy.read_text().splitlines()]
    header, identifier = lines[0]["ledger"], lines[0]["ledger"]["registry"]
    prev, entries = genesis(identifier), []
    for line in lines[1:6]:
        entries.append(make_entry(line["seq"], line["at"], line["kind"], line["body"], prev))
        prev = entries[-1].hash
    header |= {"entries": len(entries), "head": prev}
    signed = ledger_copy.sign_statement(ledger_copy._statement(header), key)
    rest = [line for line in lines if "statement" in line]
    made = [lines[0], *({**vars(e), "body": dict(e.body)} for e in entries), *rest]
    write_lines(house.copy, [*made, {"signature": signed}])


def test_a_chain_rewritten_whole_needs_the_projects_key(
    told: Any, tmp_path: Path, capsys: Any
) -> None:
    told.keys.rotate()  # the key of the copy is gone; its public half is kept
    assert "verified" in said(told, capsys, "ledger", "verify", "--file", str(told.copy))
    own = KeyFolder.open(tmp_path / "own").signing_key()
    _rewritten(told, own)
    with pytest.raises(Refused, match="does not know"):
        verify_copy(told.copy, told.keys.public_keys())
    assert verify_copy(told.copy, None)[0].signed is None, "a chain alone shows nothing of it"
    # the release's own statement in the place of the signed head
    lines = [json.loads(line) for line in told.copy.read_text().splitlines()]
    lines[-1] = {"signature": lines[-2]["statement"]}
    write_lines(told.copy, lines)
    with pytest.raises(Refused, match="not the head"):
        verify_copy(told.copy, told.keys.public_keys())


def test_a_copy_with_a_jwks_alone_and_without_keys(
    told: Any, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    from synth_contracts.cli.main import run

    public = said(told, capsys, "keys", "list", "--jwks")
    (tmp_path / "keys.json").write_text(public)
    monkeypatch.chdir(tmp_path)  # no project here or above
    verify = ["ledger", "verify", "--file", str(told.copy)]
    assert run([*verify, "--jwks", "keys.json"]) == 0
    capsys.readouterr()
    assert run(verify) == 3, "what was not checked is never a pass"
    assert "nothing that is signed was checked" in capsys.readouterr().err
    assert run([*verify, "--chain-only", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verified"], found["signed"]) == (False, None)
    (tmp_path / "none.json").write_text('{"keys": []}')
    assert run([*verify, "--jwks", "none.json"]) == 5
    (tmp_path / "odd.json").write_text('{"keys": [{"kty": "RSA"}]}')
    assert run([*verify, "--jwks", "odd.json"]) == 5
    assert run([*verify, "--jwks", "missing.json"]) == 2
    assert run(["ledger", "verify", "--file", "missing"]) == 2
    assert run(["ledger", "verify", "--jwks", "keys.json"]) == 2


def test_a_head_noted_earlier_must_stand_in_the_ledger(told: Any, capsys: Any) -> None:
    """The head that a bundle or a copy holds shows a ledger that was rewritten since."""
    head = json.loads(told.copy.read_text().splitlines()[0])["ledger"]["head"]
    with told.registry() as registry:
        flag(registry, "transactions", "once more", "ana")
    bundle = verify_bundle(told.bundle, told.keys)
    for noted in (head, bundle.ledger_head):
        said(told, capsys, "ledger", "verify", "--head", noted)
        said(told, capsys, "ledger", "verify", "--file", str(told.copy), "--head", noted)
    said(told, capsys, "ledger", "verify", "--head", "0" * 64, code=5)
    said(told, capsys, "ledger", "verify", "--head", head, "--head", "0" * 64, code=5)
    said(told, capsys, "ledger", "verify", "--head", "nonsense", code=2)


def test_an_empty_ledger_is_told_and_verified(house: Any) -> None:
    with house.registry() as registry:
        written = write_copy(registry, house.root / "copy", house.keys.signing_key())
    found, entries = verify_copy(house.root / "copy", house.keys.public_keys())
    assert found == written
    assert entries == []
    with pytest.raises(UsageError), house.registry() as registry:
        write_copy(registry, house.root / "copy", house.keys.signing_key())
