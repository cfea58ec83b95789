"""Exports of a release with a fingerprint: another tenth left out of each, and k counted anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from batteries.ground import remanifest
from batteries.house import POLICY, PROJECT, House

from synth_contracts.delivery import token as tokens
from synth_contracts.delivery import trace, verify_bundle
from synth_contracts.delivery.leak import LeakTrace
from synth_contracts.delivery.omitting import omit
from synth_contracts.errors import Refused

MARKED = f"{POLICY}, formats: [parquet, csv, arrow], fingerprint: true"


@pytest.fixture(scope="module")
def pool(few_baskets: pd.DataFrame) -> pa.Table:
    """Up to five baskets of each of 900 households."""
    frame = few_baskets.groupby("household_id").head(5).reset_index(drop=True)
    frame = frame.rename(columns={"household_id": "household"})
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()


@pytest.fixture(scope="module")
def marked_once(tmp_path_factory: pytest.TempPathFactory, pool: pa.Table) -> Path:
    """A house whose release has a fingerprint, with three exports."""
    house = House(tmp_path_factory.mktemp("marked") / "house")
    house.release(policy=MARKED, data=pool)
    for form, ticket in (("parquet", "DATA-1"), ("csv", "DATA-2"), ("arrow", "DATA-3")):
        house.export(ticket=ticket, format=form, output=house.root / "exports" / ticket)
    (house.root / "synth-contracts.yml").write_text(PROJECT)
    return house.root


@pytest.fixture
def marked(house: House, marked_once: Path) -> House:
    house._runs = 1
    return house.like(marked_once)


def held(house: House, ticket: str = "DATA-1") -> pd.DataFrame:
    return pd.read_parquet(house.root / "exports" / ticket / "data" / "transactions.parquet")


def look(house: House, path: Path) -> LeakTrace:
    with house.registry(read_only=True) as registry:
        found = trace(registry, path)
    assert isinstance(found, LeakTrace)
    return found


def ids(house: House) -> dict[str, str]:
    """Ticket -> id of its token."""
    with house.registry(read_only=True) as registry:
        records = trace(registry, "transactions")
    assert isinstance(records, list)
    return {record.ticket: record.jti for record in records}


# what is exported


def test_each_export_leaves_out_another_tenth_and_changes_nothing(
    marked: House, pool: pa.Table
) -> None:
    whole = pool.to_pandas()
    one, two = held(marked), marked.export(ticket="DATA-4")
    other = pd.read_parquet(two.path / two.data_file)
    for part in (one, other):
        assert part["household"].nunique() == 810
        assert 0.87 < len(part) / len(whole) < 0.93
        # whole households, each row as it was
        kept = whole[whole["household"].isin(part["household"])]
        order = sorted(whole.columns)
        assert (
            part.sort_values("basket_id")[order].reset_index(drop=True)
            .equals(kept.sort_values("basket_id")[order].reset_index(drop=True))
        )  # fmt: skip
    assert 60 < len(set(one["household"]) - set(other["household"])) < 90
    assert (two.rows, two.rows_digest) != (len(whole), marked.root)


def test_the_same_token_holds_the_same_rows(marked: House) -> None:
    with marked.registry() as registry:
        release = registry.released("transactions")
        with registry.verified(release) as rows:
            one, again, other = (
                omit(release, rows, marked.keys, jti).digest() for jti in ("a", "a", "b")
            )
    assert one == again != other
    with marked.registry(read_only=True) as registry:
        record = next(iter(trace(registry, "DATA-1")))  # type: ignore[arg-type]  # a ticket: rows
    with marked.registry() as registry, registry.verified(release) as rows:
        assert omit(release, rows, marked.keys, record.jti).digest() == record.rows_digest


def test_weights_bring_totals_back(marked: House, pool: pa.Table) -> None:
    bundle = marked.root / "exports" / "DATA-1"
    package = json.loads((bundle / "data" / "datapackage.json").read_text())
    weight = package["resources"][0]["rowWeight"]
    part = held(marked)
    assert weight * len(part) == pytest.approx(pool.num_rows)
    total = pc.sum(pool["amount"]).as_py()
    assert part["amount"].sum() / total < 0.92
    assert weight * part["amount"].sum() == pytest.approx(total, rel=0.04)
    words = (bundle / "README.txt").read_text()
    assert f"omits a part of the {pool.num_rows:,} rows" in words
    assert f"by {weight:.6f}" in words
    assert "% (amount)" in words or "% (coupon_disc)" in words


@pytest.mark.parametrize("ticket", ["DATA-1", "DATA-2", "DATA-3"])
def test_a_bundle_verifies_for_its_own_rows(marked: House, ticket: str, pool: pa.Table) -> None:
    found = verify_bundle(marked.root / "exports" / ticket, marked.keys)
    assert found.rows < 0.93 * pool.num_rows
    with marked.registry(read_only=True) as registry:
        (record,) = trace(registry, ticket)  # type: ignore[misc]  # a ticket: rows
    assert (record.rows, record.rows_digest) == (found.rows, found.rows_digest)


@pytest.mark.parametrize("swapped", ["the whole pool", "the rows of another export"])
def test_other_rows_do_not_verify_even_under_the_projects_own_key(
    marked: House, pool: pa.Table, swapped: str
) -> None:
    bundle = marked.root / "exports" / "DATA-1"
    file = bundle / "data" / "transactions.parquet"
    if swapped == "the whole pool":
        pq.write_table(pool, file)
    else:
        other = marked.export(ticket="DATA-4")
        shutil.copy(other.path / other.data_file, file)
    remanifest(bundle, marked.keys.signing_key())
    with pytest.raises(Refused, match="the rows are not those"):
        verify_bundle(bundle, marked.keys)


@pytest.mark.parametrize("gone", ["digest", "rows", "too many"])
def test_a_token_that_does_not_say_which_rows(marked: House, gone: str) -> None:
    bundle = marked.root / "exports" / "DATA-1"
    path = bundle / "data" / "token.jwt"
    claims: dict[str, Any] = dict(
        tokens.read(path.read_text(), marked.keys.public_keys(), at="iat").claims
    )
    if gone == "digest":
        claims["digests"] = {k: v for k, v in claims["digests"].items() if k != tokens.EXPORTED}
    elif gone == "rows":
        del claims["rows"]
    else:
        claims["rows"] = 10**6
    key = marked.keys.signing_key()
    path.write_text(tokens.jwt.issue(claims, key, tokens.TYP))
    remanifest(bundle, key)
    with pytest.raises(Refused, match=r"which rows this export holds|more rows than"):
        verify_bundle(bundle, marked.keys)


def test_a_token_without_a_fingerprint_says_nothing_of_it(released: House) -> None:
    bundle = released.export()
    token = tokens.read(
        (bundle.path / "data" / "token.jwt").read_text(), released.keys.public_keys(), at="iat"
    )
    assert set(token.claims["digests"]) == set(tokens.DIGESTS)
    assert "rows" not in token.claims
    package = json.loads((bundle.path / "data" / "datapackage.json").read_text())
    assert "rowWeight" not in package["resources"][0]


# k


def grouped(entities: int, per_class: int) -> pa.Table:
    numbers = [i for i in range(entities) for _ in range(2)]
    return pa.table(
        {
            "household": pa.array(numbers, pa.int64()),
            "region": pa.array([f"r{i // per_class}" for i in numbers]),
            "amount": pa.array([float(j) for j in range(2 * entities)]),
        }
    )


def test_k_is_counted_anew_before_a_byte_is_written(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.roles = "{entityKey: household, quasiIdentifiers: [region]}"
    house.release(policy=MARKED, data=grouped(300, 10))  # ten a class, and ten are asked for
    assert house.run("export", "transactions", "--ticket", "DATA-1") == 5
    said = capsys.readouterr().err
    assert "a class of the quasi-identifiers holds" in said
    assert "the contract asks for 10" in said
    assert "mend: export again" in said
    assert house.left_behind() == []
    assert house.kinds() == []
    with house.registry(read_only=True) as registry:
        (refusal,) = registry.entries("fingerprint_refused")
        assert refusal.body["table"] == "transactions"


def test_classes_with_room_are_exported(house: House) -> None:
    house.roles = "{entityKey: household, quasiIdentifiers: [region]}"
    house.release(policy=MARKED, data=grouped(400, 20))
    bundle = house.export()
    part = pd.read_parquet(bundle.path / bundle.data_file)
    assert part.groupby("region")["household"].nunique().min() >= 10


def test_an_export_of_more_rows_than_allowed(house: House) -> None:
    data = grouped(200, 20)
    house.release(policy=f"{MARKED}, maxRows: 360", data=data)
    assert house.export().rows == 360  # the pool is larger, the export is not
    with house.registry(read_only=True) as registry:
        from synth_contracts.delivery import explain

        told = explain(registry, "transactions", "DATA-9", keys=house.keys)
    rows = next(one for one in told.conditions if one.name == "rows")
    assert rows.state == "not known"
    house.release(policy=f"{MARKED}, maxRows: 359", data=data)
    with pytest.raises(Refused, match="the contract allows 359"):
        house.export()
    assert len(house.left_behind()) == 1


# the key


def test_without_its_key_nothing_is_exported_or_traced(
    marked: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leak = tmp_path / "leak.parquet"
    held(marked).head(300).to_parquet(leak)
    before, path = marked.bytes(), marked.key_folder / "fingerprint.key"
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    for spoiled, words in ((None, "there is no key of fingerprints"), (b"0" * 64, "not the one")):
        path.unlink()
        if spoiled:
            path.touch(mode=0o600)
            path.write_bytes(spoiled)
        for command in (("export", "transactions", "--ticket", "DATA-9"), ("trace", str(leak))):
            assert marked.run(*command) == 5
            said = capsys.readouterr().err
            assert words in said
            assert "put back the key folder" in said
        path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(0o644)
    assert marked.run("trace", str(leak)) == 5
    assert "other users may read" in capsys.readouterr().err
    assert marked.bytes() == before


# the leak


def edited(frame: pd.DataFrame, rows: int, *, keys: bool, seed: int = 0) -> pd.DataFrame:
    """Rows of an export, shuffled, without two columns, a fifth of them edited."""
    out = frame.sample(rows, random_state=seed).drop(columns=["marital_status", "n_departments"])
    changed = out.sample(frac=0.2, random_state=seed).index
    out.loc[changed, "amount"] += 0.37
    return out if keys else out.drop(columns=["household", "basket_id"])


@pytest.mark.parametrize("keys", [True, False])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_leak_names_its_token(marked: House, tmp_path: Path, keys: bool, form: str) -> None:
    path = tmp_path / f"leak.{form}"
    leak = edited(held(marked), 500, keys=keys)
    leak.to_csv(path, index=False) if form == "csv" else leak.to_parquet(path)
    found = look(marked, path)
    assert [one.export.jti for one in found.named] == [ids(marked)["DATA-1"]]
    assert found.named[0].bound < 1e-6
    assert found.named[0].omitted < 0.02 * found.found
    assert (found.rows, found.scored, found.closest) == (500, 3, None)
    assert found.told > 390


def test_renumbered_keys_do_not_hide_it(marked: House, tmp_path: Path) -> None:
    leak = edited(held(marked), 500, keys=True)
    leak["household"] = range(500)
    leak["basket_id"] = range(500)
    leak.to_parquet(tmp_path / "leak.parquet")
    found = look(marked, tmp_path / "leak.parquet")
    assert [one.export.ticket for one in found.named] == ["DATA-1"]


def test_too_few_rows_name_nobody_and_say_how_many_would(marked: House, tmp_path: Path) -> None:
    path = tmp_path / "leak.csv"
    whole = held(marked).sample(frac=1, random_state=1)
    whole.head(60).to_csv(path, index=False)
    found = look(marked, path)
    assert found.named == ()
    assert found.closest is not None
    assert found.closest.bound > 1e-6
    assert found.rows_needed is not None
    assert 100 < found.rows_needed < 400
    assert f"About {found.rows_needed:,} such rows would be needed" in found.says
    whole.head(2 * found.rows_needed).to_csv(path, index=False)
    assert [one.export.ticket for one in look(marked, path).named] == ["DATA-1"]


def test_a_mixture_of_two_accuses_no_third(marked: House, tmp_path: Path) -> None:
    two = marked.export(ticket="DATA-4")
    mixed = pd.concat([held(marked).sample(1_500, random_state=1),
                       pd.read_parquet(two.path / two.data_file).sample(1_500, random_state=2)])  # fmt: skip
    mixed.drop_duplicates().to_parquet(tmp_path / "leak.parquet")
    found = look(marked, tmp_path / "leak.parquet")
    assert {one.export.ticket for one in found.named} <= {"DATA-1", "DATA-4"}


def test_files_that_are_no_leak_accuse_nobody(
    marked: House, tmp_path: Path, pool: pa.Table, baskets: pd.DataFrame
) -> None:
    """The pool itself, other households of the same source, and noise."""
    frame = pool.to_pandas()
    others = baskets[~baskets["household_id"].isin(frame["household"])].head(3_000)
    shuffled = frame.apply(lambda column: column.sample(frac=1, random_state=1).to_numpy())
    for number, table in enumerate((frame, others, shuffled)):
        table.to_parquet(tmp_path / f"{number}.parquet")
        found = look(marked, tmp_path / f"{number}.parquet")
        assert found.named == ()
        assert "no export can be named" in found.says


def test_a_superseded_or_revoked_release_is_still_traced(marked: House, tmp_path: Path) -> None:
    edited(held(marked), 500, keys=False).to_csv(tmp_path / "leak.csv", index=False)
    assert marked.run("revoke", "transactions", "--reason", "a leak") == 0
    marked.release(policy=MARKED, data=grouped(200, 20))
    marked.export(ticket="DATA-8")
    found = look(marked, tmp_path / "leak.csv")
    assert [one.export.ticket for one in found.named] == ["DATA-1"]
    assert found.scored == 4  # exports of both releases count


def test_an_edited_pool_is_not_traced_by(marked: House, tmp_path: Path) -> None:
    held(marked).head(300).to_parquet(tmp_path / "leak.parquet")
    with duckdb.connect(str(marked.published)) as connection:
        name = 'release_data."transactions__transactions-run1"'
        connection.execute(f"DELETE FROM {name} WHERE household < 100")
    with marked.registry(read_only=True) as registry, pytest.raises(Refused, match="are not those"):
        trace(registry, tmp_path / "leak.parquet")


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_an_edited_pool_is_not_exported_from(marked: House, form: str) -> None:
    """The token of an export with a fingerprint names its own rows: they come from verified ones."""
    with duckdb.connect(str(marked.published)) as connection:
        name = 'release_data."transactions__transactions-run1"'
        connection.execute(f"UPDATE {name} SET amount = amount + 1 WHERE household < 100")
    before = marked.kinds()
    with pytest.raises(Refused, match="not the rows that were evaluated and signed"):
        marked.export(ticket="DATA-4", format=form)
    assert marked.kinds() == before


# how it is said


def test_table_json_and_csv(
    marked: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "leak.csv"
    edited(held(marked), 500, keys=False).to_csv(path, index=False)
    jti = ids(marked)["DATA-1"]
    assert marked.run("trace", str(path)) == 0
    said = capsys.readouterr().out
    assert "DATA-1" in said
    assert f"token {jti}" in said
    assert "DATA-2" not in said
    assert "the chance of naming any innocent" in " ".join(said.split())
    assert marked.run("trace", str(path), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["jti"], one["ticket"]) for one in told["named"]] == [(jti, "DATA-1")]
    assert told["named"][0]["bound"] < 1e-6
    assert told["scored"] == 3
    assert marked.run("trace", str(path), "--format", "csv") == 0
    answer = capsys.readouterr()
    assert len(answer.out.splitlines()) == 2
    assert jti in answer.out
    assert "3 exports scored" in answer.err
    pd.DataFrame({"amount": [1.0, 2.0]}).to_csv(path, index=False)
    assert marked.run("trace", str(path), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["named"] == []
    assert "no export can be named" in told["says"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"amount,age\n", "holds no rows"),
        (b"PAR1 and no more", "cannot be read"),
        (b"amount,age\n1,2,3\n", "holds no rows"),
        (b"amount\n\xff\xfe\n", "cannot be read"),
        (b"Amount,amount\n1,2\n", "two columns share a name"),
        (b"colour;weight\nred;3\n", "no release has a column of this file (colour, weight)"),
    ],
)
def test_a_file_that_tells_nothing(
    marked: House, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, words: str
) -> None:
    path = tmp_path / "leak.csv"
    path.write_bytes(content)
    assert marked.run("trace", str(path)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert str(path) in said
    assert "mend: " in said


def test_a_release_without_a_fingerprint(
    released: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = released.export(format="csv")
    path = tmp_path / "leak.csv"
    path.write_bytes((bundle.path / bundle.data_file).read_bytes()[:-40])
    assert released.run("trace", str(path)) == 2
    said = capsys.readouterr().err
    assert "built without a fingerprint" in said
    assert "fingerprint: true" in said
