"""Measures recognized_entities: ten certain copies among many rows, and false alarms.

    python tools/recognized.py out.jsonl [--fast] [--cache FOLDER] [--minutes N]

A table is split at random by entity in three equal parts: train, holdout and fresh entities as the
synthetic table (the null). Ten rows of ten random train entities are then added under new keys,
ten times per split. Each split is one line of the file; a second call goes on where the first
ended, and prints the summary.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tables

from synth_contracts.contract import load_contract
from synth_contracts.metrics import Comparison, attacks, measure
from synth_contracts.metrics.privacy.recognized_entities import recognized
from synth_contracts.tables import canonical, duckdb_types, resolve

COPIES = 10
PLANTINGS = 10


@dataclass(frozen=True)
class Job:
    """One split: ``entities`` of the table in thirds (None: all of them)."""

    table: str
    entities: int | None
    seed: int


def jobs(fast: bool) -> list[Job]:
    """All splits, the large ones first."""
    large = [Job(name, None, seed) for seed in range(1 if fast else 2) for name in tables_used()]
    sizes = {"baskets": (660, 1200), "flights": (660, 1200)}
    small = [
        Job(name, size, seed)
        for seed in range(8 if fast else 30)
        for name in tables_used()
        for size in sizes[name]
    ]
    return large + small


def tables_used() -> tuple[str, ...]:
    """Wide tables with entities and a time index."""
    return ("baskets", "flights")


def compare(job: Job, cache: Path) -> Comparison:
    """The null of a job: train, holdout and fresh entities as the synthetic table."""
    frame = tables.load(job.table, cache)
    contract = load_contract(tables.TABLES[job.table].contract)
    key = contract.roles.entity_key
    frame = frame[frame[key].notna()]
    rng = np.random.default_rng([job.seed, 7])
    keys = rng.permutation(np.sort(frame[key].unique()))[: job.entities]
    third = dict(zip(keys, np.arange(len(keys)) % 3, strict=True))
    part = frame[key].map(third)
    sides = [
        pa.Table.from_pandas(frame[part == i].reset_index(drop=True), preserve_index=False)
        for i in range(3)
    ]
    schema = resolve(contract, duckdb_types(sides[0]))
    return Comparison(*(canonical(side, schema) for side in sides), schema=schema, seed=job.seed)


def planted(comparison: Comparison, seed: int) -> dict[str, Any]:
    """Lower bound and estimate when COPIES rows of as many train entities are added."""
    rng = np.random.default_rng([seed, 11])
    nearby, people = comparison.nearby, comparison.candidates
    train = comparison.train_side.entity
    who = rng.choice(people.members, COPIES, replace=False)
    rows = np.array([rng.choice(np.flatnonzero(train == e)) for e in who])
    vectors = np.concatenate(comparison.vectors[:2])
    near, synthetic_row = nearby.near.copy(), nearby.synthetic_row.copy()
    first = len(people.synthetic)
    for i, copy in enumerate(vectors[rows]):
        distance = np.sqrt(np.sum((vectors - copy).astype(np.float64) ** 2, axis=1))
        closer = distance < near
        near[closer], synthetic_row[closer] = distance[closer], first + i
    holders = np.append(people.synthetic, people.synthetic.max() + 1 + np.arange(COPIES))
    scores = attacks.entity_scores(
        replace(nearby, near=near, synthetic_row=synthetic_row),
        replace(people, synthetic=holders),
        comparison.calendar,
    )
    found = [recognized(s, people.members, len(scores), rng) for s in scores.values()]
    best = max(found, key=lambda r: r.interval.bound_lower)
    return {"lower": best.interval.bound_lower, "value": best.value}


def run(job: Job, cache: Path) -> dict[str, Any]:
    """The record of one split."""
    comparison = compare(job, cache)
    null = {
        name: measure(name, comparison)
        for name in (
            "recognized_entities",
            "membership_inference",
            "entity_membership_inference",
            "outlier_membership_inference",
        )
    }
    return {
        **asdict(job),
        "rows": comparison.train_side.rows + comparison.holdout_side.rows,
        "sides": [comparison.candidates.members, comparison.candidates.others],
        "null": {name: getattr(found, "value", None) for name, found in null.items()},
        "null_lower": getattr(null["recognized_entities"], "bound_lower", None),
        "copies": [planted(comparison, 100 * job.seed + i) for i in range(PLANTINGS)],
    }


def summary(records: list[dict[str, Any]]) -> str:
    """One line per table and size."""
    lines = ["| table | candidate rows | entities a side | splits | null > 0 | copies seen |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for table, entities in dict.fromkeys((r["table"], r["entities"]) for r in records):
        group = [r for r in records if (r["table"], r["entities"]) == (table, entities)]
        copies = [c["lower"] > 0 for r in group for c in r["copies"]]
        lines.append(
            f"| {table} | {round(np.mean([r['rows'] for r in group]))} | {group[0]['sides'][0]} | "
            f"{len(group)} | {sum(r['null_lower'] > 0 for r in group)} | "
            f"{sum(copies)} of {len(copies)} |"
        )
    for name in records[0]["null"] if records else ():
        values = np.array([r["null"][name] for r in records])
        lines.append(
            f"{name} of fresh entities: mean {values.mean():.2f}, sd {values.std():.2f}, "
            f"largest {values.max():.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing in the file and prints the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--fast", action="store_true", help="fewer splits")
    parser.add_argument("--small", action="store_true", help="leave the whole tables out")
    parser.add_argument("--cache", type=Path, default=Path("target/tables"))
    parser.add_argument("--minutes", type=float, default=10.0, help="begin no split after that")
    given = parser.parse_args()
    lines = given.file.read_text().splitlines() if given.file.exists() else []
    records = [json.loads(line) for line in lines]
    done = {(r["table"], r["entities"], r["seed"]) for r in records}
    started = time.monotonic()
    for job in jobs(given.fast):
        late = time.monotonic() - started > 60 * given.minutes
        if late or (job.table, job.entities, job.seed) in done:
            continue
        if given.small and job.entities is None:
            continue
        records.append(run(job, given.cache))
        with given.file.open("a") as stream:
            stream.write(json.dumps(records[-1]) + "\n")
    print(summary(records))


if __name__ == "__main__":
    main()
