"""Fresh entities pass every privacy rule but k_anonymity; three kinds of leaks do not. One seed.

`make shows` measures the same over ten seeds and whole tables (docs/shows.md).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import leaks
import numpy as np
import pandas as pd
import pytest

import synth_contracts as sc
from synth_contracts.contract.model import Contract

ROOT = Path(__file__).resolve().parents[2]
BASKETS = ROOT / "contracts" / "transactions.odcs.yaml"
FLIGHTS = ROOT / "tests" / "data" / "flights.odcs.yaml"
NUMERIC = {
    "baskets": ["n_items", "amount", "n_departments", "retail_disc", "coupon_disc"],
    "flights": ["dep_delay", "arr_delay", "air_time", "distance"],
}
PRIVACY = {"membership_inference", "identical_match", "nearest_neighbor_distance"}


@pytest.fixture(scope="module", params=["baskets", "flights"])
def case(request, few_baskets: pd.DataFrame, flights: pd.DataFrame):
    table, path = (few_baskets, BASKETS) if request.param == "baskets" else (flights, FLIGHTS)
    contract = asking_privacy(path)
    keys = [
        contract.roles.entity_key,
        *(column.name for column in contract.columns if column.primary_key),
    ]
    # up to 20 rows of each: every row is compared with every other, and `make shows` takes all
    few = table.sample(frac=1, random_state=0).groupby(contract.roles.entity_key).head(20)
    split = leaks.thirds(few.sort_index(), contract.roles.entity_key, 1)
    return request.param, contract, path, split, keys


def asking_privacy(path: Path) -> Contract:
    """The contract of ``path``, asking for its rules of PRIVACY alone: no other is read here."""
    contract = sc.load_contract(path)
    asked = tuple(replace(rule, origin="contract") for rule in contract.rules if rule.id in PRIVACY)
    return replace(contract, preset=None, rules=asked, not_asked=())


def verdict_of(contract, split, synthetic) -> sc.Verdict:
    evaluation = sc.evaluate(
        contract, train=split.train, holdout=split.holdout, synthetic=synthetic, seed=1,
        controls=False,
    )  # fmt: skip
    return sc.judge(contract, evaluation)


def failed_privacy(verdict: sc.Verdict) -> set[str]:
    return {
        state.metric
        for state in verdict.states
        if state.metric in PRIVACY and state.status == "failed" and state.value is not None
    }


def test_fresh_entities_pass(case) -> None:
    _, contract, _, split, _ = case
    states = {s.metric: s for s in verdict_of(contract, split, split.fresh).states}
    assert {metric: states[metric].status for metric in PRIVACY} == dict.fromkeys(PRIVACY, "passed")


@pytest.mark.parametrize("leak", [leaks.bootstrap, leaks.isolated])
def test_copies_are_blocked(case, leak) -> None:
    _, contract, _, split, keys = case
    verdict = verdict_of(contract, split, leak(split, keys, 1))
    assert verdict.outcome is sc.Outcome.FAILED
    assert failed_privacy(verdict)


def test_copies_in_the_last_hundredth_of_the_file_are_blocked(case) -> None:
    """A reader of samples from the front would never meet them."""
    _, contract, _, split, keys = case
    count = round(0.01 * len(split.fresh))
    taken = np.random.default_rng(1).choice(len(split.train), count, replace=False)
    tail = split.fresh.iloc[-count:].copy()
    for name in split.fresh.columns.drop([key for key in keys if key]):
        tail[name] = split.train[name].to_numpy()[taken]
    candidate = pd.concat([split.fresh.iloc[:-count], tail], ignore_index=True)
    assert candidate.iloc[:-count].equals(split.fresh.iloc[:-count])
    verdict = verdict_of(contract, split, candidate)
    assert verdict.outcome is sc.Outcome.FAILED
    assert {"membership_inference", "identical_match"} & failed_privacy(verdict)


def test_near_copies_are_blocked_by_membership_inference(case, tmp_path: Path) -> None:
    name, contract, path, split, keys = case
    text = path.read_text(encoding="utf-8")
    copy = tmp_path / path.name
    line = next(line for line in text.splitlines() if "preset: standard" in line)
    indent = " " * (len(line) - len(line.lstrip()))
    copy.write_text(text.replace(line, f"{line}\n{indent}disable: [identical_match]"))
    without = asking_privacy(copy)
    assert {rule.id for rule in without.rules} == PRIVACY - {"identical_match"}
    near = leaks.near_copies(split, keys, NUMERIC[name], contract.roles.time_index, 1)
    verdict = verdict_of(without, split, near)
    assert verdict.outcome is sc.Outcome.FAILED
    assert "membership_inference" in failed_privacy(verdict)
