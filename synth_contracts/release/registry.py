"""The registry in published.duckdb: releases and the ledger, verified each time it is opened.

The ledger is the truth. The registry's rows repeat it for readers with plain DuckDB, and a row
that disagrees with the ledger or with its signed statement is refused, never repaired.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth_contracts.contract.expand import canonical_json
from synth_contracts.errors import Refused, UsageError, WarehouseError
from synth_contracts.release.anchor import Anchor
from synth_contracts.release.attempts import attempt_number, blocked_attempts, last_run
from synth_contracts.release.ledger import LedgerEntry, genesis, make_entry, read_chain
from synth_contracts.release.records import Release, RunRecord, standings
from synth_contracts.release.verify import check_rows_digest, check_signed
from synth_contracts.signing.jsontext import load_strict
from synth_contracts.signing.keys import KeyFolder
from synth_contracts.warehouse import published as sql
from synth_contracts.warehouse.connection import Database
from synth_contracts.warehouse.streaming import StoredRows


def _now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """An open registry; made by ``Registry.open``, closed by leaving its ``with`` block.

    While it is open for writing, no other process can open the file, and while it is open for
    reading, none can write it. One object may be shared between threads.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyFolder,
        identifier: str,
        entries: list[LedgerEntry],
        *,
        read_only: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self.id = identifier
        self.keys = keys
        self._database = database
        self._anchor = Anchor(keys, identifier)
        self._entries = entries
        self._read_only = read_only
        self._clock = clock
        self._lock = threading.RLock()
        self._broken = False

    @classmethod
    @contextmanager
    def open(
        cls,
        published: Path,
        keys: KeyFolder,
        *,
        read_only: bool = False,
        settle: bool = True,
        clock: Callable[[], datetime] = _now,
    ) -> Iterator[Registry]:
        """Open the registry in ``published``, made when missing and not ``read_only``.

        What a crash left open beside the keys is settled, by whoever only reads too: an entry that
        was announced and never came must not be brought later. Without ``settle`` it is only
        judged, and nothing at all is written.

        Raises:
            Refused: (exit 5) the ledger was edited, cut or rewritten, an older copy of the file
                was put back, or it was made under other keys.
            WarehouseError: (exit 3) missing, locked (says by whom), not a DuckDB file.
        """
        with sql.open_published(published, read_only=read_only) as database:
            identifier = sql.registry_id(database)
            if identifier is None:
                if read_only:
                    raise WarehouseError(
                        "this file holds no registry",
                        where=str(published),
                        mend="synth-contracts build",
                    )
                identifier = uuid.uuid4().hex
                Anchor(keys, identifier).begin(genesis(identifier))
                sql.create(database, identifier)
            entries = read_chain(identifier, sql.ledger(database))
            registry = cls(database, keys, identifier, entries, read_only=read_only, clock=clock)
            registry._anchor.settle(registry.head(), len(entries), note=settle)
            if not read_only:
                registry.note_expired()
            yield registry

    # the ledger

    def head(self) -> str:
        """The hash of the newest ledger entry."""
        return self._entries[-1].hash if self._entries else genesis(self.id)

    def entries(self, kind: str | None = None) -> list[LedgerEntry]:
        """Ledger entries, oldest first; all, or those of one kind."""
        return [entry for entry in self._entries if kind is None or entry.kind == kind]

    def append(self, kind: str, body: Mapping[str, Any]) -> LedgerEntry:
        """Append one entry in a transaction of its own; durable when this returns.

        Raises:
            WarehouseError: the registry is read-only, or the entry could not be written.
        """
        return self.write(kind, body)

    def redeem(self, release_id: str, kind: str, body: Mapping[str, Any]) -> LedgerEntry:
        """Append an entry about a release only if it is live, in one transaction.

        The release's row is touched, so a revoke at the same moment conflicts with it: once a
        revoke is acknowledged no redemption commits. A body with a ``use_no`` is one use of the
        token ``jti``, and each use is entered once, however the token is spelled.

        Raises:
            Refused: (exit 5) the release is not live, or that use of the token was made.
        """

        def touch(database: Database) -> None:
            if "use_no" in body and self._was_used(kind, body):
                raise Refused(
                    f"use {body['use_no']} of the token {body['jti']} was made already",
                    mend="export again to get a new token",
                )
            if self._standing(release_id) != "live" or not sql.touch_live(database, release_id):
                raise Refused(
                    f"release {release_id} is not live ({self._standing(release_id) or 'unknown'})",
                    mend="synth-contracts ls shows what is released",
                )

        return self.write(kind, {**body, "release_id": release_id}, touch)

    def write(
        self,
        kind: str,
        body: Mapping[str, Any],
        change: Callable[[Database], None] = lambda _: None,
    ) -> LedgerEntry:
        """Make ``change`` and append its entry in one transaction of published.duckdb."""
        with self._lock:
            self._writable()
            before = self.head()
            at = self.now().isoformat(timespec="milliseconds")
            entry = make_entry(len(self._entries) + 1, at, kind, body, before)
            try:
                with self._database.transaction():
                    change(self._database)
                    sql.add_entry(self._database, entry.row())
                    self._anchor.intend(entry.hash)
                self._anchor.committed(entry.hash)
                self._entries.append(entry)
            except BaseException:
                # a COMMIT that raised may have been applied, and an interrupt may fall after it:
                # then only a fresh open can tell
                self._broken = not self._still_at(self.head())
                raise
            return entry

    def has_committed(self, kind: str, value: str, *, name: str = "jti") -> bool:
        """Whether the newest entry of the file, known here or not, is of that kind and ``name``."""
        newest = sql.ledger(self._database)[-1:]
        return (
            bool(newest)
            and newest[0][2] == kind
            and load_strict(str(newest[0][3]), "the ledger").get(name) == value
        )

    def now(self) -> datetime:
        """The registry's clock (UTC)."""
        return self._clock()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold off other threads, so that ``head()`` stays what it is until the next write."""
        with self._lock:
            yield

    # releases

    def note_expired(self) -> None:
        """Enter, once, each release whose retention is over, and take its view away.

        Called when the registry is opened for writing, and by each export.
        """
        with self._lock:
            recorded, known = standings(self._entries), standings(self._entries, self.now())
            promoted = {str(e.body["release_id"]): e.body for e in self.entries("promoted")}
            for identifier in known:
                if known[identifier] != "expired" or recorded[identifier] == "expired":
                    continue
                table = str(promoted[identifier]["table"])
                ended = promoted[identifier]["expires_at"]

                def change(
                    database: Database, identifier: str = identifier, table: str = table
                ) -> None:
                    sql.set_status(database, identifier, "expired")
                    sql.drop_view(database, table)

                body = {"release_id": identifier, "table": table, "expires_at": ended}
                self.write("expired", body, change)

    def release(self, table: str) -> Release | None:
        """The newest release of a table, whatever its status; None when there is none.

        Raises:
            Refused: the ledger names one that the registry's rows lack.
        """
        identifier = self._newest(table)
        if identifier is None:
            return None
        for release in self.releases(table):
            if release.id == identifier:
                return release
        raise Refused(
            f"the ledger names release {identifier}, the registry does not hold it",
            where=table,
            mend="somebody edited the published database; build again",
        )

    def releases(self, table: str | None = None) -> list[Release]:
        """Every release (of one table), in the order of promotion."""
        status = standings(self._entries, self.now())
        ends = {
            str(entry.body["release_id"]): entry.body.get("expires_at")
            for entry in self.entries("promoted")
        }
        found = []
        for row in sql.releases(self._database):
            if table is not None and row["table_name"] != table:
                continue
            if row["id"] not in status:
                raise Refused(
                    f"the registry holds release {row['id']}, which the ledger does not name",
                    where=str(row["table_name"]),
                    mend="somebody edited the published database; put back the newest copy of it",
                )
            found.append(_release(row, status[row["id"]], ends[row["id"]]))
        return found

    def read_rows(self, release: Release) -> pa.Table:
        """The stored rows of a release. ``verified_rows`` also checks them."""
        return sql.read_release(self._database, release.table, release.id)

    def verify_release(self, table: str) -> Release:
        """Check the newest release of a table from its stored rows up (see :meth:`verified`).

        Raises:
            UsageError: (exit 2) no such table.
            Refused: (exit 5) never released, flagged, revoked, or anything does not match.
        """
        release = self.released(table)
        self.check_live(release)
        with self.verified(release):
            return release

    def verified_rows(self, table: str) -> tuple[Release, pa.Table]:
        """As ``verify_release``, with the very rows that were checked, in memory."""
        release = self.released(table)
        self.check_live(release)
        with self.verified(release) as rows:
            return release, rows.table()

    def check_live(self, release: Release) -> None:
        """Refuse a release that is flagged, revoked or superseded. Raises Refused."""
        if release.status != "live":
            since = f" since {release.expires_at}" if release.status == "expired" else ""
            raise Refused(
                f"release {release.id} is {release.status}{since}",
                where=release.table,
                mend=_STATUS_MEND.get(release.status, ""),
            )

    @contextmanager
    def verified(self, release: Release) -> Iterator[StoredRows]:
        """The rows of a release, once they and all that is stored of it match what was signed.

        Until the block is left they are the rows that were checked, whatever is written
        meanwhile, and are read batch by batch: a part of them is in memory. The status is only
        held against the ledger: ``check_live`` judges it.

        Raises:
            Refused: (exit 5) anything does not match.
        """
        with self.signed(release) as rows:
            check_rows_digest(release, rows.digest())
            yield rows

    @contextmanager
    def signed(self, release: Release) -> Iterator[StoredRows]:
        """As :meth:`verified`, but of the rows their number alone was looked at.

        For an export, which reads the rows anyway: what it has written is held against the digest
        that was signed. Nobody else may take rows from here.

        Raises:
            Refused: (exit 5) anything but the rows does not match.
        """
        with self.stored(release) as rows:
            check_signed(
                release,
                rows.num_rows,
                entries=self._entries,
                registry_id=self.id,
                keys=self.keys.public_keys(),
                view_is_right=sql.view_is_right(self._database, release.table, release.id),
            )
            yield rows

    @contextmanager
    def stored(self, release: Release) -> Iterator[StoredRows]:
        """The rows of a release of any status as they are stored, not checked."""
        with sql.released_rows(self._database, release.table, release.id) as rows:
            yield rows

    @contextmanager
    def kept(self, release: Release) -> Iterator[StoredRows]:
        """The rows of a release of any status, once they are those that the ledger names.

        For looking back: what may be exported is for :meth:`verified` and ``check_live`` to say.
        Nothing of them is checked in :meth:`stored`.

        Raises:
            Refused: (exit 5) the rows are gone, or others than were released.
        """
        promoted = {e.body["release_id"]: e.body["rows_digest"] for e in self.entries("promoted")}
        with self.stored(release) as rows:
            if rows.digest() != promoted.get(release.id):
                raise Refused(
                    f"the stored rows of release {release.id} are not those that were released",
                    where=release.table,
                    mend="put back the newest copy of published.duckdb that this tool wrote",
                )
            yield rows

    def released(self, table: str) -> Release:
        """The newest release of a table.

        Raises:
            UsageError: (exit 2) nothing of that name was ever built here.
            Refused: (exit 5) it was built, and nothing of it was ever released.
        """
        release = self.release(table)
        if release is not None:
            return release
        if not self.known(table):
            names = ", ".join(self.tables()) or "none yet"
            raise UsageError(f"there is no table {table}", mend=f"tables built here: {names}")
        last = self.last_run(table)
        raise Refused(
            "nothing of this table is released"
            + (f"; its last build ended {last.outcome}: {last.message}" if last else ""),
            where=table,
            mend="build it until its contract's rules hold",
        )

    def known(self, table: str) -> bool:
        """Whether any build of that table was ever evaluated here."""
        return table in self.tables()

    def tables(self) -> list[str]:
        """Names of all tables that were ever evaluated here, sorted."""
        return sorted(
            {
                str(entry.body["table"])
                for entry in self._entries
                if entry.kind in {"attempt", "promoted"}
            }
        )

    # attempts

    def attempts(self, sources: Mapping[str, str]) -> int:
        """How many blocked builds of the source with these marks count (see attempts.py)."""
        return len(self.attempt_entries(sources))

    def attempt_number(self, sources: Mapping[str, str], fingerprint: str) -> int:
        """Which attempt the build with that fingerprint is; the first one is 1."""
        return attempt_number(self._entries, sources, fingerprint)

    def attempt_entries(self, sources: Mapping[str, str]) -> list[dict[str, Any]]:
        """The blocked builds that count: table, run_id, at, outcome, broken, fingerprint ..."""
        return blocked_attempts(self._entries, sources)

    def last_run(self, table: str) -> RunRecord | None:
        """The newest evaluated build of a table; None when there is none."""
        return last_run(self._entries, table)

    # the rest is not for callers

    def _newest(self, table: str) -> str | None:
        for entry in reversed(self._entries):
            if entry.kind == "promoted" and entry.body["table"] == table:
                return str(entry.body["release_id"])
        return None

    def _standing(self, release_id: str) -> str | None:
        return standings(self._entries, self.now()).get(release_id)

    def _was_used(self, kind: str, body: Mapping[str, Any]) -> bool:
        use = (body["jti"], body["use_no"])
        return any(
            (entry.body.get("jti"), entry.body.get("use_no")) == use for entry in self.entries(kind)
        )

    def _writable(self) -> None:
        if self._read_only:
            raise WarehouseError(
                "the registry was opened read-only", where=str(self._database.path)
            )
        if self._broken:
            raise WarehouseError(
                "an earlier write failed half-way and must be settled first",
                where=str(self._database.path),
                mend="run the command again: opening the registry settles it",
            )

    def _still_at(self, head: str) -> bool:
        try:
            return (sql.head(self._database) or genesis(self.id)) == head
        except WarehouseError:
            return False


_STATUS_MEND = {
    "flagged": "it is under review; `flag --clear` ends the review",
    "revoked": "it was withdrawn for good; a new build must be released",
    "expired": "the retention of its contract is over: build again",
}


def _release(row: Mapping[str, Any], status: Any, expires_at: str | None) -> Release:
    documents = {name: _as_written(row, name) for name in ("contract_expanded", "statement")}
    if type(row["row_count"]) is not int:
        raise _edited(row, "row_count is not a number")
    return Release(
        id=str(row["id"]),
        table=str(row["table_name"]),
        version=str(row["version"]),
        source_key=str(row["source_key"]),
        fingerprint=str(row["fingerprint"]),
        rows=row["row_count"],
        rows_digest=str(row["rows_digest"]),
        contract_digest=str(row["contract_digest"]),
        contract_text=str(row["contract_text"]),
        contract_expanded=documents["contract_expanded"],
        statement=documents["statement"],
        analyst_card_html=str(row["analyst_card_html"]),
        analyst_card_json=str(row["analyst_card_json"]),
        promoted_at=str(row["promoted_at"]),
        status=status,
        stored_status=str(row["status"]),
        expires_at=expires_at,
    )


def _as_written(row: Mapping[str, Any], column: str) -> Any:
    """The JSON of a column in the one spelling that this tool writes. Raises Refused."""
    text = str(row[column])
    try:
        found = load_strict(text, f"the stored {column}")
    except Refused as error:
        raise _edited(row, error.message) from error
    if canonical_json(found).decode() != text:
        raise _edited(row, f"{column} is not as this tool writes it")
    return found


def _edited(row: Mapping[str, Any], text: str) -> Refused:
    return Refused(
        f"the registry's row of release {row['id']} was edited: {text}",
        where=str(row["table_name"]),
        mend="put back the newest copy of published.duckdb that this tool wrote",
    )
