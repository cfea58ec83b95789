"""Offline verification of a bundle.

The only keys that count are the project's own (`KeyFolder.public_keys`, rotated ones too), never
one that lies in the bundle. Rules, each of which alone refuses:

1. The folder holds regular files and the folder ``data`` alone: no link, no other folder.
2. The detached signature over the tag manifest holds.
3. Tag manifest and manifest list exactly the files that are there, and each digest holds.
4. The token holds as of its issue (an old bundle still verifies) and its life is within the
   released contract's.
5. The statement's envelope holds, and token, statement and expanded contract name one release,
   one contract and one digest of rows.
6. The rows of a Parquet or Arrow file have that digest; a CSV file is bound by rule 3. Where
   exports omit a part of the release's rows, the token says which digest counts, and how many.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from synth_contracts.delivery import token as tokens
from synth_contracts.delivery.bundle import (
    BAGIT,
    EXPANDED,
    MANIFEST,
    PAYLOAD,
    SIGNATURE,
    STATEMENT,
    TAG_FILES,
    TAG_MANIFEST,
    TOKEN,
    sha256_file,
    signature_line,
)
from synth_contracts.delivery.datafile import FORMATS, file_digest
from synth_contracts.delivery.policy import export_policy
from synth_contracts.errors import Refused, UsageError
from synth_contracts.release.verify import PREDICATE_TYPE, STATEMENT_TYPE
from synth_contracts.signing import KeyFolder, PublicKey, load_strict, open_envelope
from synth_contracts.signing.jsontext import unb64

_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_./-]+)")
#: Everything but the rows is small; a larger file is not read into memory.
_MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class VerifiedBundle:
    """What a bundle proves: these rows, of this release, went to this subject for this ticket."""

    path: Path
    table: str
    release: str
    ticket: str
    subject: str
    authenticated: bool
    jti: str
    kid: str
    issued_at: str
    expires_at: str
    ledger_head: str
    mode: str
    format: str
    rows: int
    rows_digest: str
    contract_digest: str
    data_sha256: str
    #: end of the retention of its contract (ISO 8601, UTC); None for none
    release_expires_at: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``--json``."""
        return {**asdict(self), "path": str(self.path)}


def verify_bundle(path: Path, keys: KeyFolder | Mapping[str, PublicKey]) -> VerifiedBundle:
    """Verify a bundle folder against the project's public keys.

    Args:
        path: the bundle folder.
        keys: the project's key folder, or its public keys by key id.

    Raises:
        UsageError: there is no such folder.
        Refused: anything was changed, added or removed, or was not signed by this project.
    """
    if not path.is_dir():
        raise UsageError("there is no bundle folder", where=str(path))
    public = keys.public_keys() if isinstance(keys, KeyFolder) else keys
    try:
        files = _files(path)
        kid = _check_signature(path, files, public)
        digests = _check_manifests(path, files)
        return _check_content(path, digests, public, kid)
    except OSError as error:
        raise Refused(f"the bundle cannot be read: {error}", where=str(path)) from error


def _files(path: Path) -> set[str]:
    """Relative names of all files; nothing but regular files and ``data`` may be there."""
    found: set[str] = set()
    for folder, prefix in ((path, ""), (path / "data", "data/")):
        if not stat.S_ISDIR(folder.stat(follow_symlinks=prefix == "").st_mode):
            raise Refused("data is not a folder", where=str(path))
        for entry in folder.iterdir():
            name = prefix + entry.name
            if name == "data":
                continue
            if not stat.S_ISREG(entry.lstat().st_mode):
                raise Refused(f"{name} is not a regular file", where=str(path))
            found.add(name)
    return found


def _read(path: Path, name: str) -> bytes:
    if (path / name).stat().st_size > _MOST_BYTES:
        raise Refused(f"{name} is too large to be part of a bundle", where=str(path))
    return (path / name).read_bytes()


def _check_signature(path: Path, files: set[str], keys: Mapping[str, PublicKey]) -> str:
    missing = {SIGNATURE, TAG_MANIFEST} - files
    if missing:
        raise Refused(f"the bundle has no {' and no '.join(sorted(missing))}", where=str(path))
    raw = _read(path, SIGNATURE)
    found = load_strict(raw, SIGNATURE)
    kid, text = (found.get(n) if isinstance(found, dict) else None for n in ("kid", "sig"))
    if not isinstance(kid, str) or not isinstance(text, str):
        raise Refused(f"{SIGNATURE} is not a key id and a signature", where=str(path))
    if kid not in keys:
        raise Refused(
            f"the bundle is signed by a key that this project does not know ({kid[:80]})",
            where=str(path),
            mend="verify with the key folder of the project that exported it",
        )
    signature = unb64(text, SIGNATURE)
    if raw != signature_line(kid, text):
        raise Refused(f"{SIGNATURE} is not as this tool writes it", where=str(path))
    keys[kid].verify(_read(path, TAG_MANIFEST), signature)
    return kid


def _check_manifests(path: Path, files: set[str]) -> dict[str, str]:
    """Digest of each payload file, by name without ``data/``."""
    tags = _manifest(path, TAG_MANIFEST)
    if set(tags) != set(TAG_FILES):
        raise Refused(f"{TAG_MANIFEST} does not list just the bundle's files", where=str(path))
    _compare(path, tags)
    payload = _manifest(path, MANIFEST)
    expected = {TAG_MANIFEST, SIGNATURE, *tags, *payload}
    if files != expected:
        odd = ", ".join(sorted(files ^ expected))
        raise Refused(f"files were added to or removed from the bundle: {odd}", where=str(path))
    _compare(path, payload)
    if _read(path, "bagit.txt") != BAGIT.encode():
        raise Refused("bagit.txt is not of BagIt 1.0", where=str(path))
    return {name.removeprefix("data/"): digest for name, digest in payload.items()}


def _manifest(path: Path, name: str) -> dict[str, str]:
    lines = _read(path, name).decode("utf-8", "replace").split("\n")
    parsed = [_LINE.fullmatch(line) for line in lines[:-1]]
    if lines[-1] != "" or not all(parsed):
        raise Refused(f"{name} is not a manifest as sha256sum reads it", where=str(path))
    found = {match[2]: match[1] for match in parsed if match}
    if len(found) != len(parsed):
        raise Refused(f"{name} lists a file twice", where=str(path))
    prefix = "data/" if name == MANIFEST else ""
    if any(not n.startswith(prefix) or "/" in n.removeprefix(prefix) for n in found):
        raise Refused(f"{name} lists a file of another folder", where=str(path))
    return found


def _compare(path: Path, manifest: Mapping[str, str]) -> None:
    for name, digest in manifest.items():
        if not (path / name).is_file() or sha256_file(path / name) != digest:
            raise Refused(
                f"{name} is not what was exported",
                where=str(path),
                mend="the file was changed or removed: do not use it, export again",
            )


@dataclass(frozen=True)
class _Bound:
    """What the signed statement of a release binds."""

    table: str
    release: str
    rows: int
    rows_digest: str
    contract_digest: str
    files: Mapping[str, str]
    expires_at: str | None


def _read_statement(envelope: Any, keys: Mapping[str, PublicKey]) -> _Bound:
    statement = open_envelope(envelope, keys)
    try:
        (subject,) = statement["subject"]
        predicate = statement["predicate"]
        bound = _Bound(
            table=subject["name"],
            release=predicate["release"],
            rows=predicate["rows"],
            rows_digest=subject["digest"]["sha256"],
            contract_digest=predicate["contract"]["digest"],
            expires_at=predicate.get("expires_at"),
            files={
                "contract.odcs.yaml": predicate["contract"]["text_sha256"],
                EXPANDED: predicate["contract"]["digest"],
                "report-card.html": predicate["cards"]["analyst"]["html"],
                "report-card.json": predicate["cards"]["analyst"]["json"],
            },
        )
        ends = bound.expires_at
        if ends is not None:
            datetime.fromisoformat(ends)
        kinds = statement["_type"], statement["predicateType"]
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("the statement does not say what was released") from error
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise Refused("the statement is not about a release")
    return bound


def _check_content(
    path: Path, digests: Mapping[str, str], keys: Mapping[str, PublicKey], kid: str
) -> VerifiedBundle:
    data = path / "data"
    missing = set(PAYLOAD) - set(digests)
    if missing:
        raise Refused(f"the bundle has no data/{min(missing)}", where=str(path))
    bound = _read_statement(load_strict(_read(data, STATEMENT), STATEMENT), keys)
    for name, digest in bound.files.items():
        if digests[name] != digest:
            raise Refused(f"data/{name} is not the one that was released", where=str(path))
    policy = export_policy(load_strict(_read(data, EXPANDED), EXPANDED))
    life = min(policy.token_ttl, tokens.LONGEST_LIFE)
    text = _read(data, TOKEN).decode("ascii", "replace")
    token = tokens.read(text, keys, at="iat", max_life=life)
    claims = token.claims
    signed = {
        "rows": bound.rows_digest,
        "contract": bound.contract_digest,
        "statement": digests[STATEMENT],
    }
    rows_digest, rows = bound.rows_digest, bound.rows
    if policy.fingerprint:
        rows_digest = signed[tokens.EXPORTED] = _exported(claims)
        rows = claims["rows"]
        if not 0 < rows <= bound.rows:
            raise Refused("the token is of more rows than were released", where=str(path))
    expected = {"table": bound.table, "release": bound.release, "digests": signed}
    for name, value in expected.items():
        if claims[name] != value:
            raise Refused(f"token and statement name different {name}", where=str(path))
    file, form = _data_file(path, digests, bound.table)
    if form != "csv":
        _check_rows(file, rows_digest)
    return VerifiedBundle(
        path=path,
        table=bound.table,
        release=bound.release,
        ticket=claims["ticket"],
        subject=claims["sub"],
        authenticated=claims.get("authenticated") is True,
        jti=token.jti,
        kid=kid,
        issued_at=tokens.iso(claims["iat"]),
        expires_at=token.expires_at,
        ledger_head=claims["ledger_head"],
        mode=claims["mode"],
        format=form,
        rows=rows,
        rows_digest=rows_digest,
        contract_digest=bound.contract_digest,
        data_sha256=digests[file.name],
        release_expires_at=bound.expires_at,
    )


def _exported(claims: Mapping[str, Any]) -> str:
    """The digest of the rows that an export holds which omits a part of the release's."""
    digest = claims["digests"].get(tokens.EXPORTED)
    if not isinstance(digest, str) or type(claims.get("rows")) is not int:
        raise Refused("the token does not say which rows this export holds")
    return digest


def _data_file(path: Path, digests: Mapping[str, str], table: str) -> tuple[Path, str]:
    left = set(digests) - set(PAYLOAD)
    for form in FORMATS:
        if left == {f"{table}.{form}"}:
            return path / "data" / f"{table}.{form}", form
    raise Refused(f"data/ does not hold just the rows of {table}", where=str(path))


def _check_rows(file: Path, digest: str) -> None:
    if file_digest(file) != digest:
        raise Refused("the rows are not those of the statement", where=str(file))
