"""Why somebody flagged, revoked or approved: a line that another person can read later."""

from __future__ import annotations

from synth_contracts.errors import UsageError

_LONGEST = 2_000


def read_reason(text: str) -> str:
    """The reason as it is entered in the ledger: white space folded to single spaces.

    Raises:
        UsageError: (exit 2) no letter and no digit is in it, it is longer than 2,000 characters,
            or holds characters that are not printable (control, bidirectional, zero width).
    """
    reason = " ".join(text.split())
    if not any(sign.isalnum() for sign in reason):
        raise UsageError(
            "a reason is needed, in words: it stands in the ledger",
            mend='--reason "what was found, and who asked"',
        )
    if len(reason) > _LONGEST or not reason.isprintable():
        raise UsageError(
            f"a reason is up to {_LONGEST:,} printable characters",
            mend="say it in plain words, without control characters",
        )
    return reason
