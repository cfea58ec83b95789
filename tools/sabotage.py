"""`make sabotage`: break one rule of the project at a time and see a test catch it.

Each file of tools/sabotage/ is one patch: what it breaks, an exact text of one source file, what
stands there instead, and the tests that must see it. A patch is applied to a copy of the checkout,
never to the checkout. It is caught when pytest ends with failed tests (exit code 1); a test run
that cannot even start proves nothing. Ends with 1 when a patch survives, does not apply, or when
its tests are red without it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATCHES = ROOT / "tools" / "sabotage"
#: a folder of this run alone: two runs must not share their copies
COPIES = ROOT / "target" / "sabotage" / str(os.getpid())
REPORT = ROOT / "docs" / "sabotage.md"
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
    patch: Patch
    caught: bool
    by: str
    seconds: float


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


def attempt(patch: Patch, copy: Path) -> Outcome:
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
    return Outcome(patch, code == 1, words, time.perf_counter() - started)


def report(outcomes: Sequence[Outcome], seconds: float) -> str:
    """docs/sabotage.md."""
    caught = sum(outcome.caught for outcome in outcomes)
    lines = [
        "# Sabotage",
        "",
        "Written by `make sabotage`. Each row breaks one rule in a copy of the checkout and runs the",
        "tests that must see it; a check that was never seen red proves nothing. A patch survives when",
        "no test fails, when it no longer applies, or when the tests cannot run.",
        "",
        f"{caught} of {len(outcomes)} patches were caught, in {seconds / 60:.0f} minutes.",
        "",
        "| patch | what it breaks | caught by |",
        "|---|---|---|",
    ]
    for outcome in outcomes:
        by = f"`{outcome.by}`" if outcome.caught else f"**survives**: {outcome.by}"
        lines.append(f"| {outcome.patch.name} | {outcome.patch.what} | {by} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], help="names of patches (parts of them)")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tested side by side")
    parser.add_argument("--no-report", action="store_true", help="do not write docs/sabotage.md")
    asked = parser.parse_args()
    chosen = [p for p in patches() if not asked.only or any(o in p.name for o in asked.only)]
    if not chosen:
        raise SystemExit("no patch of that name")
    started = time.perf_counter()
    tests = sorted({test for patch in chosen for test in patch.tests})
    copies = [copy_checkout(f"copy-{number}") for number in range(asked.jobs)]
    print(
        f"{len(chosen)} patches; first their {len(tests)} test files without any patch", flush=True
    )
    code, words = run_tests(copies[0], tests)
    if code != 0:
        print(f"red without any patch ({code}): {words}")
        return 1
    free = list(copies)

    def one(patch: Patch) -> Outcome:
        copy = free.pop()
        try:
            outcome = attempt(patch, copy)
        finally:
            free.append(copy)
        state = "caught by" if outcome.caught else "SURVIVES:"
        print(f"{patch.name}: {state} {outcome.by} ({outcome.seconds:.0f} s)", flush=True)
        return outcome

    with ThreadPoolExecutor(asked.jobs) as pool:
        outcomes = list(pool.map(one, chosen))
    if not asked.only and not asked.no_report:
        REPORT.write_text(report(outcomes, time.perf_counter() - started), encoding="utf-8")
    survivors = [outcome.patch.name for outcome in outcomes if not outcome.caught]
    print(f"{len(outcomes) - len(survivors)} of {len(outcomes)} caught")
    for name in survivors:
        print(f"survives: {name}")
    shutil.rmtree(COPIES, ignore_errors=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
