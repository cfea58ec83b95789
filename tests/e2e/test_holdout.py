"""Nothing of the holdout reaches the synthetic table."""

from __future__ import annotations

import gc
import json
import shutil
import weakref

import duckdb
import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract import load_contract
from synth_contracts.pipeline import building
from synth_contracts.settings import load_settings
from synth_contracts.signing import KeyFolder
from synth_contracts.source import read_source, split


def rows_of(project) -> pd.DataFrame:
    with duckdb.connect(str(project.published), read_only=True) as connection:
        return connection.sql("SELECT * FROM release.transactions ORDER BY basket_id").df()


def test_changing_every_value_of_the_holdout_changes_no_synthetic_byte(
    built, source_table: pd.DataFrame
) -> None:
    before = rows_of(built)
    card = json.loads((built.folder / "target" / "run_results.json").read_text())
    contract = load_contract(built.folder / "contracts" / "transactions.odcs.yaml")
    source = read_source(contract, str(built.source))
    parts = split(source, contract, KeyFolder.open(built.keys).secret())
    held = set(parts.holdout.column("household_id").to_pylist())
    assert 200 <= len(held) < source_table["household_id"].nunique()

    changed = source_table.copy()
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


def test_the_generator_is_given_train_and_a_secret_stream_alone(fresh, monkeypatch) -> None:
    """Whatever it is called with, no holdout entity is in it and the published seed is not it."""

    class Stop(Exception):
        pass

    given = {}

    def generate(contract, train, schema, **more):
        given.update(more, train=train, contract=contract)
        raise Stop

    project = fresh()
    monkeypatch.setattr(building, "generate", generate)
    monkeypatch.setenv("SYNTH_CONTRACTS_KEYS", str(project.keys))
    settings = load_settings(project.folder)
    contract = load_contract(project.folder / "contracts" / "transactions.odcs.yaml")
    seeds = []
    for key in (b"synth-contracts test split key 1", b"synth-contracts test split key 2"):
        (project.folder / "split.raw").write_bytes(key)
        shutil.rmtree(project.keys)
        project.published.unlink(missing_ok=True)  # it belongs to the other keys
        project.keys.mkdir(mode=0o700)
        assert project.run("keys", "import-split", str(project.folder / "split.raw")) == 0
        with pytest.raises(Stop):
            building.build(settings, contract)
        parts = split(read_source(contract, str(project.source)), contract, key)
        assert set(given["train"]["household_id"]) == set(
            parts.train.column("household_id").to_pylist()
        )
        assert len(given["train"]) == parts.train.num_rows
        seeds.append(given["secret_seed"])
    assert len({*seeds, contract.generator.seed}) == 3


def test_nothing_that_rows_are_drawn_from_is_held_while_they_are_measured(
    fresh, monkeypatch
) -> None:
    class Stop(Exception):
        pass

    held, real = [], building.generate

    def generate(contract, train, schema, **more):
        produced = real(contract, train, schema, **more)
        held.extend(map(weakref.ref, (train, produced.learned)))
        return produced

    def run_checkpoint(*_, **__):
        gc.collect()
        held[:] = [one() is None for one in held]
        raise Stop

    project = fresh()
    monkeypatch.setattr(building, "generate", generate)
    monkeypatch.setattr(building, "run_checkpoint", run_checkpoint)
    monkeypatch.setenv("SYNTH_CONTRACTS_KEYS", str(project.keys))
    settings = load_settings(project.folder)
    contract = load_contract(project.folder / "contracts" / "transactions.odcs.yaml")
    with pytest.raises(Stop):
        building.build(settings, contract)
    assert held == [True, True]
