"""Export, verify, trace, flag, revoke: the bundle proves itself, and every edit is seen."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def bundle(built) -> Path:
    folder = built.folder / "bundle"
    assert built.run("export", "transactions", "--ticket", "DATA-123", "--output", str(folder)) == 0
    return folder


def test_sha256sum_needs_no_tool_of_ours(bundle: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "-c", "manifest-sha256.txt"], cwd=bundle, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_bundle_holds_the_released_rows_and_the_analysts_card(built, bundle: Path) -> None:
    with duckdb.connect(str(built.published), read_only=True) as connection:
        (rows,) = connection.sql("SELECT count(*) FROM release.transactions").fetchall()[0]
    assert pq.read_metadata(bundle / "data" / "transactions.parquet").num_rows == rows
    card = json.loads((bundle / "data" / "report-card.json").read_text())
    assert card["audience"] == "analyst"


def test_verify_holds_and_any_changed_byte_is_refused(built, bundle: Path) -> None:
    assert built.run("verify", str(bundle)) == 0
    rng = random.Random(1)
    for file in sorted(path for path in bundle.rglob("*") if path.is_file()):
        raw = file.read_bytes()
        at = rng.randrange(len(raw))
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert built.run("verify", str(bundle)) == 5, file.name
        file.write_bytes(raw)
    assert built.run("verify", str(bundle)) == 0


def test_edited_remanifested_and_resigned_is_refused(built, bundle: Path, tmp_path: Path) -> None:
    """The forger signs with a key of their own and lays its public half into the bundle."""
    from synth_contracts.signing import KeyFolder

    contract = bundle / "data" / "contract.odcs.yaml"
    contract.write_text(contract.read_text() + "\n# nothing to see here\n")
    for manifest, base in (("manifest-sha256.txt", "data"), ("tagmanifest-sha256.txt", "")):
        lines = []
        for line in (bundle / manifest).read_text().splitlines():
            name = line.split(maxsplit=1)[1]
            lines.append(f"{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}  {name}")
        (bundle / manifest).write_text("\n".join(lines) + "\n")
        assert base in {"data", ""}
    forger = KeyFolder.open(tmp_path / "forger")
    signature = bundle / "tagmanifest-sha256.txt.sig"
    body = json.loads(signature.read_text())
    key = forger.signing_key()
    import base64

    raw = key.sign((bundle / "tagmanifest-sha256.txt").read_bytes())
    for field in ("kid", "keyid"):
        if field in body:
            body[field] = key.kid
    for field in ("sig", "signature"):
        if field in body:
            body[field] = base64.b64encode(raw).decode()
    signature.write_text(json.dumps(body))
    assert built.run("verify", str(bundle)) == 5


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("transactions_gan", "--ticket", "DATA-123"), 5),
        (("transactions", "--ticket", "nonsense"), 5),
        (("transactions", "--ticket", "DATA-123\n"), 5),
        (("no_such_table", "--ticket", "DATA-123"), 2),
    ],
)
def test_refusals_write_nothing(built, arguments: tuple[str, ...], code: int) -> None:
    assert built.run("export", *arguments) == code
    assert not (built.folder / "exports").exists() or not list((built.folder / "exports").iterdir())


def test_existing_output_folder_is_refused_and_left_alone(built, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "mine").write_text("mine")
    arguments = ("export", "transactions", "--ticket", "DATA-123", "--output", str(there))
    assert built.run(*arguments) == 2
    assert [path.name for path in there.iterdir()] == ["mine"]


def test_trace_lists_the_export_by_ticket_token_and_bundle(built, bundle: Path, capsys) -> None:
    token = next(bundle.rglob("token.jwt"))
    for what in ("DATA-123", str(token), str(bundle)):
        capsys.readouterr()
        assert built.run("trace", what, "--json") == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert found["ticket"] == "DATA-123"
        assert found["status"] == "delivered"


def test_csv_bundle_verifies(built) -> None:
    folder = built.folder / "as-csv"
    arguments = ("export", "transactions", "--ticket", "RISK-7", "--format", "csv")
    assert built.run(*arguments, "--output", str(folder)) == 0
    assert (folder / "data" / "transactions.csv").is_file()
    assert built.run("verify", str(folder)) == 0


def test_after_revoke_nothing_is_exported(built) -> None:
    assert built.run("revoke", "transactions", "--reason", "a test") == 0
    assert built.run("revoke", "transactions", "--reason", "a test") == 0
    assert built.run("export", "transactions", "--ticket", "DATA-123") == 5
    assert built.run("verify", "transactions") == 5


def test_a_flag_stops_exports_until_it_is_cleared(built) -> None:
    assert built.run("flag", "transactions", "--reason", "look again") == 0
    assert built.run("export", "transactions", "--ticket", "DATA-123") == 5
    assert built.run("flag", "transactions", "--reason", "looked", "--clear") == 0
    assert built.run("export", "transactions", "--ticket", "DATA-123") == 0


def _storage_table(connection: duckdb.DuckDBPyConnection) -> str:
    """The base table with the released rows, wherever it stands."""
    for schema, name in connection.sql(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_type = 'BASE TABLE'"
    ).fetchall():
        columns = connection.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = ? AND table_name = ?",
            [schema, name],
        ).fetchall()
        if ("household_size",) in columns:
            return f'"{schema}"."{name}"'
    raise AssertionError("no table holds the released rows")


def test_a_row_edited_with_plain_duckdb_is_seen(built) -> None:
    assert built.run("verify", "transactions") == 0
    with duckdb.connect(str(built.published)) as connection:
        table = _storage_table(connection)
        connection.execute(
            f"UPDATE {table} SET n_items = n_items + 1 WHERE basket_id ="
            f" (SELECT min(basket_id) FROM {table})"
        )
    assert built.run("export", "transactions", "--ticket", "DATA-123") == 5
    assert built.run("verify", "transactions") == 5


def test_the_file_from_before_a_revoke_put_back_is_refused(built) -> None:
    copy = built.folder / "before.duckdb"
    shutil.copy(built.published, copy)
    assert built.run("revoke", "transactions", "--reason", "a test") == 0
    shutil.copy(copy, built.published)
    assert built.run("export", "transactions", "--ticket", "DATA-123") == 5
