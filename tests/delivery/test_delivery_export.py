"""What an export writes and records, and what it refuses before it writes anything."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import Any

import bagit
import duckdb
import pyarrow.parquet as pq
import pytest

from synth_contracts.delivery import exporting, verify_bundle
from synth_contracts.delivery import token as tokens
from synth_contracts.delivery.ticket import check_ticket
from synth_contracts.errors import Refused, SynthContractsError, UsageError
from synth_contracts.release import flag, revoke
from synth_contracts.tables import rows_digest


def test_a_bundle_holds_the_released_rows_and_verifies(released: Any) -> None:
    bundle = released.export()
    assert rows_digest(pq.read_table(bundle.path / "data" / "transactions.parquet")) == (
        bundle.rows_digest
    )
    found = verify_bundle(bundle.path, released.keys)
    assert (found.table, found.ticket, found.rows) == ("transactions", "DATA-123", 40)
    assert found.jti == bundle.jti
    assert found.to_json()["rows_digest"] == bundle.rows_digest
    assert bundle.path.name == f"transactions-DATA-123-{bundle.jti[:8]}"
    assert released.left_behind() == [bundle.path.name]
    assert released.kinds() == ["issued", "started", "sealed", "delivered"]


def test_common_tools_accept_the_bundle(released: Any) -> None:
    for form in ("parquet", "csv"):
        folder = released.export(format=form).path
        for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
            done = subprocess.run(
                ["sha256sum", "--strict", "-c", manifest],
                cwd=folder,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        assert bagit.Bag(str(folder)).validate()


def test_the_token_binds_everything(released: Any) -> None:
    bundle = released.export(subject="an analyst")
    text = (bundle.path / "data" / "token.jwt").read_text()
    claims = tokens.read(text, released.keys.public_keys(), at="iat").claims
    with released.registry(read_only=True) as registry:
        release = registry.release("transactions")
        issued = registry.entries("export_issued")[0]
    statement = (bundle.path / "data" / "statement.dsse.json").read_bytes()
    expanded = (bundle.path / "data" / "contract.expanded.json").read_bytes()
    assert claims["digests"] == {
        "rows": release.rows_digest,
        "contract": release.contract_digest,
        "statement": hashlib.sha256(statement).hexdigest(),
    }
    assert hashlib.sha256(expanded).hexdigest() == release.contract_digest
    assert json.loads(statement) == release.statement
    assert claims["exp"] - claims["iat"] == 900
    assert claims["iat"] == int(released.now.timestamp())
    assert claims["ledger_head"] == issued.prev
    assert (claims["sub"], claims["ticket"]) == ("an analyst", "DATA-123")
    assert (claims["mode"], claims["authenticated"]) == ("local", False)
    assert text not in json.dumps([dict(issued.body)])  # the ledger gives no token away


def test_local_mode_is_stamped_on_the_bundle(released: Any) -> None:
    folder = released.export().path
    info = (folder / "bag-info.txt").read_text()
    assert "Mode: local\n" in info
    assert f"Subject: {pwd.getpwuid(os.getuid()).pw_name} (operating-system user, not auth" in info
    assert "mode: local" in (folder / "README.txt").read_text()


def test_the_subject_is_not_taken_from_a_variable(released: Any, monkeypatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert released.export().subject == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize("subject", ["", " ", "a\nTicket: DATA-9", "x" * 129])
def test_a_subject_that_could_forge_a_tag_is_refused(released: Any, subject: str) -> None:
    with pytest.raises(UsageError, match="printable"):
        released.export(subject=subject)
    assert released.left_behind() == []


def test_csv_holds_the_same_values(released: Any) -> None:
    bundle = released.export(format="csv")
    with (bundle.path / bundle.data_file).open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["household", "label", "amount", "share", "stamp", "day", "known"]
    assert len(lines) == 41
    assert {line[1] for line in lines[1:]} >= {"two\nlines", 'a "quoted", one', "späť", "=1+1"}
    assert {line[2] for line in lines[1:]} >= {"0.25", "1.50"}
    found = verify_bundle(bundle.path, released.keys)
    assert found.format == "csv"
    assert found.data_sha256 == bundle.data_sha256


def test_the_data_package_describes_the_file(released: Any) -> None:
    bundle = released.export()
    package = json.loads((bundle.path / "data" / "datapackage.json").read_text())
    (resource,) = package["resources"]
    assert resource["hash"] == f"sha256:{bundle.data_sha256}"
    assert resource["bytes"] == bundle.data_bytes == (bundle.path / bundle.data_file).stat().st_size
    assert [f["type"] for f in resource["schema"]["fields"]] == [
        "integer", "string", "number", "number", "any", "date", "boolean",
    ]  # fmt: skip


def test_output_names_the_folder(released: Any, tmp_path: Path) -> None:
    bundle = released.export(output=tmp_path / "deep" / "here")
    assert bundle.path == tmp_path / "deep" / "here"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["here"]
    assert stat.S_IMODE(bundle.path.stat().st_mode) == 0o700
    verify_bundle(bundle.path, released.keys)


@pytest.mark.parametrize("kind", ["folder", "full", "file", "link"])
def test_an_existing_output_is_refused_before_anything(
    released: Any, tmp_path: Path, kind: str
) -> None:
    there = tmp_path / "there"
    if kind == "file":
        there.write_text("mine")
    elif kind == "link":
        there.symlink_to(tmp_path / "nowhere")
    else:
        there.mkdir()
    if kind == "full":
        (there / "mine").write_text("mine")
    with pytest.raises(UsageError, match="exists already") as caught:
        released.export(output=there)
    assert caught.value.exit_code == 2
    assert released.kinds() == []
    assert (
        sorted(p.name for p in there.iterdir()) == (["mine"] if kind == "full" else [])
        if (there.is_dir())
        else True
    )


@pytest.mark.parametrize(
    "ticket",
    ["nonsense", "DATA-", "data-1", "DATA-1\n", " DATA-1", "DATA-1/../../x", "DATA-١", "", "..",
     "DATA-1 ", "XDATA-1", "DATA-" + "1" * 70],
)  # fmt: skip
def test_a_bad_ticket_is_refused(released: Any, ticket: str) -> None:
    with pytest.raises(Refused, match="ticket") as caught:
        released.export(ticket=ticket)
    assert caught.value.exit_code == 5
    assert "DATA-[0-9]+" in caught.value.mend
    assert released.kinds() == []
    assert released.left_behind() == []


def test_a_pattern_without_anchors_is_matched_in_full() -> None:
    check_ticket("DATA-1", "DATA-[0-9]+")
    for ticket in ("XDATA-1", "DATA-1X"):
        with pytest.raises(Refused):
            check_ticket(ticket, "DATA-[0-9]+")


def test_a_lenient_pattern_still_makes_no_path(house: Any) -> None:
    house.release(policy='ticketPattern: "^.*[0-9]$"')
    for ticket in ("../../1", "a/1", "a\0001", ".1", "a b1"):
        with pytest.raises(Refused, match="ticket"):
            house.export(ticket=ticket)
    assert house.left_behind() == []


def test_a_pattern_with_a_digit_class_takes_ascii_digits_only(house: Any) -> None:
    house.release(policy=r"ticketPattern: '^DATA-\d+$'")
    house.export(ticket="DATA-7")
    with pytest.raises(Refused, match="ticket"):
        house.export(ticket="DATA-٧")


def test_unknown_unreleased_flagged_and_revoked_tables(released: Any) -> None:
    with pytest.raises(UsageError) as caught:
        released.export("no_such_table")
    assert caught.value.exit_code == 2
    released.block("transactions_gan")
    with pytest.raises(Refused, match="released") as refused:
        released.export("transactions_gan")
    assert refused.value.exit_code == 5
    with released.registry() as registry:
        flag(registry, "transactions", "look again", "compliance")
    with pytest.raises(Refused, match="flagged"):
        released.export()
    with released.registry() as registry:
        flag(registry, "transactions", "looked", "compliance", clear=True)
    released.export()
    with released.registry() as registry:
        revoke(registry, "transactions", "a test", "compliance")
    with pytest.raises(Refused, match="revoked"):
        released.export()
    assert released.kinds() == ["issued", "started", "sealed", "delivered"]
    assert len(released.left_behind()) == 1


def test_rows_edited_with_plain_duckdb_are_not_exported(released: Any) -> None:
    with duckdb.connect(str(released.published)) as connection:
        tables = connection.sql(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name LIKE 'release%'"
        ).fetchall()
        ((schema, table),) = tables
        connection.execute(f'UPDATE "{schema}"."{table}" SET label = \'x\' WHERE household = 3')
    with pytest.raises(Refused, match="rows"):
        released.export()
    assert released.left_behind() == []


def test_formats_of_the_contract(house: Any) -> None:
    house.release(policy="formats: [csv]")
    assert house.export(ticket="DATA-1").format == "csv"
    with pytest.raises(Refused, match="does not allow the format parquet"):
        house.export(ticket="DATA-1", format="parquet")
    with pytest.raises(UsageError, match="no format"):
        house.export(ticket="DATA-1", format="xlsx")


def test_more_rows_or_bytes_than_allowed(house: Any) -> None:
    house.release("few_rows", policy="maxRows: 39")
    house.release("few_bytes", policy="maxBytes: 1000")
    house.release("enough", policy="maxRows: 40, maxBytes: 100000")
    with pytest.raises(Refused, match="39"):
        house.export("few_rows")
    assert house.kinds() == []
    with pytest.raises(Refused, match="1,000"):
        house.export("few_bytes")
    assert house.kinds() == ["issued", "started", "aborted"]
    assert house.left_behind() == []
    house.export("enough")


def test_exports_per_ticket_and_day_are_counted(house: Any) -> None:
    house.release(policy="maxExportsPerTicketPerDay: 2")
    house.export()
    house.export()
    with pytest.raises(Refused, match="has used its 2 exports"):
        house.export()
    house.export(ticket="DATA-124")
    assert len(house.left_behind()) == 3
    house.now += dt.timedelta(hours=11, minutes=59)
    with pytest.raises(Refused, match="has used"):
        house.export()
    house.now += dt.timedelta(minutes=1)
    house.export()


def test_an_aborted_export_is_not_counted(house: Any, monkeypatch) -> None:
    house.release(policy="maxExportsPerTicketPerDay: 1")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "finish", full)
    with pytest.raises(SynthContractsError, match="No space"):
        house.export()
    monkeypatch.undo()
    house.export()


def test_the_contract_of_the_release_counts_not_the_file(house: Any) -> None:
    house.release(policy='ticketPattern: "^DATA-[0-9]+$", maxExportsPerTicketPerDay: 1')
    house.contract("transactions", 'ticketPattern: "^.*$", maxExportsPerTicketPerDay: 99')
    house.export()
    for ticket in ("DATA-123", "anything"):
        with pytest.raises(Refused):
            house.export(ticket=ticket)


def test_token_life_is_the_contracts(house: Any) -> None:
    house.release(policy="tokenTtl: 1m")
    bundle = house.export(ticket="DATA-1")
    assert bundle.expires_at == "2026-03-01T12:01:00+00:00"
    verify_bundle(bundle.path, house.keys)
