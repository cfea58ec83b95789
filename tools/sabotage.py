"""`make sabotage`: break one rule of the project at a time and see a test catch it.

Each file of tools/sabotage/ is one patch: what it breaks, an exact text of one source file, what
stands there instead, and the tests that must see it. A patch is applied to a copy of the checkout,
never to the checkout. It is caught when pytest ends with failed tests (exit code 1); a test run
that cannot even start proves nothing. Ends with 1 when a patch survives, does not apply, or when
its tests are red without it.

A patch that was caught is not run again while it, the file that it breaks and its tests stand as they
did (--again runs it all the same): stop and start as you like. The report names the commit of each,
and docs/sabotage.json, written with it, lets another checkout go on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PATCHES = ROOT / "tools" / "sabotage"
#: a folder of this run alone: two runs must not share their copies
COPIES = ROOT / "target" / "sabotage" / str(os.getpid())
RESULTS = ROOT / "target" / "sabotage-results"
REPORT = ROOT / "docs" / "sabotage.md"
KNOWN = ROOT / "docs" / "sabotage.json"
COPIED = ("synth_contracts", "tests", "tools", "benchmarks", "contracts", "docs", "gx",
          "pyproject.toml", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md",
          "synth-contracts.yml")  # fmt: skip
SECONDS = 540


@dataclass(frozen=True)
class Patch:
    """One thing to break. ``metric`` names the metric whose measuring it breaks, if it does."""

    name: str
    what: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    metric: str | None = None

    def digest(self) -> str:
        """What it stands on: itself, the file that it breaks, and its tests."""
        files = {PATCHES / f"{self.name}.toml", ROOT / self.file}
        for test in self.tests:
            path = ROOT / test.split("::")[0]
            files.add(path)
            files.update(
                parent / "conftest.py" for parent in path.parents if ROOT in parent.parents
            )
        known = hashlib.sha256()
        for path in sorted(files):
            body = path.read_bytes() if path.is_file() else b""
            known.update(f"{path.relative_to(ROOT)} {len(body)} ".encode() + body)
        return known.hexdigest()

    def applied(self, text: str) -> str:
        """The broken text. Raises ValueError unless what it breaks stands there exactly once."""
        if text.count(self.find) != 1:
            raise ValueError(
                f"{self.name}: its text stands {text.count(self.find)} times in {self.file}"
            )
        return text.replace(self.find, self.replace)


def patches() -> list[Patch]:
    """Every committed patch, by name."""
    found = []
    for path in sorted(PATCHES.glob("*.toml")):
        record = tomllib.loads(path.read_text(encoding="utf-8"))
        found.append(Patch(path.stem, **{**record, "tests": tuple(record["tests"])}))
    return found


@dataclass(frozen=True)
class Outcome:
    """What came of a patch, and the commit that it was tried on."""

    patch: Patch
    caught: bool
    by: str
    seconds: float
    commit: str

    def record(self) -> dict[str, object]:
        """As it is written down."""
        return {
            "digest": self.patch.digest(),
            "caught": self.caught,
            "by": self.by,
            "commit": self.commit,
        }

    def keep(self, folder: Path) -> None:
        """Write it down."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.record(), indent=1) + "\n"
        (folder / f"{self.patch.name}.json").write_text(text)


def seen(patch: Patch, folder: Path, known: Mapping[str, Any]) -> Outcome | None:
    """How it was caught before; None where it was not, or what it stands on has changed.

    What lies in ``folder`` comes before what the last report ``known``.
    """
    path = folder / f"{patch.name}.json"
    found = [json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []
    for record in [*found, *([known[patch.name]] if patch.name in known else [])]:
        if record["caught"] and record["digest"] == patch.digest():
            return Outcome(patch, True, record["by"], 0.0, record["commit"])
    return None


def this_commit() -> str:
    """The commit that is checked out, with a plus where files differ from it."""
    told = [
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain"))
    ]
    return told[0].strip() + ("+" if told[1].strip() else "")


def copy_checkout(name: str) -> Path:
    """A copy of what the tests need; data are linked, not copied."""
    copy = COPIES / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for item in COPIED:
        source = ROOT / item
        if source.is_dir():
            ignored = shutil.ignore_patterns(
                "__pycache__", "uncommitted", "*.pyc", ".venvs", "target"
            )
            shutil.copytree(source, copy / item, ignore=ignored)
        elif source.exists():
            shutil.copy2(source, copy / item)
    (copy / "warehouse").mkdir()
    (copy / "warehouse" / "seeds").symlink_to(ROOT / "warehouse" / "seeds")
    return copy


def run_tests(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Exit code of pytest and the first failed test, or the last words."""
    # the copy goes before the installed package
    env = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'tools'}",
           "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end after {SECONDS} s"
    failed = re.search(r"^FAILED (\S+)", done.stdout, flags=re.MULTILINE)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return done.returncode, failed[1] if failed else " / ".join(lines[-3:])


def attempt(patch: Patch, copy: Path, commit: str) -> Outcome:
    """Apply, test, take back."""
    started = time.perf_counter()
    target = copy / patch.file
    whole = target.read_text(encoding="utf-8")
    try:
        target.write_text(patch.applied(whole), encoding="utf-8")
        code, words = run_tests(copy, patch.tests)
    except ValueError as error:
        code, words = -2, str(error)
    finally:
        target.write_text(whole, encoding="utf-8")
    return Outcome(patch, code == 1, words, time.perf_counter() - started, commit)


def report(outcomes: Sequence[Outcome], missing: Sequence[str] = ()) -> str:
    """docs/sabotage.md; ``missing`` are patches that were not tried."""
    caught = sum(outcome.caught for outcome in outcomes)
    lines = [
        "# Sabotage",
        "",
        "Written by `make sabotage`. Each row breaks one rule in a copy of the checkout and runs the",
        "tests that must see it; a check that was never seen red proves nothing. A patch survives when",
        "no test fails, when it no longer applies, or when the tests cannot run.",
        "",
        "The commit is the one that a patch was tried on; since then neither it, nor the file that it",
        "breaks, nor its tests changed.",
        "",
        f"{caught} of {len(outcomes)} patches that were tried were caught.",
        "",
    ]
    if missing:
        lines += [f"Not tried, which counts as neither: {', '.join(missing)}.", ""]
    lines += ["| patch | what it breaks | caught by | commit |", "|---|---|---|---|"]
    for outcome in outcomes:
        by = f"`{outcome.by}`" if outcome.caught else f"**survives**: {outcome.by}"
        lines.append(f"| {outcome.patch.name} | {outcome.patch.what} | {by} | {outcome.commit} |")
    return "\n".join(lines) + "\n"


def red_without(patches: Sequence[Patch], copies: Sequence[Path]) -> dict[str, str]:
    """Of the tests, file by file, those that fail without any patch, and how."""
    files: dict[str, set[str]] = {}
    for test in {test for patch in patches for test in patch.tests}:
        files.setdefault(test.split("::")[0], set()).add(test)
    free = list(copies)

    def one(item: tuple[str, set[str]]) -> tuple[str, int, str]:
        copy = free.pop()
        try:
            code, words = run_tests(copy, sorted(item[1]))
        finally:
            free.append(copy)
        print(f"{item[0]} without any patch: {'green' if code == 0 else words}", flush=True)
        return item[0], code, words

    with ThreadPoolExecutor(len(copies)) as pool:
        found = pool.map(one, sorted(files.items()))
    return {file: f"red without any patch ({code}): {words}" for file, code, words in found if code}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], help="names of patches (parts of them)")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tested side by side")
    parser.add_argument("--again", action="store_true", help="also what was caught before")
    parser.add_argument("--no-report", action="store_true", help="do not write docs/sabotage.md")
    parser.add_argument("--report", action="store_true", help="only write it, from what is known")
    asked = parser.parse_args()
    every = patches()
    chosen = [p for p in every if not asked.only or any(o in p.name for o in asked.only)]
    if not chosen:
        raise SystemExit("no patch of that name")
    told = json.loads(KNOWN.read_text(encoding="utf-8")) if KNOWN.is_file() else {}
    outcomes = {p.name: was for p in every if (was := seen(p, RESULTS, told)) is not None}
    waiting = [] if asked.report else [p for p in chosen if asked.again or p.name not in outcomes]
    print(f"{len(waiting)} of {len(chosen)} patches are to be tried", flush=True)
    tried = {outcome.patch.name: outcome for outcome in _tried(waiting, asked.jobs)}
    outcomes |= tried
    if not asked.no_report:
        known = [outcomes[p.name] for p in every if p.name in outcomes]
        missing = [p.name for p in every if p.name not in outcomes]
        REPORT.write_text(report(known, missing), encoding="utf-8")
        records = {outcome.patch.name: outcome.record() for outcome in known}
        KNOWN.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    survivors = [outcome for outcome in tried.values() if not outcome.caught]
    print(f"{len(tried) - len(survivors)} of {len(tried)} caught")
    for outcome in survivors:
        print(f"survives: {outcome.patch.name}")
    return 1 if survivors else 0


def _tried(waiting: Sequence[Patch], jobs: int) -> list[Outcome]:
    """Each of the patches, in copies side by side; what comes of it is kept as soon as it does."""
    if not waiting:
        return []
    commit = this_commit()
    copies = [copy_checkout(f"copy-{number}") for number in range(jobs)]
    red = red_without(waiting, copies)
    free = list(copies)

    def one(patch: Patch) -> Outcome:
        reasons = [red[file] for test in patch.tests if (file := test.split("::")[0]) in red]
        if reasons:
            return Outcome(patch, False, reasons[0], 0.0, commit)
        copy = free.pop()
        try:
            outcome = attempt(patch, copy, commit)
        finally:
            free.append(copy)
        outcome.keep(RESULTS)
        state = "caught by" if outcome.caught else "SURVIVES:"
        print(f"{patch.name}: {state} {outcome.by} ({outcome.seconds:.0f} s)", flush=True)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(one, waiting))
    shutil.rmtree(COPIES, ignore_errors=True)
    return outcomes


if __name__ == "__main__":
    raise SystemExit(main())
