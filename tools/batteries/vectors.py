"""Tokens bent by hand: the 47 that plain libraries were tried with, and 20 more."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from synth_contracts.signing import SigningKey

STANDARD = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp")
#: What a mutation puts in: the alphabet of a token, what stands near it, and what never may.
CHARACTERS = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    '.=+/ \n\r\t\0\x7f"{},:éßÅ中\u200b\u2028\ufeff\U00010348'
)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Forge:
    """Bends tokens with these claims. ``key`` is the issuer's own, ``other`` a stranger's.

    The claims live from ``iat`` to ``exp``, 900 seconds; vectors of time are relative to them.
    """

    key: SigningKey
    other: SigningKey
    claims: Mapping[str, Any]
    typ: str

    @property
    def now(self) -> int:
        return int(self.claims["iat"])

    @property
    def good(self) -> str:
        """The claims, honestly signed."""
        return self.compact(self.header(), dict(self.claims))

    def header(self, **changes: Any) -> dict[str, Any]:
        return {"alg": "EdDSA", "kid": self.key.kid, "typ": self.typ, **changes}

    def compact(
        self,
        header: Any,
        claims: Any,
        key: SigningKey | None = None,
        *,
        signature: bytes | None = None,
    ) -> str:
        header = header if isinstance(header, str) else json.dumps(header)
        claims = claims if isinstance(claims, str) else json.dumps(claims)
        text = f"{b64(header.encode())}.{b64(claims.encode())}"
        signed = (key or self.key).sign(text.encode()) if signature is None else signature
        return f"{text}.{b64(signed)}"

    def mac(self, alg: str, secret: bytes) -> str:
        text = self.compact(self.header(alg=alg), dict(self.claims), signature=b"")[:-1]
        digest = getattr(hashlib, f"sha{alg[2:]}")
        return f"{text}.{b64(hmac.new(secret, text.encode(), digest).digest())}"

    def changed(self, **claims: Any) -> str:
        """Other claims, signed by the issuer's own key."""
        return self.compact(self.header(), {**self.claims, **claims})

    def without(self, claim: str) -> str:
        return self.compact(self.header(), {k: v for k, v in self.claims.items() if k != claim})

    def non_canonical_last(self) -> str:
        """The same 64 signature bytes: the last of 86 characters carries four unused bits."""
        alphabet, good = CHARACTERS[:64], self.good
        other = good[:-1] + alphabet[alphabet.index(good[-1]) ^ 1]
        tail = [text.rsplit(".", 1)[1] + "==" for text in (good, other)]
        if base64.urlsafe_b64decode(tail[0]) != base64.urlsafe_b64decode(tail[1]):
            raise AssertionError("the signature's bytes changed")
        return other

    def vectors(self) -> dict[str, str]:
        """The 47, by name."""
        good, now, exp, claims = self.good, self.now, int(self.claims["exp"]), dict(self.claims)
        public = self.key.public.ed25519
        secrets = {
            "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "raw": public.public_bytes_raw(),
            "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        }
        jwk = self.header(jwk=self.other.public.jwk())
        jku = self.header(kid=self.other.kid, jku="https://keys.example/jwks.json")
        huge = json.dumps(claims).replace(f'"exp": {exp}', '"exp": 1e400')
        return {
            **{
                f"alg {alg!r}": self.compact(self.header(alg=alg), claims, signature=b"")
                for alg in ("none", "None", "NONE", "nOnE", "", " none", None)
            },
            **{
                f"{alg} {name}": self.mac(alg, secret)
                for alg in ("HS256", "HS384", "HS512")
                for name, secret in secrets.items()
            },
            "another key": self.compact(self.header(), claims, self.other),
            "another key with jwk": self.compact(jwk, claims, self.other),
            "another key with jku": self.compact(jku, claims, self.other),
            "unknown crit": self.compact(self.header(crit=["magic"], magic=1), claims),
            "all-zero signature": self.compact(self.header(), claims, signature=bytes(64)),
            "empty signature": self.compact(self.header(), claims, signature=b""),
            **{f"no {name}": self.without(name) for name in STANDARD},
            "expired": self.changed(iat=now - 900, nbf=now - 900, exp=now - 1),
            "nbf in the future": self.changed(nbf=now + 600),
            "iat in the future": self.changed(iat=now + 600),
            "other aud": self.changed(aud="someone"),
            "aud list": self.changed(aud=["someone", claims["aud"]]),
            "other iss": self.changed(iss="someone"),
            "exp 1e400": self.compact(self.header(), huge),
            "exp NaN": self.changed(exp=float("nan")),
            "exp infinity": self.changed(exp=float("inf")),
            "exp text": self.changed(exp=str(exp)),
            "exp true": self.changed(exp=True),
            "exp float": self.changed(exp=float(exp)),
            "exp year 9999": self.changed(exp=253402300799),
            "wrong typ": self.compact(self.header(typ="JWT"), claims),
            "duplicate key": self.compact(
                self.header(), json.dumps(claims)[:-1] + ', "ticket": "DATA-999"}'
            ),
            "padded signature": good + "==",
            "white space around": f" {good}\n",
            "non-canonical last character": self.non_canonical_last(),
        }

    def more(self) -> dict[str, str]:
        """Twenty beside the 47, by name."""
        good, now, claims = self.good, self.now, dict(self.claims)
        twice = json.dumps(self.header())[:-1] + ', "alg": "EdDSA"}'
        surrogate = json.dumps({**claims, "sub": "\ud800"})
        return {
            "aud list of one": self.changed(aud=[claims["aud"]]),
            "exp before iat": self.changed(exp=now),
            "no ticket": self.without("ticket"),
            "null release": self.changed(release=None),
            "x5u": self.compact(self.header(x5u="https://keys.example"), claims),
            "b64 false": self.compact(self.header(b64=False, crit=["b64"]), claims),
            "duplicate header key": self.compact(twice, claims),
            "claims list": self.compact(self.header(), [1]),
            "deep claims": self.compact(self.header(), "[" * 5000 + "]" * 5000),
            "kid a number": self.compact(self.header(kid=1), claims),
            "kid a list": self.compact(self.header(kid=[self.key.kid]), claims),
            "lone surrogate": self.compact(self.header(), surrogate),
            "sub empty": self.changed(sub=""),
            "sub a number": self.changed(sub=7),
            "iat a float": self.changed(iat=float(now)),
            "negative iat": self.changed(iat=-1, nbf=-1, exp=899),
            "two parts": good.rsplit(".", 1)[0],
            "five parts": good + ".e.e",
            "a new line inside": good[:10] + "\n" + good[10:],
            "too long": good + "A" * 20_000,
        }


def mutations(token: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    """(how, text) without end: one replace, delete, insert or swap; never the token itself."""
    while True:
        letters = list(token)
        i, j = rng.randrange(len(letters)), rng.randrange(len(letters))
        how = rng.choice(("replace", "delete", "insert", "swap"))
        if how == "replace":
            letters[i] = rng.choice(CHARACTERS)
        elif how == "delete":
            del letters[i]
        elif how == "insert":
            letters.insert(rng.randrange(len(letters) + 1), rng.choice(CHARACTERS))
        else:
            letters[i], letters[j] = letters[j], letters[i]
        text = "".join(letters)
        if text != token:
            yield how, text
