"""`make battery`: attack the gate and the export through the shipped commands.

Each section is a file of tools/batteries/. It counts its attacks and those that got through, and an
attack only counts where the same case without it passes, at the start and at the end. A section
that could not run is NOT_EVALUATED. Ends with 1 unless every section that ran held.

The report is docs/battery.md, and docs/battery.json holds what it is made of; `--fast` writes neither.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from batteries.outcome import Outcome

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "battery.json"
REPORT = ROOT / "docs" / "battery.md"
SEED = 20_260_301
VERSIONS = ("synth-contracts", "duckdb", "pyarrow", "cryptography", "PyJWT")
#: Section -> the numbers of `--fast`, None for one that it leaves out; those of the whole battery
#: are the sections' defaults.
SECTIONS: dict[str, dict[str, int] | None] = {
    "tokens": {"mutated": 10},
    "edits": {"columns": 3, "others": 6},
    "races": {"threads": 6, "uses": 1, "rounds": 1, "processes": 0},
    "slots": {"slots": 1},
    # the first run is always the simplest one
    "machine": {"examples": 3, "steps": 30, "lanes": 1},
    "canaries": None,  # tests/e2e/test_quiet.py plants values in a build of its own
    "lockdown": {"only": 1},
    "names": {"builds": 0, "malformed": 30, "scalars": 20},
    "disk": {"limits": 2, "full": 1, "builds": 0},
    "kills": {"kills": 1},
    "flips": {"flips": 42},
    "leaks": {"leaks": 2, "exports": 1, "unmarked": 3, "households": 400},
}


def run_section(name: str, seed: int, *, fast: bool) -> dict[str, Any]:
    """Attack; what came out, as JSON."""
    started, at = time.perf_counter(), commit()
    attack: Callable[..., Outcome] = import_module(f"batteries.{name}").attack
    outcome = attack(seed, **((SECTIONS[name] or {}) if fast else {}))
    seconds = time.perf_counter() - started
    return {
        "section": name,
        "seed": seed,
        "commit": at,
        "seconds": round(seconds, 1),
        **outcome.to_json(),
    }


def commit() -> str:
    """The commit that is checked out, marked when tracked files differ from it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def report(results: Mapping[str, Mapping[str, Any]]) -> str:
    """docs/battery.md, from whatever sections have run."""
    found = [results[name] for name in SECTIONS if name in results]
    missing = [name for name in SECTIONS if name not in results]
    attacks, through = (sum(r[key] for r in found) for key in ("attacks", "violations"))
    libraries = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    lines = [
        "# Battery",
        "",
        "Written by `make battery`, which attacks the gate and the export of a released table "
        "through the shipped",
        "commands. An attack counts only where the same case without it passed, at the start and at "
        "the end of its",
        "section (controls). A section that could not run is NOT_EVALUATED, which is neither.",
        "",
        f"{attacks:,} attacks, {through:,} got through. "
        + (f"Not run yet: {', '.join(missing)}. " if missing else "")
        + f"Python {platform.python_version()}, {libraries}.",
        "",
        "| section | attacks | violations | controls passed | status | seconds | seed | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['section']} | {r['attacks']:,} | {r['violations']:,} | {r['controls']} | "
        f"{r['status']} | {r['seconds']:,.0f} | {r['seed']} | {r['commit']} |"
        for r in found
    ]
    for result in found:
        lines += ["", *_section(result)]
    return "\n".join(lines) + "\n"


def _section(result: Mapping[str, Any]) -> list[str]:
    doc = import_module(f"batteries.{result['section']}").__doc__ or ""
    about = " ".join(doc.replace("``", "`").split())
    lines = [f"## {result['section']}", "", about, "", f"A violation is {result['counted']}."]
    lines += [line for note in result["notes"] for line in ("", note)]
    if result["details"]:
        lines += ["", "| of these | number |", "|---|---|"]
        lines += [f"| {name} | {number:,} |" for name, number in result["details"].items()]
    if result["findings"] or result["errors"]:
        lines += ["", *(f"- {text}" for text in [*result["findings"], *result["errors"]])]
    return lines


def keep(result: Mapping[str, Any]) -> None:
    """Write one result, and the report of all that there are."""
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    found[result["section"]] = result
    partial = RESULTS.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    partial.replace(RESULTS)
    REPORT.write_text(report(found), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    parser.add_argument("--fast", action="store_true", help="small numbers, no report")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args(arguments)
    worst = 0
    for name in asked.only:
        if asked.fast and SECTIONS[name] is None:
            continue
        result = run_section(name, asked.seed, fast=asked.fast)
        print(
            f"{name}: {result['attacks']:,} attacks, {result['violations']:,} violations, "
            f"{result['status']}, {result['seconds']:,.0f} s",
            flush=True,
        )
        for text in [*result["findings"], *result["errors"]]:
            print(f"  {text}", file=sys.stderr)
        if not asked.fast:
            keep(result)
        worst = max(worst, int(result["status"] != "held"))
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
