"""A release expires: it is exported no more, and the ledger says so once."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from synth_contracts.delivery import verify_bundle
from synth_contracts.errors import Refused
from synth_contracts.release import flag, revoke
from synth_contracts.release.verify import check_signed

DAYS = 90
START = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(days=DAYS, hours=1)
END = START + dt.timedelta(days=DAYS)


@pytest.fixture(scope="module")
def kept_once(tmp_path_factory: Any, house_class: Any) -> Any:
    """A house that released ``transactions`` for 90 days, which are over an hour ago, and exported it."""
    house = house_class(
        tmp_path_factory.mktemp("kept") / "house", START, retention="value: 90, unit: d"
    )
    house.release()
    house.export()
    return house


@pytest.fixture
def kept(kept_once: Any, house: Any) -> Any:
    house.like(kept_once.root)
    house.now, house.retention, house._runs = START, kept_once.retention, 1
    return house


def views(house: Any) -> list[Any]:
    with duckdb.connect(str(house.published), read_only=True) as connection:
        return connection.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()


def kinds(house: Any) -> list[str]:
    with house.registry(read_only=True) as registry:
        return [entry.kind for entry in registry.entries()]


def test_until_the_last_moment_it_is_exported(kept: Any) -> None:
    kept.now = END - dt.timedelta(milliseconds=1)
    kept.export()
    kept.now = END
    with pytest.raises(Refused, match=r"is expired since .*T"):
        kept.export()


def test_a_refused_export_enters_the_expiry_once_and_nothing_else(kept: Any) -> None:
    kept.now = END + dt.timedelta(days=1)
    before, folders = kinds(kept), kept.left_behind()
    with pytest.raises(Refused) as caught:
        kept.export()
    assert caught.value.exit_code == 5
    assert "build again" in caught.value.mend
    assert kinds(kept) == [*before, "expired"]
    with kept.registry(read_only=True) as registry:
        assert registry.entries()[-1].body == {
            "release_id": "transactions-run1",
            "table": "transactions",
            "expires_at": END.isoformat(timespec="milliseconds"),
        }
    bytes_of_it = kept.bytes()
    for _ in range(2):
        with pytest.raises(Refused, match="expired"):
            kept.export()
    assert kept.bytes() == bytes_of_it
    assert kept.left_behind() == folders
    assert views(kept) == []


def test_an_open_registry_notices_the_end(kept: Any) -> None:
    """A process that runs across the end: export, and an export that is under way."""
    with kept.registry() as registry:
        kept.now = END
        with pytest.raises(Refused, match="not live"):
            registry.redeem("transactions-run1", "export_started", {"jti": "x"})
        with pytest.raises(Refused, match="expired"):
            kept.export_with(registry)
        assert [entry.kind for entry in registry.entries()].count("expired") == 1


def test_a_clock_put_back_does_not_bring_it_back(kept: Any) -> None:
    kept.now = END
    with kept.registry():
        pass
    kept.now = START
    with pytest.raises(Refused, match="expired"):
        kept.export()
    assert kinds(kept).count("expired") == 1


def test_no_moment_before_the_newest_entry_counts(kept: Any) -> None:
    with kept.registry() as registry:  # opened before the end, so that the expiry is not entered
        kept.now = END
        registry.append("approved", {"source_key": "x", "sources": {}, "by": "ana", "reason": "a"})
    kept.now = START
    assert "expired" not in kinds(kept)
    with kept.registry(read_only=True) as registry, pytest.raises(Refused, match="expired"):
        registry.verify_release("transactions")


def test_what_reads_sees_it_before_it_is_entered(kept: Any, capsys: Any) -> None:
    before = kept.bytes()
    assert kept.run("ls", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["status"], row["expires_at"]) == ("expired", END.isoformat(timespec="milliseconds"))
    assert [item["status"] for item in row["releases"]] == ["expired"]
    assert kept.run("ls") == 0
    assert (
        f"expired        40 rows, transactions-run1, ended {END:%Y-%m-%d}"
        in capsys.readouterr().out
    )
    assert kept.run("verify", "transactions") == 5
    assert kept.run("ledger", "verify") == 0
    assert kept.run("trace", "DATA-123", "--json") == 0
    captured = capsys.readouterr().out
    assert '"release_status": "expired"' in captured
    assert kept.bytes() == before
    assert kept.run("export", "transactions", "--ticket", "DATA-123") == 5
    assert kept.run("ledger", "show", "--kind", "expired") == 0
    assert "at the end of its retention" in " ".join(capsys.readouterr().out.split())
    assert kept.run("ledger", "verify") == 0
    assert kept.run("ledger", "export", str(kept.root / "copy")) == 0
    assert kept.run("ledger", "verify", "--file", str(kept.root / "copy")) == 0


def test_old_bundles_still_verify_and_say_that_they_are_over(kept: Any, capsys: Any) -> None:
    (path,) = (kept.root / "exports").iterdir()
    found = verify_bundle(path, kept.keys)
    assert found.release_expires_at == END.isoformat(timespec="milliseconds")
    assert kept.run("verify", str(path)) == 0
    assert "its retention ended" in capsys.readouterr().out
    assert (
        f"Expires: {END.isoformat(timespec='milliseconds')}" in (path / "bag-info.txt").read_text()
    )


def test_an_expired_release_is_revoked_but_not_flagged(kept: Any) -> None:
    with kept.registry() as registry:
        flag(registry, "transactions", "a question", "ana")
    kept.now = END
    with kept.registry() as registry:
        for clear in (True, False):
            with pytest.raises(Refused, match="expired"):
                flag(registry, "transactions", "answered", "ana", clear=clear)
        assert revoke(registry, "transactions", "a leak", "ana").status == "revoked"
    assert kinds(kept)[-3:] == ["flagged", "expired", "revoked"]


def test_the_next_build_takes_its_place(kept: Any, capsys: Any) -> None:
    kept.now = END
    newest = kept.release().id
    with kept.registry(read_only=True) as registry:
        assert [r.status for r in registry.releases()] == ["superseded", "live"]
        assert [r.stored_status for r in registry.releases()] == ["superseded", "live"]
        registry.verify_release("transactions")
    kept.export()
    assert views(kept) == [("transactions",)]
    assert kept.run("ls", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert [(r["release"], r["status"]) for r in row["releases"]] == [
        ("transactions-run1", "superseded"), (newest, "live"),
    ]  # fmt: skip


EDITS = {
    "a longer retention in the stored contract": "UPDATE registry.releases SET contract_expanded = "
    "replace(contract_expanded, '\"value\":90', '\"value\":99')",
    "the status of an expired one": "UPDATE registry.releases SET status = 'expired'",
}


@pytest.mark.parametrize("edit", EDITS)
def test_the_end_is_bound_into_the_release(kept: Any, edit: str) -> None:
    with duckdb.connect(str(kept.published)) as connection:
        connection.execute(EDITS[edit])
    with kept.registry(read_only=True) as registry, pytest.raises(Refused):
        registry.verify_release("transactions")


def test_the_end_is_held_against_the_contract(kept: Any) -> None:
    """The promotion in the ledger says one end, the contract that was signed comes to another."""
    with kept.registry(read_only=True) as registry:
        release, entries, identifier = registry.releases()[0], registry.entries(), registry.id

    def check(ends: str | None) -> None:
        body = {**entries[0].body, "expires_at": ends}
        changed = [replace(entries[0], body=body), *entries[1:]]
        check_signed(
            replace(release, status="live"), release.rows, entries=changed,
            registry_id=identifier, keys=kept.keys.public_keys(), view_is_right=True,
        )  # fmt: skip

    check(entries[0].body["expires_at"])
    for ends in (None, (END + dt.timedelta(days=1)).isoformat(timespec="milliseconds")):
        with pytest.raises(Refused, match="expires_at"):
            check(ends)


def test_loosening_the_contract_keeps_nothing_longer(kept: Any, capsys: Any) -> None:
    kept.retention = "value: 99, unit: y"
    kept.contract("transactions")
    assert kept.run("export", "transactions", "--ticket", "DATA-123") == 5
    assert "expired" in capsys.readouterr().err


def test_without_retention_nothing_expires(released: Any) -> None:
    released.now += dt.timedelta(days=36_500)
    released.export()
    assert "expired" not in kinds(released)
    assert not any("expires_at" in entry.body for entry in _entries(released, "promoted"))


def _entries(house: Any, kind: str) -> list[Any]:
    with house.registry(read_only=True) as registry:
        return list(registry.entries(kind))
