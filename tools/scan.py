"""Find values in files, whatever they are wrapped in: Parquet, DuckDB, zip, gzip, base64, JSON, HTML.

    python tools/scan.py FOLDER VALUE [VALUE ...]

prints every file that holds one of the values, and where in it. Tests plant values into a source and
look for them in all that a build writes.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import io
import json
import re
import struct
import sys
import tempfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

#: Base64 text that may hide something: long enough for a short value.
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{20,}={0,2}")
_DEPTH = 6


@dataclass(frozen=True)
class Value:
    """One value to look for: text, a number, or a moment (to the second)."""

    name: str
    value: str | int | float | pd.Timestamp
    forms: tuple[bytes, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "forms", tuple(sorted(set(_forms(self.value)))))

    def inside(self, column: pd.Series) -> bool:
        """Whether a decoded column holds the value."""
        if isinstance(self.value, str):
            if not (column.dtype == object or pd.api.types.is_string_dtype(column)):
                return False
            return any(isinstance(item, str) and self.value in item for item in column.unique())
        if isinstance(self.value, pd.Timestamp):
            if not pd.api.types.is_datetime64_any_dtype(column):
                return False
            naive = column.dt.tz_localize(None) if column.dt.tz is not None else column
            return bool((naive.dt.floor("s") == self.value).any())
        if not pd.api.types.is_numeric_dtype(column) or column.dtype == bool:
            return False
        numbers = column.to_numpy(dtype="float64", na_value=np.nan)
        return bool(np.isclose(numbers, float(self.value), rtol=1e-7, atol=0).any())


def _forms(value: Any) -> Iterator[bytes]:
    """The value as bytes, in every spelling that a file of text or numbers may have."""
    if isinstance(value, str):
        for text in (value, html.escape(value), json.dumps(value)[1:-1], urllib.parse.quote(value)):
            yield text.encode()
        yield value.encode("utf-16-le")
        return
    if isinstance(value, pd.Timestamp):
        for pattern in (
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S",
            "%Y%m%dT%H%M%S",
            "%d.%m.%Y %H:%M",
        ):
            yield value.strftime(pattern).encode()
        micros = value.value // 1000
        yield from (struct.pack("<q", micros * scale) for scale in (1, 1000))
        yield from (str(number).encode() for number in (micros, micros // 1000, value.value))
        return
    number = float(value)
    for text in (repr(value), f"{value:,}", f"{number:,.2f}", f"{number:.2f}", repr(number)):
        # shorter ones stand in any table by chance
        if len(text.lstrip("-")) >= 6:
            yield text.encode()
            yield text.replace("-", "\u2212").encode()
    yield f"{number:.6e}".encode()
    yield struct.pack("<d", number)
    if isinstance(value, int):
        yield struct.pack("<q", value)


def scan_folder(
    folder: Path, values: list[Value], skip: tuple[Path, ...] = ()
) -> set[tuple[str, str]]:
    """(name of the value, file) for every value that a file below ``folder`` holds."""
    found = set()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(path == s or s in path.parents for s in skip):
            found |= {
                (name, f"{path.relative_to(folder)}{where}") for name, where in scan(path, values)
            }
    return found


def scan(path: Path, values: list[Value]) -> set[tuple[str, str]]:
    """(name of the value, place in the file) for every value that the file holds."""
    return set(_bytes(path.read_bytes(), values, "", 0))


def _bytes(raw: bytes, values: list[Value], where: str, depth: int) -> Iterator[tuple[str, str]]:
    for value in values:
        if any(form in raw for form in value.forms):
            yield value.name, where
    if depth < _DEPTH:
        yield from _unwrapped(raw, values, where, depth + 1)


def _unwrapped(
    raw: bytes, values: list[Value], where: str, depth: int
) -> Iterator[tuple[str, str]]:
    if raw[:4] == b"PAR1":
        yield from _table(pq.read_table(io.BytesIO(raw)), values, f"{where}!parquet", depth)
    elif raw[8:12] == b"DUCK":
        yield from _database(raw, values, f"{where}!duckdb", depth)
    elif raw[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for name in archive.namelist():
                yield from _bytes(name.encode(), values, f"{where}!{name}", _DEPTH)
                yield from _bytes(archive.read(name), values, f"{where}!{name}", depth)
    elif raw[:2] == b"\x1f\x8b":
        try:
            yield from _bytes(gzip.decompress(raw), values, f"{where}!gzip", depth)
        except (OSError, EOFError, zlib.error):
            return
    else:
        for token in set(_BASE64.findall(raw)):
            plain = _decoded(token)
            if plain is not None:
                yield from _bytes(plain, values, f"{where}!base64", depth)


def _decoded(token: bytes) -> bytes | None:
    body = token.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return None


def _database(raw: bytes, values: list[Value], where: str, depth: int) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.duckdb"
        copy.write_bytes(raw)
        with duckdb.connect(str(copy)) as connection:
            tables = connection.sql(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
            ).fetchall()
            for schema, table in tables:
                quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table))
                rows = connection.sql(f"SELECT * FROM {quoted}").to_arrow_table()
                yield from _table(rows, values, f"{where}!{schema}.{table}", depth)


def _table(
    table: pa.Table, values: list[Value], where: str, depth: int
) -> Iterator[tuple[str, str]]:
    for name in table.column_names:
        column = table.column(name).to_pandas()
        place = f"{where}.{name}"
        for value in values:
            if value.inside(column):
                yield value.name, place
        if column.dtype == object:
            for item in {i if isinstance(i, bytes | str) else repr(i) for i in column.dropna()}:
                raw = item.encode() if isinstance(item, str) else item
                if len(raw) >= 20:
                    yield from _bytes(raw, values, place, depth)


def main() -> None:
    folder, *texts = sys.argv[1:]
    values = [Value(text, text) for text in texts]
    for name, place in sorted(scan_folder(Path(folder), values)):
        print(f"{name}: {place}")


if __name__ == "__main__":
    main()
