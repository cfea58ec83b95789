"""Statements that leave a database's file, against every path of the tool that runs SQL.

No command takes a statement from its user, and no contract holds one that DuckDB runs. What reaches
DuckDB from outside are views and macros of the source, the place of a database, and the conditions
and quality rules of a contract. Each statement is tried there; then through every connection that
the tool opens itself, as code that went wrong could.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from batteries.ground import TABLE, Ground
from batteries.outcome import Outcome
from batteries.small import CONTRACT, small_ground
from synth_contracts.errors import WarehouseError
from synth_contracts.warehouse import Database
from synth_contracts.warehouse.published import open_published
from synth_contracts.warehouse.snapshot import open_source
from synth_contracts.warehouse.staging import open_work

_SECRET = "a secret of another file 60417"  # noqa: S105 - planted, to be looked for
#: The settings that a locked connection must have.
SETTINGS = {
    "enable_external_access": "false", "lock_configuration": "true", "temp_directory": "",
    "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}  # fmt: skip
_NOTE = (
    "Two statements are allowed and were looked at instead: `ATTACH ':memory:'` makes nothing but "
    "memory of the same locked process, and the list of settings must show them locked. Reading "
    "work.duckdb through the connection that is for work.duckdb is left out."
)
#: Allowed by DuckDB; what they must not do is looked at.
HARMLESS = ("attach memory", "list settings")


def statements(outside: Path, inside: Path) -> dict[str, str]:
    """The 27, by name. ``outside`` is a folder of files that the tool has no business with."""
    secret, other, new = outside / "secret.csv", outside / "other.duckdb", outside / "new"
    return {
        "read_text": f"SELECT * FROM read_text('{secret}')",
        "read_csv": f"SELECT * FROM read_csv('{secret}')",
        "glob": f"SELECT * FROM glob('{outside}/*')",
        "copy outside": f"COPY (SELECT 1 AS a) TO '{new}.csv'",
        "copy to the project": f"COPY (SELECT 1 AS a) TO '{inside}/new.csv'",
        "copy with ..": f"COPY (SELECT 1 AS a) TO '{inside}/../new.csv'",
        "copy through a link": f"COPY (SELECT 1 AS a) TO '{outside}/link/new.csv'",
        "attach another": f"ATTACH '{other}' AS other",
        "attach itself": f"ATTACH '{inside}/source.duckdb' AS again",
        "attach memory": "ATTACH ':memory:' AS m",
        "export database": f"EXPORT DATABASE '{new}'",
        "install": "INSTALL httpfs",
        "load": "LOAD httpfs",
        "set external access": "SET enable_external_access = true",
        "set threads": "SET threads = 1",
        "set allowed directories": f"SET allowed_directories = ['{outside}']",
        "set temp directory": f"SET temp_directory = '{outside}'",
        "set logging": "SET enable_logging = true",
        "reset": "RESET enable_external_access",
        "unlock": "SET lock_configuration = false",
        "create secret": "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
        "read staging": f"SELECT * FROM '{inside}/work.duckdb'",
        "getenv": "SELECT getenv('BATTERY_SECRET')",
        "profiling output": f"SET profiling_output = '{new}.json'",
        "http": "SELECT * FROM read_csv('http://127.0.0.1:9/a.csv')",
        "replacement scan": "SELECT * FROM planted_frame",
        "list settings": "SELECT * FROM duckdb_settings()",
    }


def attack(seed: int, *, only: int | None = None) -> Outcome:  # noqa: ARG001 - nothing is drawn
    """Every statement on every path; with ``only`` the connections alone, in so many ways."""
    outcome = Outcome(
        "a statement that is run, a file that it writes, a setting that it changes, or a word of a "
        "foreign file in anything",
        notes=[_NOTE],
    )
    with outcome.running(), small_ground(build=only is None) as place:
        world = _World(place, outcome)
        os.environ["BATTERY_SECRET"] = _SECRET
        world.control()
        world.connections(list(_RUNNERS)[:only])
        if only is None:
            world.views()
            world.contracts()
        world.control()
    return outcome


class _World:
    def __init__(self, place: Ground, outcome: Outcome) -> None:
        self.place, self.outcome = place, outcome
        self.outside = place.root.parents[1] / "outside"
        (self.outside / "link").parent.mkdir()
        (self.outside / "link").symlink_to(place.root)
        (self.outside / "secret.csv").write_text(f"a\n{_SECRET}\n")
        with duckdb.connect(str(self.outside / "other.duckdb")) as connection:
            connection.execute("CREATE TABLE t AS SELECT ? AS a", [_SECRET])
        self.statements = statements(self.outside, place.root)
        with (
            open_work(place.root / "work.duckdb"),
            open_published(place.root / "published.duckdb", read_only=False),
        ):
            pass
        place.command("keys", "init")
        self.before = self._files()

    def _files(self) -> set[str]:
        roots = (self.outside, self.place.root.parent)
        return {str(p) for root in roots for p in root.rglob("*")}

    def control(self) -> None:
        """The file is there to be read: plain DuckDB reads it, and so do statements of our own."""
        with duckdb.connect() as connection:
            ((found,),) = connection.sql(self.statements["read_csv"]).fetchall()
        self.outcome.control(found == _SECRET, "plain DuckDB does not find the file")
        for name, opener in self._openers().items():
            with opener() as database:
                answer = database.rows("SELECT count(*) FROM duckdb_tables()")
            self.outcome.control(len(answer) == 1, f"{name} runs nothing")

    def _openers(self) -> Mapping[str, Callable[[], Database]]:
        root = self.place.root
        return {
            "source": lambda: open_source(root / "source.duckdb"),
            "staging": lambda: open_work(root / "work.duckdb"),
            "staging, read-only": lambda: open_work(root / "work.duckdb", read_only=True),
            "published": lambda: open_published(root / "published.duckdb", read_only=False),
            "published, read-only": lambda: open_published(
                root / "published.duckdb", read_only=True
            ),
        }

    def judge(self, name: str, fault: str | None) -> None:
        new = sorted(self._files() - self.before)
        new = [path for path in new if not path.endswith(".wal")]
        self.outcome.attack(name, fault or (f"wrote {new}" if new else None))

    def connections(self, ways: list[str]) -> None:
        planted_frame = [_SECRET]  # noqa: F841 - what a replacement scan would find
        for name, opener in self._openers().items():
            for how in ways:
                with opener() as database:
                    for title, statement in self.statements.items():
                        if title == "read staging" and name.startswith("staging"):
                            continue  # it is the file that this connection is for
                        fault = self._tried(database, _RUNNERS[how], title, statement)
                        self.judge(f"{title} through {name}, {how}", fault)
            self.outcome.count("connections", len(ways))

    def _tried(
        self, database: Database, run: Callable[[Database, str], Any], title: str, statement: str
    ) -> str | None:
        fault = None
        try:
            found = str(run(database, statement))
        except WarehouseError:
            found = ""
        else:
            fault = None if title in HARMLESS else "it was run"
        if _SECRET in found:
            fault = "a foreign file was read"
        settings = dict(database.rows("SELECT name, value FROM duckdb_settings()"))
        wrong = {
            key: settings[key]
            for key, value in SETTINGS.items()
            if str(settings[key]).lower() != value
        }
        return fault or (f"settings are {wrong}" if wrong else None)

    # what reaches DuckDB from outside

    def views(self) -> None:
        """A source whose table is a view: of foreign files, or of a macro that reads them."""
        for title, statement in self.statements.items():
            if not statement.startswith("SELECT"):
                continue
            for how, script in _as_view(statement):
                copy = self.place.copied("viewed")
                with duckdb.connect(str(copy.root / "source.duckdb")) as connection:
                    connection.execute(f"ALTER TABLE raw.{TABLE} RENAME TO kept")
                    try:
                        for line in script:
                            connection.execute(line)
                    except duckdb.Error:
                        self.outcome.count("views that DuckDB itself refuses")
                        copy.remove()
                        continue
                answer = copy.command("build", "--full-refresh")
                told = answer.out + answer.err
                codes = (0, 3, 5) if title in HARMLESS else (3, 5)
                fault = None if answer.code in codes else f"exit code {answer.code}"
                if _SECRET in told or _found(copy.root, _SECRET):
                    fault = "a foreign file was read"
                self.judge(f"{title} in a {how} of the source", fault)
                copy.remove()
        self.outcome.count("views of the source")

    def contracts(self) -> None:
        """A statement as the place of the source, as a condition, as a quality rule, as a name."""
        path = self.place.root / "contracts" / f"{TABLE}.odcs.yaml"
        for title, statement in self.statements.items():
            text = json.dumps(statement)
            for how, contract in (
                ("place", CONTRACT.replace("database: source.duckdb", f"database: {text}")),
                ("condition", CONTRACT.replace(
                    "          split:", f"          constraints: [{{id: c, check: {text}}}]\n          split:")),
                ("condition's part", CONTRACT.replace(
                    "          split:",
                    f"          constraints: [{{id: c, check: {json.dumps(f'amount > ({statement})')}}}]\n          split:")),
                ("quality query", CONTRACT.replace(
                    "    quality:\n", f"    quality:\n      - {{id: q, type: sql, query: {text}, mustBe: 0}}\n")),
                ("source table", CONTRACT.replace(
                    f"- name: {TABLE}\n", f"- name: {TABLE}\n    physicalName: {text}\n")),
                ("entity key", CONTRACT.replace("entityKey: person", f"entityKey: {text}")),
            ):  # fmt: skip
                path.write_text(contract, encoding="utf-8")
                (self.place.root / "synth-contracts.yml").write_text(
                    "name: house\nkeys: ../house-keys\ntargets:\n  dev:\n    servers: {source: "
                    + (text if how == "place" else "source.duckdb")
                    + "}\n    work: work.duckdb\n    published: published.duckdb\n"
                )
                answer = self.place.command("build", "--full-refresh")
                fault = answer.fault(2, 3, 5) if answer.code not in (2, 3, 5) else None
                if _SECRET in answer.out + answer.err:
                    fault = "a foreign file was read"
                self.before |= {p for p in self._files() if "/target" in p}
                self.judge(f"{title} as a {how}", fault)
        path.write_text(CONTRACT, encoding="utf-8")
        self.outcome.count("places in a contract", 6)


def _rows(database: Database, statement: str) -> Any:
    return database.rows(statement)


def _arrow(database: Database, statement: str) -> Any:
    return database.arrow(statement).to_pylist()


def _snapshot(database: Database, statement: str) -> Any:
    with database.snapshot() as moment:
        return [batch.to_pylist() for batch in moment.batches(statement, 10)]


_RUNNERS: dict[str, Callable[[Database, str], Any]] = {
    "as rows": _rows, "as Arrow": _arrow, "of a snapshot": _snapshot,
}  # fmt: skip


def _as_view(statement: str) -> Iterator[tuple[str, list[str]]]:
    view = f"CREATE VIEW raw.{TABLE} AS "
    rows = "SELECT person, amount, town FROM raw.kept"
    yield "view", [f"{view}{rows} WHERE (SELECT count(*) FROM ({statement})) >= 0"]
    yield (
        "macro",
        [
            f"CREATE MACRO raw.reads() AS TABLE {statement}",
            f"{view}{rows} WHERE (SELECT count(*) FROM raw.reads()) >= 0",
        ],
    )


def _found(root: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in root.rglob("*") if path.is_file())
