"""Names, scalars and malformed contracts, against the shipped ``lint``, ``build`` and ``export``.

Odd names of tables and columns of the source; YAML scalars that readers take for different things,
in every slot of a contract that takes one; and contracts that were broken at random: lines cut,
doubled, moved, characters put in, values of another kind. What is refused is refused with a place
and leaves nothing; legal odd names come back from a build and an export as they went in.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from batteries.ground import TABLE, Answer, Ground
from batteries.outcome import Outcome
from batteries.small import CONTRACT, small_ground, source, write_source

SHIPPED = Path(__file__).resolve().parents[2] / "contracts"
#: Legal in DuckDB.
LEGAL = (
    'x"; DROP TABLE raw.transactions; --', "'; DROP TABLE raw.transactions; --", "../../x",
    "release.t", "trailing ", "t\u043ewn", "a,b (c)", "späť", "select",
)  # fmt: skip
#: No name of a table or column here, whatever DuckDB says.
ILLEGAL = ("a\0b", "a\nb", "", "\x1b[2J")
SCALARS = (
    "1e3", "010", "1:30", "on", ".nan", ".inf", "-.inf", "-0", "-0.0", "0x10", "0o10", "1_000",
    "9" * 30, "9" * 5000, "-" + "9" * 30, "1e400", "~", "2026-02-30", "!!python/object:os.system x",
    "!!python/object/apply:os.system ['true']", "!!binary aGk=", "&a [*a]", "*nothing", "<<", "'\\0'",
    '"\\0"', '"\\ud800"', "[1, 2]", "{a: 1, a: 2}", "|\n  text", "? x", "yes", "NULL", "\u2028",
)  # fmt: skip
#: Where a scalar stands in the smallest contract, as its text there.
SLOTS = (
    "id: transactions", "version: 1.0.0", "holdout: 0.5", "seed: 1", "calendar: false",
    "outliers: false", "max_value: 0.9", "tokenTtl: 15m", "maxExportsPerTicketPerDay: 10000",
    "entityKey: person", "server: source", "schema: raw", "formats: [parquet, csv, arrow]",
    "kind: DataContract", "type: custom", "- name: transactions",
)  # fmt: skip
_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
_LONGEST = 20.0


def attack(
    seed: int, *, malformed: int = 1_000, builds: int = 1, scalars: int | None = None
) -> Outcome:
    """``malformed`` contracts, the scalars in all slots or ``scalars`` drawn, and with ``builds``
    the names that come to a build."""
    outcome = Outcome(
        "an exit code other than 2, 3 or 5 where it is refused; an error without file and line, "
        "with a trace or called a fault of the tool; more than 20 seconds; anything written, dropped or "
        "changed; a legal name that does not come back"
    )
    rng = random.Random(seed)
    with outcome.running(), small_ground(build=bool(builds)) as place:
        world = _World(place, outcome)
        world.control(builds)
        pairs = [(slot, scalar) for slot in SLOTS for scalar in SCALARS]
        for slot, scalar in pairs if scalars is None else rng.sample(pairs, scalars):
            key = slot.rsplit(": ", 1)[0]
            world.lint(f"{key}: {scalar[:40]}", CONTRACT.replace(slot, f"{key}: {scalar}", 1))
            outcome.count("scalars in slots")
        world.lint("an alias bomb", _BOMB + CONTRACT)
        world.lint("a key twice", CONTRACT.replace("kind:", "kind: DataContract\nkind:", 1))
        for name in (*LEGAL[:-1], *ILLEGAL, "Foo", "a" * 64):
            text = json.dumps(name)
            world.refused(
                f"table {name!r}", CONTRACT.replace("- name: transactions", f"- name: {text}")
            )
        if builds:
            _names(world)
        _malformed(world, rng, malformed)
        world.control(builds)
    return outcome


class _World:
    def __init__(self, place: Ground, outcome: Outcome) -> None:
        self.place, self.outcome = place, outcome
        self.path = place.root / "contracts" / f"{TABLE}.odcs.yaml"
        self.place_of_error = re.compile(re.escape(str(self.path)) + r":\d+")
        self.before = self.snapshot()

    def snapshot(self) -> dict[str, bytes]:
        """Every file but the contract under attack. Reading one settles nothing here."""
        root = self.place.root.parent
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and path != self.path and path.name != ".lock"
        }

    def control(self, builds: int) -> None:
        """The contract as it is lints, and what was released verifies."""
        self.path.write_text(CONTRACT, encoding="utf-8")
        answer = self.place.command("lint")
        self.outcome.control(answer.code == 0, answer.err)
        if builds:
            answer = self.place.command("verify", TABLE)
            self.outcome.control(answer.code == 0, answer.err)

    def fault(self, answer: Answer, seconds: float, *, place: bool) -> str | None:
        told = answer.err + answer.out
        if answer.code not in (2, 3, 5):
            return f"exit code {answer.code} {told[-200:]!r}"
        if "a fault of synth-contracts" in told or "Traceback" in told:
            return f"called a fault of ours: {told[-300:]!r}"
        if place and not self.place_of_error.search(told):
            return f"no place: {told[-300:]!r}"
        return f"it took {seconds:.0f} s" if seconds > _LONGEST else None

    def command(self, *words: str) -> tuple[Answer, float]:
        started = time.perf_counter()
        answer = self.place.command(*words)
        return answer, time.perf_counter() - started

    def write(self, text: str) -> None:
        self.path.write_bytes(text.encode("utf-8", "surrogatepass"))

    def lint(self, name: str, text: str) -> bool:
        """The contract is refused as it should, or it is one; whether it was refused."""
        self.write(text)
        answer, seconds = self.command("lint")
        if answer.code == 0:
            fault = "a trace" if "Traceback" in answer.err + answer.out else None
            self.outcome.count("read as a contract")
        else:
            fault = self.fault(answer, seconds, place=True)
            if answer.code != 2 and fault is None:
                fault = f"exit code {answer.code}"
        self.outcome.attack(name, fault or self.written())
        return answer.code != 0

    def refused(self, name: str, text: str) -> None:
        if not self.lint(name, text):
            self.outcome.attack(name, "it was read as a contract")

    def written(self) -> str | None:
        now = self.snapshot()
        odd = sorted(
            name for name in {*now, *self.before} if now.get(name) != self.before.get(name)
        )
        return f"changed: {odd}" if odd else None


# names of the source


def _names(world: _World) -> None:
    """Columns and tables of legal odd names are released and exported; others are refused."""
    rows = source()
    odd = {name: pa.array([f"v{i % 3}" for i in range(rows.num_rows)]) for name in LEGAL}
    _round_trip(world, "columns of odd names", CONTRACT, TABLE, pa.table({**_columns(rows), **odd}))
    for name in LEGAL:
        text = CONTRACT.replace("- name: transactions\n", (
            f"- name: transactions\n    physicalName: {json.dumps(name)}\n"
        ))  # fmt: skip
        _round_trip(world, f"a source table called {name!r}", text, name, rows)
        text = CONTRACT.replace("entityKey: person", f"entityKey: {json.dumps(name)}")
        columns = {name if c == "person" else c: rows[c] for c in rows.column_names}
        _round_trip(world, f"an entity key called {name!r}", text, TABLE, pa.table(columns))
    for name in ILLEGAL:
        copy = world.place.copied("named")
        (copy.root / "source.duckdb").unlink()
        try:
            write_source(
                copy.root / "source.duckdb", TABLE, pa.table({**_columns(rows), name: rows["town"]})
            )
        except (duckdb.Error, ValueError, UnicodeError):
            world.outcome.count("names that DuckDB itself refuses")
            continue
        answer = copy.command("build", "--full-refresh")
        world.outcome.attack(f"a column called {name!r}", world.fault(answer, 0, place=False))
        copy.remove()
    for names in (("Foo", "foo"), ("town", "t\u043ewn")):
        text = CONTRACT.replace("    quality:\n", "    properties: [{}]\n    quality:\n".replace(
            "{}", ", ".join(f"{{name: {name}}}" for name in names)
        ))  # fmt: skip
        copy = world.place.copied("named")
        (copy.root / "contracts" / world.path.name).write_text(text, encoding="utf-8")
        answer = copy.command("build", "--full-refresh")
        world.outcome.attack(f"declared: {names}", world.fault(answer, 0, place=False))
        copy.remove()


def _columns(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: rows[name] for name in rows.column_names}


def _round_trip(world: _World, name: str, contract: str, table: str, rows: pa.Table) -> None:
    """It is built and exported, with the same columns, and the source is as it was."""
    copy = world.place.copied("named")
    path = copy.root / "source.duckdb"
    path.unlink()
    write_source(path, table, rows)
    before = path.read_bytes()
    (copy.root / "contracts" / world.path.name).write_text(contract, encoding="utf-8")
    answer = copy.command("build", "--full-refresh")
    fault = (
        f"exit code {answer.code} {answer.err[-200:]} {answer.out[-300:]}" if answer.code else None
    )
    if fault is None:
        bundle = copy.bundle()
        found = pq.read_schema(bundle / "data" / f"{TABLE}.parquet").names
        again = copy.verify(bundle)
        if found != rows.column_names or again.code:
            fault = f"exported {found}, verified with {again.code}"
    if path.read_bytes() != before:
        fault = "the source changed"
    world.outcome.attack(name, fault)
    world.outcome.count("names that went through build and export")
    copy.remove()


# contracts broken at random


def _malformed(world: _World, rng: random.Random, count: int) -> None:
    texts = [CONTRACT, *(path.read_text() for path in sorted(SHIPPED.glob("*.odcs.yaml")))]
    done = 0
    for text in _mutations(texts, rng):
        if done == count:
            return
        world.write(text)
        answer, _ = world.command("lint")
        if answer.code == 0:
            world.outcome.count("mutations that are contracts still")
            continue
        done += 1
        answer, seconds = world.command("build")
        fault = world.fault(answer, seconds, place=True) or world.written()
        world.outcome.attack(f"malformed {done}", fault and f"{fault} in {_changed(text, texts)}")
        world.outcome.count("malformed contracts")


def _changed(text: str, texts: list[str]) -> str:
    """The lines that no shipped contract holds, for a finding."""
    known = {line for whole in texts for line in whole.splitlines()}
    return repr([line for line in text.splitlines() if line not in known][:3])


def _mutations(texts: list[str], rng: random.Random) -> Iterator[str]:
    """Contracts with one to three faults, without end."""
    while True:
        lines = rng.choice(texts).splitlines()
        for _ in range(rng.randint(1, 3)):
            _mutate(lines, rng)
        yield "\n".join(lines) + "\n"


def _mutate(lines: list[str], rng: random.Random) -> None:
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    line, how = lines[at], rng.randrange(9)
    place = rng.randrange(len(line) + 1)
    if how == 0 and len(lines) > 5:
        del lines[at]
    elif how == 1:
        lines.insert(other, line)
    elif how == 2:
        lines[at], lines[other] = lines[other], line
    elif how == 3:
        lines[at] = " " * rng.randrange(12) + line.lstrip()
    elif how == 4:
        lines[at] = (
            line[:place]
            + rng.choice("\0\t\x1b:{}[]&*!|>'\"%@`#,-?\u2028\ufeffé\U00010348")
            + line[place:]
        )
    elif how == 5:
        lines[at] = line[:place]
    elif how == 6 and ":" in line:
        lines[at] = line.split(":", 1)[0] + ": " + rng.choice(SCALARS)
    elif how == 7:
        lines[at] = re.sub(r"\d+", lambda _: rng.choice(("-1", "0", "1e999", "9" * 40, "x")), line)
    else:
        words = re.findall(r"\w+", line) or ["x"]
        word = rng.choice(words)
        lines[at] = line.replace(word, word[::-1] + rng.choice(("", "x")), 1)
