"""The README.txt of a bundle: what it is and how to verify it with common tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth_contracts.delivery.omitting import OmittedRows

if TYPE_CHECKING:
    from synth_contracts.delivery.token import Token
    from synth_contracts.release import Release
    from synth_contracts.warehouse import StoredRows

_OMITTED = """\

This copy omits a part of the {pool} rows that were tested; no value is changed, and other copies
omit other rows. Multiply totals and counts by {weight:.6f} (rowWeight in data/datapackage.json).
Among {subsets} such copies totals that were weighted so were off by at most
{spread}.
"""
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
{omitted}
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


def readme(
    release: Release,
    token: Token,
    data_file: str,
    kid: str,
    ticket_check: str,
    rows: StoredRows | OmittedRows,
) -> str:
    """The text of README.txt; ``rows`` are those of the bundle."""
    claims = token.claims
    return _TEXT.format(
        table=release.table,
        release=release.id,
        ticket=claims["ticket"],
        ticket_check=ticket_check,
        subject=claims["sub"],
        rows=f"{rows.num_rows:,}",
        omitted=_omitted(release, rows) if isinstance(rows, OmittedRows) else "",
        jti=token.jti,
        expires_at=token.expires_at,
        data_file=data_file,
        kid=kid,
    )


def _omitted(release: Release, rows: OmittedRows) -> str:
    spread = sorted(rows.told["spread"].items(), key=lambda item: -item[1])[:3]
    return _OMITTED.format(
        pool=f"{release.rows:,}",
        weight=rows.weight,
        subsets=rows.told["subsets"],
        spread=", ".join(f"{100 * share:.2g} % ({name})" for name, share in spread),
    )
