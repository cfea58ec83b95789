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

import shows_page
import tables

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "target" / "shows"
SEED_FILE = ROOT / "warehouse" / "seeds" / "complete_journey_baskets.parquet"
TABLES_CACHE = ROOT / "target" / "calibration" / "tables"
SEEDS = range(1, 11)
#: Ten builds of adult left it open whether anybody is recognised in them.
MORE_SEEDS = {"adult": range(1, 21)}
STRICT_SEEDS = range(1, 5)
REPLAY_SEEDS = range(1, 4)
PRIVATE_SEEDS = range(1, 4)
ISOLATED_SEEDS = range(1, 4)


def tree_rss(pid: int) -> int:
    """Resident bytes of a process and its descendants; pages that they share count once in all.

    A process that starts another shares all its pages with it for a moment, which would read as
    twice the memory.
    """
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    every, todo = [], [pid]
    while todo:
        every.append(todo.pop())
        todo += children.get(every[-1], [])
    total = 0
    for one in every:
        try:
            if len(every) == 1:  # what takes no time to read
                pages = int(Path(f"/proc/{one}/statm").read_text().split()[1])
                return pages * os.sysconf("SC_PAGE_SIZE")
            told = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += int(told.split("\nPss:", 1)[1].split()[0]) * 1024
        except (OSError, IndexError):
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


COMMAND = [sys.executable, "-m", "synth_contracts"]
#: Table -> its contract; the baskets have the demo's.
CONTRACTS = {
    "baskets": ROOT / "contracts" / "transactions.odcs.yaml",
    **{name: table.contract for name, table in tables.TABLES.items() if name != "baskets"},
}
#: The same persons under a guarantee.
PRIVATE = ROOT / "tools" / "contracts" / "adult_dp.odcs.yaml"


def project(
    folder: Path,
    *,
    seed: int,
    demo_split: bool,
    table: str = "baskets",
    preset: str = "standard",
    volume: str = "model",
    private: bool = False,
) -> dict[str, str]:
    """A project of its own with one table's contract, a little changed; its environment."""
    import duckdb

    from synth_contracts import load_contract

    (folder / "contracts").mkdir(parents=True)
    (folder / "warehouse").mkdir(mode=0o700)
    path = PRIVATE if private else CONTRACTS[table]
    text = path.read_text()
    changes = [("seed: 7", f"seed: {seed}")]
    if not private:
        changes.append(("preset: standard", f"preset: {preset}"))
    if volume != "model":
        changes.append(("volume: model", f"volume: {volume}"))
    for old, new in changes:
        if text.count(old) != 1:
            raise SystemExit(f"{path.name} no longer holds `{old}` exactly once")
        text = text.replace(old, new)
    (folder / "contracts" / path.name).write_text(text)
    split = "splitKey: demo\n" if demo_split else ""
    (folder / "synth-contracts.yml").write_text(
        f"name: shows\n{split}targets:\n  dev:\n    servers:\n"
        "      source: {database: warehouse/source.duckdb}\n"
    )
    frame = tables.load(table, TABLES_CACHE)
    if frame is None:
        raise SystemExit(f"{table} is not at hand")
    name = "transactions" if table == "baskets" else table
    declared = load_contract(path).columns
    with duckdb.connect(str(folder / "warehouse" / "source.duckdb")) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.register("frame", frame)
        # pandas has no dates: a column that the contract declares one is one in the source
        dates = [
            f'CAST("{c.name}" AS DATE) AS "{c.name}"' for c in declared if c.logical_type == "date"
        ]
        chosen = f"* REPLACE ({', '.join(dates)})" if dates else "*"
        connection.execute(f"CREATE TABLE raw.{name} AS SELECT {chosen} FROM frame")
    return {
        "SYNTH_CONTRACTS_KEYS": str(folder.with_name("keys")),
        "SYNTH_SOURCE": str(folder / "warehouse" / "source.duckdb"),
    }


def build_cost() -> dict[str, Any]:
    """Show 2: time and memory of a full build of the demo's table, three runs."""
    runs = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as where:
            folder = Path(where) / "project"
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


def built(
    seed: int,
    *,
    table: str = "baskets",
    preset: str = "standard",
    volume: str = "model",
    private: bool = False,
) -> dict[str, Any]:
    """One contract at one generator seed, with a split key and registry of its own."""
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where) / "project"
        env = project(
            folder, seed=seed, demo_split=False, table=table, preset=preset, volume=volume,
            private=private,
        )  # fmt: skip
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
        "recognized": min(
            (attack["p_value"] for attack in card.get("attacks", []) if "p_value" in attack),
            default=None,
        ),
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


GENERATE = """
import json, resource, sys, time
started = time.perf_counter()
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from synth_contracts import load_contract
from synth_contracts.generate import generate
from synth_contracts.tables import canonical, duckdb_types, resolve, rows_digest, restore
contract, table, wanted = load_contract(sys.argv[1]), pq.read_table(sys.argv[2]), int(sys.argv[3])
if wanted < len(table):
    owner = table[contract.roles.entity_key].to_numpy()
    names = np.unique(owner)
    np.random.default_rng(0).shuffle(names)
    rows = np.cumsum(np.bincount(owner)[names])
    table = table.filter(pa.array(np.isin(owner, names[: np.searchsorted(rows, wanted) + 1])))
schema = resolve(contract, duckdb_types(table))
train = canonical(table, schema)
cpu, began = time.process_time(), time.perf_counter()
made = generate(contract, train, schema, secret_seed=7, rows=len(train), progress=lambda _: None)
print(json.dumps({
    "rows": len(train), "columns": len(table.column_names),
    "seconds": round(time.perf_counter() - began, 1),
    "cpu": round(time.process_time() - cpu, 1),
    "digest": rows_digest(restore(made.frame, schema)),
}))
"""
#: Rows asked for -> (contract, data, seconds and MiB that the whole cold process may take).
GENERATED = {
    "baskets": (155_848, 15, 1_024),
    **{f"items-{rows:07}": (rows, 180, 5_120) for rows in (100_000, 200_000, 400_000, 800_000)},
    "items-1469307": (1_469_307, 180, 5_120),
}


def generator_cost(name: str) -> dict[str, Any]:
    """Fit on a whole table and as many rows sampled: a cold process."""
    rows, seconds, mib = GENERATED[name]
    items = name.startswith("items")
    contract = (
        CONTRACTS["baskets"] if not items else ROOT / "tools" / "contracts" / "items.odcs.yaml"
    )
    command = [
        sys.executable,
        "-c",
        GENERATE,
        str(contract),
        str(items_file() if items else SEED_FILE),
    ]
    run = measured([*command, str(rows)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    if run["exit"] != 0:
        raise SystemExit(run["output"][-2000:])
    said = json.loads(run["output"].strip().splitlines()[-1])
    held = run["wall"] < seconds and run["mib"] < mib
    return {"wall": run["wall"], "mib": run["mib"], **said, "limits": [seconds, mib], "held": held}


STREAM = """
import json, sys, tempfile, time
from pathlib import Path
import pyarrow.parquet as pq
from synth_contracts import load_contract
from synth_contracts.generate import generate
from synth_contracts.tables import canonical, duckdb_types, resolve, restore
from synth_contracts.warehouse import stage_chunks
contract, table = load_contract(sys.argv[1]), pq.read_table(sys.argv[2])
schema, began = resolve(contract, duckdb_types(table)), time.process_time()
train = canonical(table, schema)
made = generate(
    contract, train, schema, secret_seed=7, rows=int(sys.argv[3]), progress=lambda _: None
)
generated = time.process_time()
with tempfile.TemporaryDirectory() as folder:
    work = Path(folder) / "work.duckdb"
    digest = stage_chunks(
        work, contract.table, "run-1", (restore(chunk, schema) for chunk in made.chunks())
    )
    print(json.dumps({
        "rows": made.rows, "chunks": len(made), "digest": digest,
        "generate": round(generated - began, 1),
        "stage": round(time.process_time() - generated, 1),
        "file": work.stat().st_size // 2**20,
    }))
"""


def stream(rows: int) -> dict[str, Any]:
    """Fit on the baskets, many more rows generated and staged chunk by chunk: a cold process."""
    command = [sys.executable, "-c", STREAM, str(CONTRACTS["baskets"]), str(SEED_FILE), str(rows)]
    run = measured(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    if run["exit"] != 0:
        raise SystemExit(run["output"][-2000:])
    said = json.loads(run["output"].strip().splitlines()[-1])
    return {"wall": run["wall"], "mib": run["mib"], **said, "held": run["mib"] < 4_096}


def items_file() -> Path:
    """The line items, which are too large to be shipped."""
    path = Path(os.environ.get("SHOWS_ITEMS", ROOT / "target" / "data" / "items.parquet"))
    if not path.is_file():
        raise SystemExit(f"no line items at {path}: name their Parquet file in SHOWS_ITEMS")
    return path


def items_cost() -> dict[str, Any]:
    """The same of 1,469,307 line items; SHOWS_ITEMS names their Parquet file."""
    contract = ROOT / "tools" / "contracts" / "items.odcs.yaml"
    return evaluated(contract, items_file(), seconds=120, mib=5 * 1024, runs=1)


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


def candidate(
    contract: Any, table: str, seed: int, secret: bytes | None = None
) -> tuple[Any, Any, Any, float]:
    """Schema, split, restored candidate and the CPU seconds it took; nothing is written.

    The split is the demo's where no secret is given.
    """
    from synth_contracts.generate import generate
    from synth_contracts.source.snapshot import SourceTable
    from synth_contracts.source.split import DEMO_SECRET, split
    from synth_contracts.tables import canonical, duckdb_types, resolve, restore, to_arrow

    source = to_arrow(tables.load(table, TABLES_CACHE))
    schema = resolve(contract, duckdb_types(source))
    sides = split(SourceTable(schema, source, "", len(source), ""), contract, secret or DEMO_SECRET)
    started = time.process_time()
    made = generate(
        contract, canonical(sides.train, schema), schema,
        secret_seed=seed, rows=len(source), progress=lambda _: None,
    )  # fmt: skip
    seconds = round(time.process_time() - started, 1)
    return schema, sides, restore(made.frame, schema), seconds


def framed(kind: str, table: str, *, frame: bool) -> dict[str, Any]:
    """SDV's model bare or in the frame of calendar and entities: what the gate says of its days."""
    from dataclasses import replace

    import synth_contracts as sc
    from synth_contracts.contract.model import GeneratorSpec

    contract = sc.load_contract(CONTRACTS[table])
    own = contract.generator
    spec = GeneratorSpec(
        type=kind,
        fit_rows=shows_page.GAN_ROWS if kind == "ctgan" else None,
        calendar=replace(own.calendar, enabled=frame),
        outliers=replace(own.outliers, reject=False),
        parameters={"epochs": shows_page.GAN_EPOCHS} if kind == "ctgan" else {},
    )
    contract = replace(contract, generator=spec)
    _, sides, synthetic, seconds = candidate(contract, table, 7)
    evaluation = sc.evaluate(
        contract, train=sides.train, holdout=sides.holdout, synthetic=synthetic, seed=1,
        controls=False,
    )  # fmt: skip
    verdict = sc.judge(contract, evaluation)
    rules = {
        state.rule_id: {
            "status": state.status,
            "value": state.number,
            "limit": state.threshold,
        }
        for state in verdict.states
    }
    days = {name: rules[name]["status"] for name in shows_page.CALENDAR}
    return {
        "cpu": seconds,
        "outcome": verdict.outcome.value,
        "rules": rules,
        "held": set(days.values()) == {"passed"} if frame else "failed" in days.values(),
    }


#: Neighbours looked at for one of another entity.
NEIGHBOURS = 64


def isolated(table: str, seed: int) -> dict[str, Any]:
    """How many of the most isolated real entities reappear, of train and of the holdout.

    Isolation of a row: distance to the nearest real row of another entity; of an entity: that of
    its most isolated row. The 1 % most isolated entities of train set the cut, and entities of the
    holdout beyond it are compared. One reappears where a synthetic row comes nearer to its most
    isolated row than half the isolation.
    """
    import numpy as np
    from scipy import stats

    import synth_contracts as sc
    from synth_contracts.metrics import Comparison
    from synth_contracts.metrics.neighbours import nearest, search
    from synth_contracts.tables import canonical

    contract = sc.load_contract(CONTRACTS[table])
    schema, sides, synthetic, seconds = candidate(contract, table, seed)
    both = Comparison(
        train=canonical(sides.train, schema), holdout=canonical(sides.holdout, schema),
        synthetic=canonical(synthetic, schema), schema=schema, seed=1,
    )  # fmt: skip
    train, holdout, made = both.vectors
    real = np.concatenate([train, holdout])
    owner = np.concatenate(
        [both.train_side.entity, both.train_side.entities + both.holdout_side.entity]
    )
    distance, place = search(real, real, NEIGHBOURS)
    away = np.where(owner[place] == owner[:, None], np.inf, distance).min(axis=1)
    away = np.where(np.isfinite(away), away, distance[:, -1])  # a lower bound
    order = np.lexsort((away, owner))
    last = order[np.append(np.flatnonzero(np.diff(owner[order])), len(order) - 1)]
    member = np.arange(len(last)) < both.train_side.entities
    count = max(round(0.01 * member.sum()), 10)
    cut = np.sort(away[last][member])[-count]
    chosen = away[last] >= cut
    near = nearest(real[last[chosen]], made)[:, 0]
    back = near < away[last][chosen] / 2
    of_train = member[chosen]
    told = [int(back[of_train].sum()), int(of_train.sum()),
            int(back[~of_train].sum()), int((~of_train).sum())]  # fmt: skip
    chance = float(
        stats.fisher_exact(
            [[told[0], told[1] - told[0]], [told[2], told[3] - told[2]]], alternative="greater"
        ).pvalue
    )
    return {"told": told, "chance": round(chance, 3), "cpu": seconds, "held": chance > 0.05}


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
    **{f"cost-generate-{name}": lambda name=name: generator_cost(name) for name in GENERATED},
    "help": help_time,
    **{
        f"standard-{table}-{seed:02}": lambda table=table, seed=seed: built(seed, table=table)
        for table in shows_page.TABLES
        for seed in MORE_SEEDS.get(table, SEEDS)
    },
    **{
        f"strict-{table}-{seed:02}": lambda table=table, seed=seed: built(
            seed, table=table, preset="strict"
        )
        for table in shows_page.STRICT_TABLES
        for seed in STRICT_SEEDS
    },
    **{
        f"replay-{seed:02}": lambda seed=seed: built(seed, volume="replay") for seed in REPLAY_SEEDS
    },
    **{
        f"private-adult-{seed:02}": lambda seed=seed: built(seed, table="adult", private=True)
        for seed in PRIVATE_SEEDS
    },
    **{
        f"framed-{table}-{kind}-{'frame' if frame else 'bare'}": (
            lambda kind=kind, table=table, frame=frame: framed(kind, table, frame=frame)
        )
        for table in shows_page.FRAMED_TABLES
        for kind in shows_page.FRAMED
        for frame in (False, True)
    },
    **{f"stream-{rows:08}": lambda rows=rows: stream(rows) for rows in (1_000_000, 10_000_000)},
    **{
        f"isolated-{table}-{seed:02}": lambda table=table, seed=seed: isolated(table, seed)
        for table in shows_page.TABLES
        for seed in ISOLATED_SEEDS
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


def found() -> dict[str, Any]:
    """What every job that has run wrote."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def write_page() -> None:
    """docs/shows.md as far as jobs have run; what they do not tell anew stays as it stands."""
    page, new = ROOT / "docs" / "shows.md", shows_page.summary(found(), len(JOBS))
    page.write_text(shows_page.merged(page.read_text(), new) if page.is_file() else new)


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
        write_page()
    write_page()


if __name__ == "__main__":
    main()
