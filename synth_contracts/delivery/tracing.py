"""`trace()`: from a ticket, a token, a bundle or an exported file to who got what, and when."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from synth_contracts.delivery.bundle import TOKEN, sha256_file
from synth_contracts.delivery.journal import ExportRecord, exports
from synth_contracts.delivery.leak import LeakTrace, trace_leak
from synth_contracts.errors import Refused, UsageError
from synth_contracts.signing.jsontext import load_strict, unb64url

if TYPE_CHECKING:
    from synth_contracts.release import Registry

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_LONGEST_TOKEN = 16_384


def trace(registry: Registry, what: str | Path) -> list[ExportRecord] | LeakTrace:
    """The exports that ``what`` names, in order of issue; empty when the ledger knows none.

    Of a file that is neither a token nor an exact copy of an exported one: what its rows tell of
    where it came from (leak.py).

    Args:
        registry: the open registry (read-only will do); its ledger is what counts.
        what: a ticket; a token's text, its jti, or a file that holds it; a bundle folder; an
            exported data file, or one that was made from it; a release id or a table.

    Raises:
        Refused: a token that names an export of this ledger but is not the one issued for it.
        UsageError: a file that nothing can be told of.
    """
    known = exports(registry)
    text = str(what).strip()
    path = Path(what)
    if _TOKEN.fullmatch(text):
        return _by_token(known, text)
    if text and _is(path.is_dir):
        token = path / "data" / TOKEN
        if not token.is_file():
            raise UsageError(
                "this folder is not a bundle",
                where=str(path),
                mend="name a folder that holds data/token.jwt",
            )
        return _by_token(known, _token_text(token))
    if _is(path.is_file):
        return _by_file(registry, known, path)
    return [
        record
        for record in known.values()
        if text in (record.ticket, record.jti, record.release, record.table)
    ]


def trace_release(
    registry: Registry, *, release: str | None = None, table: str | None = None
) -> list[ExportRecord]:
    """Every export of one release or of all releases of one table, in order of issue.

    Unlike ``trace`` it never takes a name for that of a file or a token.
    """
    return [
        record
        for record in exports(registry).values()
        if (record.release if table is None else record.table) == (table or release)
    ]


def _is(asked: Callable[[], bool]) -> bool:
    """Whether a path is there; a text that cannot be a path (too long) is not."""
    try:
        return asked()
    except OSError:
        return False


def _token_text(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_LONGEST_TOKEN).decode("ascii", "replace").strip()


def _by_token(known: dict[str, ExportRecord], text: str) -> list[ExportRecord]:
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise Refused("this is not a token", mend="name the export by its ticket")
    claims = load_strict(unb64url(match[1], "the token"), "the token")
    jti = claims.get("jti") if isinstance(claims, dict) else None
    record = known.get(jti) if isinstance(jti, str) else None
    if record is None:
        return []
    if sha256(text.encode()).hexdigest() != record.token_sha256:
        raise Refused(
            f"the token names the export {jti} but is not the one that was issued for it",
            mend=f"`synth-contracts trace {jti}` lists that export",
        )
    return [record]


def _by_file(
    registry: Registry, known: dict[str, ExportRecord], path: Path
) -> list[ExportRecord] | LeakTrace:
    text = _token_text(path)
    if _TOKEN.fullmatch(text):
        return _by_token(known, text)
    digest = sha256_file(path)
    found = [record for record in known.values() if record.data_sha256 == digest]
    return found or trace_leak(registry, path)
