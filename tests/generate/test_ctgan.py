"""SDV's CTGAN behind the protocol: types, ranges, determinism, and the traps of SDV 2.0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from synth_contracts.contract.model import Calendar, GeneratorSpec, Outliers
from synth_contracts.generate import generate
from synth_contracts.tables import restore

BARE = GeneratorSpec(
    type="ctgan",
    fit_rows=600,
    calendar=Calendar(enabled=False),
    outliers=Outliers(rare_category=False, top_code=False, reject=False),
    parameters={"epochs": 2, "batch_size": 200},
)


def run(case, seed: int) -> pd.DataFrame:
    return generate(
        replace(case.contract, generator=BARE), case.train, case.schema, secret_seed=seed,
        rows=1_500, progress=lambda _: None,
    )  # fmt: skip


def test_a_bare_gan_gives_a_whole_table_and_repeats_by_seed(
    baskets_case, capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.random.seed(4)
    torch.manual_seed(4)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # type: ignore[union-attr]
    made = run(baskets_case, 1)
    after = np.random.get_state()[1], torch.get_rng_state()  # type: ignore[union-attr]
    assert (before[0] == after[0]).all()
    assert torch.equal(before[1], after[1])
    assert list(made.columns) == [f.name for f in baskets_case.schema.released]
    assert len(made) == 1_500
    # a [us] column would be sampled as January 1970
    years = made["transaction_timestamp"].dt.year
    assert years.between(2016, 2018).all()
    assert (made["n_items"] >= 1).all()
    assert (made["amount"] >= 0).all()
    assert (made["n_items"] % 1 == 0).all()
    each = len(baskets_case.train) / baskets_case.train["household_id"].nunique()
    assert made["household_id"].nunique() == round(1_500 / each)
    assert set(made["store_id"]) <= set(baskets_case.train["store_id"])
    restore(made, baskets_case.schema)
    pd.testing.assert_frame_equal(made, run(baskets_case, 1))
    assert not made.equals(run(baskets_case, 2))
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.iterdir())
