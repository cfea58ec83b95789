"""A file that may be a leak, read as the columns of a release: CSV, Parquet or Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq

from synth_contracts.errors import UsageError
from synth_contracts.omission import codes
from synth_contracts.omission.codes import Codes

#: The code of a value that is not of its column's type: it matches nothing.
_UNREADABLE = np.uint64(0x5EED_0BAD_5EED_0BAD)
_SEPARATORS = (",", ";", "\t", "|")


def read_leak(path: Path) -> pa.Table:
    """The file as a table; the columns of a CSV are text.

    Raises:
        UsageError: it cannot be read, holds no rows, or two columns share a name.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(65_536)
        if head[:4] == b"PAR1":
            table = pq.read_table(path)
        elif head[:6] == b"ARROW1":
            with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
                table = file.read_all()
        else:
            table = _csv(path, head)
    except (OSError, pa.ArrowException, ValueError) as error:
        # not Arrow's own words: they quote rows of the file
        said = (isinstance(error, OSError) and error.strerror) or "it is damaged, or no table"
        raise UsageError(
            f"the file cannot be read: {said}",
            where=str(path),
            mend="name a CSV (UTF-8, with a header) or a Parquet file",
        ) from error
    if not table.num_rows:
        raise UsageError("the file holds no rows", where=str(path), mend="name one that does")
    folded = [name.casefold() for name in table.column_names]
    if len(set(folded)) != len(folded):
        raise UsageError("two columns share a name", where=str(path), mend="rename one of them")
    return table


def _csv(path: Path, head: bytes) -> pa.Table:
    line = head.decode("utf-8-sig", "replace").split("\n", 1)[0]
    if not line.strip():
        raise UsageError(
            "the file is empty, or does not begin with a header", where=str(path),
            mend="name a CSV (UTF-8, with a header) or a Parquet file",
        )  # fmt: skip
    separator = max(_SEPARATORS, key=line.count)
    parse = pa.csv.ParseOptions(
        delimiter=separator,
        newlines_in_values=True,
        invalid_row_handler=lambda _: "skip",  # the last line of a file that was cut
    )
    with pa.csv.open_csv(path, parse_options=parse) as reader:
        names = reader.schema.names
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)


def shared_codes(table: pa.Table, schema: pa.Schema) -> dict[str, Codes]:
    """Codes of the columns that the file shares with a release, under the release's names."""
    ours: Mapping[str, str] = {name.casefold(): name for name in schema.names}
    found = {}
    for name in table.column_names:
        known = ours.get(name.strip().casefold())
        if known is not None:
            found[known] = _as(table.column(name), schema.field(known).type)
    return found


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> Codes:
    """Codes of a column of the file as if it were of the release's type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    missing = np.asarray(pc.is_null(column, nan_is_null=pa.types.is_floating(column.type)))
    try:
        values, unreadable = _converted(column, kind)
    except (pa.ArrowException, TypeError, ValueError):
        return np.where(missing, codes(pa.nulls(1, pa.int64()))[0], _UNREADABLE)
    return np.where(unreadable & ~missing, _UNREADABLE, codes(values))


def _converted(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """The column as ``kind``, null where that cannot be, and where that is."""
    import pandas as pd  # of the whole delivery only this needs it

    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        given = column.to_pandas() if text or pa.types.is_decimal(column.type) else None
        numbers = (
            pd.to_numeric(given, errors="coerce").to_numpy(dtype=float)
            if given is not None
            else column.cast(pa.float64(), safe=False).to_numpy()
        )
        bad = ~np.isfinite(numbers)
        if pa.types.is_integer(kind):
            bad |= np.abs(numbers) > 2**53
            whole = np.where(bad, 0, numbers)
            bad |= whole != np.rint(whole)
            return pa.array(whole.astype(np.int64), mask=bad), bad
        return pa.array(numbers, mask=bad), bad
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if text:
            stamps = pd.to_datetime(column.to_pandas(), errors="coerce", format="ISO8601", utc=True)
        else:
            stamps = pd.to_datetime(column.to_pandas(), errors="coerce", utc=True)
        naive = stamps.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        bad = np.isnat(naive)
        moments = pa.array(naive.astype("datetime64[us]"), mask=bad)
        return (moments.cast(pa.date32(), safe=False) if pa.types.is_date(kind) else moments), bad
    if pa.types.is_boolean(kind):
        words = pc.utf8_lower(column.cast(pa.string()))
        yes = np.asarray(pc.fill_null(pc.is_in(words, pa.array(["true", "1", "t"])), False))
        no = np.asarray(pc.fill_null(pc.is_in(words, pa.array(["false", "0", "f"])), False))
        return pa.array(yes, mask=~(yes | no)), ~(yes | no)
    words = column.cast(pa.string()).combine_chunks()
    if isinstance(words, pa.ChunkedArray):
        words = words.chunk(0) if words.num_chunks else pa.array([], pa.string())
    return words, np.zeros(len(words), dtype=bool)
