"""From a ticket, a token, a bundle or a copy of a file to who got what, and when."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest

from synth_contracts.delivery import ExportRecord, trace
from synth_contracts.delivery import token as tokens
from synth_contracts.errors import Refused, UsageError
from synth_contracts.release import revoke


@pytest.fixture
def traced(released: Any) -> Any:
    """A house with three exports: two for DATA-123, one (as CSV) for DATA-7."""
    released.first = released.export(subject="analyst one")
    released.now += dt.timedelta(hours=1)
    released.second = released.export(subject="analyst two")
    released.third = released.export(ticket="DATA-7", format="csv")
    return released


def look(house: Any, what: Any) -> list[ExportRecord]:
    with house.registry(read_only=True) as registry:
        return trace(registry, what)


def test_by_ticket(traced: Any) -> None:
    one, two = look(traced, "DATA-123")
    assert (one.subject, two.subject) == ("analyst one", "analyst two")
    assert (one.at, two.at) == ("2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+00:00")
    assert one.jti == traced.first.jti
    assert (one.rows, one.rows_digest) == (40, traced.first.rows_digest)
    assert one.data_sha256 == traced.first.data_sha256
    assert {one.status, two.status} == {"delivered"}
    assert look(traced, "DATA-12") == []
    assert look(traced, "data-123") == []
    assert one.to_json()["ticket"] == "DATA-123"


def test_by_token_bundle_jti_release_and_table(traced: Any, tmp_path: Path) -> None:
    path = traced.second.path / "data" / "token.jwt"
    moved = shutil.copytree(traced.second.path, tmp_path / "elsewhere")
    for what in (path.read_text(), path, str(path), traced.second.path, moved, traced.second.jti):
        (found,) = look(traced, what)
        assert found.jti == traced.second.jti
    assert len(look(traced, "transactions")) == 3
    assert len(look(traced, traced.first.release)) == 3


def test_by_an_exact_copy_of_the_data(traced: Any, tmp_path: Path) -> None:
    copy = Path(shutil.copy(traced.third.path / traced.third.data_file, tmp_path / "leak.csv"))
    (found,) = look(traced, copy)
    assert found.ticket == "DATA-7"
    copy.write_bytes(copy.read_bytes()[:-1])
    with pytest.raises(UsageError, match="cannot be traced"):
        look(traced, copy)


def test_a_token_that_was_not_issued(traced: Any) -> None:
    keys = traced.keys
    text = (traced.first.path / "data" / "token.jwt").read_text()
    claims = dict(tokens.read(text, keys.public_keys(), at="iat").claims)
    forged = tokens.jwt.issue({**claims, "sub": "somebody else"}, keys.rotate(), tokens.TYP)
    with pytest.raises(Refused, match="not the one that was issued") as caught:
        look(traced, forged)
    assert claims["jti"] in caught.value.mend
    unknown = tokens.jwt.issue({**claims, "jti": "00" * 16}, keys.signing_key(), tokens.TYP)
    assert look(traced, unknown) == []


def test_a_folder_that_is_no_bundle(traced: Any, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="not a bundle"):
        look(traced, tmp_path / "folder")


@pytest.mark.parametrize("what", ["", "é", "\0", "x" * 5000, "DATA-123 or 1=1"])
def test_noise_names_nothing(traced: Any, what: str) -> None:
    assert look(traced, what) == []


@pytest.mark.parametrize("what", ["a.b.c", "e30.MQ.e30", "e30.IA.e30"])
def test_what_only_looks_like_a_token(traced: Any, what: str) -> None:
    if what == "e30.MQ.e30":  # the claims are the number 1
        assert look(traced, what) == []
        return
    with pytest.raises(Refused):
        look(traced, what)


def test_exports_stay_known_after_a_revoke(traced: Any) -> None:
    with traced.registry() as registry:
        revoke(registry, "transactions", "a test", "compliance")
    assert [record.status for record in look(traced, "DATA-123")] == ["delivered", "delivered"]
