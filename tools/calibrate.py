"""`make calibrate`: what fresh real rows and planted leaks read, over five real tables.

Each job is one table, one kind (fresh entities, or fresh entities with one kind of leak) and one
seed, which draws the split in thirds and the leak. All metrics that any preset asks are measured
once; the presets' limits are applied when the page is written, so that changed limits need no new
measurement. Results are lines of target/calibration/<table>.jsonl, and nothing that stands there is
measured again: stop and start as you like.

A measurement counts only for the code it was made with: the metric's module and all that it
imports (comments, docstrings and layout aside), the leaks, the table and its contract. A changed
metric alone is measured again, the others are kept.
"""

from __future__ import annotations

import argparse
import ast
import functools
import hashlib
import importlib.metadata
import json
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tables

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "synth_contracts"
PAGE = ROOT / "docs" / "calibration.md"
PRESETS = ("strict", "standard", "exploratory")
NULL_SPLITS = 300
LEAKS_OF_A_KIND = 50
#: Splits of a kind on a table on which nothing is demanded of it.
UNDEMANDED = 5
#: Rooms whose code decides a measurement; the contract's room decides only what is asked.
MEASURING_ROOMS = ("metrics", "tables", "coarsening")


@dataclass(frozen=True)
class Kind:
    """A kind of synthetic table. ``share`` of its rows (``whole``: entities) are leaked.

    ``demand``: None where the kind is reported alone, else the share of splits that are to be
    FAILED. ``on`` names the attribute of a table that says whether the demand holds there.
    """

    name: str
    words: str
    demand: float | None = None
    on: str | None = None


KINDS = {
    kind.name: kind
    for kind in (
        Kind("null", "fresh entities, no leak"),
        Kind("bootstrap", "rows of train drawn with replacement", 0.96),
        Kind("exact", "1 % of the rows are random train rows as they are", 0.96, "noisy"),
        Kind("isolated", "1 % are the train rows farthest from any holdout row", 0.96),
        Kind("whole", "1 % of the entities are the largest of train, with all rows", 0.96, "whole"),
        Kind(
            "noisy",
            "5 % are noisy copies of random train rows, dates moved by -1, 0 or 1 day",
            0.96,
            "noisy",
        ),
        Kind("shifted", "as noisy, but every date moves by one day to either side", None, "none"),
        Kind("interpolated", "5 % lie between two like train rows", None, "none"),
        Kind("near", "5 % are train rows moved by one unit of the last digit", None, "none"),
    )
}


@dataclass(frozen=True)
class Job:
    """One evaluation. ``demanded`` tells whether a demand of the kind counts it."""

    table: str
    kind: str
    seed: int
    demanded: bool

    @property
    def key(self) -> tuple[str, str, int]:
        """What names a job in the records."""
        return self.table, self.kind, self.seed


def demanded(table: tables.Table, kind: Kind) -> bool:
    """Whether the splits of ``kind`` on ``table`` count among its fifty."""
    return kind.on is None or bool(getattr(table, kind.on, False))


def plan(present: Mapping[str, tables.Table], *, quick: bool = False) -> list[Job]:
    """All jobs, seed by seed, so that an unfinished run holds some of everything.

    300 nulls and 50 of each leak over the tables that are present, in equal parts, and ten of a
    kind on tables that its demand leaves out. ``quick``: a tenth of all.
    """
    jobs = []
    for kind in KINDS.values():
        inside = [name for name, table in present.items() if demanded(table, kind)]
        total = NULL_SPLITS if kind.name == "null" else LEAKS_OF_A_KIND
        each = math.ceil(total / max(1, len(inside)))
        for name in present:
            roles = contract_of(name).roles
            if (kind.name == "whole" and roles.entity_key is None) or (
                kind.name == "shifted" and roles.time_index is None
            ):
                continue
            count = each if name in inside else UNDEMANDED
            count = math.ceil(count / 10) if quick else count
            jobs += [Job(name, kind.name, seed, name in inside) for seed in range(1, count + 1)]
    return sorted(jobs, key=lambda job: (job.seed, list(present).index(job.table)))


# What a job measures


@functools.cache
def contract_of(name: str) -> Any:
    """The contract of a table, as it stands in its file."""
    import synth_contracts as sc

    return sc.load_contract(tables.TABLES[name].contract)


@functools.cache
def settled(name: str, preset: str, kinds: tuple[tuple[str, str], ...]) -> Any:
    """The contract of a table under ``preset``, without the rules that its columns rule out."""
    from synth_contracts.contract.expand import settle

    return settle(replace(contract_of(name), preset=preset), dict(kinds))


def rule_key(metric: str, column: str | None, options: Mapping[str, Any]) -> str:
    """What names a measurement in a record."""
    return json.dumps([metric, column, dict(options)], sort_keys=True, default=list)


@functools.cache
def asked(
    name: str, kinds: tuple[tuple[str, str], ...], *, all_rules: bool
) -> dict[str, tuple[str, Any, Any]]:
    """Key -> (metric, column, options) of what any preset judges or reports.

    ``all_rules`` of null tables; of leaks only what a privacy rule judges: they are to be seen by
    those alone.
    """
    from synth_contracts.metrics import METRICS

    found = {}
    for preset in PRESETS:
        contract = settled(name, preset, kinds)
        wanted = [(rule.metric, rule.column, rule.options) for rule in contract.rules]
        wanted += [(metric, None, {}) for metric in contract.report_only]
        for one in wanted:
            if one[0] in METRICS and (all_rules or METRICS[one[0]].family == "privacy"):
                found[rule_key(*one)] = one
    return found


def split_of(job: Job, frame: Any) -> Any:
    """The thirds of a job: the same for all kinds of a table and seed."""
    import leaks

    roles = contract_of(job.table).roles
    return leaks.thirds(frame, roles.entity_key, job.seed, tables.TABLES[job.table].units)


def synthetic_of(job: Job, split: Any) -> Any:
    """The synthetic table of a job."""
    import leaks

    contract = contract_of(job.table)
    entity, codes, seed = contract.roles.entity_key, contract.codes, job.seed
    keys = keys_of(contract)
    kinds = {
        "null": lambda: split.fresh,
        "bootstrap": lambda: leaks.bootstrap(split, keys, seed),
        "exact": lambda: leaks.exact(split, keys, seed),
        "isolated": lambda: leaks.isolated(split, keys, seed),
        "whole": lambda: leaks.whole(split, entity, keys, seed),
        "noisy": lambda: leaks.noisy(split, keys, codes, seed),
        "shifted": lambda: leaks.noisy(split, keys, codes, seed, days=(-1, 1)),
        "interpolated": lambda: leaks.interpolated(split, keys, codes, entity, seed),
        "near": lambda: leaks.near_copies(
            split, keys, leaks.numbers(split.train, keys, codes), _clock(contract), seed, 0.05
        ),
    }
    return kinds[job.kind]()


def keys_of(contract: Any) -> list[str]:
    """Primary keys and the entity key: never copied."""
    entity = contract.roles.entity_key
    own = [column.name for column in contract.columns if column.primary_key]
    return [*own, *([entity] if entity else [])]


def _clock(contract: Any) -> str | None:
    """The time index, where it has hours."""
    name = contract.roles.time_index
    column = contract.column(name) if name else None
    return None if column is not None and column.logical_type == "date" else name


def to_arrow(frame: Any, contract: Any) -> Any:
    """A frame as Arrow; columns that the contract calls dates as dates."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    for column in contract.columns:
        if column.logical_type == "date":
            place = table.schema.get_field_index(column.name)
            dates = table.column(place).cast(pa.date32(), safe=False)
            table = table.set_column(place, column.name, dates)
    return table


def measure(job: Job, frame: Any, wanted: set[str] | None = None) -> dict[str, Any]:
    """The record of one job.

    Args:
        job: what to make.
        frame: the table's real rows.
        wanted: keys of the measurements to make; None for all.
    """
    from synth_contracts import metrics
    from synth_contracts.coarsening import Coarsening
    from synth_contracts.expectations.measured import Measuring, result_to_json
    from synth_contracts.tables import canonical, duckdb_types, resolve

    started = time.process_time()
    contract = contract_of(job.table)
    split = split_of(job, frame)
    sides = {"train": split.train, "holdout": split.holdout, "synthetic": synthetic_of(job, split)}
    arrow = {name: to_arrow(side, contract) for name, side in sides.items()}
    schema = resolve(contract, duckdb_types(arrow["train"]))
    kinds = tuple((field.name, str(field.kind)) for field in schema.fields)
    comparison = metrics.Comparison(
        **{name: canonical(table, schema) for name, table in arrow.items()},
        schema=schema,
        k=contract.k,
        seed=job.seed,
        coarsening=Coarsening.of(contract),
    )
    measuring = Measuring(comparison)
    codes = metric_digests()
    results = {}
    for key, (metric, column, options) in asked(
        job.table, kinds, all_rules=job.kind == "null"
    ).items():
        if wanted is None or key in wanted:
            result = result_to_json(measuring.measure(metric, column, options))
            for aside in ("details", "method", "compared_with"):
                result.pop(aside, None)
            results[key] = {"code": codes[metric], **result}
    entity = contract.roles.entity_key
    return {
        "table": job.table,
        "kind": job.kind,
        "seed": job.seed,
        "data": data_digest(job.table),
        "kinds": list(kinds),
        "rows": {name: len(side) for name, side in sides.items()},
        "entities": {
            name: len(side) if entity is None else int(side[entity].nunique())
            for name, side in sides.items()
        },
        "results": results,
        "timings": measuring.timings,
        "seconds": round(time.process_time() - started, 2),
        "at": round(time.time()),
        "commit": commit(),
        "versions": versions(),
    }


# Digests: for which code a measurement counts


def _code(path: Path) -> str:
    """A module as its syntax tree, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)


def _imports(path: Path) -> Iterator[Path]:
    """Modules of the measuring rooms that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            head, *tail = name.split(".")
            if head == "synth_contracts" and tail and tail[0] in MEASURING_ROOMS:
                file = PACKAGE.joinpath(*tail)
                yield from (
                    f for f in (file.with_suffix(".py"), file / "__init__.py") if f.exists()
                )


@functools.cache
def _read_once(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Code and imports of a module; most modules stand behind most metrics."""
    return _code(path), tuple(_imports(path))


@functools.cache
def _module_digest(path: Path) -> str:
    seen, todo = set(), [path]
    while todo:
        one = todo.pop()
        # the registry only lists: what it lists would make every metric depend on every other
        if one not in seen and one != PACKAGE / "metrics" / "registry.py":
            seen.add(one)
            todo += _read_once(one)[1]
    text = "\n".join(f"{file.relative_to(PACKAGE)}\n{_read_once(file)[0]}" for file in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def metric_digests() -> dict[str, str]:
    """Metric id -> digest of its module and all that it imports of the measuring rooms."""
    from synth_contracts.metrics import METRICS

    return {
        name: _module_digest(Path(sys.modules[metric.measure.__module__].__file__ or ""))
        for name, metric in METRICS.items()
    }


@functools.cache
def data_digest(table: str) -> str:
    """Digest of what makes the tables of a job: leaks, loaders, contract and sizes."""
    here = Path(__file__).resolve().parent
    contract = tables.TABLES[table].contract.read_text(encoding="utf-8")
    lines = [line.split(" #")[0] for line in contract.splitlines() if not line.startswith("#")]
    parts = [
        _code(here / "leaks.py"),
        *lines,
        str(tables.TABLES[table].units),
        str(tables.TABLES[table].first),
    ]
    if table in tables.PACKAGES:
        parts.append(str(tables.PACKAGES[table]))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@functools.cache
def commit() -> str:
    """The commit of the checkout, with a mark where code was changed since."""

    def said(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = said("status", "--porcelain", "--", "synth_contracts", "tools")
    return (said("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if changed else "")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what a measurement may depend on."""
    names = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn")
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }


# Records


def read(folder: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The records of jobs whose tables are those of today; later lines add to earlier ones."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # a line that was cut off by a crash
                continue
            name = record["table"]
            if name not in tables.TABLES or record["data"] != data_digest(name):
                continue
            key = (name, record["kind"], record["seed"])
            before = found.get(key)
            if before is not None:
                record["results"] = {**before["results"], **record["results"]}
                record["timings"] = {**before["timings"], **record["timings"]}
                record["seconds"] = round(before["seconds"] + record["seconds"], 2)
            found[key] = record
    return found


def missing(record: Mapping[str, Any] | None, job: Job) -> set[str] | None:
    """Keys that a job still has to measure; None for all of them."""
    if record is None:
        return None
    kinds = tuple((name, kind) for name, kind in record["kinds"])
    codes = metric_digests()
    return {
        key
        for key, (metric, _, _) in asked(job.table, kinds, all_rules=job.kind == "null").items()
        if record["results"].get(key, {}).get("code") != codes[metric]
    }


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Append one record."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{record['table']}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, allow_nan=False) + "\n")


# Running

_FRAMES: dict[str, Any] = {}


def _run(job: Job, wanted: set[str] | None, cache: Path) -> dict[str, Any]:
    """One job in a worker process, which keeps the tables that it has read."""
    if job.table not in _FRAMES:
        _FRAMES[job.table] = tables.extract(job.table, cache)
    return measure(job, _FRAMES[job.table], wanted)


def run(jobs: list[Job], target: Path, processes: int) -> int:
    """Run what is missing of ``jobs``; the number of jobs that broke."""
    folder = target / "calibration"
    there = read(folder)
    todo = [(job, gap) for job in jobs if (gap := missing(there.get(job.key), job)) != set()]
    print(f"{len(jobs) - len(todo)} of {len(jobs)} jobs are there, {len(todo)} to run", flush=True)
    # the sides are small: a thread pool per process would only fight for the cores
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    broken, begun, told = 0, time.monotonic(), time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        waiting = {pool.submit(_run, job, gap, target / "tables"): job for job, gap in todo}
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                try:
                    write(folder, future.result())
                except Exception as error:  # noqa: BLE001 - one broken job must not end the run
                    broken += 1
                    print(f"{waiting[future]}: {type(error).__name__}: {error}", flush=True)
                if time.monotonic() - told > 15 or done == len(todo):
                    told = time.monotonic()
                    each = (told - begun) / done
                    left = each * (len(todo) - done) / 60
                    print(
                        f"{done} of {len(todo)}, one every {each:.1f} s, about {left:.0f} min left",
                        flush=True,
                    )
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return broken


def main() -> int:
    import calibration_page

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument(
        "--only", action="append", help="a table, a kind, or table/kind; repeatable"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the splits")
    parser.add_argument("--report", action="store_true", help="only write the page")
    parser.add_argument(
        "--stale", action="store_true", help="a draft page, measurements of earlier code among it"
    )
    parser.add_argument(
        "--target", type=Path, default=ROOT / "target", help="folder of the records"
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write")
    options = parser.parse_args()
    present = {}
    for name, table in tables.TABLES.items():
        if name == "adult" and not tables.ADULT.exists():
            print(f"{name} is left out: it is not at hand")
            continue
        if not options.report:
            tables.load(name, options.target / "tables")  # once, before the processes ask for it
        present[name] = table
    jobs = plan(present, quick=options.quick)
    chosen = [job for job in jobs if not options.only or _named(job) & set(options.only)]
    broken = 0 if options.report else run(chosen, options.target, options.jobs)
    records = read(options.target / "calibration")
    text = calibration_page.page(plan(present), records, stale=options.stale)
    options.page.write_text(text, encoding="utf-8")
    print(f"written: {options.page}")
    return 1 if broken else 0


def _named(job: Job) -> set[str]:
    return {job.table, job.kind, f"{job.table}/{job.kind}"}


if __name__ == "__main__":
    import calibrate  # the module under its own name, which the page imports too

    sys.exit(calibrate.main())
