"""Edits with plain DuckDB (issue, Show 6; TRUST, invariants 1, 7 and 9) are refused."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from synth_contracts.errors import Refused, UsageError
from synth_contracts.release import Registry, flag, revoke
from synth_contracts.release.ledger import genesis, make_entry
from synth_contracts.signing.keys import KeyFolder

Plain = Callable[[str], list[tuple[Any, ...]]]
DATA = 'release_data."transactions__run-1"'
DATE, KEY = "transaction_timestamp", "household_id"


@pytest.fixture
def world(released: Any) -> Any:
    return released


@pytest.fixture
def plain_duckdb(world: Any) -> Plain:
    """Runs a statement on published.duckdb with DuckDB alone, as an insider would."""

    def run(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(world.published)) as connection:
            return connection.execute(sql).fetchall()

    return run


EDITS = {
    "a row edited": f"UPDATE {DATA} SET amount = amount + 0.01 WHERE rowid = 3",
    "a row added": f"INSERT INTO {DATA} SELECT * FROM {DATA} LIMIT 1",
    "two equal rows added": f"INSERT INTO {DATA} SELECT * FROM {DATA} WHERE rowid = 1 "
    f"UNION ALL SELECT * FROM {DATA} WHERE rowid = 1",
    "a row deleted": f"DELETE FROM {DATA} WHERE rowid = 3",
    "two values swapped": f"UPDATE {DATA} SET age = income, income = age "
    f"WHERE rowid = (SELECT min(rowid) FROM {DATA} WHERE age <> income)",
    "a column renamed": f"ALTER TABLE {DATA} RENAME COLUMN amount TO amounts",
    "a column's type": f"ALTER TABLE {DATA} ALTER amount TYPE VARCHAR",
    "the table dropped": f"DROP TABLE {DATA}",
    "the table made a view": f"ALTER TABLE {DATA} RENAME TO kept; "
    f"CREATE VIEW {DATA} AS SELECT * FROM release_data.kept",
    "the view turned": "CREATE OR REPLACE VIEW release.transactions AS "
    f"SELECT * FROM {DATA} WHERE amount > 1",
    "the view dropped": "DROP VIEW release.transactions",
    "the status": "UPDATE registry.releases SET status = 'superseded'",
    "the digest": "UPDATE registry.releases SET rows_digest = repeat('0', 64)",
    "the count": "UPDATE registry.releases SET row_count = 999",
    "no count": "UPDATE registry.releases SET row_count = NULL",
    "a date made a number": f"ALTER TABLE {DATA} ALTER {DATE} TYPE BIGINT USING epoch_us({DATE})",
    "a key made a date": f"ALTER TABLE {DATA} ALTER {KEY} TYPE DATE "
    f"USING DATE '1970-01-01' + {KEY}::INTEGER",
    "a number made a text": f"ALTER TABLE {DATA} ALTER {KEY} TYPE VARCHAR",
    "the statement spaced": "UPDATE registry.releases SET statement = statement || ' '",
    "the expanded contract spaced": "UPDATE registry.releases "
    "SET contract_expanded = contract_expanded || ' '",
    "a column of the registry": "ALTER TABLE registry.releases ADD COLUMN more VARCHAR",
    "the registry dropped": "DROP TABLE registry.releases",
    "the contract": "UPDATE registry.releases SET contract_text = contract_text || ' '",
    "the expanded contract": "UPDATE registry.releases SET contract_expanded = '{}'",
    "the version": "UPDATE registry.releases SET version = '2.0.0'",
    "the card": "UPDATE registry.releases SET analyst_card_html = '<p>all is well</p>'",
    "the card's facts": "UPDATE registry.releases SET analyst_card_json = '{}'",
    "the source key": "UPDATE registry.releases SET source_key = 'x'",
    "the time": "UPDATE registry.releases SET promoted_at = '2020-01-01'",
    "the statement": "UPDATE registry.releases SET statement = '{}'",
    "the row dropped": "DELETE FROM registry.releases",
    "a row of another release": "INSERT INTO registry.releases SELECT * REPLACE ('x' AS id) "
    "FROM registry.releases",
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_refused(world: Any, plain_duckdb: Plain, edit: str) -> None:
    with world.registry(read_only=True) as registry:
        registry.verify_release("transactions")
    for statement in EDITS[edit].split("; "):
        plain_duckdb(statement)
    with world.registry(read_only=True) as registry, pytest.raises(Refused):
        registry.verify_release("transactions")


def test_an_untouched_file_verifies_after_plain_reads(world: Any, plain_duckdb: Plain) -> None:
    plain_duckdb("SELECT count(*) FROM release.transactions")
    plain_duckdb("CHECKPOINT")
    with world.registry(read_only=True) as registry:
        assert registry.verify_release("transactions").id == "run-1"


@pytest.mark.parametrize("status", ["live", "superseded"])
def test_a_revoked_release_made_live_by_hand(world: Any, plain_duckdb: Plain, status: str) -> None:
    with world.registry() as registry:
        revoke(registry, "transactions", "leak", "ana")
    plain_duckdb(f"UPDATE registry.releases SET status = '{status}'")
    plain_duckdb(f"CREATE VIEW release.transactions AS SELECT * FROM {DATA}")
    with world.registry() as registry:
        with pytest.raises(Refused, match="revoked"):
            registry.verify_release("transactions")
        with pytest.raises(Refused, match="not live"):
            registry.redeem("run-1", "export_started", {"ticket": "DATA-1"})


LEDGER = {
    "cut": "DELETE FROM registry.ledger WHERE seq = (SELECT max(seq) FROM registry.ledger)",
    "emptied": "DELETE FROM registry.ledger",
    "edited": "UPDATE registry.ledger SET body = replace(body, 'leak', 'whim')",
    "reordered": "UPDATE registry.ledger SET seq = 3 - seq",
    "spaced": "UPDATE registry.ledger SET body = body || ' '",
    "time": "UPDATE registry.ledger SET recorded_at = '2020-01-01T00:00:00+00:00'",
    "doubled": "INSERT INTO registry.ledger SELECT * FROM registry.ledger",
    "another id": "UPDATE registry.meta SET value = repeat('a', 32) WHERE key = 'id'",
    "another format": "UPDATE registry.meta SET value = '2' WHERE key = 'format'",
    "no id": "DELETE FROM registry.meta",
}


@pytest.mark.parametrize("edit", LEDGER)
def test_an_edited_ledger_does_not_open(world: Any, plain_duckdb: Plain, edit: str) -> None:
    with world.registry() as registry:
        revoke(registry, "transactions", "leak", "ana")
    plain_duckdb(LEDGER[edit])
    for read_only in (False, True):
        with pytest.raises(Refused) as refused, world.registry(read_only=read_only):
            pass
        assert refused.value.exit_code == 5


@pytest.mark.parametrize("fresh_id", [False, True])
def test_a_ledger_rewritten_consistently(world: Any, plain_duckdb: Plain, fresh_id: bool) -> None:
    """The revoke is taken out and the chain made anew: consistent, but not the anchored one."""
    with world.registry() as registry:
        revoke(registry, "transactions", "leak", "ana")
        identifier = "ab" * 16 if fresh_id else registry.id
        promotion = registry.entries()[0]
    entry = make_entry(1, promotion.at, promotion.kind, promotion.body, genesis(identifier))
    with duckdb.connect(str(world.published)) as connection:
        connection.execute("DELETE FROM registry.ledger")
        connection.execute("INSERT INTO registry.ledger VALUES (?,?,?,?,?,?)", list(entry.row()))
        connection.execute("UPDATE registry.releases SET status = 'live'")
        connection.execute("UPDATE registry.meta SET value = ? WHERE key = 'id'", [identifier])
        connection.execute(f"CREATE VIEW release.transactions AS SELECT * FROM {DATA}")
    with pytest.raises(Refused, match="head"), world.registry():
        pass


def test_the_copy_from_before_a_revoke_is_not_accepted(world: Any) -> None:
    copy = world.root / "copy.duckdb"
    shutil.copy(world.published, copy)
    with world.registry() as registry:
        revoke(registry, "transactions", "leak", "ana")
    shutil.copy(copy, world.published)
    for read_only in (True, False):
        with pytest.raises(Refused, match="older copy"), world.registry(read_only=read_only):
            pass


def test_rows_signed_anew_with_a_key_of_ones_own(world: Any, plain_duckdb: Plain) -> None:
    from synth_contracts.signing.dsse import open_envelope, sign_statement
    from synth_contracts.signing.jsontext import dump_canonical
    from synth_contracts.tables import rows_digest

    with world.registry() as registry:
        release = registry.released("transactions")
    with duckdb.connect(str(world.published)) as connection:
        connection.execute(f"UPDATE {DATA} SET amount = 1")
        rows = connection.sql(f"SELECT * FROM {DATA}").to_arrow_table()
        statement = open_envelope(dict(release.statement), world.keys.public_keys())
        statement["subject"][0]["digest"]["sha256"] = rows_digest(rows)
        own = KeyFolder.open(world.root / "own").signing_key()
        connection.execute(
            "UPDATE registry.releases SET rows_digest = ?, statement = ?",
            [rows_digest(rows), dump_canonical(sign_statement(statement, own)).decode()],
        )
    with world.registry() as registry, pytest.raises(Refused, match="does not know"):
        registry.verify_release("transactions")


def test_an_older_release_cannot_stand_in_for_a_newer(world: Any, plain_duckdb: Plain) -> None:
    world.rows = world.rows.slice(0, 900)
    world.release("run-2")
    plain_duckdb("DELETE FROM registry.releases WHERE id = 'run-2'")
    plain_duckdb("UPDATE registry.releases SET status = 'live', id = 'run-2'")
    plain_duckdb('DROP TABLE release_data."transactions__run-2"')
    plain_duckdb(f'CREATE TABLE release_data."transactions__run-2" AS SELECT * FROM {DATA}')
    with world.registry() as registry, pytest.raises(Refused):
        registry.verify_release("transactions")


def test_a_rotated_key_still_verifies(world: Any) -> None:
    world.keys.rotate()
    with world.registry() as registry:
        assert registry.verify_release("transactions").id == "run-1"


def test_another_key_folder_does_not_open_it(world: Any) -> None:
    other = KeyFolder.open(world.root / "other keys")
    with pytest.raises(Refused, match="key folder"), Registry.open(world.published, other):
        pass


def test_flag_and_revoke(world: Any) -> None:
    with world.registry() as registry:
        for _ in range(2):  # each is idempotent
            assert flag(registry, "transactions", "a question", "ana").status == "flagged"
        with pytest.raises(Refused, match="flagged"):
            registry.verify_release("transactions")
        with pytest.raises(Refused, match="not live"):
            registry.redeem("run-1", "export_started", {})
        assert flag(registry, "transactions", "answered", "ana", clear=True).status == "live"
        registry.verify_release("transactions")
        assert registry.redeem("run-1", "export_started", {"ticket": "DATA-1"}).seq == 4
        for _ in range(2):
            assert revoke(registry, "transactions", "leak", "ana").status == "revoked"
        with pytest.raises(Refused, match="revoked"):
            registry.verify_release("transactions")
        with pytest.raises(Refused, match="revoked"):
            flag(registry, "transactions", "again", "ana")
        kinds = [entry.kind for entry in registry.entries()]
    assert kinds == ["promoted", "flagged", "flag_cleared", "export_started", "revoked"]
    with duckdb.connect(str(world.published), read_only=True) as connection:
        views = connection.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal")
        assert views.fetchall() == []


def test_a_use_of_a_token_is_entered_once(world: Any) -> None:
    use = {"jti": "a" * 32, "use_no": 1}
    with world.registry() as registry:
        registry.redeem("run-1", "export_started", use)
        with pytest.raises(Refused, match="was made already"):
            registry.redeem("run-1", "export_started", {**use, "spelled": "otherwise"})
        registry.redeem("run-1", "export_started", {**use, "use_no": 2})
        registry.redeem("run-1", "export_started", {**use, "jti": "b" * 32})
        assert len(registry.entries("export_started")) == 3


def test_unknown_tables(world: Any) -> None:
    with world.registry() as registry:
        for call in (flag, revoke):
            with pytest.raises(UsageError, match="no table nonsense") as unknown:
                call(registry, "nonsense", "why", "ana")
            assert unknown.value.exit_code == 2
        with pytest.raises(UsageError):
            registry.verify_release("nonsense")
        with pytest.raises(UsageError, match="reason"):
            revoke(registry, "transactions", " ", "ana")
        assert not registry.known("nonsense")
        assert registry.known("transactions")


def test_a_read_only_registry_writes_nothing(world: Any) -> None:
    from synth_contracts.errors import WarehouseError

    before = hashlib.sha256(world.bytes()).hexdigest()
    with world.registry(read_only=True) as registry:
        with pytest.raises(WarehouseError, match="read-only"):
            registry.append("approved", {})
        registry.verify_release("transactions")
    assert hashlib.sha256(world.bytes()).hexdigest() == before
