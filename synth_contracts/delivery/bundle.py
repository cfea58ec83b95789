"""The bundle: a BagIt folder (RFC 8493) whose tag manifest carries a detached signature.

============================  ==================================================================
file                          holds
============================  ==================================================================
``bagit.txt``                 the standard's declaration
``bag-info.txt``              ticket, release, subject, ``Mode: local``, key and token ids
``README.txt``                what this is and how to verify it with common tools
``data/<table>.parquet``      the rows (or ``.csv``, ``.arrow``)
``data/report-card.*``        the analyst's card, HTML and JSON
``data/contract.*``           the contract file, and its expanded form in canonical JSON
``data/statement.dsse.json``  the release's signed statement
``data/token.jwt``            the export token
``data/datapackage.json``     Data Package descriptor of the rows
``manifest-sha256.txt``       digests of ``data/``
``tagmanifest-sha256.txt``    digests of every other file but its own signature
``...txt.sig``                ``{"kid":...,"sig":...}``: key id and Ed25519 signature over it
============================  ==================================================================
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth_contracts.delivery.datafile import MEDIA_TYPES
from synth_contracts.signing import SigningKey, dump_canonical

BAGIT = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
SIGNATURE = f"{TAG_MANIFEST}.sig"
TAG_FILES = ("README.txt", "bag-info.txt", "bagit.txt", MANIFEST)
STATEMENT, TOKEN, EXPANDED = "statement.dsse.json", "token.jwt", "contract.expanded.json"
#: Payload files beside the rows.
PAYLOAD = (
    "contract.odcs.yaml", EXPANDED, "datapackage.json", "report-card.html", "report-card.json",
    STATEMENT, TOKEN,
)  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """A delivered bundle. ``data_sha256`` is of the data file, ``rows_digest`` of its rows."""

    path: Path
    table: str
    release: str
    ticket: str
    subject: str
    jti: str
    format: str
    rows: int
    rows_digest: str
    data_file: str
    data_sha256: str
    data_bytes: int
    issued_at: str
    expires_at: str
    mode: str = "local"

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``--json``."""
        return {**asdict(self), "path": str(self.path)}


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, as ``sha256sum`` prints it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fsync_folder(path: Path) -> None:
    """Make the entries of a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a new file, durably. Raises FileExistsError."""
    with path.open("xb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())


def data_package(
    name: str,
    path: Path,
    schema: pa.Schema,
    *,
    sha256: str,
    version: str,
    weight: float | None = None,
) -> str:
    """Data Package v1 descriptor (specs.frictionlessdata.io) of the data file, as JSON text.

    ``weight``, where there is one, is what each row counts in totals (docs/fingerprint.md).
    """
    csv = path.suffix == ".csv"
    resource = {
        "name": name,
        "path": path.name,
        "profile": "tabular-data-resource" if csv else "data-resource",
        "format": path.suffix[1:],
        "mediatype": MEDIA_TYPES[path.suffix[1:]],
        "encoding": "utf-8",
        "bytes": path.stat().st_size,
        "hash": f"sha256:{sha256}",
        "schema": {"fields": [{"name": f.name, "type": _field_type(f.type)} for f in schema]},
        **({} if weight is None else {"rowWeight": weight}),
    }
    package = {
        "name": name,
        "version": version,
        "profile": "tabular-data-package" if csv else "data-package",
        "resources": [resource],
    }
    return json.dumps(package, indent=2, ensure_ascii=False) + "\n"


def _field_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind):
        return "date"
    # CSV writes time stamps with a space, which Table Schema's default format does not have
    return "any" if pa.types.is_timestamp(kind) else "string"


def bag_info(fields: Mapping[str, str], folder: Path) -> str:
    """``bag-info.txt``: the given fields, and the size of the payload (Payload-Oxum)."""
    sizes = [path.stat().st_size for path in sorted((folder / "data").iterdir())]
    lines = [f"{name}: {value}\n" for name, value in fields.items()]
    return "".join([*lines, f"Payload-Oxum: {sum(sizes)}.{len(sizes)}\n"])


def finish(folder: Path, key: SigningKey) -> None:
    """Write the manifests and the signature over whatever lies in ``folder``, durably."""
    payload = sorted(f"data/{path.name}" for path in (folder / "data").iterdir())
    write_file(folder / MANIFEST, _manifest(folder, payload))
    tags = _manifest(folder, sorted(TAG_FILES))
    write_file(folder / TAG_MANIFEST, tags)
    signature = base64.b64encode(key.sign(tags.encode())).decode()
    write_file(folder / SIGNATURE, signature_line(key.kid, signature))
    fsync_folder(folder / "data")
    fsync_folder(folder)


def signature_line(kid: str, signature: str) -> bytes:
    """The one spelling of the signature file: canonical JSON and a new line."""
    return dump_canonical({"kid": kid, "sig": signature}) + b"\n"


def _manifest(folder: Path, names: list[str]) -> str:
    return "".join(f"{sha256_file(folder / name)}  {name}\n" for name in names)
