"""The whole evaluation in processes of their own: same seed, same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

CONTRACT = Path(__file__).parents[2] / "contracts" / "transactions.odcs.yaml"

RUN = """
import json, sys
import pandas as pd
from synth_contracts import evaluate, load_contract
from synth_contracts.evaluation import evaluation_to_json
from synth_contracts.expectations import measured
from synth_contracts.metrics import neighbours
neighbours.EXACT_PAIRS = int(sys.argv[2])
if sys.argv[4] == "together":
    measured._MANY_ROWS = 0
tables = {name: pd.read_parquet(f"{sys.argv[1]}/{name}.parquet")
          for name in ("train", "holdout", "synthetic")}
record = evaluation_to_json(evaluate(load_contract(sys.argv[3]), **tables, seed=3))
record.pop("timings")
if record["controls"]:
    record["controls"].pop("seconds", None)
assert any(kind["curve"] for kind in record["controls"]["kinds"])
assert record["controls"]["null"]["readings"]
print(json.dumps(record, sort_keys=True))
"""


def test_threads_and_hash_seeds_change_no_bit(
    thirds: Mapping[str, pd.DataFrame], tmp_path: Path
) -> None:
    """Every metric, the positive control and the null; the large search is made approximate.

    Two threads measure as they do where rows are many: two metrics at a time.
    """
    for name, frame in thirds.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    seen = set()
    for threads, hash_seed, company in (("1", "0", "alone"), ("2", "1", "together")):
        env = {
            **os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(tmp_path), "2000000", str(CONTRACT), company],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        seen.add(done.stdout)
    assert len(seen) == 1
