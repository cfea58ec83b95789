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
SEEDS = range(1, 11)
STRICT_SEEDS = range(1, 5)
REPLAY_SEEDS = range(1, 4)


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


def project(
    folder: Path, *, seed: int, demo_split: bool, preset: str = "standard", volume: str = "model"
) -> dict[str, str]:
    """A project of its own with the demo's transactions contract, a little changed; its environment."""
    import duckdb

    (folder / "contracts").mkdir(parents=True)
    (folder / "warehouse").mkdir(mode=0o700)
    text = (ROOT / "contracts" / "transactions.odcs.yaml").read_text()
    for old, new in (
        ("seed: 7", f"seed: {seed}"),
        ("preset: standard", f"preset: {preset}"),
        ("volume: model", f"volume: {volume}"),
    ):
        if text.count(old) != 1:
            raise SystemExit(
                f"contracts/transactions.odcs.yaml no longer holds `{old}` exactly once"
            )
        text = text.replace(old, new)
    (folder / "contracts" / "transactions.odcs.yaml").write_text(text)
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


def built(seed: int, *, preset: str = "standard", volume: str = "model") -> dict[str, Any]:
    """The demo's contract at one generator seed, with a split key and registry of its own."""
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        env = project(folder, seed=seed, demo_split=False, preset=preset, volume=volume)
        run = measured([*COMMAND, "build"], cwd=folder, env=env)
        result = json.loads((folder / "target" / "run_results.json").read_text())["results"][0]
        card: dict[str, Any] = {}
        if result["card"]:
            card = json.loads(Path(result["card"]).with_suffix(".json").read_text())
    tracing = [
        attack for attack in card.get("attacks", [])
        if (attack["metric"], attack["attack"]) == ("entity_membership_inference", "aggregate")
    ]  # fmt: skip
    return {
        "exit": run["exit"],
        "wall": run["wall"],
        "mib": run["mib"],
        "steps": result["timings"],
        "message": result["message"],
        "rules": card.get("rules", []),
        "controls": card.get("controls"),
        "tracing": tracing[0] if tracing else None,
        "held": run["exit"] == 0,
    }


EVALUATE = """
import json, resource, sys, time
import pyarrow.parquet as pq
import synth_contracts as sc
tables = {name: pq.read_table(f"{sys.argv[1]}/{name}.parquet")
          for name in ("train", "holdout", "synthetic")}
contract = sc.load_contract(sys.argv[2])
started = time.perf_counter()
evaluation = sc.evaluate(contract, **tables, seed=1)
print(json.dumps({
    "evaluate": round(time.perf_counter() - started, 1),
    "controls": evaluation.controls["seconds"],
    "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    "cpu": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 1),
    "outcome": sc.judge(contract, evaluation).outcome.value,
}))
"""


def evaluation_cost() -> dict[str, Any]:
    """Show 8: the whole evaluation of a candidate of the demo, positive control included, cold."""
    contract = ROOT / "contracts" / "transactions.odcs.yaml"
    return evaluated(contract, SEED_FILE, seconds=30, mib=1024, runs=3)


def items_cost() -> dict[str, Any]:
    """The same of 1,469,307 line items; SHOWS_ITEMS names their Parquet file."""
    path = Path(os.environ.get("SHOWS_ITEMS", ROOT / "target" / "data" / "items.parquet"))
    if not path.is_file():
        raise SystemExit(f"no line items at {path}: name their Parquet file in SHOWS_ITEMS")
    contract = ROOT / "tools" / "contracts" / "items.odcs.yaml"
    return evaluated(contract, path, seconds=120, mib=5 * 1024, runs=1)


def evaluated(path: Path, data: Path, *, seconds: int, mib: int, runs: int) -> dict[str, Any]:
    """Cold evaluations of a candidate that the contract's own generator made of the table."""
    import pyarrow.parquet as pq

    from synth_contracts import load_contract
    from synth_contracts.generate import generate
    from synth_contracts.source.snapshot import SourceTable
    from synth_contracts.source.split import DEMO_SECRET, split
    from synth_contracts.tables import canonical, duckdb_types, resolve, restore

    contract = load_contract(path)
    table = pq.read_table(data)
    schema = resolve(contract, duckdb_types(table))
    source = SourceTable(schema, table, "", len(table), "")
    sides = split(source, contract, DEMO_SECRET)
    made = generate(
        contract, canonical(sides.train, schema), schema,
        secret_seed=7, rows=len(table), progress=lambda _: None,
    )  # fmt: skip
    found = []
    with tempfile.TemporaryDirectory() as where:
        for name, part in (
            ("train", sides.train), ("holdout", sides.holdout),
            ("synthetic", restore(made.frame, schema)),
        ):  # fmt: skip
            pq.write_table(part, f"{where}/{name}.parquet")
        for _ in range(runs):
            run = measured(
                [sys.executable, "-c", EVALUATE, where, str(path)], cwd=ROOT,
                env={"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            said = json.loads(run["output"].strip().splitlines()[-1])
            found.append({"wall": run["wall"], "tree_mib": run["mib"], **said})
    return {
        "rows": len(table),
        "columns": len(table.column_names),
        "limits": [seconds, mib],
        "runs": found,
        "held": all(r["wall"] < seconds and r["tree_mib"] < mib for r in found),
    }


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


def epsilon(name: str) -> dict[str, Any]:
    """The audit where the truth is known: randomised response, fresh rows, copies."""
    from epsilon import job

    return job(name)


JOBS: dict[str, Any] = {
    "cost-build": build_cost,
    "cost-evaluation": evaluation_cost,
    "cost-items": items_cost,
    "help": help_time,
    **{f"standard-{seed:02}": lambda seed=seed: built(seed) for seed in SEEDS},
    **{
        f"strict-{seed:02}": lambda seed=seed: built(seed, preset="strict") for seed in STRICT_SEEDS
    },
    **{
        f"replay-{seed:02}": lambda seed=seed: built(seed, volume="replay") for seed in REPLAY_SEEDS
    },
    "two-clones": two_clones,
    **{
        f"epsilon-{name}": lambda name=name: epsilon(name)
        for name in ("response", "baskets", "flights")
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
    lines += _build(found) + _evaluation(found) + _standard(found) + _strict(found)
    lines += _replay(found) + _clones(found) + _help(found)
    lines += _epsilon(found)
    return "\n".join(lines) + "\n"


def _build(found: dict[str, Any]) -> list[str]:
    body = found.get("cost-build")
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


def _evaluation(found: dict[str, Any]) -> list[str]:
    what = (
        "`evaluate()` of a candidate of {} (train and holdout {} rows together, candidate as many), "
        "every rule of standard, positive control and null: a cold process from Parquet files, "
        "start of Python and reading included."
    )
    return [
        *_cost(found.get("cost-evaluation"), "## Cost of one evaluation",
               what.format("the whole baskets", "155,848")),
        *_cost(found.get("cost-items"), "## Cost of one evaluation of a large table",
               what.format("the baskets' line items", "1,469,307")
               + " 16 % of the real rows are exact duplicates; the candidate is made without "
               "rejection of rows near outliers."),
    ]  # fmt: skip


def _cost(body: dict[str, Any] | None, heading: str, words: str) -> list[str]:
    lines = [heading, "", words, ""]
    if not body:
        return [*lines, "Not run.", ""]
    lines += ["| run | wall s | of it evaluate() | of it positive control and null | CPU s | peak MiB "
              "| outcome |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for number, run in enumerate(body["runs"], 1):
        lines.append(
            f"| {number} | {run['wall']} | {run['evaluate']} | {run['controls']:.1f} "
            f"| {run.get('cpu', '-')} | {run['tree_mib']} | {run['outcome']} |"
        )
    seconds, mib = body.get("limits", [30, 1024])
    return [*lines, "", f"Limits {seconds} s and {mib:,} MiB: "
            f"{'held' if body['held'] else 'NOT held'} in every run.", ""]  # fmt: skip


def _builds(found: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    return [(job.rpartition("-")[2], body) for job, body in found.items() if job.startswith(name)]


def _cell(text: str) -> str:
    return text.splitlines()[0].replace("|", "/")


def _standard(found: dict[str, Any]) -> list[str]:
    done = _builds(found, "standard-")
    lines = ["## The transactions contract at ten generator seeds", "",
             "Preset standard, each with a split key and a registry of its own.", "",
             "| seed | exit | outcome |", "|---|---|---|"]  # fmt: skip
    lines += [f"| {int(seed)} | {b['exit']} | {_cell(b['message'])} |" for seed, b in done]
    promoted = sum(b["held"] for _, b in done)
    lines += ["", f"Promoted: {promoted} of {len(done)} run (asked: at least 9 of 10).", ""]
    return [*lines, *_controls(done)]


def _controls(done: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Smallest planted leaks that would have been blocked, over the promoted builds."""
    seen: dict[tuple[str, str], list[tuple[int | None, int]]] = {}
    for _, body in done:
        if body["held"] and body["controls"]:
            for kind in body["controls"]["kinds"]:
                key = (kind["title"], kind["among_words"])
                seen.setdefault(key, []).append((kind["smallest"], kind["largest_tried"]))
    if not seen:
        return []
    lines = ["Smallest leak that the run would have blocked with 80 % power, in households, over the "
             "promoted builds:", "",
             "| leak | among households | smallest, median (range) | not even the largest tried |",
             "|---|---|---|---|"]  # fmt: skip
    for (title, among), found in seen.items():
        known = sorted(smallest for smallest, _ in found if smallest is not None)
        blind = len(found) - len(known)
        told = f"{statistics.median(known):g} ({known[0]} to {known[-1]})" if known else "-"
        most = max(largest for _, largest in found)
        lines.append(
            f"| {title} | {among} | {told} | {blind} of {len(found)} (tried up to {most}) |"
        )
    return [*lines, ""]


def _strict(found: dict[str, Any]) -> list[str]:
    done = _builds(found, "strict-")
    lines = ["## The same contract under strict", "", "| seed | exit | outcome |", "|---|---|---|"]
    lines += [f"| {int(seed)} | {b['exit']} | {_cell(b['message'])} |" for seed, b in done]
    exits = [b["exit"] for _, b in done]
    return [*lines, "", f"PASSED {exits.count(0)}, FAILED {exits.count(1)}, NOT_EVALUATED "
            f"{exits.count(3)} of {len(exits)} run.", ""]  # fmt: skip


def _replay(found: dict[str, Any]) -> list[str]:
    lines = ["## Replayed daily totals against the aggregate attack", "",
             "The same contract with `volume: replay` and with `volume: model`. Gain: 2 AUC - 1 of the "
             "tracing attack over all households; flagged: certainly above .05.", "",
             "| volume | builds | flagged | gain, median (range) | blocked by recognized_entities |",
             "|---|---|---|---|---|"]  # fmt: skip
    for volume, name in (("replay", "replay-"), ("model", "standard-")):
        done = [b for _, b in _builds(found, name) if b.get("tracing")]
        if not done:
            continue
        gains = sorted(b["tracing"]["gain"] for b in done)
        flagged = sum(bool(b["tracing"]["flagged"]) for b in done)
        blocked = sum("recognized_entities" in b["message"] for b in done)
        lines.append(
            f"| {volume} | {len(done)} | {flagged} | {statistics.median(gains):.2f} "
            f"({gains[0]:.2f} to {gains[-1]:.2f}) | {blocked} |"
        )
    return [*lines, ""]


def _clones(found: dict[str, Any]) -> list[str]:
    body = found.get("two-clones")
    lines = ["## Two clones, one split key", ""]
    if not body:
        return [*lines, "Not run.", ""]
    if not body["held"]:
        return [*lines, "NOT held.", ""]
    return [*lines, f"Other path, PYTHONHASHSEED and thread count: {body['rows']:,} rows, "
            "none in one release that is not in the other (EXCEPT ALL both ways).", ""]  # fmt: skip


def _epsilon(found: dict[str, Any]) -> list[str]:
    lines = ["## The audit in one run where the truth is known", ""]
    body = found.get("epsilon-response")
    if body:
        lines += ["Randomised response, which is exactly epsilon-DP: lower bounds at 95 %.", "",
                  "| epsilon | canaries | guesses | at or below the truth | median bound | ceiling |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        lines += [
            f"| {r['epsilon']:g} | {r['canaries']:,} | {r['guesses']} "
            f"| {r['at_or_below']} of {r['runs']} | {r['median']:.2f} | {r['ceiling']:.2f} |"
            for r in body["runs"]
        ]
        lines += ["", "Asked: at least 93 % at or below. "
                  f"{'Held' if body['held'] else 'NOT held'}.", ""]  # fmt: skip
    tables = {name: found.get(f"epsilon-{name}") for name in ("baskets", "flights")}
    lines += ["A bootstrap of the rows of train, and fresh entities, thirds by entity.", "",
              "| table | canaries | bootstrap: lower bound (range) | above 3 | fresh: lower bound, "
              "largest | fresh: 0 |", "|---|---|---|---|---|---|"]  # fmt: skip
    for name, body in tables.items():
        if not body:
            lines.append(f"| {name} | not run | | | | |")
            continue
        copies, fresh = ([r[kind] for r in body["runs"]] for kind in ("bootstrap", "fresh"))
        lines.append(
            f"| {name} | {body['runs'][0]['canaries']} | {min(copies):.2f} to {max(copies):.2f} "
            f"| {sum(b > 3 for b in copies)} of {len(copies)} | {max(fresh):.2f} "
            f"| {sum(b == 0 for b in fresh)} of {len(fresh)} |"
        )
    return [*lines, ""]


def _help(found: dict[str, Any]) -> list[str]:
    body = found.get("help")
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
