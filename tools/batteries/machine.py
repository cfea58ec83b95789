"""A state machine that builds, promotes, flags, revokes, exports and crashes in drawn order.

After every step the project is held against a model in plain Python: dictionaries and lists, with
nothing of the tool. A crash is a child process that kills itself with SIGKILL at a drawn moment of
an export, a promotion, a flag or a revoke; the model then allows any beginning of what that command
would have entered, and nothing else.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from batteries.aftermath import half_written
from batteries.children import ended, prints_into
from batteries.ground import TABLE, Ground, ground
from batteries.house import House, rows
from batteries.kills import EXPORTS, POINTS, Trap
from batteries.outcome import Outcome
from synth_contracts.cli.main import run
from synth_contracts.delivery import token as tokens
from synth_contracts.delivery.journal import STARTED, exports
from synth_contracts.errors import Refused, SynthContractsError
from synth_contracts.evaluation.seal import seal
from synth_contracts.gate import Outcome as Gate
from synth_contracts.gate import judge
from synth_contracts.release import promote
from synth_contracts.signing import derive
from synth_contracts.tables import rows_digest

#: Exports of one ticket in a day, blocked builds before one is refused.
QUOTA, ATTEMPTS, LIFE = 3, 3, 900
POLICY = (
    f'ticketPattern: "^DATA-[0-9]+$", tokenTtl: {LIFE}s, formats: [parquet, csv, arrow], '
    f"maxExportsPerTicketPerDay: {QUOTA}, maxAttempts: {ATTEMPTS}"
)
TICKETS = st.sampled_from(("DATA-1", "DATA-2"))
FORMATS = st.sampled_from(("parquet", "csv", "arrow"))
ROWS = st.integers(0, 4)
#: Moments at which a child kills itself; others than those of the battery's kills come from here.
_STEPS = tuple(f"{when} {step}" for step in ("write", "announcement", "COMMIT", "note")
               for when in ("before", "after"))  # fmt: skip
MOMENTS: dict[str, tuple[str, ...]] = {
    "export": POINTS["export"],
    "promote": POINTS["promote"],
    "flag": tuple(f"{step} of flagged" for step in _STEPS),
    "revoke": tuple(f"{step} of revoked" for step in _STEPS),
}
KINDS = {"promote": ("promoted",), "flag": ("flagged",), "revoke": ("revoked",), "export": EXPORTS}


def attack(seed: int, *, examples: int = 500, steps: int = 50, lanes: int = 2) -> Outcome:
    """``examples`` runs of ``steps`` steps each, in as many processes as there are ``lanes``.

    Each lane has its share of the runs and a seed of its own, ``seed`` and those after it; the first
    run that fails ends those of its lane.
    """
    outcome = Outcome(
        "a step after which project and model differ, or one of the eleven invariants does not "
        "hold",
        notes=[_NOTE],
    )
    shares = [examples // lanes + (lane < examples % lanes) for lane in range(lanes)]
    seeds = range(seed, seed + lanes)
    with outcome.running():
        if lanes == 1:
            found = [_lane(seed, examples, steps)]
        else:
            outcome.notes.append(f"In {lanes} lanes, with the seeds {', '.join(map(str, seeds))}.")
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(lanes, mp_context=context) as pool:
                found = list(pool.map(_lane, seeds, shares, [steps] * lanes))
        for one in found:
            for name in ("attacks", "refused", "violations", "controls"):
                setattr(outcome, name, getattr(outcome, name) + getattr(one, name))
            outcome.findings += one.findings
            outcome.errors += one.errors
            for name, number in sorted(one.details.items()):
                outcome.count(name, number)
    return outcome


def _lane(seed: int, examples: int, steps: int) -> Outcome:
    """Runs one after the other."""
    outcome = Outcome("")
    with outcome.running(), ground_of_machine() as place:
        _control(outcome, place)
        Machine.template, Machine.done, Machine.runs = place.root.parent, Counter(), 0
        settings = hypothesis.settings(
            max_examples=examples, stateful_step_count=steps, database=None, deadline=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck), print_blob=False,
        )  # fmt: skip
        fault = None
        try:
            run_state_machine_as_test(hypothesis.seed(seed)(Machine), settings=settings)  # type: ignore[no-untyped-call]
        except (AssertionError, SynthContractsError, duckdb.Error, OSError, KeyError) as error:
            notes = getattr(error, "__notes__", [])
            fault = " / ".join([f"{type(error).__name__}: {error}", *notes])[:3000]
        done = Machine.done
        # a kill is counted beside the crash that it is a part of
        killed = {name: done.pop(name) for name in list(done) if name.startswith("killed")}
        for _ in range(done.total() - (fault is not None)):
            outcome.attack("a step", None)
        if fault is not None:
            outcome.attack("a step", fault)
        for name, number in sorted(done.items()):
            outcome.count(f"steps: {name}", number)
        for name, number in sorted(killed.items()):
            outcome.count(name, number)
        outcome.count("runs", examples)
        _control(outcome, place)
    return outcome


_NOTE = (
    "A build is a candidate with an evaluation that was put together and sealed under the project's "
    "secret, and its promotion through the product's door; a blocked one is entered as the product "
    "does. That no holdout row enters a fit is no matter of states: tests/e2e/test_holdout.py."
)


@contextmanager
def ground_of_machine() -> Iterator[Ground]:
    """A project of which one table is released, under the machine's policy."""
    with ground() as first:
        place = first.root.parent.with_name("machine")
        place.mkdir()
        house = House(place / "house")
        house.release(TABLE, policy=POLICY)
        shutil.copy(first.root / "synth-contracts.yml", house.root)
        (house.root / "contracts").mkdir()
        shutil.copy(house.root / f"{TABLE}.odcs.yaml", house.root / "contracts")
        yield Ground(house)


def _control(outcome: Outcome, place: Ground) -> None:
    """With nothing in between a release is exported, verifies, and is not exported when flagged."""
    copy = place.copied("control")
    answer = copy.verify(copy.bundle())
    outcome.control(answer.code == 0, answer.err)
    flagged = copy.command("flag", TABLE, "--reason", "a review").code, copy.export().code
    outcome.control(flagged == (0, 5), f"flagged and exported with {flagged}")
    copy.remove()


def must(holds: bool, told: object = "") -> None:
    """Raise AssertionError where the model and the project differ."""
    if not holds:
        raise AssertionError(str(told) or "the project is not as the model says")


@dataclass
class Model:
    """What must be true of the project. Dictionaries and lists alone."""

    #: id -> digest of its rows, and how it stands; in the order of promotion
    digests: dict[str, str]
    status: dict[str, str]
    #: jti -> ticket, release and status (issued, started, sealed, delivered, aborted)
    exports: dict[str, dict[str, str]] = field(default_factory=dict)
    #: fingerprints of blocked builds since the last promotion
    blocked: list[str] = field(default_factory=list)
    #: hashes of all entries ever seen, in order
    hashes: list[str] = field(default_factory=list)

    @property
    def newest(self) -> str:
        return list(self.digests)[-1]

    @property
    def live(self) -> bool:
        return self.status[self.newest] == "live"

    def quota_left(self, ticket: str) -> bool:
        used = [
            e for e in self.exports.values() if e["ticket"] == ticket and e["status"] != "aborted"
        ]
        return len(used) < QUOTA

    def promoted(self, run: str, digest: str) -> None:
        for old, status in self.status.items():
            if status != "revoked":
                self.status[old] = "superseded"
        self.digests[run], self.status[run], self.blocked = digest, "live", []

    def may_promote(self, digest: str) -> bool:
        revoked = {self.digests[run] for run, status in self.status.items() if status == "revoked"}
        return digest not in revoked and len(self.blocked) < ATTEMPTS

    def settle(self, delivered: Callable[[str], bool]) -> None:
        """What recovery makes of exports without an end."""
        for jti, one in self.exports.items():
            if one["status"] not in {"delivered", "aborted"}:
                one["status"] = "delivered" if delivered(jti) else "aborted"


class Machine(RuleBasedStateMachine):
    """Steps of one project; see the module."""

    template: ClassVar[Path]
    done: ClassVar[Counter[str]] = Counter()
    runs: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        shutil.copytree(self.template, self.folder / "one")
        self.house = House(self.folder / "one" / "house", _runs=1)
        self.place = Ground(self.house)
        self.fresh = 0
        with self.house.registry(read_only=True) as registry:
            (release,) = registry.releases()
            self.model = Model({release.id: release.rows_digest}, {release.id: "live"})
            self.model.hashes = [entry.hash for entry in registry.entries()]
        self.before, self.logged = self._bytes(), False

    # builds and promotions

    @rule(number=ROWS)
    def build(self, number: int) -> None:
        """A candidate that passed; released unless its rows were revoked or tries are used up."""
        data, model = rows(number), self.model
        offered = self._candidate(number)
        allowed = model.may_promote(rows_digest(data))
        must(self._promoted(offered) is allowed)
        if allowed:
            model.promoted(offered["run_id"], rows_digest(data))
            must(self._promoted(offered), "a promotion twice is the one")  # invariant 11
        self._check("build", changed=allowed)

    @rule(other=st.booleans())
    def blocked(self, other: bool) -> None:
        """A build that was blocked: the same again, or another one. Invariant 3."""
        self.fresh += other
        name = f"{self.fresh:064x}"
        self.house.block(TABLE, name)
        if name not in self.model.blocked:
            self.model.blocked.append(name)
        self._check("blocked build", changed=True)

    @precondition(lambda self: self.model.blocked)
    @rule()
    def approve(self) -> None:
        answer = self.place.command("ledger", "approve", TABLE, "--reason", "looked into")
        must(answer.code == 0, answer.err)
        self.model.blocked = []
        self._check("approve", changed=True)

    @rule(
        number=ROWS, how=st.sampled_from(("NaN", "no rules", "other rows", "loosened", "unsealed"))
    )
    def other_door(self, number: int, how: str) -> None:
        """Invariants 1, 2, 3 and 5: what was not evaluated, or not as the contract says."""
        offered = self._candidate(number)
        whole, contract = offered["evaluation"], offered["contract"]
        if how == "NaN":
            name = list(whole.results)[number]
            bent = replace(whole.results[name], value=float("nan"))
            offered["evaluation"] = self._sealed(
                replace(whole, results={**whole.results, name: bent})
            )
        elif how == "no rules":
            offered["evaluation"] = self._sealed(replace(whole, results={}))
        elif how == "other rows":
            other = rows_digest(rows(number + 1))
            offered["evaluation"] = self._sealed(replace(whole, rows_digest=other))
            offered["verdict"] = replace(offered["verdict"], rows_digest=other)
        elif how == "loosened":
            rule_, *others = contract.rules
            looser = replace(rule_, threshold=rule_.threshold * 2)
            offered["contract"] = replace(contract, rules=(looser, *others))
        else:
            offered["evaluation"] = replace(whole, seed=whole.seed + 1)
        offered["verdict"] = replace(
            judge(offered["contract"], offered["evaluation"]), outcome=Gate.PASSED, reasons=()
        )
        must(not self._promoted(offered), how)
        self._check(f"another door, {how}", changed=False)

    # standing

    @rule(clear=st.booleans())
    def flag(self, clear: bool) -> None:
        model, wanted = self.model, "live" if clear else "flagged"
        answer = self.place.command("flag", TABLE, "--reason", "a review", *["--clear"] * clear)
        if model.status[model.newest] == "revoked":
            must(answer.code == 5, answer.err)
            self._check("flag", changed=False)
            return
        must(answer.code == 0, answer.err)
        unlike = model.status[model.newest] != wanted
        model.status[model.newest] = wanted
        self._check("flag", changed=self._settled() or unlike)

    @rule()
    def revoke(self) -> None:
        """Invariants 7 and 11."""
        model = self.model
        answer = self.place.command("revoke", TABLE, "--reason", "a leak", "--format", "json")
        must(answer.code == 0, answer.err)
        unlike = model.status[model.newest] != "revoked"
        model.status[model.newest] = "revoked"
        self._check("revoke", changed=self._settled() or unlike)
        told = {item["jti"]: item["status"] for item in json.loads(answer.out)["exports"]}
        must(
            told
            == {
                jti: one["status"]
                for jti, one in model.exports.items()
                if one["release"] == model.newest
            }
        )

    # exports

    @rule(ticket=TICKETS, form=FORMATS)
    def export(self, ticket: str, form: str) -> None:
        model = self.model
        self._settled()
        allowed = model.live and model.quota_left(ticket)
        answer = self.place.export(ticket, "--format", form)
        if not allowed:
            must(answer.fault(5) is None, answer.fault(5))
            self._check("export refused", changed=None)
            return
        must(answer.code == 0, answer.err)
        found = json.loads(answer.out)
        must(found["rows_digest"] == model.digests[model.newest])
        must(found["release"] == model.newest)
        model.exports[found["jti"]] = {
            "ticket": ticket, "release": model.newest, "status": "delivered",
        }  # fmt: skip
        self._check("export", changed=True)
        self._bundle(Path(found["path"]))

    @rule()
    def bad_ticket(self) -> None:
        self._settled()
        answer = self.place.export("DATA-1; drop")
        must(answer.fault(5) is None, answer.fault(5))
        self._check("bad ticket", changed=None)

    @precondition(lambda self: self.model.exports)
    @rule()
    def token_again(self) -> None:
        """Invariant 6: a use that was made is not made again."""
        jti, one = list(self.model.exports.items())[-1]
        with self.house.registry() as registry:
            used = any(e.body["jti"] == jti for e in registry.entries(STARTED))
            if used:
                try:
                    registry.redeem(one["release"], STARTED, {"jti": jti, "use_no": 1})
                except Refused:
                    pass
                else:
                    raise AssertionError("a token was used twice")
        self._check("token again", changed=False)

    @contextmanager
    def _altered(self, statement: str) -> Iterator[None]:
        """The registry after a statement of plain DuckDB; afterwards all is as it was.

        The keys are put back as well: a command that refuses in the end may have settled before what
        a crash had left, and has noted that beside them.
        """
        home, kept = self.house.root.parent, self.folder / "kept"
        shutil.copytree(home, kept)
        with duckdb.connect(str(self.house.published)) as connection:
            connection.execute(statement)
        yield
        shutil.rmtree(home)
        kept.rename(home)

    @rule()
    def edited(self) -> None:
        """Invariant 1: a row edited with plain DuckDB is not exported; then it is put back."""
        with self._altered(
            f'UPDATE release_data."{TABLE}__{self.model.newest}" SET amount = amount + 1'
        ):
            answer = self.place.export("DATA-3")
        must(answer.fault(5) is None, answer.fault(5))
        self._check("edited", changed=False)

    @precondition(lambda self: len(self.model.hashes) > 2)
    @rule()
    def ledger_cut(self) -> None:
        """Invariant 9: without its newest entry nothing is exported or looked up.

        Newest is the one that was acknowledged last. A command that was killed between COMMIT and its
        note acknowledged its entry to nobody, and a ledger without that is as one after a kill that
        came before COMMIT.
        """
        with self.house.registry(read_only=True, settle=False) as registry:
            noted = self.house.keys.read_head(registry.id)
            (seq,) = (entry.seq for entry in registry.entries() if entry.hash == noted)
        with self._altered(f"DELETE FROM registry.ledger WHERE seq >= {seq}"):
            answers = self.place.export("DATA-3"), self.place.command("ledger", "verify")
        for answer in answers:
            must(answer.code == 5, answer)
        self._check("ledger cut", changed=False)

    # crashes

    @rule(data=st.data(), number=ROWS, ticket=TICKETS)
    def crash(self, data: Any, number: int, ticket: str) -> None:
        task = data.draw(st.sampled_from(sorted(MOMENTS)), label="task")
        moment = data.draw(st.sampled_from(MOMENTS[task]), label="moment")
        model, before = self.model, len(self.model.hashes)
        offered = {"run": self.house._runs, "attempt": len(model.blocked) + 1}
        if task == "promote":
            self.house._runs += 1
        code = ended(
            _child, str(self.house.root), task, moment, number, ticket, offered, str(self.folder)
        )
        must(code in (0, 3, 5, -signal.SIGKILL), code)
        with self.house.registry(read_only=True, settle=False) as registry:
            new = registry.entries()[before:]
            records = exports(registry)
        ours = [entry for entry in new if entry.kind in KINDS[task]]
        settled = [e for e in new if e.kind in ("export_aborted", "export_delivered")
                   and e.body["jti"] in model.exports]  # fmt: skip
        must(len(new) == len({e.hash for e in (*ours, *settled)}), [e.kind for e in new])
        for entry in settled:
            model.exports[entry.body["jti"]]["status"] = entry.kind.removeprefix("export_")
        kinds = [entry.kind for entry in ours if entry not in settled]
        must(kinds == list(KINDS[task][: len(kinds)]), kinds)
        self._adopt(task, kinds, records, number, ticket)
        if code == -signal.SIGKILL:
            self.done[f"killed in {task}"] += 1
        self._check("crash", changed=None, settled=False)

    def _adopt(
        self, task: str, kinds: list[str], records: dict[str, Any], number: int, ticket: str
    ) -> None:
        """What was entered before the kill is so; each was allowed."""
        model = self.model
        if not kinds:
            return
        if task == "promote":
            must(model.may_promote(rows_digest(rows(number))))
            model.promoted(f"{TABLE}-run{self.house._runs}", rows_digest(rows(number)))
        elif task in ("flag", "revoke"):
            model.status[model.newest] = KINDS[task][0]
        else:
            must(model.live)
            must(model.quota_left(ticket))
            (jti,) = set(records) - set(model.exports)
            model.exports[jti] = {
                "ticket": ticket, "release": model.newest,
                "status": kinds[-1].removeprefix("export_"),
            }  # fmt: skip

    # what holds after each step

    def _check(self, name: str, *, changed: bool | None, settled: bool = True) -> None:
        """The project is as the model says. ``changed``: whether published.duckdb may differ."""
        self.done[name] += 1
        now = self._bytes()
        if now == self.before and name != "crash":
            return
        # what a crash left in DuckDB's log goes into the file with the next opening
        must(changed is not False or self.logged, f"{name} wrote into published.duckdb")
        self.before, self.logged = now, self._log.exists()
        model = self.model
        with self.house.registry(read_only=True, settle=False) as registry:
            entries = registry.entries()
            records = exports(registry)
            standing = {release.id: release.status for release in registry.releases()}
            sources = {"declared": str(registry.entries("promoted")[0].body["source_key"])}
            must(registry.attempts(sources) == len(model.blocked))
        hashes = [entry.hash for entry in entries]
        must(hashes[: len(model.hashes)] == model.hashes, "an entry was lost or changed")
        must(changed is not True or len(hashes) > len(model.hashes), "nothing was entered")
        must(changed is not False or hashes == model.hashes, f"{name} was entered")
        model.hashes = hashes
        must(standing == model.status)
        must(
            {jti: record.status for jti, record in records.items()}
            == {jti: one["status"] for jti, one in model.exports.items()}
        )
        uses = Counter((e.body["jti"], e.body["use_no"]) for e in entries if e.kind == STARTED)
        must(not uses or max(uses.values()) == 1, "a token was used twice")
        revoked: set[str] = set()
        for entry in entries:
            if entry.kind == "revoked":
                revoked.add(str(entry.body["release_id"]))
            must(entry.kind not in EXPORTS[1:] or entry.body.get("release_id") not in revoked)
        if settled and name in {"export", "revoke"}:
            standing_folders = {
                Path(r.path).name for r in records.values() if r.status == "delivered"
            }
            must(set(self.house.left_behind()) == standing_folders)
            must(half_written(self.place) == [])

    def _bundle(self, path: Path) -> None:
        """A bundle verifies, its token is short-lived and knows the ledger, its file is traced."""
        answer = self.place.verify(path)
        must(answer.code == 0, answer.err)
        text = (path / "data" / "token.jwt").read_text()
        claims = tokens.read(text, self.house.keys.public_keys(), at="iat").claims
        must(0 < claims["exp"] - claims["iat"] <= LIFE)
        must(claims["ledger_head"] in self.model.hashes)
        (file,) = (path / "data").glob(f"{TABLE}.*")
        answer = self.place.command("trace", str(file), "--json")
        must(claims["jti"] in {item["jti"] for item in json.loads(answer.out)})
        copy = self.folder / "edited"
        copy.write_bytes(file.read_bytes()[:-1] + b"?")
        answer = self.place.command("trace", str(copy), "--json")
        must(answer.code == 2 or json.loads(answer.out) == [], "an edited file was traced")

    def teardown(self) -> None:
        """Whatever was delivered verifies at the end as well; files are not shared."""
        try:
            for jti, one in self.model.exports.items():
                if one["status"] == "delivered":
                    (path,) = (self.house.root / "exports").glob(f"{TABLE}-*-{jti[:8]}")
                    must(self.place.verify(path).code == 0)
            schemas = {}
            for name in ("work", "published"):
                with duckdb.connect(str(self.house.root / f"{name}.duckdb"), read_only=True) as c:
                    found = c.sql("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()
                    schemas[name] = {schema for (schema,) in found}
            must(schemas["work"] <= {"staging", "runs"})
            must(schemas["published"] <= {"release_data", "registry"})
        finally:
            shutil.rmtree(self.folder)
            Machine.runs += 1
            if Machine.runs % 25 == 0:
                print(
                    f"{Machine.runs} runs, {self.done.total():,} steps", file=sys.stderr, flush=True
                )

    # the rest

    def _bytes(self) -> bytes:
        return self.house.bytes() + (self._log.read_bytes() if self._log.exists() else b"")

    @property
    def _log(self) -> Path:
        return self.house.published.with_name("published.duckdb.wal")

    def _candidate(self, number: int) -> dict[str, Any]:
        self.house.now = datetime.now(UTC)
        attempt = len(self.model.blocked) + 1
        return self.house.candidate(policy=POLICY, data=rows(number), attempt=attempt)

    def _sealed(self, evaluation: Any) -> Any:
        secret = derive(self.house.keys.secret(), "evaluation-seal")
        try:
            return replace(evaluation, seal=seal(replace(evaluation, seal=""), secret))
        except ValueError:
            return evaluation

    def _promoted(self, offered: dict[str, Any]) -> bool:
        try:
            with self.house.registry() as registry:
                promote(registry, **offered)
        except Refused:
            return False
        return True

    def _settled(self) -> bool:
        """The next command settles what a crash left; whether there was anything."""
        left = [
            one
            for one in self.model.exports.values()
            if one["status"] not in ("delivered", "aborted")
        ]
        self.model.settle(
            lambda jti: any((self.house.root / "exports").glob(f"{TABLE}-*-{jti[:8]}"))
        )
        return bool(left)


def _child(
    root: str,
    task: str,
    moment: str,
    number: int,
    ticket: str,
    offered: dict[str, int],
    folder: str,
) -> None:
    """One command in a process that kills itself at the moment, if it comes to it."""
    prints_into()
    trace = Path(folder) / "trace"
    trace.touch()
    if task == "promote":
        house = House(Path(root), now=datetime.now(UTC), _runs=offered["run"])
        candidate = house.candidate(policy=POLICY, data=rows(number), attempt=offered["attempt"])
        Trap(moment, 0.0, str(trace)).set()
        try:
            with house.registry() as registry:
                promote(registry, **candidate)
        except SynthContractsError as error:
            os._exit(error.exit_code)
        os._exit(0)
    Trap(moment, 0.0, str(trace)).set()
    told = {
        "export": ("export", TABLE, "--ticket", ticket),
        "flag": ("flag", TABLE, "--reason", "a review"),
        "revoke": ("revoke", TABLE, "--reason", "a leak"),
    }[task]
    os._exit(run(["--project", root, *told]))
