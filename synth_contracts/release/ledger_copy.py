"""The ledger as a file of its own: JSON lines that are verified without the database.

====================  ===========================================================================
line                  holds
====================  ===========================================================================
the first             ``{"ledger": {format, registry, entries, head, exported_at}}``
one per entry         ``{"seq", "at", "kind", "body", "prev", "hash"}``, oldest first
one per release       ``{"release", "statement"}``: its signed statement, a DSSE envelope
the last              ``{"signature"}``: a DSSE envelope over what the first line says
====================  ===========================================================================

Each line is canonical JSON, so that there is one spelling of a copy. The head is signed because a
chain that was rewritten whole is sound in itself, and no head beside the keys goes with a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from synth_contracts.errors import Refused, SynthContractsError, UsageError
from synth_contracts.release.auditing import LedgerAudit, check_statements
from synth_contracts.release.ledger import LedgerEntry, genesis, read_chain
from synth_contracts.release.registry import Registry
from synth_contracts.signing.dsse import open_envelope, sign_statement
from synth_contracts.signing.jsontext import dump_canonical, load_strict
from synth_contracts.signing.keys import PublicKey, SigningKey
from synth_contracts.signing.private import write_private

FORMAT = "synth-contracts/ledger/v1"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
#: another type than a release's, so that one signature cannot pass for the other
PREDICATE_TYPE = "urn:synth-contracts:ledger:v1"
_ENTRY = ("seq", "at", "kind", "body", "prev", "hash")
_HEADER = {"format", "registry", "entries", "head", "exported_at"}
#: A statement or entry has some kilobytes; a longer line is none of ours.
_LONGEST_LINE = 10_000_000


def write_copy(registry: Registry, path: Path, key: SigningKey) -> LedgerAudit:
    """Write the whole ledger to ``path`` (mode 0600), on the disk when this returns.

    Args:
        registry: open; its ledger was verified then. Read-only will do.
        path: a file that does not exist yet.
        key: signs the head.

    Raises:
        UsageError: (exit 2) something stands there already, or there is no such folder.
        Refused: (exit 5) a release does not have its signed statement.
        SynthContractsError: (exit 3) it cannot be written; nothing is left behind.
    """
    _refuse_existing(path)
    entries = registry.entries()
    statements = {release.id: release.statement for release in registry.releases()}
    releases = check_statements(entries, statements, registry.id, registry.keys.public_keys())
    header: dict[str, Any] = {
        "format": FORMAT,
        "registry": registry.id,
        "entries": len(entries),
        "head": registry.head(),
        "exported_at": registry.now().isoformat(timespec="seconds"),
    }
    lines: list[Mapping[str, Any]] = [{"ledger": header}]
    lines += [{name: getattr(entry, name) for name in _ENTRY} for entry in entries]
    lines += [{"release": name, "statement": dict(found)} for name, found in statements.items()]
    lines.append({"signature": sign_statement(_statement(header), key)})
    content = b"".join(dump_canonical(dict(line)) + b"\n" for line in lines)
    try:
        write_private(path, content, replace=False)
    except FileExistsError:  # it came while the lines were written
        _refuse_existing(path)
        raise
    except OSError as error:
        raise SynthContractsError(
            f"the copy cannot be written: {error.strerror or error}",
            where=str(path),
            mend="make room or name another file; nothing was left behind",
        ) from error
    return LedgerAudit(
        registry.id, len(entries), registry.head(), releases, releases, header["exported_at"],
        key.kid,
    )  # fmt: skip


def verify_copy(
    path: Path, keys: Mapping[str, PublicKey] | None
) -> tuple[LedgerAudit, list[LedgerEntry]]:
    """Verify an exported ledger: its chain, and under ``keys`` all that is signed.

    Args:
        path: what ``write_copy`` wrote.
        keys: the project's public keys by key id, rotated ones too; None when they are not at
            hand: then the chain alone is checked, and whoever rewrote it whole is not noticed.

    Returns:
        What was found (``signed`` is None without keys), and the entries.

    Raises:
        UsageError: (exit 2) there is no such file.
        Refused: (exit 5) it is not as it was written; the first broken entry is named.
    """
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path))
    try:
        with path.open("rb") as stream:
            lines = list(_lines(stream))
    except OSError as error:
        raise SynthContractsError(
            f"the copy cannot be read: {error.strerror}", where=str(path)
        ) from error
    header = _header(lines)
    count = header["entries"]
    # one after the other, so that the first broken entry is the one that is named
    rows = (_row(number, line) for number, line in enumerate(lines[1 : 1 + count], start=1))
    entries = read_chain(header["registry"], rows)
    head = entries[-1].hash if entries else genesis(header["registry"])
    if len(entries) != count or head != header["head"]:
        raise Refused(
            f"the copy holds {len(entries)} of {count} entries, or does not end at its head",
            mend="it was cut or edited: take the file as it was exported",
        )
    statements, envelope = _signed(lines[1 + count :])
    if keys is None:
        found = LedgerAudit(header["registry"], count, head, _promotions(entries), None)
        return found, entries
    statement = open_envelope(envelope, keys)
    if statement != _statement(header):
        raise Refused("what was signed is not the head of this copy", mend="it was put together")
    releases = check_statements(entries, statements, header["registry"], keys)
    kid = envelope["signatures"][0]["keyid"]
    return (
        LedgerAudit(
            header["registry"], count, head, releases, releases, header["exported_at"], kid
        ),
        entries,
    )


def _statement(header: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "ledger", "digest": {"sha256": header["head"]}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": dict(header),
    }


def _lines(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Every line as an object. Raises Refused for one that this tool would not have written."""
    number = 0
    while raw := stream.readline(_LONGEST_LINE):
        number += 1
        line = load_strict(raw, f"line {number} of the copy")
        if not isinstance(line, dict) or dump_canonical(line) + b"\n" != raw:
            raise Refused(f"line {number} of the copy is not as this tool writes it")
        yield line


def _header(lines: list[dict[str, Any]]) -> dict[str, Any]:
    header = lines[0].get("ledger") if lines else None
    if not isinstance(header, dict) or set(header) != _HEADER or header["format"] != FORMAT:
        raise Refused(
            "this is no exported ledger of a format that this version reads",
            mend="name a file that `synth-contracts ledger export` wrote",
        )
    texts = (header["registry"], header["head"], header["exported_at"])
    if type(header["entries"]) is not int or not all(isinstance(text, str) for text in texts):
        raise Refused("the first line of the copy is malformed")
    if header["entries"] < 0:
        raise Refused("the first line of the copy is malformed")
    return header


def _row(number: int, line: Mapping[str, Any]) -> tuple[Any, ...]:
    """An entry as it is stored; one that is malformed stays so, and the chain names it."""
    if set(line) != set(_ENTRY):
        raise Refused(
            f"the ledger is broken at entry {number}: the copy holds something else there",
            mend="take the file as it was exported",
        )
    body = line["body"]
    text = dump_canonical(body).decode() if isinstance(body, dict) else None
    return (line["seq"], line["at"], line["kind"], text, line["prev"], line["hash"])


def _signed(lines: list[dict[str, Any]]) -> tuple[dict[str, Any], Any]:
    """The statements by release, and the signed head."""
    if not lines or set(lines[-1]) != {"signature"}:
        raise Refused(
            "the copy does not end with its signed head",
            mend="it was cut, or something was added: take the file as it was exported",
        )
    statements: dict[str, Any] = {}
    for line in lines[:-1]:
        name, envelope = line.get("release"), line.get("statement")
        known = isinstance(name, str) and isinstance(envelope, dict) and len(line) == 2
        if not known or name in statements:
            raise Refused("something stands between the copy's entries and its signed head")
        statements[str(name)] = envelope
    return statements, lines[-1]["signature"]


def _promotions(entries: list[LedgerEntry]) -> int:
    return sum(entry.kind == "promoted" for entry in entries)


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError(
            "the file exists already", where=str(path), mend="name one that does not exist"
        )
    if not path.parent.is_dir():
        raise UsageError("there is no such folder", where=str(path.parent), mend="make it first")
