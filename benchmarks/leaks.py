"""`trace FILE` over many past exports of one release: seconds, memory, and whom it names.

    python benchmarks/leaks.py [--exports 10000] [--rows 500 2000 20000] [--folder DIR]

A project of the shipped 155,848 baskets is released with a fingerprint and exported once through the
command. The other exports are entered in the ledger as an export enters them (issued, started,
sealed, delivered), in one transaction, because writing ten thousand bundles takes a day; for `trace`
they are like any other. Then rows of the one bundle are leaked without its two keys and two other
columns, shuffled, a fifth of them edited, and traced by the shipped command in a process of its own.
Ends with 1 where a trace takes 30 seconds or more, or names anybody but the leaked token.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools")]

from batteries.ground import FORMATS, TABLE, Ground  # noqa: E402
from batteries.house import POLICY, PROJECT, House  # noqa: E402
from batteries.leaks import BASKETS, leaked  # noqa: E402

from synth_contracts.delivery.journal import DELIVERED, ISSUED, SEALED, STARTED  # noqa: E402
from synth_contracts.release import Registry  # noqa: E402
from synth_contracts.release.ledger import make_entry  # noqa: E402
from synth_contracts.warehouse import published as sql  # noqa: E402

#: Seconds that a trace may take.
LIMIT = 30.0


def project(folder: Path) -> tuple[Ground, dict[str, Any]]:
    """A released project with one export; what `export --json` said of it."""
    house = House(folder / "house")
    frame = pd.read_parquet(BASKETS / "complete_journey_baskets.parquet")
    frame = frame.rename(columns={"household_id": "household"})
    data = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    house.release(TABLE, policy=f"{POLICY}, {FORMATS}, fingerprint: true", data=data)
    (house.root / "synth-contracts.yml").write_text(PROJECT)
    place = Ground(house)
    answer = place.export("DATA-1", "--format", "parquet")
    if answer.code:
        raise SystemExit(answer.err)
    told: dict[str, Any] = json.loads(answer.out)
    return place, told


def enter(registry: Registry, count: int) -> None:
    """Enter ``count`` further exports of the release that was exported once."""
    issued = registry.entries(ISSUED)[0].body
    entries = registry.entries()
    seq, before = len(entries), registry.head()
    at = registry.now().isoformat(timespec="milliseconds")
    rows = []
    with registry._database.transaction():
        for number in range(count):
            jti = uuid.uuid4().hex
            seal = sha256(jti.encode()).hexdigest()
            bodies: tuple[tuple[str, dict[str, Any]], ...] = (
                (ISSUED, {**issued, "jti": jti, "ticket": f"DATA-{number + 2}"}),
                (STARTED, {"jti": jti, "use_no": 1, "release_id": issued["release"]}),
                (SEALED, {"jti": jti, "data_sha256": seal, "data_bytes": 1,
                          "tagmanifest_sha256": seal, "release_id": issued["release"]}),
                (DELIVERED, {"jti": jti, "release_id": issued["release"]}),
            )  # fmt: skip
            for kind, body in bodies:
                seq += 1
                entry = make_entry(seq, at, kind, body, before)
                rows.append(entry.row())
                before = entry.hash
        columns = zip(*rows, strict=True)
        table = pa.table(dict(zip(sql.LEDGER_COLUMNS, map(list, columns), strict=True)))
        registry._database._with(table, "INSERT INTO registry.ledger SELECT * FROM incoming")
        registry._anchor.intend(before)
    registry._anchor.committed(before)


def traced(place: Ground, path: Path) -> tuple[float, float, dict[str, Any]]:
    """Wall and CPU seconds of one `trace` in a process of its own, and what it said."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    before, started = used.ru_utime + used.ru_stime, time.perf_counter()
    command = [sys.executable, "-m", "synth_contracts", "--project", str(place.root)]
    done = subprocess.run(
        [*command, "trace", str(path), "--json"], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, used.ru_utime + used.ru_stime - before, json.loads(done.stdout)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--exports", type=int, default=10_000)
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 2_000, 20_000])
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args(arguments)
    worst = 0
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        place, told = project(Path(folder))
        with place.house.registry() as registry:
            enter(registry, asked.exports - 1)
        held = pd.read_parquet(Path(told["path"]) / told["data_file"])
        print("| exports | leaked rows | rows that tell | seconds | CPU s | MiB | bound | named |")
        print("|---|---|---|---|---|---|---|---|")
        for number, rows in enumerate(asked.rows):
            path = Path(folder) / "leak.csv"
            leaked(held, rows, np.random.default_rng(number), keys=False).to_csv(path, index=False)
            wall, cpu, found = traced(place, path)
            names = [one["jti"] for one in found["named"]]
            bound = found["named"][0]["bound"] if names else found["closest_bound"]
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            right = "its own token" if names == [told["jti"]] else f"{len(names)} tokens"
            print(
                f"| {found['scored']:,} | {rows:,} | {found['rows_told']:,} | {wall:.1f} | "
                f"{cpu:.1f} | {memory:,} | {bound:.1e} | {right} |",
                flush=True,
            )
            worst = max(worst, int(wall >= LIMIT or names != [told["jti"]]))
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
