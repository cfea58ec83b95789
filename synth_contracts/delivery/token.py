"""The export token: one release, one ticket, one analyst, a few minutes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from synth_contracts.errors import Refused
from synth_contracts.signing import PublicKey, SigningKey, jwt

TYP = "export+jwt"
ISSUER = "synth-contracts"
AUDIENCE = "synth-contracts/export"
#: No contract may ask for a longer life than a day, whatever it says.
LONGEST_LIFE = 86_400
REQUIRED = ("ticket", "release", "table", "digests", "ledger_head", "mode", "max_uses")
DIGESTS = ("rows", "contract", "statement")
#: Beside them, where an export omits a part of the release's rows: of those that it holds.
EXPORTED = "exported"


@dataclass(frozen=True)
class Token:
    """An issued token: its claims and its compact text."""

    text: str
    claims: Mapping[str, Any]

    @property
    def jti(self) -> str:
        """The token's id, 32 hex digits."""
        return str(self.claims["jti"])

    @property
    def expires_at(self) -> str:
        """Second of expiry, ISO 8601 in UTC."""
        return iso(int(self.claims["exp"]))


def iso(seconds: int) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def fresh_id() -> str:
    """A new token's id: 122 random bits as 32 hex digits."""
    return uuid.uuid4().hex


def check_life(ttl: int, table: str) -> None:
    """Refuse a life of ``ttl`` seconds that no token may have. Raises Refused."""
    if not 0 < ttl <= LONGEST_LIFE:
        raise Refused(
            f"a token cannot live {ttl} seconds",
            where=table,
            mend=f"set export.tokenTtl to at most {LONGEST_LIFE} seconds",
        )


def issue(
    key: SigningKey,
    *,
    subject: str,
    ticket: str,
    release: str,
    table: str,
    digests: Mapping[str, str],
    ledger_head: str,
    ttl: int,
    now: datetime,
    jti: str,
    rows: int | None = None,
) -> Token:
    """A token of local mode: the subject is the operating-system user, not authenticated.

    Args:
        key: signs.
        subject: who asks.
        ticket: what it is for; checked before.
        release: id of the release.
        table: its table.
        digests: SHA-256 (hex) of ``rows``, of the expanded ``contract`` and of the ``statement``;
            where the export omits a part of the rows, also of those ``exported``.
        ledger_head: newest ledger hash at issue; shows a ledger that was cut later.
        ttl: life in seconds, 1 to 86,400.
        now: the clock, read once by the caller.
        jti: the token's id, 32 hex digits (:func:`fresh_id`).
        rows: how many the export holds, where it omits a part of the release's.
    """
    check_life(ttl, table)
    issued = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "jti": jti,
        "iat": issued,
        "nbf": issued,
        "exp": issued + ttl,
        "ticket": ticket,
        "release": release,
        "table": table,
        "digests": {name: digests[name] for name in (*DIGESTS, *(set(digests) & {EXPORTED}))},
        "ledger_head": ledger_head,
        "mode": "local",
        "authenticated": False,
        "max_uses": 1,
        **({} if rows is None else {"rows": rows}),
    }
    return Token(jwt.issue(claims, key, TYP), claims)


def read(
    text: str,
    keys: Mapping[str, PublicKey],
    *,
    at: int | Literal["iat"] | None = None,
    max_life: int = LONGEST_LIFE,
) -> Token:
    """A token that holds in every respect as of ``at`` (now, or its own issue). Raises Refused."""
    claims = jwt.read(
        text,
        keys,
        typ=TYP,
        issuer=ISSUER,
        audience=AUDIENCE,
        required=REQUIRED,
        at=at,
        max_life=max_life,
    )
    digests = claims["digests"]
    if not isinstance(digests, dict) or any(
        not isinstance(digests.get(name), str) for name in DIGESTS
    ):
        raise Refused("the token binds no digests")
    if any(not isinstance(claims[name], str) for name in ("ticket", "release", "table")):
        raise Refused("the token's ticket, release and table are not text")
    return Token(text, claims)
