"""Every way to bend a token that TRUST names, each tried against the strict reader."""

from __future__ import annotations

import time
from typing import Any

import pytest
from batteries.vectors import Forge, b64
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_contracts.errors import Refused
from synth_contracts.signing import SigningKey, jwt

KEY = SigningKey.generate()
OTHER = SigningKey.generate()
KEYS = {KEY.kid: KEY.public}
NOW = int(time.time())
TYP = "export+jwt"
CLAIMS: dict[str, Any] = {
    "iss": "synth-contracts",
    "aud": "synth-contracts/export",
    "sub": "analyst",
    "jti": "0123456789abcdef",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 900,
    "ticket": "DATA-123",
    "release": "r1",
    "digests": {"rows": "00"},
    "max_uses": 1,
}
FORGE = Forge(KEY, OTHER, CLAIMS, TYP)
GOOD = FORGE.good
VECTORS = FORGE.vectors()
MORE = FORGE.more()


def read(token: str, **changes: Any) -> dict[str, Any]:
    options = {"at": NOW + 1, "max_life": 900, **changes}
    return jwt.read(
        token,
        KEYS,
        typ=TYP,
        issuer="synth-contracts",
        audience="synth-contracts/export",
        required=("ticket", "release"),
        **options,
    )


def test_47_vectors_are_listed() -> None:
    assert len(VECTORS) == 47
    assert len(set(VECTORS.values())) == 47
    assert GOOD not in VECTORS.values()


@pytest.mark.parametrize("name", [*VECTORS, *MORE])
def test_a_bent_token_is_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        read({**VECTORS, **MORE}[name])
    assert caught.value.exit_code == 5


def test_a_good_token_is_read() -> None:
    assert read(GOOD) == CLAIMS
    assert read(jwt.issue(CLAIMS, KEY, TYP)) == CLAIMS


def test_times_are_judged_as_of_the_given_second() -> None:
    assert read(GOOD, at=NOW + 899)
    assert read(GOOD, at="iat")
    now = int(time.time())  # NOW is when the tests began, which may be long ago
    fresh = {**CLAIMS, "iat": now, "nbf": now, "exp": now + 900}
    assert read(jwt.issue(fresh, KEY, TYP), at=None)
    for at in (NOW - 1, NOW + 900):
        with pytest.raises(Refused):
            read(GOOD, at=at)
    with pytest.raises(Refused, match="life"):
        read(GOOD, max_life=899)


def test_an_old_token_holds_as_of_its_issue_and_not_now() -> None:
    old = jwt.issue({**CLAIMS, "iat": 1_000, "nbf": 1_000, "exp": 1_900}, KEY, TYP)
    assert read(old, at="iat")["iat"] == 1_000
    with pytest.raises(Refused, match="expired"):
        read(old, at=None)


def test_a_token_without_whole_times_is_not_issued() -> None:
    with pytest.raises(ValueError, match="whole"):
        jwt.issue({**CLAIMS, "exp": NOW + 0.5}, KEY, TYP)
    with pytest.raises(ValueError, match="whole"):
        jwt.issue({k: v for k, v in CLAIMS.items() if k != "iat"}, KEY, TYP)


SPOT = st.integers(0, len(GOOD) - 1)
CHARACTER = st.characters(codec="utf-8") | st.sampled_from("AB=.-_+/ \n\0é")


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(["replace", "delete", "insert", "swap"]), SPOT, SPOT, CHARACTER)
def test_mutations_are_refused(how: str, i: int, j: int, character: str) -> None:
    letters = list(GOOD)
    if how == "replace":
        letters[i] = character
    elif how == "delete":
        del letters[i]
    elif how == "insert":
        letters.insert(i, character)
    else:
        letters[i], letters[j] = letters[j], letters[i]
    mutated = "".join(letters)
    if mutated == GOOD:
        assert read(mutated) == CLAIMS
        return
    with pytest.raises(Refused):
        read(mutated)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b64(b) + ".e30.AA"))
def test_noise_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        read(text)
