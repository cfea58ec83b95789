"""Edits of published.duckdb with plain DuckDB, as an insider makes them, against ``export``.

Each edit is made to a fresh copy of the project, out of sight of the tool.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from typing import TypeVar

import duckdb

from batteries.ground import TABLE, Answer, Ground, ground
from batteries.outcome import Outcome
from synth_contracts.release.ledger import genesis, make_entry
from synth_contracts.warehouse.published import LEDGER_COLUMNS, RELEASE_COLUMNS

DATA = f'release_data."{TABLE}__{TABLE}-run1"'
VIEW = f"CREATE OR REPLACE VIEW release.{TABLE} AS SELECT * FROM {DATA}"
#: What is no registry any more may be called unreadable (exit code 3) instead of refused.
UNREADABLE = {
    "a table in a schema of one's own", "file: cut in half", "file: no database", "file: empty",
}  # fmt: skip
Connection = duckdb.DuckDBPyConnection
Edit = Callable[[Connection], None]
_Attack = Callable[[Ground], None]
T = TypeVar("T")
_NOTE = (
    "`registry.releases.touched` is left out: it is a counter that makes a revoke conflict with an "
    "export, binds nothing, and any value of it is as good as another."
)


def attack(seed: int, *, columns: int | None = None, others: int | None = None) -> Outcome:
    """Every edit; or ``columns`` of those of one column and ``others`` of the rest, drawn."""
    outcome = Outcome(
        "an exit code other than 5 (3 where the file cannot be read), any word on standard output, "
        "or anything in the folder of exports",
        notes=[_NOTE],
    )
    rng = random.Random(seed)
    with outcome.running(), ground() as place:
        _control(outcome, place)
        single = _drawn(dict(_of_columns()), columns, rng)
        rest: dict[str, _Attack] = {
            name: _plainly(edit)
            for name, edit in {**_of_rows(), **_of_views(), **_of_chains(place)}.items()
        }
        outcome.count("edits of one column", len(single))
        for name, spoil in {
            **{name: _plainly(edit) for name, edit in single.items()},
            **_drawn({**rest, **_FILES}, others, rng),
        }.items():
            copy = place.copied("edited")
            spoil(copy)
            _judge(outcome, copy, name, copy.export())
        _control(outcome, place)
    return outcome


def _drawn(found: dict[str, T], count: int | None, rng: random.Random) -> dict[str, T]:
    names = list(found) if count is None else rng.sample(list(found), count)
    return {name: found[name] for name in names}


def _plainly(edit: Edit) -> _Attack:
    """The edit, made with DuckDB alone."""

    def spoil(copy: Ground) -> None:
        with duckdb.connect(str(copy.house.published)) as connection:
            edit(connection)

    return spoil


def _control(outcome: Outcome, place: Ground) -> None:
    """A copy that was opened with plain DuckDB and not changed is exported."""
    copy = place.copied("control")
    with duckdb.connect(str(copy.house.published)) as connection:
        connection.execute("CHECKPOINT")
    answer = copy.export()
    outcome.control(answer.code == 0 and len(copy.house.left_behind()) == 1, answer.err)
    copy.remove()


def _judge(outcome: Outcome, copy: Ground, name: str, answer: Answer) -> None:
    fault = answer.fault(*((3, 5) if name in UNREADABLE else (5,)))
    left = copy.house.left_behind()
    outcome.attack(name, fault or (f"left {left}" if left else None))
    outcome.count(f"exit code {answer.code}")
    copy.remove()


# columns, one at a time


def _of_columns() -> Iterator[tuple[str, Edit]]:
    for column in RELEASE_COLUMNS:
        number = column == "row_count"
        for what, value in _values(column, number=number).items():
            yield (
                f"releases.{column} {what}",
                _statement(f"registry.releases SET {column} = {value}"),
            )
    for column in LEDGER_COLUMNS:
        for what, value in _values(column, number=column == "seq").items():
            yield f"ledger.{column} {what}", _statement(f"registry.ledger SET {column} = {value}")
    for column in ("key", "value"):
        for what, value in _values(column, number=False).items():
            yield (
                f"meta.{column} {what}",
                _statement(f"registry.meta SET {column} = {value} WHERE key = 'id'"),
            )


def _values(column: str, *, number: bool) -> dict[str, str]:
    if number:
        return {"one more": f"{column} + 1", "empty": "NULL"}
    return {
        "a letter more": f"{column} || ' '",
        "a letter less": f"left({column}, length({column}) - 1)",
        "empty": "NULL",
    }


def _statement(update: str) -> Edit:
    def edit(connection: Connection) -> None:
        connection.execute(f"UPDATE {update}")

    return edit


def _script(*statements: str) -> Edit:
    def edit(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    return edit


# rows of the release, rows of the registry


#: The same numbers under another type: a date as a count of days, a key as a date.
_KINDS = (
    ("known", "BIGINT", ""),
    ("known", "VARCHAR", ""),
    ("day", "BIGINT", "USING day - DATE '1970-01-01'"),
    ("stamp", "BIGINT", "USING epoch_us(stamp)"),
    ("stamp", "TIMESTAMP", "USING make_timestamp(epoch_us(stamp))"),
    ("household", "DATE", "USING DATE '1970-01-01' + household::INTEGER"),
    ("household", "BOOLEAN", ""),
    ("amount", "VARCHAR", ""),
    ("amount", "DOUBLE", ""),
    ("label", "BLOB", "USING encode(label)"),
)


def _of_rows() -> dict[str, Edit]:
    numbers = {"household": "household + 1", "amount": "amount + 0.01", "share": "share + 1e-9"}
    others = {
        "label": "label || ' '",
        "stamp": "stamp + INTERVAL 1 MICROSECOND",
        "day": "day + 1",
        "known": "NOT known",
    }
    found = {
        f"rows: {column} of one row": _statement(f"{DATA} SET {column} = {value} WHERE rowid = 3")
        for column, value in {**numbers, **others}.items()
    }
    return {
        **found,
        "rows: one deleted": _script(f"DELETE FROM {DATA} WHERE rowid = 3"),
        "rows: all deleted": _script(f"DELETE FROM {DATA}"),
        "rows: one doubled": _script(f"INSERT INTO {DATA} SELECT * FROM {DATA} WHERE rowid = 3"),
        "rows: one doubled, one deleted": _script(
            f"INSERT INTO {DATA} SELECT * FROM {DATA} WHERE rowid = 3",
            f"DELETE FROM {DATA} WHERE rowid = 4",
        ),
        "rows: two values swapped": _script(
            f"UPDATE {DATA} SET amount = (SELECT max(amount) + 1 FROM {DATA}) - amount"
        ),
        "rows: a value for nothing": _statement(f"{DATA} SET label = NULL WHERE label = ''"),
        "rows: a negative zero": _statement(f"{DATA} SET share = -0.0 WHERE share IS NULL"),
        "rows: a column renamed": _script(f"ALTER TABLE {DATA} RENAME COLUMN amount TO amounts"),
        "rows: a column dropped": _script(f"ALTER TABLE {DATA} DROP COLUMN known"),
        "rows: a column added": _script(f"ALTER TABLE {DATA} ADD COLUMN more INTEGER"),
        **{
            f"rows: {column} as {kind}": _script(
                f"ALTER TABLE {DATA} ALTER {column} TYPE {kind} {how}"
            )
            for column, kind, how in _KINDS
        },
        "rows: the table dropped": _script(f"DROP VIEW release.{TABLE}", f"DROP TABLE {DATA}"),
        "releases: the row deleted": _script("DELETE FROM registry.releases"),
        "releases: the row doubled": _script(
            "INSERT INTO registry.releases SELECT * FROM registry.releases"
        ),
        "releases: another id beside": _script(
            "INSERT INTO registry.releases SELECT * REPLACE ('x' AS id) FROM registry.releases"
        ),
        "releases: the table dropped": _script("DROP TABLE registry.releases"),
        "ledger: the row deleted": _script("DELETE FROM registry.ledger"),
        "ledger: the row doubled": _script(
            "INSERT INTO registry.ledger SELECT * FROM registry.ledger"
        ),
        "ledger: the table dropped": _script("DROP TABLE registry.ledger"),
        "ledger: a column added": _script("ALTER TABLE registry.ledger ADD COLUMN more VARCHAR"),
        "releases: the cards of a blocked run": _statement(
            "registry.releases SET analyst_card_html = '<!doctype html><p>blocked</p>', "
            'analyst_card_json = \'{"verdict":"FAILED"}\''
        ),
        "meta: the rows deleted": _script("DELETE FROM registry.meta"),
        "meta: the table dropped": _script("DROP TABLE registry.meta"),
        "a table in a schema of one's own": _script(
            "CREATE SCHEMA mine", f"CREATE TABLE mine.rows AS SELECT * FROM {DATA}"
        ),
    }


# the view


def _of_views() -> dict[str, Edit]:
    other = f"CREATE TABLE release_data.other AS SELECT * FROM {DATA} LIMIT 5"
    return {
        "view: of another table": _script(
            other, f"CREATE OR REPLACE VIEW release.{TABLE} AS SELECT * FROM release_data.other"
        ),
        "view: of fewer rows": _script(f"{VIEW} WHERE amount > 1"),
        "view: of other columns": _script(VIEW.replace("*", "* REPLACE (0 AS amount)")),
        "view: dropped": _script(f"DROP VIEW release.{TABLE}"),
        "view: a table instead": _script(
            f"DROP VIEW release.{TABLE}",
            f"CREATE TABLE release.{TABLE} AS SELECT * FROM {DATA}",
        ),
        "rows: a view instead": _script(
            f"ALTER TABLE {DATA} RENAME TO kept",
            f"CREATE VIEW {DATA} AS SELECT * FROM release_data.kept",
        ),
    }


# the chain, rewritten consistently without keys


def _of_chains(place: Ground) -> dict[str, Edit]:
    with place.house.registry(read_only=True) as registry:
        identifier, entries = registry.id, registry.entries()

    def rewritten(changes: dict[str, object], fresh: str) -> Edit:
        def edit(connection: Connection) -> None:
            connection.execute("DELETE FROM registry.ledger")
            connection.execute("UPDATE registry.meta SET value = ? WHERE key = 'id'", [fresh])
            head = genesis(fresh)
            for old in entries:
                body = {**old.body, **changes}
                entry = make_entry(old.seq, old.at, old.kind, body, head)
                connection.execute(
                    "INSERT INTO registry.ledger VALUES (?, ?, ?, ?, ?, ?)", list(entry.row())
                )
                head = entry.hash

        return edit

    def with_rows(connection: Connection) -> None:
        digest = "ab" * 32
        connection.execute(f"UPDATE {DATA} SET amount = amount + 1")
        connection.execute("UPDATE registry.releases SET rows_digest = ?", [digest])
        rewritten({"rows_digest": digest}, identifier)(connection)

    return {
        "chain: rewritten with other rows": with_rows,
        "chain: rewritten with another expiry": rewritten({"expires_at": None}, identifier),
        "chain: rewritten under a new id": rewritten({}, "ab" * 16),
        "chain: rewritten with more rows": rewritten({"rows": 10**6}, identifier),
    }


# the file as a whole


def _older_copy(copy: Ground) -> None:
    """The copy from before the revoke, put back after it."""
    older = copy.root.parent / "older.duckdb"
    shutil.copy(copy.house.published, older)
    if copy.command("revoke", TABLE, "--reason", "a leak").code:
        raise RuntimeError("the release could not be revoked")
    shutil.copy(older, copy.house.published)


def _revoked_made_live(copy: Ground) -> None:
    if copy.command("revoke", TABLE, "--reason", "a leak").code:
        raise RuntimeError("the release could not be revoked")
    with duckdb.connect(str(copy.house.published)) as connection:
        connection.execute("UPDATE registry.releases SET status = 'live'")
        connection.execute(VIEW)


def _revoke_cut(copy: Ground) -> None:
    _revoked_made_live(copy)
    with duckdb.connect(str(copy.house.published)) as connection:
        connection.execute(
            "DELETE FROM registry.ledger WHERE seq = (SELECT max(seq) FROM registry.ledger)"
        )


def _flagged_made_live(copy: Ground) -> None:
    if copy.command("flag", TABLE, "--reason", "a review").code:
        raise RuntimeError("the release could not be flagged")
    with duckdb.connect(str(copy.house.published)) as connection:
        connection.execute("UPDATE registry.releases SET status = 'live'")


def _truncated(copy: Ground) -> None:
    whole = copy.house.published.read_bytes()
    copy.house.published.write_bytes(whole[: len(whole) // 2])


def _garbage(copy: Ground) -> None:
    copy.house.published.write_bytes(b"not a database" * 1000)


def _nothing(copy: Ground) -> None:
    copy.house.published.write_bytes(b"")


_FILES: dict[str, _Attack] = {
    "file: an older copy after a revoke": _older_copy,
    "file: revoked, made live by hand": _revoked_made_live,
    "file: revoked, made live, the revoke cut off": _revoke_cut,
    "file: flagged, made live by hand": _flagged_made_live,
    "file: cut in half": _truncated,
    "file: no database": _garbage,
    "file: empty": _nothing,
}
