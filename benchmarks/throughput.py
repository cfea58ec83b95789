"""Export of a large release beside DuckDB's COPY of the same rows: seconds, memory, first byte.

    python benchmarks/throughput.py [--rows 10000000] [--rounds 5] [--folder DIR] [--build]

The rows are the shipped baskets over and over, each time of other households, in eight columns. They
are released through the product's door as a candidate that was put together; for `export` they are a
release like any other. With `--build` they are the source, with other amounts and in other weeks for
each household, and `build` releases what it makes of them, which takes memory and time. Then
`export --format parquet` and DuckDB's `COPY ... TO` (Parquet, zstd, of the released view) take turns, each
in a process of its own, first with one thread, both held to one core, then with two. An export reads
back what it wrote and holds it against what was signed; COPY does not. Ends with 1 where the median of the ratios with one thread is below .7 or an export
takes 1 GiB or more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools")]

from batteries.ground import FORMATS, TABLE  # noqa: E402
from batteries.house import POLICY, PROJECT, House  # noqa: E402

SEED = ROOT / "warehouse" / "seeds" / "complete_journey_baskets.parquet"
#: The ratio that must be reached with one thread, and the memory of an export, in MiB.
LIMIT, MIB = 0.7, 1024
#: One COPY: `python -c COPY published.duckdb target threads`.
COPY = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    connection.execute(f"SET threads = {sys.argv[3]}")
    connection.execute(f"COPY (SELECT * FROM release.transactions) TO '{sys.argv[2]}' "
                       "(FORMAT parquet, COMPRESSION zstd)")
"""


#: What `--build` asks: every role of these columns, the rules of the preset for exploration.
CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: urn:synth-contracts:benchmark:transactions
version: 1.0.0
status: active
servers:
  - {server: source, type: duckdb, database: source.duckdb, schema: raw}
schema:
  - name: transactions
    properties:
      - {name: basket_id, logicalType: integer, primaryKey: true, required: true, unique: true}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: exploratory
          k: 10
          codes: [store_id]
          roles: {entityKey: household, timeIndex: stamp, quasiIdentifiers: [store_id, top_department]}
          split: {holdout: 0.3}
          generator: {type: calendar_cart, rows: source, seed: 7}
customProperties:
  - property: export
    vendor: synth-contracts
    value: {formats: [parquet], ticketPattern: "^DATA-[0-9]+$"}
"""
#: Rows of other households, a part of each shifted by whole weeks, with amounts of their own.
SOURCE = """
CREATE TABLE raw.transactions AS
SELECT row_number() OVER () + 1000000 AS basket_id, household_id + 10000 * copy AS household,
       transaction_timestamp + INTERVAL 7 DAY * (hash(copy, household_id) % 6) AS stamp,
       round(amount * (.7 + .6 * share), 2) AS amount, n_items, store_id, top_department,
       round(retail_disc * (.7 + .6 * share), 2) AS retail_disc
FROM (SELECT *, hash(household_id, copy) % 1000 / 1000 AS share FROM baskets, range({copies}) c(copy))
LIMIT {count}
"""


def built(folder: Path, count: int) -> None:
    """A house whose table was released by `build` from a source of so many rows."""
    house = House(folder / "house")
    with duckdb.connect(str(house.root / "source.duckdb")) as connection:
        connection.read_parquet(str(SEED)).create("baskets")
        connection.execute("CREATE SCHEMA raw")
        connection.execute(SOURCE.format(copies=count // len_of(SEED) + 1, count=count))
        connection.execute("DROP TABLE baskets")
    (house.root / "synth-contracts.yml").write_text(PROJECT)
    (house.root / "contracts").mkdir()
    (house.root / "contracts" / "transactions.odcs.yaml").write_text(CONTRACT)
    words = [sys.executable, "-m", "synth_contracts", "--project", str(house.root), "build"]
    env = {**os.environ, "SYNTH_CONTRACTS_KEYS": str(house.key_folder)}
    seconds, mib, _, _ = timed(words, env, None)
    print(f"built {count:,} rows in {seconds:.0f} s, {mib:,.0f} MiB (largest process)", flush=True)


def rows_of(count: int) -> pa.Table:
    """So many rows: the baskets again and again."""
    with duckdb.connect() as connection:
        baskets, copies = connection.read_parquet(str(SEED)), count // len_of(SEED)
        connection.register("copies", pa.table({"copy": range(copies + 1)}))
        baskets.create("baskets")
        return (
            connection.sql(
                "SELECT (row_number() OVER ()) + 1000000 AS basket_id, "
                "household_id + 10000 * copy AS household, transaction_timestamp AS stamp, amount, "
                "n_items, store_id, top_department, retail_disc FROM baskets, copies"
            )
            .limit(count)
            .to_arrow_table()
        )


def len_of(path: Path) -> int:
    """Rows of a Parquet file."""
    return int(pq.read_metadata(path).num_rows)


def released(folder: Path, count: int) -> None:
    """A house with so many rows released."""
    house = House(folder / "house")
    started = time.perf_counter()
    house.release(TABLE, policy=f"{POLICY}, {FORMATS}", data=rows_of(count))
    (house.root / "synth-contracts.yml").write_text(PROJECT)
    print(f"released {count:,} rows in {time.perf_counter() - started:.0f} s", flush=True)


def timed(
    words: list[str], env: dict[str, str], watched: Path | None
) -> tuple[float, float, float, str]:
    """Seconds, MiB at most, seconds to the first byte under ``watched``, and what was printed."""
    started = time.perf_counter()
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)
    first = [float("nan")]

    def look() -> None:
        while watched is not None and process.poll() is None:
            for path in watched.glob("*.partial/data/*.parquet"):
                if path.stat().st_size:
                    first[0] = time.perf_counter() - started
                    return
            time.sleep(0.01)

    watcher = threading.Thread(target=look)
    watcher.start()
    out = process.stdout.read() if process.stdout is not None else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{words} ended with {process.returncode}")
    return seconds, used.ru_maxrss / 1024, first[0], out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the release is made, or lies already")
    parser.add_argument("--build", action="store_true", help="release by `build`, from a source")
    parser.add_argument("--only-release", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.only_release is not None:
        (built if asked.build else released)(asked.only_release, asked.rows)
        return 0
    worst = 0
    with tempfile.TemporaryDirectory() as name:
        folder = asked.folder or Path(name)
        folder.mkdir(exist_ok=True)
        # in a process of its own: a child's peak of memory begins with that of its parent
        made = [sys.executable, __file__, "--rows", str(asked.rows), "--only-release", str(folder)]
        made += ["--build"] * asked.build
        if not (folder / "house" / "published.duckdb").exists():
            subprocess.run(made, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
        house = House(folder / "house")
        exports = house.root / "exports"
        print("| threads | round | COPY s | export s | ratio | first byte s | export MiB |")
        print("|---|---|---|---|---|---|---|")
        for threads in (1, 2):
            held = ["taskset", "-c", "0"] if threads == 1 else []
            env = {
                **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads),
                "SYNTH_CONTRACTS_KEYS": str(house.key_folder),
            }  # fmt: skip
            env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled already
            ratios = []
            for number in range(asked.rounds):
                target = folder / "copy.parquet"
                copy = [sys.executable, "-c", COPY, str(house.published), str(target), str(threads)]
                copied = timed([*held, *copy], env, None)[0]
                target.unlink()
                words = [sys.executable, "-m", "synth_contracts", "--project", str(house.root), "export",
                         TABLE, "--ticket", f"DATA-{number}", "--format", "parquet", "--json"]  # fmt: skip
                taken, mib, first, out = timed([*held, *words], env, exports)
                told = json.loads(out)
                if told["rows"] != asked.rows:  # `rows: source` makes as many as there were
                    raise SystemExit(f"{told['rows']:,} rows were exported")
                subprocess.run(["rm", "-r", told["path"]], check=True)
                ratios.append(copied / taken)
                worst = max(worst, int(mib >= MIB))
                print(
                    f"| {threads} | {number + 1} | {copied:.2f} | {taken:.2f} | {ratios[-1]:.2f} | "
                    f"{first:.2f} | {mib:,.0f} |",
                    flush=True,
                )
            print(f"| {threads} | median | | | {statistics.median(ratios):.2f} | | |", flush=True)
            worst = max(worst, int(threads == 1 and statistics.median(ratios) < LIMIT))
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
