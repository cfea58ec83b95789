"""The demo: load the shipped baskets, build both contracts, export the one that passed.

Checks as it goes: `build` must end with exit code 1 (one of two blocked), the blocked table must
not be in the release schema, the released one must hold as many rows as the source.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[1]
WAREHOUSE = ROOT / "warehouse"
SEED = WAREHOUSE / "seeds" / "complete_journey_baskets.parquet"
SOURCE = WAREHOUSE / "source.duckdb"
COMMAND = Path(sys.executable).parent / "synth-contracts"


def load_source() -> int:
    """Make the source database once; the number of its rows."""
    if not SOURCE.exists():
        print(f"loading {SEED.relative_to(ROOT)} into {SOURCE.relative_to(ROOT)}")
        partial = SOURCE.with_name("source.duckdb.partial")
        partial.unlink(missing_ok=True)
        with duckdb.connect(str(partial)) as connection:
            connection.execute("CREATE SCHEMA raw")
            connection.execute(
                "CREATE TABLE raw.transactions AS SELECT * FROM read_parquet(?)", [str(SEED)]
            )
        partial.rename(SOURCE)
    with duckdb.connect(str(SOURCE), read_only=True) as connection:
        return int(connection.sql("SELECT count(*) FROM raw.transactions").fetchall()[0][0])


def run(*arguments: str) -> int:
    """Run synth-contracts in the demo project, output shown; its exit code."""
    print(f"\n$ synth-contracts {' '.join(arguments)}", flush=True)
    return subprocess.run([str(COMMAND), *arguments], cwd=ROOT, check=False).returncode


def check(held: bool, claim: str) -> None:
    if not held:
        sys.exit(f"\ndemo: NOT as it should be: {claim}")
    print(f"demo: checked: {claim}")


def main() -> None:
    rows = load_source()
    code = run("build")
    print()
    check(code == 1, f"build ended with exit code 1, since one table is blocked (it was {code})")
    with duckdb.connect(str(WAREHOUSE / "published.duckdb"), read_only=True) as connection:
        views = {
            name
            for (name,) in connection.sql(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'release'"
                " AND table_type = 'VIEW'"
            ).fetchall()
        }
        check(views == {"transactions"}, f"the release schema shows transactions only ({views})")
        released = connection.sql("SELECT count(*) FROM release.transactions").fetchall()[0][0]
    check(released == rows, f"release.transactions holds as many rows as the source: {released:,}")
    check(run("export", "transactions", "--ticket", "DATA-123") == 0, "the export was written")
    check(run("export", "transactions_gan", "--ticket", "DATA-123") == 5,
          "the blocked table cannot be exported (exit code 5)")  # fmt: skip
    print("\nopen these in a browser:")
    for table in ("transactions", "transactions_gan"):
        card = subprocess.run(
            [str(COMMAND), "report", table], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()
        print(f"  report card of {table}: {card}")
    docs = sorted((ROOT / "gx" / "uncommitted" / "data_docs").rglob("index.html"))
    check(bool(docs), "Data Docs were written")
    print(f"  Data Docs: {docs[0]}")


if __name__ == "__main__":
    main()
