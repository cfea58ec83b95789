"""Every way to bend a token that TRUST names, each tried against the strict reader."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
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
STANDARD = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp")


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(header: Any, claims: Any, key: SigningKey = KEY, *, signature: bytes | None = None):
    header = header if isinstance(header, str) else json.dumps(header)
    claims = claims if isinstance(claims, str) else json.dumps(claims)
    text = f"{b64(header.encode())}.{b64(claims.encode())}"
    return f"{text}.{b64(key.sign(text.encode()) if signature is None else signature)}"


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": KEY.kid, "typ": TYP, **changes}


def mac(alg: str, secret: bytes) -> str:
    text = f"{b64(json.dumps(header(alg=alg)).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    digest = getattr(hashlib, f"sha{alg[2:]}")
    return f"{text}.{b64(hmac.new(secret, text.encode(), digest).digest())}"


def without(claim: str) -> dict[str, Any]:
    return {k: v for k, v in CLAIMS.items() if k != claim}


def non_canonical_last(token: str) -> str:
    """The same 64 signature bytes: the last of 86 characters carries four unused bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    tail = [t.rsplit(".", 1)[1] + "==" for t in (token, other)]
    assert base64.urlsafe_b64decode(tail[0]) == base64.urlsafe_b64decode(tail[1])
    return other


GOOD = compact(header(), CLAIMS)
PUBLIC = KEY.public.ed25519
SECRETS = {
    "pem": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "raw": PUBLIC.public_bytes_raw(),
    "der": PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
}
JKU = header(kid=OTHER.kid, jku="https://keys.example/jwks.json")
VECTORS: dict[str, str] = {
    **{
        f"alg {alg!r}": compact(header(alg=alg), CLAIMS, signature=b"")
        for alg in ("none", "None", "NONE", "nOnE", "", " none", None)
    },
    **{f"{a} {n}": mac(a, s) for a in ("HS256", "HS384", "HS512") for n, s in SECRETS.items()},
    "another key": compact(header(), CLAIMS, OTHER),
    "another key with jwk": compact(header(jwk=OTHER.public.jwk()), CLAIMS, OTHER),
    "another key with jku": compact(JKU, CLAIMS, OTHER),
    "unknown crit": compact(header(crit=["magic"], magic=1), CLAIMS),
    "all-zero signature": compact(header(), CLAIMS, signature=bytes(64)),
    "empty signature": compact(header(), CLAIMS, signature=b""),
    **{f"no {name}": compact(header(), without(name)) for name in STANDARD},
    "expired": compact(header(), {**CLAIMS, "iat": NOW - 900, "nbf": NOW - 900, "exp": NOW - 1}),
    "nbf in the future": compact(header(), {**CLAIMS, "nbf": NOW + 600}),
    "iat in the future": compact(header(), {**CLAIMS, "iat": NOW + 600}),
    "other aud": compact(header(), {**CLAIMS, "aud": "someone"}),
    "aud list": compact(header(), {**CLAIMS, "aud": ["someone", CLAIMS["aud"]]}),
    "other iss": compact(header(), {**CLAIMS, "iss": "someone"}),
    "exp 1e400": compact(
        header(), json.dumps(CLAIMS).replace(f'"exp": {NOW + 900}', '"exp": 1e400')
    ),
    "exp NaN": compact(header(), {**CLAIMS, "exp": float("nan")}),
    "exp infinity": compact(header(), {**CLAIMS, "exp": float("inf")}),
    "exp text": compact(header(), {**CLAIMS, "exp": str(NOW + 900)}),
    "exp true": compact(header(), {**CLAIMS, "exp": True}),
    "exp float": compact(header(), {**CLAIMS, "exp": NOW + 900.0}),
    "exp year 9999": compact(header(), {**CLAIMS, "exp": 253402300799}),
    "wrong typ": compact(header(typ="JWT"), CLAIMS),
    "duplicate key": compact(header(), json.dumps(CLAIMS)[:-1] + ', "ticket": "DATA-999"}'),
    "padded signature": GOOD + "==",
    "white space around": f" {GOOD}\n",
    "non-canonical last character": non_canonical_last(GOOD),
}
MORE = {
    "aud list of one": compact(header(), {**CLAIMS, "aud": [CLAIMS["aud"]]}),
    "exp before iat": compact(header(), {**CLAIMS, "exp": NOW}),
    "no ticket": compact(header(), without("ticket")),
    "null release": compact(header(), {**CLAIMS, "release": None}),
    "x5u": compact(header(x5u="https://keys.example"), CLAIMS),
    "b64 false": compact(header(b64=False, crit=["b64"]), CLAIMS),
    "duplicate header key": compact(json.dumps(header())[:-1] + ', "alg": "EdDSA"}', CLAIMS),
    "claims list": compact(header(), [1]),
    "deep claims": compact(header(), "[" * 5000 + "]" * 5000),
    "kid a number": compact(header(kid=1), CLAIMS),
    "kid a list": compact(header(kid=[KEY.kid]), CLAIMS),
    "lone surrogate": compact(header(), json.dumps({**CLAIMS, "sub": "\ud800"})),
    "sub empty": compact(header(), {**CLAIMS, "sub": ""}),
    "sub a number": compact(header(), {**CLAIMS, "sub": 7}),
    "iat a float": compact(header(), {**CLAIMS, "iat": float(NOW)}),
    "negative iat": compact(header(), {**CLAIMS, "iat": -1, "nbf": -1, "exp": 899}),
    "two parts": GOOD.rsplit(".", 1)[0],
    "five parts": GOOD + ".e.e",
    "a new line inside": GOOD[:10] + "\n" + GOOD[10:],
    "too long": GOOD + "A" * 20_000,
}


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
        jwt.issue(without("iat"), KEY, TYP)


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
