"""The seed's complaint: a bare copula flattens the calendar and is blocked; framed it keeps it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import shows_page

import synth_contracts as sc
from synth_contracts.contract.model import GeneratorSpec
from synth_contracts.generate import generate
from synth_contracts.source.snapshot import SourceTable
from synth_contracts.source.split import split
from synth_contracts.tables import canonical, duckdb_types, resolve, restore, to_arrow

ROOT = Path(__file__).resolve().parents[2]
CALENDAR = set(shows_page.CALENDAR)
CONTRACTS = {
    "baskets": ROOT / "contracts" / "transactions.odcs.yaml",
    "flights": ROOT / "tests" / "data" / "flights.odcs.yaml",
}


@pytest.fixture(scope="module")
def extracts(few_baskets: pd.DataFrame, flights: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Up to 15 baskets of each of 900 households, up to 50 flights of each of 1,200 aeroplanes."""
    found = {}
    for name, frame, key, most in (
        ("baskets", few_baskets, "household_id", 15), ("flights", flights, "tailnum", 50),
    ):  # fmt: skip
        drawn = frame.sample(frac=1, random_state=0).groupby(key).head(most)
        found[name] = drawn.sort_index().reset_index(drop=True)
    return found


@pytest.mark.parametrize("framed", [False, True], ids=["bare", "framed"])
@pytest.mark.parametrize("table", ["baskets", pytest.param("flights", marks=pytest.mark.slow)])
def test_the_gate_blocks_bare_days_and_passes_framed_ones(
    extracts, table: str, framed: bool
) -> None:
    contract = sc.load_contract(CONTRACTS[table])
    own = contract.generator
    spec = GeneratorSpec(
        type="gaussian_copula",
        fit_rows=5_000,
        calendar=replace(own.calendar, enabled=framed),
        outliers=replace(own.outliers, reject=False),
    )
    asked = tuple(
        replace(rule, origin="contract")
        for rule in contract.rules
        if rule.id in CALENDAR | {"membership_inference"}
    )
    contract = replace(contract, generator=spec, preset=None, rules=asked, not_asked=())
    source = to_arrow(extracts[table])
    schema = resolve(contract, duckdb_types(source))
    sides = split(
        SourceTable(schema, source, "", len(source), ""), contract,
        b"synth-contracts test split key 1",
    )  # fmt: skip
    made = generate(
        contract, canonical(sides.train, schema), schema,
        secret_seed=1, rows=12_000, progress=lambda _: None,
    )  # fmt: skip
    evaluation = sc.evaluate(
        contract, train=sides.train, holdout=sides.holdout,
        synthetic=restore(made.frame, schema), seed=1, controls=False,
    )  # fmt: skip
    verdict = sc.judge(contract, evaluation)
    days = {s.metric: (s.status, s.number) for s in verdict.states if s.metric in CALENDAR}
    assert set(days) == CALENDAR
    if framed:
        assert {status for status, _ in days.values()} == {"passed"}, days
    else:
        assert verdict.outcome is sc.Outcome.FAILED
        broken = {name for name, (status, _) in days.items() if status == "failed"}
        assert "hour_profile" in broken, days
