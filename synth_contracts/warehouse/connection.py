"""Connections: one DuckDB file each, attached to an in-memory database that is then locked down.

A read-only DuckDB connection can still read any file and write others (measured), so once the file
is attached, external access is switched off and the configuration is locked. Rows are never
spilled: the temporary folder is empty.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from synth_contracts.errors import LockedError, SynthContractsError, UsageError, WarehouseError
from synth_contracts.warehouse.identifiers import literal, quote
from synth_contracts.warehouse.patience import patiently

#: Names of schemas: a database file of such a name makes every plain DuckDB query ambiguous.
RESERVED = frozenset(
    {"release", "release_data", "registry", "staging", "runs", "main", "temp", "system"}
)
_LOCKED = re.compile(r"Could not set lock on file|file handle conflict|already attached")
_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)|PID (?P<bare>\d+)")
#: What the system says when a file cannot grow; DuckDB hands on its words alone.
_FULL = re.compile(r"No space left on device|File too large|Disk quota exceeded|not enough disk")
ROOM = "make room on the disk, or raise the limit on the size of files, and run this again"
_LOCKDOWN = (
    # time stamps with a zone come back the same on every machine, and in every snapshot
    "SET GLOBAL TimeZone='UTC'",
    "SET temp_directory=''",
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET python_enable_replacements=false",
    "SET enable_external_access=false",
    "SET lock_configuration=true",
)


class Database:
    """One attached DuckDB file; use it as a context manager.

    Every error of DuckDB comes out as a WarehouseError that names the file. Calls are serialised:
    one object may be shared between threads.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, alias: str) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self.path = path
        self.alias = alias

    @classmethod
    def open(
        cls, path: Path, alias: str, *, read_only: bool, storage_version: str | None = None
    ) -> Database:
        """Attach ``path`` as ``alias`` and make it the default database.

        A missing file is created when not ``read_only`` (mode 0600; a missing folder 0700), in
        ``storage_version``; an existing one keeps its own. Where somebody asked for it
        (``waiting``), a file that another process holds is waited for.

        Raises:
            WarehouseError: missing, locked by another process (named with its PID), not a DuckDB
                file, unreadable.
            UsageError: the file is named like a schema.
        """
        return patiently(
            lambda: cls._open(
                path.absolute(), alias, read_only=read_only, storage_version=storage_version
            )
        )

    @classmethod
    def _open(
        cls, path: Path, alias: str, *, read_only: bool, storage_version: str | None
    ) -> Database:
        if not read_only:
            _prepare(path)
        elif not path.exists():
            raise WarehouseError("the database file does not exist", where=str(path))
        new = not path.exists()
        connection = duckdb.connect(":memory:")
        options = ["TYPE duckdb"]
        options += ["READ_ONLY"] if read_only else []
        options += (
            [f"STORAGE_VERSION {literal(storage_version)}"] if storage_version and new else []
        )
        try:
            connection.execute(
                f"ATTACH {literal(str(path))} AS {quote(alias)} ({', '.join(options)})"
            )
            connection.execute(f"USE {quote(alias)}")
            for statement in _LOCKDOWN:
                connection.execute(statement)
            if new:
                path.chmod(0o600)
        except (duckdb.Error, OSError) as error:
            connection.close()
            raise opening_failed(error, path) from error
        return cls(connection, path, alias)

    def close(self) -> None:
        """Close the file; without an open transaction DuckDB writes its log into the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement whose result is not needed."""
        self.rows(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all rows (empty for statements without a result)."""
        with self._lock, self._translated():
            result: list[tuple[Any, ...]] = self._connection.execute(
                sql, list(parameters)
            ).fetchall()
            return result

    def arrow(self, sql: str) -> pa.Table:
        """Run a query and return its rows as one Arrow table."""
        with self._lock, self._translated():
            return self._connection.sql(sql).to_arrow_table()

    def create_from(self, target: str, rows: pa.Table) -> None:
        """``CREATE TABLE target`` (already quoted) holding ``rows``."""
        self._with(rows, f"CREATE TABLE {target} AS SELECT * FROM incoming")  # noqa: S608 - target is quoted by the caller

    def append_to(self, target: str, rows: pa.Table) -> None:
        """``rows`` after those of ``target`` (already quoted)."""
        self._with(rows, f"INSERT INTO {target} SELECT * FROM incoming")  # noqa: S608 - target is quoted by the caller

    def arrow_of_rows(self, source: str, numbers: np.ndarray) -> pa.Table:
        """The rows of table ``source`` (already quoted) with these row ids, in any order."""
        with self._lock, self._translated():
            self._connection.register("wanted", pa.table({"number": numbers}))
            try:
                return self._connection.sql(
                    f"SELECT * FROM {source} WHERE rowid IN (SELECT number FROM wanted)"  # noqa: S608 - source is quoted by the caller
                ).to_arrow_table()
            finally:
                self._connection.unregister("wanted")

    def _with(self, rows: pa.Table, statement: str) -> None:
        """Run a statement that reads ``rows`` as ``incoming``."""
        with self._lock, self._translated():
            self._connection.register("incoming", rows)
            try:
                self._connection.execute(statement)
            finally:
                self._connection.unregister("incoming")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """BEGIN, then COMMIT; ROLLBACK when the body or the COMMIT raises."""
        with self._lock:
            self.execute("BEGIN TRANSACTION")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                self._rollback()
                raise

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The database as it is now, whatever is written until the block is left.

        It has a connection of its own, so that other threads write meanwhile.
        """
        with self._lock, self._translated():
            connection = self._connection.cursor()
        try:
            with self._lock, self._translated():
                connection.execute(f"USE {quote(self.alias)}")
                connection.execute("BEGIN TRANSACTION READ ONLY")
                # a transaction begins with its first look at the file
                connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
            yield Snapshot(connection, self.path)
        finally:
            connection.close()

    def _rollback(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error:
            # A failed COMMIT has ended the transaction already; the first error is the one to tell.
            return

    def _translated(self) -> AbstractContextManager[None]:
        return _translated(self.path)


class Snapshot:
    """One moment of a database, for one thread at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def schema(self, sql: str) -> pa.Schema:
        """The Arrow schema of what a query returns."""
        with _translated(self._path):
            return self._connection.sql(sql).to_arrow_reader(1).schema

    def count(self, sql: str) -> int:
        """The one number that a query returns."""
        with _translated(self._path):
            ((number,),) = self._connection.sql(sql).fetchall()
            return int(number)

    def batches(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """What a query returns, at most ``rows`` rows at a time; drawn from DuckDB one by one."""
        with _translated(self._path):
            reader = self._connection.sql(sql).to_arrow_reader(rows)
        while True:
            with _translated(self._path):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            yield batch


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        text = _first_line(error)
        mend = ROOM if _FULL.search(text) else ""
        raise WarehouseError(text, where=str(path), mend=mend) from error


def opening_failed(error: Exception, path: Path) -> SynthContractsError:
    """The error to show when ``path`` could not be attached."""
    text = str(error)
    if _LOCKED.search(text):
        found = _HOLDER.search(text)
        pid = None
        if found is None:
            holder = "this process" if "attached" in text else "another process"
        else:
            pid = int(found["pid"] or found["bare"])
            holder = f"PID {pid}" + (f" ({found['program']})" if found["program"] else "")
        return LockedError(
            f"the database is locked: held by {holder}",
            where=str(path),
            mend="wait until that process ends (--wait SECONDS), or close the file there",
            pid=pid,
        )
    if path.is_file() and path.stat().st_size == 0:
        # never removed by us: another process may be making it at this moment
        return WarehouseError(
            "the database file is empty, left by a crash while it was made",
            where=str(path),
            mend="remove it and run this again",
        )
    if "not a valid DuckDB database" in text or "Is a directory" in text:
        return WarehouseError(
            "this is not a DuckDB database file", where=str(path), mend="name a .duckdb file"
        )
    mend = ROOM if _FULL.search(text) else ""
    return WarehouseError(
        f"the database cannot be opened: {_first_line(error)}", where=str(path), mend=mend
    )


def separate_files(**paths: Path) -> None:
    """Refuse two of the databases (``source=``, ``work=``, ``published=``) in one file.

    Raises:
        UsageError: two of the paths lead to the same file.
    """
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        real = path.resolve()
        if real in seen:
            raise UsageError(
                f"{seen[real]} and {name} are one file",
                where=str(path),
                mend="source, staging and release never share a file: whoever may open a DuckDB "
                "file may read all of it",
            )
        seen[real] = name


def _prepare(path: Path) -> None:
    if path.stem.casefold() in RESERVED:
        raise UsageError(
            f"a database file must not be named like a schema ({path.stem})",
            where=str(path),
            mend="call it work.duckdb or published.duckdb",
        )
    if not path.parent.exists():
        try:
            path.parent.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise WarehouseError(
                f"the folder cannot be made: {error.strerror}", where=str(path.parent)
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
