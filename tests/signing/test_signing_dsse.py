"""DSSE envelopes and keyed derivation against published answers and bent inputs."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_contracts.errors import Refused
from synth_contracts.signing import (
    SigningKey,
    commit,
    derive,
    dsse,
    open_envelope,
    sign_statement,
    stream,
)
from synth_contracts.signing.jsontext import load_strict, unb64, unb64url

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
KEYS = {KEY.kid: KEY.public}
STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "é", "n": 1.5}]}


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_pae_is_the_standards_example() -> None:
    # secure-systems-lab/dsse protocol.md, test vectors
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_round_trip() -> None:
    envelope = sign_statement(STATEMENT, KEY)
    assert open_envelope(json.loads(json.dumps(envelope)), KEYS) == STATEMENT


def bent() -> dict[str, Any]:
    def change(**changes: Any) -> dict[str, Any]:
        return {**copy.deepcopy(sign_statement(STATEMENT, KEY)), **changes}

    good = change()
    sig = good["signatures"][0]
    raw = base64.b64decode(good["payload"])
    twice = raw[:-1] + b',"subject":[]}'
    signed_twice = {"keyid": KEY.kid, "sig": b64(KEY.sign(dsse.pae(dsse.PAYLOAD_TYPE, twice)))}
    as_list = b"[1]"
    signed_list = {"keyid": KEY.kid, "sig": b64(KEY.sign(dsse.pae(dsse.PAYLOAD_TYPE, as_list)))}
    other_sig = sign_statement(STATEMENT, OTHER)["signatures"][0]
    return {
        "payload changed": change(payload=b64(raw.replace(b"1.5", b"1.6"))),
        "payload padded": change(payload=good["payload"] + "="),
        "payload with white space": change(
            payload=good["payload"][:4] + "\n" + good["payload"][4:]
        ),
        "another type": change(payloadType="application/json"),
        "no signature": change(signatures=[]),
        "another key": sign_statement(STATEMENT, OTHER),
        "another key under our kid": change(signatures=[{**other_sig, "keyid": KEY.kid}]),
        "ours beside an unknown one": change(signatures=[sig, other_sig]),
        "twice by one key": change(signatures=[sig, sig]),
        "raw payload signed, without PAE": change(
            signatures=[{"keyid": KEY.kid, "sig": b64(KEY.sign(raw))}]
        ),
        "extra member": change(key=KEY.public.jwk()),
        "public key in the signature": change(signatures=[{**sig, "jwk": OTHER.public.jwk()}]),
        "duplicate key in the payload": change(payload=b64(twice), signatures=[signed_twice]),
        "payload a list": change(payload=b64(as_list), signatures=[signed_list]),
        "payload a number": change(payload=1),
        "signatures an object": change(signatures=sig),
        "keyid a list": change(signatures=[{**sig, "keyid": [KEY.kid]}]),
        "not an object": [good],
    }


@pytest.mark.parametrize("name", list(bent()))
def test_a_bent_envelope_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        open_envelope(bent()[name], KEYS)


def test_an_unfinite_statement_is_not_signed() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        sign_statement({"n": float("nan")}, KEY)


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":1}', "NaN", "[Infinity]", "1e400", "-1e999", '"\\ud800"', "", "{", b"\xff"]
)
def test_strict_json(text: str | bytes) -> None:
    with pytest.raises(Refused):
        load_strict(text, "it")


@pytest.mark.parametrize("text", ["AA==", "AB", "A", "AA\n", " AA", "A+", "é"])
def test_strict_base64url(text: str) -> None:
    with pytest.raises(Refused):
        unb64url(text, "it")


@pytest.mark.parametrize("text", ["AA", "AB==", "AA==\n", "A-==", "AA==AA=="])
def test_strict_base64(text: str) -> None:
    with pytest.raises(Refused):
        unb64(text, "it")


SECRET = bytes(range(32))


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_labels_do_not_run_together(a: list[str], b: list[str]) -> None:
    assert (derive(SECRET, *a) == derive(SECRET, *b)) == (a == b)


def test_derivation_depends_on_secret_and_purpose() -> None:
    assert derive(SECRET, "ab", "c") != derive(SECRET, "a", "bc")
    assert derive(SECRET, "a") != derive(SECRET[::-1], "a")
    assert len(derive(SECRET)) == 32
    assert 0 <= stream(SECRET, "split") < 2**128
    assert stream(SECRET, "a") != stream(SECRET, "b")
    assert commit(SECRET, "source", "x") != commit(SECRET, "seed", "x")
    assert commit(SECRET, "source", "x") != commit(SECRET[::-1], "source", "x")
    with pytest.raises(ValueError, match="16 bytes"):
        derive(b"", "a")


def test_derivation_never_changes() -> None:
    """A changed value would silently change every split and every promised commitment."""
    assert derive(SECRET, "a", "b").hex() == (
        "1b6558ddea58b3db6bc2c296cb3fcc23015d67364b742188af4e331389b6285d"
    )
    assert commit(SECRET, "source", "x") == (
        "abe6240a751d2dcb971bbd101018c8176718b08a4375db227133dd28331fbab4"
    )
