"""Generators side by side: fidelity, privacy, CPU seconds and memory, on three real tables.

    python benchmarks/generators/run.py [--only TABLE/MODEL ...] [--seeds 1,2,3] [--limit SECONDS]

Every fit with its sample is one cold process with all its children, on one thread, at most ``--limit``
CPU seconds. Peers run with the defaults of their documentation. The rows are then judged by ``evaluate()``
against a holdout, in a process that costs the generator nothing. Results are lines of
benchmarks/target/generators.jsonl and then of docs/generators-benchmark.json; what stands there is not
measured again. The page and its picture are written from them by ``--report`` and after each run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(HERE.parent), str(HERE)]

import kept  # noqa: E402
import picture  # noqa: E402
import sides  # noqa: E402
import summary  # noqa: E402
from timing import measured  # noqa: E402

TARGET = HERE.parent / "target"
RESULTS = TARGET / "generators.jsonl"
PAGE = ROOT / "docs" / "generators-benchmark.md"
KEPT = ROOT / "docs" / "generators-benchmark.json"
PICTURE = ROOT / "docs" / "images" / "generators-benchmark.svg"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
OWN = ROOT / ".venv"
PEER = HERE.parent / ".venvs" / "mostlyai-engine"


@dataclass(frozen=True)
class Model:
    """A generator: who makes it, its job and the environment that the job runs in."""

    name: str
    maker: str
    script: str
    venv: Path = OWN
    needs_entity: bool = False


MODELS = (
    Model("calendar_cart", "synth-contracts", "ours_job.py"),
    Model("gaussian_copula", "sdv", "sdv_job.py"),
    Model("tabular_argn", "mostlyai-engine", "engine_job.py", PEER),
    Model("tvae", "sdv", "sdv_job.py"),
    Model("ctgan", "sdv", "sdv_job.py"),
    Model("copula_gan", "sdv", "sdv_job.py"),
    Model("par", "sdv", "sdv_job.py", needs_entity=True),
)


def setup() -> None:
    """Make the peer's environment from its requirements."""
    wanted = HERE.parent / "requirements" / "mostlyai-engine.txt"
    stamp = PEER / ".installed"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return
    print("installing mostlyai-engine", flush=True)
    shutil.rmtree(PEER, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
    pip = [str(PEER / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    source = os.environ.get("TORCH_SOURCE", "").split()
    subprocess.run([*pip, *source, "torch==2.13.0"], check=True)  # else CUDA comes with it
    subprocess.run([*pip, "-r", str(wanted)], check=True)
    # made for another build of torch, they break the import of transformers; tables need neither
    drop = ["uninstall", "--quiet", "--yes", "torchvision", "torchaudio"]
    subprocess.run([*pip[:3], *drop], check=True)
    stamp.write_text(wanted.read_text())


def jobs(seeds: list[int]) -> Iterator[tuple[str, Model, int]]:
    """(table, model, seed): seed by seed, so that an unfinished run holds some of everything."""
    for seed in seeds:
        for model in MODELS:
            for table in sides.TABLES:
                yield table, model, seed


def run_one(table: str, model: Model, seed: int, limit: float) -> dict[str, Any]:
    """One generator on one table: what it cost and what its rows read."""
    line: dict[str, Any] = {"table": table, "model": model.name, "seed": seed, "limit": limit}
    folder = sides.made(TARGET, table, seed)
    if folder is None:
        return line | {"state": "absent", "reason": "the table is not at hand"}
    if model.needs_entity and not sides.Roles.read(folder).entity:
        return line | {"state": "no_entity", "reason": "the table has no entities"}
    rows, answer = TARGET / "generated.parquet", TARGET / "judged.json"
    rows.unlink(missing_ok=True)
    answer.unlink(missing_ok=True)
    python, script = str(model.venv / "bin" / "python"), str(HERE / "jobs" / model.script)
    cost = measured(
        [python, script, model.name, str(folder), str(seed), str(rows)], limit=limit, env=ONE_THREAD
    )
    line |= {"cpu": cost.cpu, "wall": cost.wall, "mib": cost.mib, "commit": _commit()}
    if cost.exit is None:
        return line | {"state": "stopped", "reason": f"more than {limit:g} CPU s"}
    if cost.exit or not rows.exists():
        return line | {"state": "failed", "reason": cost.output[-600:]}
    own = str(OWN / "bin" / "python")
    judged = measured(
        [own, str(HERE / "jobs" / "judge.py"), str(folder), str(rows), str(answer)],
        limit=10 * limit, env=ONE_THREAD,
    )  # fmt: skip
    if judged.exit:
        return line | {"state": "not judged", "reason": judged.output[-600:]}
    return line | {"state": "done", "judged": json.loads(answer.read_text())}


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def done() -> list[dict[str, Any]]:
    """All results so far, oldest first."""
    return kept.lines(KEPT, RESULTS, _key)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that bring a generator."""
    found = {}
    for name, venv in (("sdv", OWN), ("mostlyai-engine", PEER)):
        code = f"import importlib.metadata as m; print(m.version({name!r}))"
        python = str(venv / "bin" / "python")
        if not Path(python).exists():  # the peer was not asked for yet
            found[name] = "not installed"
            continue
        asked = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        found[name] = asked.stdout.strip() or "not installed"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", help="TABLE/MODEL, either may be *; repeatable")
    parser.add_argument("--seeds", default=",".join(map(str, sides.SEEDS)))
    parser.add_argument("--limit", type=float, default=300, help="CPU seconds for fit and sample")
    parser.add_argument("--again", action="store_true", help="measure what stands there again")
    parser.add_argument("--report", action="store_true", help="write the page from the results")
    chosen = parser.parse_args()
    TARGET.mkdir(exist_ok=True)
    if not chosen.report:
        known = {_key(one) for one in done()}
        for table, model, seed in jobs([int(word) for word in chosen.seeds.split(",")]):
            names = {f"{t}/{m}" for t in (table, "*") for m in (model.name, "*")}
            if chosen.only and not names & set(chosen.only):
                continue
            if (table, model.name, seed) in known and not chosen.again:
                continue
            if summary.hopeless(done(), table, model.name):
                continue
            if model.venv == PEER:
                setup()
            line = run_one(table, model, seed, chosen.limit)
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(table, model.name, seed, line["state"], line.get("cpu"), "CPU s",
                  line.get("reason", ""), flush=True)  # fmt: skip
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    found, used = done(), kept.versions(KEPT, versions())
    kept.keep(KEPT, found, used)
    PICTURE.write_text(picture.drawn(found))
    PAGE.write_text(summary.written(found, used))
    print(f"wrote {PAGE.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)}")


def _key(line: dict[str, Any]) -> tuple[str, str, int]:
    return line["table"], line["model"], line["seed"]


if __name__ == "__main__":
    main()
