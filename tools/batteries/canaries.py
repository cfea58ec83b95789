"""Values planted into the source, and secrets, looked for in everything that the commands write.

A project whose source holds a few persons of their own kind: rare names, an extreme amount, a key,
texts in columns that are left out. Builds that pass, are blocked, fail and are killed, exports, lists and
refused commands run over it, and what they print is kept. Then every file is read, decoding
Parquet, Arrow and DuckDB files, zip, gzip, base64 and UTF-16 (tools/scan.py).
"""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.ipc
from scan import Value, scan, scan_folder

from batteries.children import ended, prints_into
from batteries.ground import TABLE, Answer, Ground
from batteries.house import PROJECT
from batteries.outcome import Outcome
from batteries.small import CONTRACT, PEOPLE, small_ground, source, write_project, write_source
from synth_contracts.cli.main import run

#: In the source alone.
PLANTED = (
    Value("a rare name", "Zebulon Quixworth"),
    Value("a name with accents", "Żółć Ångström"),
    Value("an extreme amount", 98765.43),
    Value("a person's key", 313373133),
    Value("an address in an excluded column", "z.quixworth@mail.example"),
    Value("a number of a direct identifier", "+1-202-555-0147"),
)
PASSWORD = Value("a password of the environment", "kanarie-Passw0rt-77153")
WRITTEN = Value("a password written into the settings", "kanarie-Gehe1mnis-41907")
PLACE = "kanarie-ort-60221"
#: For the value that is planted, the protections that the smallest contract does without.
PROTECTED = CONTRACT.replace(
    "generator: {seed: 1, calendar: false, outliers: false}", "generator: {seed: 1, calendar: false}"
).replace("roles: {entityKey: person}", "roles: {entityKey: person, exclude: [mail]}").replace(
    "    quality:\n", "    properties: [{name: telephone, tags: [pii]}]\n    quality:\n"
).replace("database: source.duckdb", "database: '${CANARY_SOURCE}'")  # fmt: skip
_NOTE = (
    "A token stands in its own bundle and is looked for everywhere else; secrets stand in the key "
    "folder. The place of the source is named to its owner by errors and by no artefact."
)


def attack(seed: int, *, builds: int = 3) -> Outcome:
    """Each planted value and secret in each file; with ``builds`` below 3 without the failed ones."""
    outcome = Outcome("a planted value or a secret in any file but its own", notes=[_NOTE])
    rng = random.Random(seed)
    with outcome.running(), small_ground(build=False) as first:
        home = first.root.parents[1] / "canaries"
        said = home / "said"
        said.mkdir(parents=True)
        hidden = home / PLACE
        hidden.mkdir()
        place = write_project(home / "house", PROTECTED)
        (place.root / "source.duckdb").unlink()
        write_source(hidden / "source.duckdb", TABLE, planted())
        settings = PROJECT.replace("source.duckdb", "'${CANARY_SOURCE}'")
        (place.root / "synth-contracts.yml").write_text(settings)
        secret = {
            "CANARY_SOURCE": str(hidden / "source.duckdb"),
            "CANARY_TOKEN": str(PASSWORD.value),
        }
        with patch.dict(os.environ, secret):
            _control(outcome, hidden / "source.duckdb", home)
            tokens = _commands(outcome, Talk(place, said), rng, builds)
            _scan(outcome, place, hidden, tokens)
            _control(outcome, hidden / "source.duckdb", home)
    return outcome


def planted() -> pa.Table:
    """The smallest source, and in it six persons like no others: some are in train, some held out."""
    table = source().to_pandas()
    table["mail"], table["telephone"] = "x@mail.example", "+1-000"
    name, accents, amount, key, address, number = (value.value for value in PLANTED)
    table.loc[7:12, "town"] = [name, accents] * 3
    table.loc[7:12, "amount"] = amount
    table.loc[7, "person"] = key
    table.loc[7:12, "mail"] = address
    table.loc[7:12, "telephone"] = number
    if len(table) != PEOPLE:
        raise AssertionError("a row came or went")
    return pa.Table.from_pandas(table, preserve_index=False)


def _control(outcome: Outcome, file: Path, home: Path) -> None:
    """The scan finds all of them in the source, and in what could wrap them."""
    names = {value.name for value in PLANTED}
    found = {name for name, _ in scan(file, list(PLANTED))}
    outcome.control(found == names, f"not found in the source: {names - found}")
    wrapped = home.with_name("wrapped")
    wrapped.mkdir(exist_ok=True)
    texts = [value for value in PLANTED if isinstance(value.value, str)]
    with pa.OSFile(str(wrapped / "rows.arrow"), "wb") as sink:
        one = pa.table({"text": [str(value.value) for value in texts]})
        with pa.ipc.new_file(sink, one.schema) as writer:
            writer.write_table(one)
    found = {name for name, _ in scan(wrapped / "rows.arrow", list(PLANTED))}
    outcome.control(found == {value.name for value in texts}, f"found in an Arrow file: {found}")


class Talk:
    """Runs commands and keeps what they say in a folder."""

    def __init__(self, place: Ground, said: Path) -> None:
        self.place, self.said = place, said
        self.number = 0

    def __call__(self, *arguments: str, code: int | tuple[int, ...] = 0) -> Answer:
        answer = self.place.command(*arguments)
        self.number += 1
        name = f"{self.number:03}-{arguments[0]}"
        (self.said / name).write_text(f"{answer.out}\n{answer.err}", encoding="utf-8")
        codes = (code,) if isinstance(code, int) else code
        if answer.code not in codes:
            raise RuntimeError(
                f"{' '.join(arguments)} ended with {answer.code}: {answer.err[-300:]}"
            )
        return answer

    def contract(self, text: str) -> None:
        path = self.place.root / "contracts" / f"{TABLE}.odcs.yaml"
        path.write_text(text, encoding="utf-8")


def _commands(outcome: Outcome, talk: Talk, rng: random.Random, builds: int) -> list[Value]:
    """All of them; the tokens that were issued, as values to look for."""
    place = talk.place
    talk("keys", "init")
    talk("lint")
    talk("build")
    for number, form in enumerate(("parquet", "csv", "arrow"), 1):
        talk("export", TABLE, "--ticket", f"DATA-{number}", "--format", form)
    bundles = sorted((place.root / "exports").iterdir())
    texts = [(bundle / "data" / "token.jwt").read_text() for bundle in bundles]
    talk("verify", str(bundles[0]))
    talk("verify", TABLE)
    talk("trace", texts[0])
    talk("trace", texts[0][:-4] + "AAAA", code=5)
    talk("trace", str(bundles[0]))
    talk("trace", TABLE, "--json")
    talk("export", TABLE, "--ticket", "DATA-1", "--explain")
    talk("export", TABLE, "--ticket", texts[1], code=5)
    talk("export", TABLE, "--ticket", "no", code=5)
    talk("export", "nothing", "--ticket", "DATA-1", code=2)
    for words in (("ls",), ("report", TABLE), ("show", TABLE, "--expanded"), ("keys", "list"),
                  ("ledger", "show"), ("ledger", "verify"),
                  ("ledger", "export", str(place.root / "ledger.jsonl"))):  # fmt: skip
        talk(*words)
    _settings(talk)
    if builds > 2:
        _failing(talk)
        _killed(outcome, talk, rng)
    talk("flag", TABLE, "--reason", "a review")
    talk("revoke", TABLE, "--reason", "a leak")
    outcome.count("commands", talk.number)
    return [
        Value(f"token {number}", text.rsplit(".", 1)[1]) for number, text in enumerate(texts, 1)
    ]


def _settings(talk: Talk) -> None:
    """A ticket system that does not answer, and secrets where they must not stand."""
    path = talk.place.root / "synth-contracts.yml"
    whole = path.read_text()

    def jira(url: str, token: str) -> str:
        return f"{whole}tickets:\n  jira: {{url: '{url}', user: someone, token: '{token}'}}\n"

    path.write_text(jira("http://127.0.0.1:9", "${CANARY_TOKEN}"))
    talk("export", TABLE, "--ticket", "DATA-1", code=(2, 5))
    path.write_text(jira("http://127.0.0.1:9", str(WRITTEN.value)))
    talk("export", TABLE, "--ticket", "DATA-1", code=2)
    path.write_text(jira(f"http://someone:{WRITTEN.value}@127.0.0.1:9", "${CANARY_TOKEN}"))
    talk("export", TABLE, "--ticket", "DATA-1", code=2)
    path.write_text(whole)


def _failing(talk: Talk) -> None:
    """Builds that are blocked, and those that cannot read the source as the contract says."""
    rule = "max_value: 0.9"
    fidelity = PROTECTED.replace("customProperties:\n  - property: export", (
        "      - id: ks_mean\n        type: custom\n        engine: greatExpectations\n"
        "        implementation: {type: expect_table_ks_mean_to_be_at_most, "
        "kwargs: {max_value: 0.0}}\ncustomProperties:\n  - property: export"
    ))  # fmt: skip
    talk.contract(fidelity)
    talk("build", code=1)
    for properties in (
        "{name: town, enum: [{value: a}, {value: b}, {value: c}]}",
        "{name: town, logicalType: integer}",
        "{name: amount, logicalTypeOptions: {maximum: 500}}",
        f"{{name: person, unique: true, logicalTypeOptions: {{maximum: {PEOPLE - 1}}}}}",
        "{name: town, logicalTypeOptions: {pattern: '^[abc]$'}}",
    ):
        talk.contract(PROTECTED.replace("properties: [{", f"properties: [{properties}, {{"))
        talk("build", code=3)
    time_of_text = PROTECTED.replace("entityKey: person,", "entityKey: person, timeIndex: town,")
    talk.contract(time_of_text)
    talk("build", code=3)
    talk.contract(PROTECTED.replace(rule, "max_value: .nan"))
    talk("build", code=2)
    talk.contract(PROTECTED)


def _killed(outcome: Outcome, talk: Talk, rng: random.Random) -> None:
    """Children that die in the middle of a build and of an export."""
    for words in (("build", "--full-refresh"), ("export", TABLE, "--ticket", "DATA-9")):
        said = talk.said / f"killed-{words[0]}"
        code = ended(_dies, str(talk.place.root), words, rng.uniform(0.1, 1.5), str(said))
        outcome.count("killed commands", int(code == -signal.SIGKILL))


def _dies(root: str, words: tuple[str, ...], seconds: float, said: str) -> None:
    prints_into(said)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()
    os._exit(run(["--project", root, *words]))


def _scan(outcome: Outcome, place: Ground, hidden: Path, tokens: list[Value]) -> None:
    home, keys = place.root.parent, place.house.key_folder
    secrets = [PASSWORD, WRITTEN, *_secrets(keys)]
    every = [*PLANTED, *secrets, *tokens]
    files = [p for p in sorted(home.rglob("*"))
             if p.is_file() and keys not in p.parents and hidden not in p.parents]  # fmt: skip
    found = scan_folder(home, every, skip=(keys, hidden))
    own = {(value.name, f"house/exports/{bundle.name}/data/token.jwt")
           for bundle in (place.root / "exports").iterdir() for value in tokens}  # fmt: skip
    outcome.control(len(found & own) == len(tokens), "a token is not in its own bundle")
    artefacts = [p for p in files if (home / "said") not in p.parents]
    where = Value("the place of the source", PLACE)
    for path in artefacts:
        outcome.attack(f"{where.name} in {path.relative_to(home)}",
                       "found" if scan(path, [where]) else None)  # fmt: skip
    bad = found - own
    for path in files:
        name = str(path.relative_to(home))
        for value in every:
            places = [p for n, p in bad if n == value.name and p.split("!")[0] == name]
            outcome.attack(f"{value.name} in {name}", f"found: {places}" if places else None)
    outcome.count("files", len(files))
    outcome.count("values", len(every) + 1)


def _secrets(keys: Path) -> list[Value]:
    """What the key folder keeps secret, as its files spell it and as bytes of it would read."""
    pem = "".join((keys / "signing.pem").read_text().splitlines()[1:-1])
    split = (keys / "split.key").read_text().strip()
    return [Value("the private key", pem[-40:]), Value("the split key", split)]
