"""Every way to change a bundle is refused: by an outsider, and by somebody who can sign."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batteries.ground import remanifest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_contracts.delivery import VerifiedBundle, verify_bundle
from synth_contracts.delivery import token as tokens
from synth_contracts.delivery.bundle import signature_line
from synth_contracts.errors import Refused, UsageError
from synth_contracts.signing import KeyFolder, SigningKey, dump_canonical, sign_statement

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bundle.md"


@dataclass
class Exported:
    """A house with a bundle of each format."""

    keys: KeyFolder
    bundles: dict[str, Path]

    @property
    def first(self) -> Path:
        return self.bundles["parquet"]


@pytest.fixture(scope="module")
def exported(
    house_class: Any, released_once: Path, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    house = house_class(tmp_path_factory.mktemp("exported") / "house").like(released_once)
    return Exported(house.keys, {f: house.export(format=f).path for f in ("parquet", "csv")})


@pytest.fixture
def bundle(exported: Exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.first, tmp_path / "bundle"))


def check(bundle: Path, exported: Exported) -> VerifiedBundle:
    return verify_bundle(bundle, exported.keys)


def refuse(bundle: Path, exported: Exported, match: str | None = None) -> None:
    with pytest.raises(Refused, match=match) as caught:
        check(bundle, exported)
    assert caught.value.exit_code == 5


# an outsider


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused(exported: Exported, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["parquet", "csv"]))
    files = sorted(p for p in exported.bundles[form].rglob("*") if p.is_file())
    assert len(files) == 14
    path = data.draw(st.sampled_from(files))
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    how = data.draw(st.sampled_from(["flip", "insert", "delete", "append", "cut"]))
    byte = data.draw(st.integers(1, 255))
    changed = {
        "flip": good[:at] + bytes([good[at] ^ byte]) + good[at + 1 :],
        "insert": good[:at] + bytes([byte]) + good[at:],
        "delete": good[:at] + good[at + 1 :],
        "append": good + bytes([byte]),
        "cut": good[:at],
    }[how]
    assert changed != good
    try:
        path.write_bytes(changed)
        refuse(exported.bundles[form], exported)
    finally:
        path.write_bytes(good)
    assert check(exported.bundles[form], exported)


@pytest.mark.parametrize("spelling", [b"%s ", b" %s", b"%s\n\n", b"%s\t"])
def test_the_signature_has_one_spelling(bundle: Path, exported: Exported, spelling: bytes) -> None:
    path = bundle / "tagmanifest-sha256.txt.sig"
    path.write_bytes(spelling % path.read_bytes().strip())
    refuse(bundle, exported, "as this tool writes it")


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_each_file_changed_or_removed_is_refused(
    exported: Exported, tmp_path: Path, form: str
) -> None:
    source = exported.bundles[form]
    names = sorted(p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file())
    for name in names:
        folder = shutil.copytree(source, tmp_path / name.replace("/", "-"))
        path = folder / name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        refuse(folder, exported)
        path.unlink()
        refuse(folder, exported)
        path.write_bytes(good)
        assert check(folder, exported).rows == 40


@pytest.mark.parametrize(
    "name", ["extra", "data/extra", "fetch.txt", "manifest-md5.txt", ".hidden", "data/.hidden",
             "data/key.pem", "public.jwks.json", "Data"]
)  # fmt: skip
def test_an_added_file_is_refused(bundle: Path, exported: Exported, name: str) -> None:
    (bundle / name).write_text("")
    refuse(bundle, exported)


def test_links_and_other_folders_are_refused(
    bundle: Path, exported: Exported, tmp_path: Path
) -> None:
    (bundle / "empty").mkdir()
    refuse(bundle, exported, "regular")
    (bundle / "empty").rmdir()
    card = bundle / "data" / "report-card.html"
    card.rename(tmp_path / "card")
    card.symlink_to(tmp_path / "card")  # the same bytes, elsewhere
    refuse(bundle, exported, "regular")
    card.unlink()
    (tmp_path / "card").rename(card)
    (bundle / "data").rename(tmp_path / "data")
    (bundle / "data").symlink_to(tmp_path / "data")
    refuse(bundle, exported, "folder")
    (bundle / "data").unlink()
    (tmp_path / "data").rename(bundle / "data")
    os.mkfifo(bundle / "data" / "pipe")
    refuse(bundle, exported, "regular")
    (bundle / "data" / "pipe").unlink()
    assert check(bundle, exported)


def test_a_manifest_that_leads_outside_is_refused(
    bundle: Path, exported: Exported, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("x")
    digest = hashlib.sha256(b"x").hexdigest()
    key = exported.keys.signing_key()
    for name in ("data/../../outside", "../outside", str(tmp_path / "outside")):
        with (bundle / "manifest-sha256.txt").open("a") as file:
            file.write(f"{digest}  {name}\n")
        tags = bundle / "tagmanifest-sha256.txt"
        line = hashlib.sha256((bundle / "manifest-sha256.txt").read_bytes()).hexdigest()
        tags.write_text(re.sub(r"\w{64}  manifest", f"{line}  manifest", tags.read_text()))
        signature = base64.b64encode(key.sign(tags.read_bytes())).decode()
        (bundle / "tagmanifest-sha256.txt.sig").write_bytes(signature_line(key.kid, signature))
        refuse(bundle, exported, "another folder")


def test_remanifested_and_resigned_with_a_key_that_lies_in_the_bundle(
    bundle: Path, exported: Exported
) -> None:
    forger = SigningKey.generate()
    (bundle / "data" / "report-card.html").write_text("all is well")
    remanifest(bundle, forger)
    refuse(bundle, exported, "does not know")
    (bundle / "data" / "public.jwks.json").write_bytes(
        dump_canonical({"keys": [forger.public.jwk()]})
    )
    remanifest(bundle, forger)
    refuse(bundle, exported, "does not know")
    # under our key's name
    signature = base64.b64encode(
        forger.sign((bundle / "tagmanifest-sha256.txt").read_bytes())
    ).decode()
    (bundle / "tagmanifest-sha256.txt.sig").write_bytes(
        signature_line(exported.keys.signing_key().kid, signature)
    )
    refuse(bundle, exported, "signature")


def test_another_projects_keys_know_nothing(bundle: Path, tmp_path: Path) -> None:
    other = KeyFolder.open(tmp_path / "other")
    for keys in (other, {}):
        with pytest.raises(Refused, match="does not know"):
            verify_bundle(bundle, keys)
    other.signing_key()
    with pytest.raises(Refused, match="does not know"):
        verify_bundle(bundle, other)


def test_a_missing_folder_is_a_usage_error(exported: Exported, tmp_path: Path) -> None:
    for path in (tmp_path / "none", exported.first / "bagit.txt"):
        with pytest.raises(UsageError):
            check(path, exported)


def test_an_empty_folder_is_refused(exported: Exported, tmp_path: Path) -> None:
    refuse(tmp_path, exported)


# somebody who can sign with this project's key


def _rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path, Any], None]:
    def forge(bundle: Path, _: Any) -> None:
        path = bundle / "data" / name
        path.write_bytes(change(path.read_bytes()))

    return forge


def _other_rows(bundle: Path, _: Any) -> None:
    path = bundle / "data" / "transactions.parquet"
    rows = pq.read_table(path)
    changed = [x + 1 if i == 0 else x for i, x in enumerate(rows["household"].to_pylist())]
    pq.write_table(rows.set_column(0, "household", pa.array(changed)), path)


def _one_row_twice(bundle: Path, _: Any) -> None:
    path = bundle / "data" / "transactions.parquet"
    rows = pq.read_table(path)
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1), rows.slice(0, 1)]), path)


def _no_parquet(bundle: Path, _: Any) -> None:
    (bundle / "data" / "transactions.parquet").write_bytes(b"PAR1 nothing PAR1")


def _another_name(bundle: Path, _: Any) -> None:
    data = bundle / "data"
    (data / "transactions.parquet").rename(data / "customers.parquet")


def _both_formats(bundle: Path, exported: Exported) -> None:
    shutil.copy(exported.bundles["csv"] / "data" / "transactions.csv", bundle / "data")


def _token(changes: dict[str, Any]) -> Callable[[Path, Any], None]:
    def forge(bundle: Path, exported: Exported) -> None:
        path = bundle / "data" / "token.jwt"
        keys = exported.keys
        claims = dict(tokens.read(path.read_text(), keys.public_keys(), at="iat").claims)
        claims |= changes
        claims = {k: v for k, v in claims.items() if v is not None}
        path.write_text(tokens.jwt.issue(claims, keys.signing_key(), tokens.TYP))

    return forge


def _an_hour(bundle: Path, exported: Exported) -> None:
    """Longer than the contract allows, shorter than any token may live."""
    path = bundle / "data" / "token.jwt"
    claims = tokens.read(path.read_text(), exported.keys.public_keys(), at="iat").claims
    _token({"exp": claims["iat"] + 3600})(bundle, exported)


def _statement(change: Callable[[dict[str, Any]], object]) -> Callable[[Path, Any], None]:
    """A changed statement signed by us, with a token that names it."""

    def forge(bundle: Path, exported: Exported) -> None:
        path = bundle / "data" / "statement.dsse.json"
        payload = json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
        change(payload)
        path.write_bytes(dump_canonical(sign_statement(payload, exported.keys.signing_key())))
        token = bundle / "data" / "token.jwt"
        claims = tokens.read(token.read_text(), exported.keys.public_keys(), at="iat").claims
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        _token({"digests": {**claims["digests"], "statement": digest}})(bundle, exported)

    return forge


def _statement_by_other(bundle: Path, _: Any) -> None:
    path = bundle / "data" / "statement.dsse.json"
    payload = json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
    path.write_bytes(dump_canonical(sign_statement(payload, SigningKey.generate())))


def _old_bagit(bundle: Path, _: Any) -> None:
    (bundle / "bagit.txt").write_text("BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n")


HEX = "ab" * 32
RESIGNED: dict[str, tuple[Callable[[Path, Any], None], str]] = {
    "other rows": (_other_rows, "rows"),
    "a row twice": (_one_row_twice, "rows"),
    "no Parquet": (_no_parquet, "cannot be read"),
    "the data under another name": (_another_name, "just the rows"),
    "both formats": (_both_formats, "just the rows"),
    "another card": (_rewrite("report-card.html", lambda b: b + b" "), "report-card.html"),
    "another card's facts": (_rewrite("report-card.json", lambda b: b + b" "), "report-card.json"),
    "another contract": (_rewrite("contract.odcs.yaml", lambda b: b + b"#"), "contract.odcs.yaml"),
    "a looser expanded contract": (
        _rewrite("contract.expanded.json", lambda b: b.replace(b"0.25", b"0.99")),
        "contract.expanded.json",
    ),
    "a token for other rows": (
        _token({"digests": {"rows": HEX, "contract": HEX, "statement": HEX}}),
        "different digests",
    ),
    "a token for another release": (_token({"release": "transactions-run9"}), "different release"),
    "a token for another table": (_token({"table": "customers"}), "different table"),
    "a token for a longer life": (_token({"exp": 2_000_000_000}), "life"),
    "a token for longer than the contract allows": (_an_hour, "life"),
    "a token without a ticket": (_token({"ticket": None}), "lacks ticket"),
    "a token without digests": (_token({"digests": {}}), "no digests"),
    "a token of another kind": (_rewrite("token.jwt", lambda _: b"none"), "compact form"),
    "a token and a new line": (_rewrite("token.jwt", lambda b: b + b"\n"), "compact form"),
    "a statement of other rows": (
        _statement(lambda s: s["subject"][0]["digest"].update(sha256=HEX)), "different digests",
    ),
    "a statement of another release": (
        _statement(lambda s: s["predicate"].update(release="x")), "different release",
    ),
    "a statement about something else": (
        _statement(lambda s: s.update(predicateType="urn:other")), "not about a release",
    ),
    "a statement with two subjects": (
        _statement(lambda s: s["subject"].append(s["subject"][0])), "does not say",
    ),
    "a statement without cards": (
        _statement(lambda s: s["predicate"].pop("cards")), "does not say",
    ),
    "a statement by another key": (_statement_by_other, "does not know"),
    "another bagit.txt": (
        _old_bagit, "BagIt 1.0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(RESIGNED))
def test_what_does_not_fit_together_is_refused_even_when_signed(
    bundle: Path, exported: Exported, name: str
) -> None:
    forge, words = RESIGNED[name]
    forge(bundle, exported)
    remanifest(bundle, exported.keys.signing_key())
    refuse(bundle, exported, words)


def test_remanifesting_an_unchanged_bundle_changes_nothing(
    bundle: Path, exported: Exported
) -> None:
    """The forger's tool above makes what the exporter makes; so it is the change that is seen."""
    before = {p: p.read_bytes() for p in bundle.rglob("*") if p.is_file()}
    remanifest(bundle, exported.keys.signing_key())
    assert {p: p.read_bytes() for p in bundle.rglob("*") if p.is_file()} == before


# what must hold


def test_an_old_bundle_verifies_after_rotation_and_long_after(released: Any) -> None:
    bundle = released.export().path  # its clock stands in March 2026
    first = released.keys.signing_key().kid
    second = released.keys.rotate().kid
    assert verify_bundle(bundle, released.keys).kid == first
    again = released.export()
    assert verify_bundle(again.path, released.keys).kid == second
    assert len(released.keys.public_keys()) == 2


def test_a_moved_bundle_verifies(bundle: Path, exported: Exported, tmp_path: Path) -> None:
    moved = bundle.rename(tmp_path / "a name with späces")
    assert check(moved, exported).rows == 40


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)


def test_the_commands_of_the_docs_verify_without_this_tool(
    bundle: Path, exported: Exported
) -> None:
    work = bundle.parent
    (work / "jwks.json").write_text(json.dumps(exported.keys.jwks()))
    kid = exported.keys.signing_key().kid
    first, second = _blocks("sh")
    (python,) = _blocks("python")
    environment = {"KID": kid, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(code: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-euo", "pipefail", "-c", code]
        return subprocess.run(
            command, cwd=bundle, env=environment, capture_output=True, text=True, check=False
        )

    shutil.copy(work / "jwks.json", bundle / "jwks.json")
    assert run(first).returncode == 0
    done = run(second)
    assert done.returncode == 0, done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert exported.keys.signing_key().public.pem().split() == (
        (bundle / "public.pem").read_text().split()
    )
    code = ["python3", "-c", python]
    done = subprocess.run(
        code, cwd=bundle, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "PASSED"
    # and they see a change
    tags = bundle / "tagmanifest-sha256.txt"
    tags.write_text(tags.read_text().replace("README", "README2"))
    assert run(second).returncode != 0
