"""Nothing of the holdout reaches the synthetic table."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pandas as pd

from synth_contracts.contract import load_contract
from synth_contracts.signing import KeyFolder
from synth_contracts.source import read_source, split


def rows_of(project) -> pd.DataFrame:
    with duckdb.connect(str(project.published), read_only=True) as connection:
        return connection.sql("SELECT * FROM release.transactions ORDER BY basket_id").df()


def test_changing_every_value_of_the_holdout_changes_no_synthetic_byte(
    built, few_baskets: pd.DataFrame
) -> None:
    before = rows_of(built)
    card = json.loads((built.folder / "target" / "run_results.json").read_text())
    contract = load_contract(built.folder / "contracts" / "transactions.odcs.yaml")
    source = read_source(contract, str(built.source))
    parts = split(source, contract, KeyFolder.open(built.folder / "keys").secret())
    held = set(parts.holdout.column("household_id").to_pylist())
    assert 200 <= len(held) < few_baskets["household_id"].nunique()

    changed = few_baskets.copy()
    mask = changed["household_id"].isin(held).to_numpy()
    rng = np.random.default_rng(5)
    for name in changed.columns.drop(["basket_id", "household_id"]):
        # another real value of the same column: every constraint still holds
        values = changed.loc[mask, name].to_numpy()
        changed.loc[mask, name] = rng.permutation(values)
    changed.loc[mask, "n_items"] += 1
    changed.loc[mask, "amount"] += 0.5
    changed.loc[mask, "transaction_timestamp"] -= pd.Timedelta(minutes=1)
    with duckdb.connect(str(built.source)) as connection:
        connection.execute("CREATE OR REPLACE TABLE raw.transactions AS SELECT * FROM changed")
    assert read_source(contract, str(built.source)).digest != source.digest

    assert built.run("build", "transactions", "--full-refresh") in {0, 1}
    again = json.loads((built.folder / "target" / "run_results.json").read_text())
    assert again["results"][0]["run_id"] != card["results"][0]["run_id"]
    with duckdb.connect(str(built.folder / "warehouse" / "work.duckdb"), read_only=True) as work:
        ((name,),) = work.sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'staging'"
            f" AND table_name LIKE '%{again['results'][0]['run_id']}%'"
        ).fetchall()
        after = work.sql(f'SELECT * FROM staging."{name}" ORDER BY basket_id').df()
    pd.testing.assert_frame_equal(before, after)
