"""Leaf sizes are tried on halves of train, and only as far as they must be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Calendar, GeneratorSpec, Outliers, Roles, Rule
from synth_contracts.generate import generate, trees

SPEC = GeneratorSpec(calendar=Calendar(enabled=False), outliers=Outliers(reject=False))


def noise(rows: int) -> pd.DataFrame:
    """Columns that have nothing to do with each other: whoever ties them knows the rows."""
    rng = np.random.default_rng(0)
    columns: dict = {f"x{i}": np.round(rng.normal(size=rows), 4) for i in range(3)}
    columns |= {f"c{i}": [f"v{v}" for v in rng.integers(0, 20, rows)] for i in range(3)}
    return pd.DataFrame({"who": np.arange(rows)} | columns)


def leaves_of(make_case, limit: float, frame: pd.DataFrame | None = None, **roles) -> list[str]:
    """What the build says and notes of its leaves."""
    case = make_case(
        noise(8_000) if frame is None else frame, roles=Roles(**roles), spec=SPEC, share=0.0
    )
    rule = Rule(
        id="membership_inference", metric="membership_inference", expectation="", column=None,
        operator="<=", threshold=limit, judged="value", severity="error", family="privacy",
        options={}, loosened=False,
    )  # fmt: skip
    said: list[str] = []
    made = generate(
        replace(case.contract, rules=(rule,)), case.train, case.schema, secret_seed=1, rows=500,
        progress=said.append,
    )  # fmt: skip
    return [*(text for text in said if "leaves" in text), made.notes[0]]


def test_the_smallest_leaves_are_taken_where_they_hold(make_case) -> None:
    tried, note = leaves_of(make_case, 0.25)
    assert "100 rows" in tried
    assert note.startswith("Leaves hold 100 rows and 10 entities at least: the smallest tried")


def test_leaves_that_memorise_are_seen_on_train_alone(make_case, monkeypatch) -> None:
    monkeypatch.setattr(trees, "_GAIN", 0.0)  # trees that part rows by chance
    *tried, note = leaves_of(make_case, 0.25)
    assert len(tried) > 1
    assert not note.startswith("Leaves hold 100 rows")


def test_a_limit_that_nothing_keeps_ends_at_the_largest_leaves(make_case) -> None:
    *tried, note = leaves_of(make_case, -1.0)
    assert [text.split(" rows")[0].split()[-1] for text in tried] == ["100", "200", "400"]
    assert note.startswith("Leaves hold 800 rows and 80 entities at least: attacks told")


@pytest.mark.parametrize("rows", [1_500, 40_000])
def test_few_entities_are_not_tried_and_it_is_said(make_case, rows) -> None:
    frame = noise(rows)
    frame["who"] %= 1_500  # of 27 rows each in the longer table: 10,000 rows hold 375 of them
    (note,) = leaves_of(make_case, 0.25, frame, entity_key="who")
    assert "whether larger ones are needed was not tried" in note
