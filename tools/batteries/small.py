"""The smallest project that the shipped `build` releases: 600 people, one rule, a few seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from batteries.ground import TABLE, Answer, Ground
from batteries.house import PROJECT, House

#: Each side of the split needs 200; at 450 one build in sixty had fewer on one side.
PEOPLE = 600
CONTRACT = f"""\
apiVersion: v3.2.0
kind: DataContract
id: {TABLE}
version: 1.0.0
servers:
  - {{server: source, type: duckdb, database: source.duckdb, schema: raw}}
schema:
  - name: {TABLE}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          roles: {{entityKey: person}}
          split: {{holdout: 0.5}}
          generator: {{seed: 1, calendar: false, outliers: false}}
    quality:
      - id: membership_inference
        type: custom
        engine: greatExpectations
        implementation:
          type: expect_table_membership_inference_to_be_at_most
          kwargs: {{max_value: 0.9}}
customProperties:
  - property: export
    vendor: synth-contracts
    value: {{ticketPattern: "^DATA-[0-9]+$", tokenTtl: 15m, formats: [parquet, csv, arrow],
            maxExportsPerTicketPerDay: 10000}}
"""


def source(people: int = PEOPLE) -> pa.Table:
    """A row for each person."""
    numbers = range(people)
    return pa.table(
        {
            "person": pa.array(numbers, pa.int64()),
            "town": pa.array(["a", "b", "c"][i % 3] for i in numbers),
            "amount": pa.array([float(i * 37 % 101) for i in numbers], pa.float64()),
        }
    )


def write_project(root: Path, contract: str = CONTRACT, rows: pa.Table | None = None) -> Ground:
    """The project's files, nothing built; its keys will lie beside it."""
    place = Ground(House(root))
    (root / "contracts").mkdir()
    (root / "contracts" / f"{TABLE}.odcs.yaml").write_text(contract, encoding="utf-8")
    (root / "synth-contracts.yml").write_text(PROJECT, encoding="utf-8")
    write_source(root / "source.duckdb", TABLE, source() if rows is None else rows)
    return place


def write_source(path: Path, table: str, rows: pa.Table) -> None:
    """A source file that holds one table, made with plain DuckDB."""
    quoted = '"' + table.replace('"', '""') + '"'
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.register("incoming", rows)
        connection.execute(f"CREATE TABLE raw.{quoted} AS SELECT * FROM incoming")


@contextmanager
def small_ground(*, build: bool = True) -> Iterator[Ground]:
    """Such a project in a folder of its own, built once. Raises RuntimeError when it is blocked."""
    with tempfile.TemporaryDirectory(prefix="battery-") as folder:
        place = Path(folder) / "first"
        place.mkdir()
        made = write_project(place / "house")
        if build and (answer := built(made)).code:
            raise RuntimeError(f"the smallest project was not released: {answer.err}")
        yield made


def built(place: Ground) -> Answer:
    """The shipped `build`, in this process."""
    return place.command("build", "--full-refresh")
