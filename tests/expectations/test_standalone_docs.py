"""docs/standalone.md: its example runs and prints what it says, its table is that of the code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.rules import RULES
from synth_contracts.expectations.standalone import ALONE, STANDS_IN

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "standalone.md").read_text(encoding="utf-8")
ROLES = ("entityKey", "timeIndex", "quasiIdentifiers", "sensitive")


def block(language: str, place: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)[place]


def test_the_example_prints_what_the_page_says(
    few_baskets: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keys = few_baskets["household_id"].drop_duplicates().sort_values().to_numpy()
    keys = np.random.default_rng(0).permutation(keys)
    for name, third in zip(("train", "holdout", "synthetic"), np.split(keys, 3), strict=True):
        rows = few_baskets[few_baskets["household_id"].isin(third)]
        rows.to_parquet(tmp_path / f"{name}.parquet", index=False)
    (tmp_path / "example.py").write_text(block("python"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    made = runpy.run_path("example.py")
    assert capsys.readouterr().out == block("text")
    made["train_frame"] = pd.read_parquet("train.parquet")
    exec(block("python", 1), made)


def test_the_table_says_what_the_code_does() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| `expect_")
    ]
    expected = []
    for rule in RULES.values():
        roles = ", ".join(f"`{need}`" for need in rule.needs if need in ROLES) or "–"
        if rule.id in ALONE:
            without = "the same: a property of the batch"
        elif rule.id not in STANDS_IN:
            without = "not measured"
        elif rule.judged in {"over_floor", "ceiling_share"}:
            without = "`value` alone, from the reference"
        else:
            without = "from the reference"
        expected += [
            [f"`{name}`", roles, f"`{rule.judged}`", without] for name in rule.expectations
        ]
    assert rows == expected
