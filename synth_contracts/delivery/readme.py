"""The README.txt of a bundle: what it is and how to verify it with common tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth_contracts.delivery.token import Token
    from synth_contracts.release import Release

_TEXT = """\
Synthetic table {table}, release {release}

mode: local  (the subject is the operating-system user, not authenticated)
ticket: {ticket}
ticket check: {ticket_check}
subject: {subject}
rows: {rows}
token: {jti}, valid until {expires_at}

data/{data_file} holds synthetic rows that passed the tests of data/contract.odcs.yaml.
data/report-card.html says which tests, with which values and limits.

Verify that nothing changed since the export (GNU coreutils, in this folder):

    sha256sum -c manifest-sha256.txt
    sha256sum -c tagmanifest-sha256.txt

Verify who exported it. Take the public key {kid}
from the project (synth-contracts keys list --jwks), never from this folder; as public.pem:

    sed 's/.*"sig":"\\(.*\\)".*/\\1/' tagmanifest-sha256.txt.sig | base64 -d > /tmp/bundle.sig
    openssl pkeyutl -verify -pubin -inkey public.pem -rawin \\
        -in tagmanifest-sha256.txt -sigfile /tmp/bundle.sig

Or everything at once, statement and token included: synth-contracts verify .

Do not pass this folder on: it was exported for the ticket above, and the export is recorded.
"""


def readme(release: Release, token: Token, data_file: str, kid: str, ticket_check: str) -> str:
    """The text of README.txt."""
    claims = token.claims
    return _TEXT.format(
        table=release.table,
        release=release.id,
        ticket=claims["ticket"],
        ticket_check=ticket_check,
        subject=claims["sub"],
        rows=f"{release.rows:,}",
        jti=token.jti,
        expires_at=token.expires_at,
        data_file=data_file,
        kid=kid,
    )
