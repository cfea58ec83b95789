"""`make shows`: the long measurements behind docs/shows.md, on real data.

Each job is one process, writes target/shows/<job>.json with the commit it ran on, and is not run
again while that file is there (delete it, or run with --again). Stop and start as you like.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "target" / "shows"
SEED_FILE = ROOT / "warehouse" / "seeds" / "complete_journey_baskets.parquet"
FLIGHTS = ROOT / "tests" / "data" / "flights_extract.parquet"
SEEDS = range(1, 11)
PRIVACY = {"membership_inference", "identical_match", "nearest_neighbor_distance"}


def tree_rss(pid: int) -> int:
    """Resident bytes of a process and its descendants (pages that they share count once each)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        todo += children.get(one, [])
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf(
                "SC_PAGE_SIZE"
            )
        except OSError:
            continue
    return total


def measured(command: list[str], *, cwd: Path, env: dict[str, str]) -> dict[str, Any]:
    """Run a command to its end: exit code, output, wall seconds, peak MiB of its process tree."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, tree_rss(process.pid))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = process.communicate()[0]
    watcher.join()
    return {
        "exit": process.returncode,
        "wall": round(time.perf_counter() - start, 1),
        "mib": round(peak / 2**20),
        "output": output,
    }


def project(folder: Path, *, seed: int, demo_split: bool) -> dict[str, str]:
    """A project of its own with the demo's transactions contract at another seed; its environment."""
    import duckdb

    (folder / "contracts").mkdir(parents=True)
    (folder / "warehouse").mkdir(mode=0o700)
    text = (ROOT / "contracts" / "transactions.odcs.yaml").read_text()
    if text.count("seed: 7") != 1:
        raise SystemExit("contracts/transactions.odcs.yaml no longer holds `seed: 7` exactly once")
    (folder / "contracts" / "transactions.odcs.yaml").write_text(
        text.replace("seed: 7", f"seed: {seed}")
    )
    split = "splitKey: demo\n" if demo_split else ""
    (folder / "synth-contracts.yml").write_text(
        f"name: shows\n{split}targets:\n  dev:\n    servers:\n"
        "      source: {database: warehouse/source.duckdb}\n"
    )
    with duckdb.connect(str(folder / "warehouse" / "source.duckdb")) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute(
            "CREATE TABLE raw.transactions AS SELECT * FROM read_parquet(?)", [str(SEED_FILE)]
        )
    return {"SYNTH_CONTRACTS_KEYS": str(folder / "keys")}


COMMAND = [sys.executable, "-m", "synth_contracts"]


def build_cost() -> dict[str, Any]:
    """Show 2: time and memory of a full build of the demo's table, three runs."""
    runs = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as where:
            folder = Path(where)
            env = project(folder, seed=7, demo_split=True)
            run = measured([*COMMAND, "build", "--full-refresh"], cwd=folder, env=env)
            results = json.loads((folder / "target" / "run_results.json").read_text())["results"]
            runs.append(
                {"exit": run["exit"], "wall": run["wall"], "mib": run["mib"],
                 "steps": results[0]["timings"]}
            )  # fmt: skip
    return {
        "runs": runs,
        "held": all(r["exit"] == 0 and r["wall"] < 75 and r["mib"] < 3072 for r in runs),
    }


def seed_promoted(seed: int) -> dict[str, Any]:
    """Show 3: the demo's contract at one generator seed, with a split key and registry of its own."""
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        env = project(folder, seed=seed, demo_split=False)
        run = measured([*COMMAND, "build"], cwd=folder, env=env)
        result = json.loads((folder / "target" / "run_results.json").read_text())["results"][0]
        card = (
            json.loads(Path(result["card"]).with_suffix(".json").read_text())
            if result["card"]
            else {}
        )
    return {
        "exit": run["exit"],
        "wall": run["wall"],
        "message": result["message"],
        "rules": card.get("rules", []),
        "held": run["exit"] == 0,
    }


def _tables() -> dict[str, dict[str, Any]]:
    return {
        "baskets": {
            "file": SEED_FILE,
            "contract": ROOT / "contracts" / "transactions.odcs.yaml",
            "numeric": ["n_items", "amount", "n_departments", "retail_disc", "coupon_disc"],
        },
        "flights": {
            "file": FLIGHTS,
            "contract": ROOT / "tests" / "data" / "flights.odcs.yaml",
            "numeric": ["dep_delay", "arr_delay", "air_time", "distance"],
        },
    }


def leaks_told(table: str, seed: int) -> dict[str, Any]:
    """Show 4: fresh entities pass every privacy rule; three leaks are blocked; one table, one seed."""
    import leaks
    import pandas as pd

    import synth_contracts as sc

    setting = _tables()[table]
    contract = sc.load_contract(setting["contract"])
    without = _without_identical(setting["contract"])
    entity, time_index = contract.roles.entity_key, contract.roles.time_index
    keys = [entity, *(c.name for c in contract.columns if c.primary_key)]
    split = leaks.thirds(pd.read_parquet(setting["file"]), entity, seed)
    near = leaks.near_copies(split, keys, setting["numeric"], time_index, seed)
    kinds = {
        "null": (contract, split.fresh),
        "bootstrap": (contract, leaks.bootstrap(split, keys, seed)),
        "isolated": (contract, leaks.isolated(split, keys, seed)),
        "near": (without, near),
    }
    out: dict[str, Any] = {}
    for kind, (rules, synthetic) in kinds.items():
        start = time.perf_counter()
        evaluation = sc.evaluate(
            rules, train=split.train, holdout=split.holdout, synthetic=synthetic, seed=seed
        )
        verdict = sc.judge(rules, evaluation)
        privacy = [s for s in verdict.states if s.metric in PRIVACY]
        failed = sorted(s.metric for s in privacy if s.status == "failed" and s.number is not None)
        passes = all(s.status in {"passed", "not_asked"} for s in privacy)
        out[kind] = {
            "outcome": verdict.outcome.value,
            "privacy_failed": failed,
            "values": {s.metric: s.value for s in privacy},
            "seconds": round(time.perf_counter() - start, 1),
            "held": passes
            if kind == "null"
            else "membership_inference" in failed
            if kind == "near"
            else verdict.outcome.value == "FAILED" and bool(failed),
        }
    return out


def _without_identical(path: Path) -> Any:
    import synth_contracts as sc

    text = path.read_text()
    if text.count("preset: standard") != 1:
        raise SystemExit(f"{path} no longer holds `preset: standard` exactly once")
    indent = " " * (text[: text.index("preset: standard")].rsplit("\n", 1)[1].count(" "))
    with tempfile.TemporaryDirectory() as where:
        copy = Path(where) / path.name
        copy.write_text(
            text.replace(
                "preset: standard", f"preset: standard\n{indent}disable: [identical_match]"
            )
        )
        return sc.load_contract(copy)


def two_clones() -> dict[str, Any]:
    """Show 9: two clones, one split key, other path, hash seed and thread count: the same rows."""
    import duckdb

    with tempfile.TemporaryDirectory() as where:
        base = Path(where)
        files = []
        for name, hash_seed, threads in (("one", "1", "1"), ("another place", "42", "2")):
            clone = base / name
            subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
            shutil.copy(base / "one" / "warehouse" / "source.duckdb", clone / "warehouse") if (
                name != "one"
            ) else _load_demo(clone)
            env = {
                "SYNTH_CONTRACTS_KEYS": str(base / f"keys {name}"),
                "PYTHONHASHSEED": hash_seed,
                "OMP_NUM_THREADS": threads,
                "OPENBLAS_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "PYTHONPATH": str(clone),
            }
            run = measured(
                [*COMMAND, "build", "transactions", "--full-refresh"], cwd=clone, env=env
            )
            if run["exit"] != 0:
                return {"held": False, "output": run["output"][-2000:]}
            files.append(clone / "warehouse" / "published.duckdb")
        with duckdb.connect() as connection:
            for name, file in zip(("a", "b"), files, strict=True):
                connection.execute(f"ATTACH '{file}' AS {name} (READ_ONLY)")
            counts = [
                connection.sql(
                    f"SELECT count(*) FROM (SELECT * FROM {x}.release.transactions"
                    f" EXCEPT ALL SELECT * FROM {y}.release.transactions)"
                ).fetchall()[0][0]
                for x, y in (("a", "b"), ("b", "a"))
            ]
            rows = connection.sql("SELECT count(*) FROM a.release.transactions").fetchall()[0][0]
    return {"rows": rows, "only_in_one": counts, "held": counts == [0, 0] and rows > 0}


def _load_demo(clone: Path) -> None:
    import duckdb

    with duckdb.connect(str(clone / "warehouse" / "source.duckdb")) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute(
            "CREATE TABLE raw.transactions AS SELECT * FROM read_parquet(?)", [str(SEED_FILE)]
        )


def help_time() -> dict[str, Any]:
    """Show 10: seconds of each help page, the median of seven cold processes."""
    out = {}
    for arguments in (["--help"], ["build", "--help"], ["export", "--help"]):
        command = [str(Path(sys.executable).parent / "synth-contracts"), *arguments]
        seconds = []
        for _ in range(7):
            start = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
        out[" ".join(arguments)] = round(1000 * statistics.median(seconds))
    return {"milliseconds": out, "held": max(out.values()) < 200}


JOBS: dict[str, Any] = {
    "2-build-cost": build_cost,
    "10-help": help_time,
    "9-two-clones": two_clones,
    **{f"3-seed-{s:02}": lambda s=s: seed_promoted(s) for s in SEEDS},
    **{
        f"4-{t}-{s:02}": lambda t=t, s=s: leaks_told(t, s)
        for s in SEEDS
        for t in ("flights", "baskets")
    },
}


def commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def run_one(job: str) -> None:
    """Run one job in this process and write its result whole or not at all."""
    start = time.perf_counter()
    result = JOBS[job]()
    body = {
        "job": job,
        "commit": commit(),
        "seconds": round(time.perf_counter() - start, 1),
        **result,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    partial = RESULTS / f".{job}.partial"
    partial.write_text(json.dumps(body, indent=1, default=str))
    partial.replace(RESULTS / f"{job}.json")


def summary() -> str:
    """docs/shows.md out of the results that are there; what is missing is said."""
    found = {p.stem: json.loads(p.read_text()) for p in sorted(RESULTS.glob("*.json"))}
    commits = sorted({body["commit"] for body in found.values()})
    lines = [
        "# Measured figures",
        "",
        "Written by `make shows`; do not edit. "
        f"{len(found)} of {len(JOBS)} jobs have run, on commit {', '.join(commits) or '-'}.",
        "",
    ]
    lines += _show_2(found) + _show_3(found) + _show_4(found) + _show_9(found) + _show_10(found)
    return "\n".join(lines) + "\n"


def _show_2(found: dict[str, Any]) -> list[str]:
    body = found.get("2-build-cost")
    lines = ["## Cost of one full build", "", "`synth-contracts build --full-refresh` of the demo's "
             "transactions (155,848 rows x 15 columns, preset standard), whole process tree, cold.", ""]  # fmt: skip
    if not body:
        return [*lines, "Not run.", ""]
    lines += ["| run | exit | wall s | peak MiB | steps (s) |", "|---|---|---|---|---|"]
    for number, run in enumerate(body["runs"], 1):
        steps = ", ".join(f"{k} {v:.1f}" for k, v in run["steps"].items())
        lines.append(f"| {number} | {run['exit']} | {run['wall']} | {run['mib']} | {steps} |")
    wall = statistics.median(run["wall"] for run in body["runs"])
    return [*lines, "", f"Median {wall} s; limits 75 s and 3,072 MiB: "
            f"{'held' if body['held'] else 'NOT held'} in every run.", ""]  # fmt: skip


def _show_3(found: dict[str, Any]) -> list[str]:
    runs = {s: found.get(f"3-seed-{s:02}") for s in SEEDS}
    done = {s: body for s, body in runs.items() if body}
    lines = ["## The transactions contract at ten generator seeds", "",
             "Each with a split key and a registry of its own.", "",
             "| seed | exit | outcome |", "|---|---|---|"]  # fmt: skip
    lines += [f"| {s} | {b['exit']} | {b['message'].splitlines()[0]} |" for s, b in done.items()]
    promoted = sum(b["held"] for b in done.values())
    return [*lines, "", f"Promoted: {promoted} of {len(done)} run (asked: at least 9 of 10).", ""]


def _show_4(found: dict[str, Any]) -> list[str]:
    asked = {
        "null": "passes every privacy rule but k_anonymity (asked 19 of 20)",
        "bootstrap": "FAILED by a finite privacy value (asked 19 of 20)",
        "isolated": "FAILED by a finite privacy value (asked 19 of 20)",
        "near": "FAILED with membership_inference named, identical_match off (asked 18 of 20)",
    }
    lines = ["## Told apart", "",
             "Thirds by entity (train, holdout, fresh), through `evaluate` and `judge`. Median "
             "(smallest to largest) of membership_inference, limit 0.25. k_anonymity is left out: it "
             "is a construction check that real rows do not pass, so a null's whole verdict is "
             "FAILED.", "",
             "| kind | table | membership_inference | PASSED | FAILED | NOT_EVALUATED | held |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    totals = []
    for kind, claim in asked.items():
        held = count = 0
        for table in ("baskets", "flights"):
            bodies = [b for s in SEEDS if (b := found.get(f"4-{table}-{s:02}"))]
            if not bodies:
                continue
            values = [b[kind]["values"]["membership_inference"] for b in bodies]
            known = [v for v in values if v is not None]
            spread = (
                f"{statistics.median(known):.2f} ({min(known):.2f} to {max(known):.2f})"
                if known
                else "-"
            )
            outcomes = [b[kind]["outcome"] for b in bodies]
            good = sum(b[kind]["held"] for b in bodies)
            held, count = held + good, count + len(bodies)
            cells = " | ".join(
                str(outcomes.count(o)) for o in ("PASSED", "FAILED", "NOT_EVALUATED")
            )
            lines.append(f"| {kind} | {table} | {spread} | {cells} | {good} of {len(bodies)} |")
        totals.append(f"- {kind}: {held} of {count}: {claim}")
    return [*lines, "", *totals, ""]


def _show_9(found: dict[str, Any]) -> list[str]:
    body = found.get("9-two-clones")
    lines = ["## Two clones, one split key", ""]
    if not body:
        return [*lines, "Not run.", ""]
    if not body["held"]:
        return [*lines, "NOT held.", ""]
    return [*lines, f"Other path, PYTHONHASHSEED and thread count: {body['rows']:,} rows, "
            "none in one release that is not in the other (EXCEPT ALL both ways).", ""]  # fmt: skip


def _show_10(found: dict[str, Any]) -> list[str]:
    body = found.get("10-help")
    lines = ["## Help", ""]
    if not body:
        return [*lines, "Not run.", ""]
    told = ", ".join(f"`{name}` {ms} ms" for name, ms in body["milliseconds"].items())
    return [*lines, f"Median of seven cold processes: {told}; limit 200 ms.", ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="run only jobs whose name starts so")
    parser.add_argument("--again", action="store_true", help="run jobs that have a result again")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--summary", action="store_true", help="only write docs/shows.md")
    options = parser.parse_args()
    if options.job:
        run_one(options.job)
        return
    for job in [] if options.summary else JOBS:
        if options.only and not job.startswith(options.only):
            continue
        if (RESULTS / f"{job}.json").exists() and not options.again:
            continue
        start = time.perf_counter()
        code = subprocess.run(
            [sys.executable, __file__, "--job", job], cwd=ROOT / "tools", check=False
        )
        print(f"{job}: exit {code.returncode}, {time.perf_counter() - start:.0f} s", flush=True)
        (ROOT / "docs" / "shows.md").write_text(summary())
    (ROOT / "docs" / "shows.md").write_text(summary())


if __name__ == "__main__":
    main()
