"""Dead Simple Signing Envelope v1 around in-toto statements.

https://github.com/secure-systems-lab/dsse : what is signed is PAE(type, payload), so that a
signature over one type of document cannot be passed off as one over another.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from synth_contracts.errors import Refused
from synth_contracts.signing.jsontext import dump_canonical, load_strict, unb64
from synth_contracts.signing.keys import PublicKey, SigningKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding of DSSE v1."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign_statement(statement: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """The envelope of ``statement`` (finite JSON), signed by ``key``."""
    payload = dump_canonical(dict(statement))
    signature = key.sign(pae(PAYLOAD_TYPE, payload))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key.kid, "sig": base64.b64encode(signature).decode()}],
    }


def open_envelope(envelope: Any, keys: Mapping[str, PublicKey]) -> dict[str, Any]:
    """The statement of an envelope, every signature of which is by one of ``keys``.

    Stricter than the standard, which ignores signatures by unknown keys: here each must hold.

    Raises:
        Refused: malformed, unsigned, another payload type, an unknown key, a wrong signature.
    """
    if not isinstance(envelope, dict) or set(envelope) != {"payload", "payloadType", "signatures"}:
        raise Refused("the signed statement is not a DSSE envelope")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise Refused(f"the signed statement is not of type {PAYLOAD_TYPE}")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or not signatures:
        raise Refused("the statement is not signed")
    payload = unb64(_text(envelope["payload"]), "the statement's payload")
    message = pae(PAYLOAD_TYPE, payload)
    seen: set[str] = set()
    for item in signatures:
        if not isinstance(item, dict) or set(item) != {"keyid", "sig"}:
            raise Refused("a signature of the statement is malformed")
        kid = _text(item["keyid"])
        if kid in seen:
            raise Refused("the statement is signed twice by one key")
        seen.add(kid)
        if kid not in keys:
            raise Refused(
                f"the statement is signed by a key this project does not know ({kid[:80]})",
                mend="verify with the key folder of the project that released it",
            )
        keys[kid].verify(message, unb64(_text(item["sig"]), "the statement's signature"))
    statement = load_strict(payload, "the signed statement")
    if not isinstance(statement, dict):
        raise Refused("the signed statement is not a JSON object")
    return statement


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("the signed statement is not a DSSE envelope")
    return value
