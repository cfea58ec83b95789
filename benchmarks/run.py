"""`make benchmarks`: what the card costs and sees, beside its peers, on the same real tables.

Every measurement is one cold process with all its children, at most ``--limit`` CPU seconds. Peers run
their documented defaults, and each tool runs in an environment of its own (benchmarks/.venvs), ours as
users install it: what checks this project is not imported.
Tools take turns within each repetition, so that a busy machine is busy for all. Results are lines
of benchmarks/target/results.jsonl and then of docs/benchmarks.json; what stands there is not
measured again. The page is written from them by ``--report`` and after each run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "tools"), str(HERE)]

import datasets  # noqa: E402
import defects  # noqa: E402
import kept  # noqa: E402
import page  # noqa: E402
from timing import measured  # noqa: E402

TARGET = HERE / "target"
RESULTS = TARGET / "results.jsonl"
PAGE, KEPT = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.json"
#: Threads that wait for each other on a busy machine burn CPU seconds: mostlyai-qa read five times
#: as many. So OpenMP and BLAS have one thread, in every tool alike.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
#: CPU seconds for one process on the small tables of tools/defects.py.
DEFECTS_LIMIT = 60


@dataclass(frozen=True)
class Tool:
    """A tool, the environment it runs in, its script and the works that it does.

    ``detects`` is the work that is asked of planted tables; None for a tool that looks at no
    training table.
    """

    name: str
    venv: Path
    script: str
    works: tuple[str, ...]
    detects: str | None


TOOLS = (
    Tool("synth-contracts", HERE / ".venvs/ours", "ours_job.py", ("card", "metrics"), "card"),
    Tool("sdmetrics", HERE / ".venvs/sdmetrics", "sdmetrics_job.py", ("quality", "dcr"), "dcr"),
    Tool("anonymeter", HERE / ".venvs/anonymeter", "anonymeter_job.py", ("attacks",), "attacks"),
    Tool("mostlyai-qa", HERE / ".venvs/mostlyai-qa", "mostlyai_job.py", ("report",), "report"),
    Tool("pycanon", HERE / ".venvs/pycanon", "pycanon_job.py", ("k", "l", "t"), None),
    Tool("nemo-safe-synthesizer", HERE / ".venvs/nemo-safe-synthesizer", "nemo_job.py", (), None),
    Tool("synthcity", HERE / ".venvs/synthcity", "synthcity_job.py", (), None),
)


def setup(tools: Sequence[Tool]) -> None:
    """Make the environments of ``tools``, of peers from their requirements."""
    for tool in tools:
        wanted = HERE / "requirements" / f"{tool.name}.txt"
        what = ["-r", str(wanted)]
        if tool is TOOLS[0]:
            wanted, what = ROOT / "pyproject.toml", ["-e", str(ROOT)]
        stamp = tool.venv / ".installed"
        if stamp.exists() and stamp.read_text() == wanted.read_text():
            continue
        print(f"installing {tool.name}", flush=True)
        shutil.rmtree(tool.venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(tool.venv)], check=True)
        pip = [str(tool.venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        if tool is TOOLS[0] or tool.name in {"mostlyai-qa", "nemo-safe-synthesizer"}:
            source = os.environ.get("TORCH_SOURCE", "").split()  # else gigabytes of CUDA come
            subprocess.run([*pip, *source, "torch==2.13.0"], check=True)
        subprocess.run([*pip, *what], check=True)
        stamp.write_text(wanted.read_text())


def jobs(repeats: int) -> Iterator[tuple[str, Tool, str, int]]:
    """(data set, tool, work, repetition): defects, cost by size, then detection, tools in turn."""
    for name in defects.MAKERS:
        for tool in TOOLS:
            if any(name in of_peer for of_peer in defects.PEERS.values()) and (
                tool is TOOLS[0] or name in defects.PEERS.get(tool.name, ())
            ):
                yield f"defects-{name}", tool, "defects", 1
    for size in datasets.SIZES:
        for repeat in range(1, repeats + 1):
            for tool in TOOLS:
                for work in tool.works:
                    yield f"cost-{size}", tool, work, repeat
    for seed in range(1, repeats + 1):
        for kind in datasets.KINDS:
            for tool in TOOLS:
                if tool.detects:
                    yield f"detect-{kind}-{seed}", tool, tool.detects, 1


def done() -> list[dict[str, Any]]:
    """All results so far, oldest first."""
    return kept.lines(KEPT, RESULTS, _key)


def run_one(data: str, tool: Tool, work: str, repeat: int, limit: float) -> dict[str, Any]:
    """Measure one job."""
    folder = datasets.made(TARGET, data)
    answer = TARGET / "answer.json"
    answer.unlink(missing_ok=True)
    script = HERE / "jobs" / tool.script
    if work == "defects":
        script = script.with_name(f"defects_{tool.script.replace('_job', '')}")
        limit = min(limit, DEFECTS_LIMIT)
    command = [str(tool.venv / "bin" / "python"), str(script), work, str(folder), str(answer)]
    cost = measured(command, limit=limit, env=ONE_THREAD)
    found = json.loads(answer.read_text()) if cost.exit == 0 else None
    return {
        "data": data, "tool": tool.name, "work": work, "repeat": repeat, "limit": limit,
        "exit": cost.exit, "cpu": cost.cpu, "wall": cost.wall, "mib": cost.mib, "found": found,
        "commit": _commit() if tool is TOOLS[0] else None,
        "command": " ".join(["python", f"benchmarks/jobs/{script.name}", work, data]),
        "error": None if cost.exit == 0 else cost.output[-600:],
    }  # fmt: skip


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


def versions() -> dict[str, Any]:
    """Versions of Python, machine and tools."""
    found: dict[str, Any] = {"python": platform.python_version(), "cores": os.cpu_count()}
    for tool in TOOLS[1:]:
        code = f"import importlib.metadata as m; print(m.version({tool.name!r}))"
        python = str(tool.venv / "bin" / "python")
        if not Path(python).exists():
            found[tool.name] = "not installed"
            continue
        asked = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        found[tool.name] = asked.stdout.strip()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", action="append", help="DATA[/TOOL[/WORK]]: jobs that begin so; repeatable"
    )
    parser.add_argument("--skip", action="append", help="but not those; repeatable")
    parser.add_argument("--again", action="store_true", help="measure what stands there again")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=300, help="CPU seconds for one process")
    parser.add_argument("--report", action="store_true", help="write the page from the results")
    chosen = parser.parse_args()
    TARGET.mkdir(exist_ok=True)
    if not chosen.report:
        _run(chosen)
    found, used = done(), kept.versions(KEPT, versions())
    kept.keep(KEPT, found, used)
    PAGE.write_text(page.written(found, used))
    print(f"wrote {PAGE.relative_to(ROOT)}")


def _run(chosen: argparse.Namespace) -> None:
    known = {} if chosen.again else {_key(one): one for one in done()}
    for data, tool, work, repeat in jobs(chosen.repeats):
        key = (data, tool.name, work, repeat)
        if not _chosen(key, chosen.only or [""]) or _chosen(key, chosen.skip or []):
            continue
        if key in known or _hopeless(key, known):
            continue
        setup([tool])
        found = run_one(data, tool, work, repeat, chosen.limit)
        known[key] = found
        with RESULTS.open("a") as file:
            file.write(json.dumps(found) + "\n")
        state = "stopped at the limit" if found["exit"] is None else f"exit {found['exit']}"
        print(*key, state, f"{found['cpu']} CPU s", f"{found['wall']} s", found["mib"], "MiB",
              flush=True)  # fmt: skip


def _chosen(key: tuple[str, str, str, int], words: list[str]) -> bool:
    """Whether a word names the job: the beginnings of data set, tool and work; * for any."""
    return any(
        all(
            part == "*" or own.startswith(part)
            for own, part in zip(key[:3], word.split("/"), strict=False)
        )
        for word in words
    )


def _hopeless(key: tuple[str, str, str, int], known: dict[Any, dict[str, Any]]) -> bool:
    """Whether the same work was stopped at the limit before, on this table or on fewer rows."""
    data, tool, work, _ = key
    what, _, size = data.partition("-")
    fewer = [data]
    if what == "cost":
        fewer += [f"cost-{rows}" for rows in datasets.SIZES if rows < int(size)]
    firsts = (known.get((name, tool, work, 1)) for name in fewer)
    return any(one is not None and one["exit"] is None for one in firsts)


def _key(one: dict[str, Any]) -> tuple[str, str, str, int]:
    return one["data"], one["tool"], one["work"], one["repeat"]


if __name__ == "__main__":
    main()
