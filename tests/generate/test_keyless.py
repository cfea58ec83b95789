"""Rows without an entity key come out without one, and are told from those that have one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Calendar, GeneratorSpec, Outliers, Roles
from synth_contracts.generate import generate


def shop(without: int) -> pd.DataFrame:
    """1,500 visits of 150 people; the last ``without`` are nobody's, and nothing is paid."""
    rng = np.random.default_rng(0)
    who = rng.permutation(np.arange(1_500) % 150)
    frame = pd.DataFrame(
        {
            "who": [f"person-{w}" for w in who],
            "at": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, 1_500), "D"),
            "town": [f"t{w % 3}" for w in who],
            "paid": rng.gamma(2, 10, 1_500).round(2),
        }
    )
    frame.loc[1_500 - without :, "paid"] = np.nan
    return frame


def made_of(make_case, without: int, spec: GeneratorSpec, k: int = 10) -> pd.DataFrame:
    frame = shop(without)
    case = make_case(frame, roles=Roles("who", "at", None, ("town",), ()), spec=spec, k=k, share=0)
    train = case.train.copy()
    train.loc[train["paid"].isna(), "who"] = None
    return generate(
        case.contract, train, case.schema, secret_seed=3, rows=2_000, progress=lambda _: None
    ).frame


@pytest.mark.parametrize(
    "spec",
    [
        GeneratorSpec(),
        GeneratorSpec(type="gaussian_copula", outliers=Outliers(reject=False)),
        GeneratorSpec(
            type="gaussian_copula",
            calendar=Calendar(enabled=False),
            outliers=Outliers(reject=False),
        ),
    ],
    ids=["calendar_cart", "framed", "bare"],
)
def test_rows_without_a_key_stay_without_in_trains_proportion(make_case, spec) -> None:
    made = made_of(make_case, 200, spec)
    assert list(made.columns) == ["who", "at", "town", "paid"]
    assert made["who"].isna().mean() == pytest.approx(200 / 1_500, abs=0.05)
    known = made["who"].dropna()
    assert set(known) == {f"e{i:06d}" for i in range(1, known.nunique() + 1)}  # without gaps
    assert made[made["who"].isna()].groupby("town").size().min() >= 10
    if spec.calendar.enabled:
        assert known.value_counts().mean() == pytest.approx(1_300 / 150, rel=0.15)
    if spec.type == "calendar_cart":
        assert made.loc[made["who"].isna(), "paid"].isna().mean() > 0.9
        assert made.loc[made["who"].notna(), "paid"].isna().mean() < 0.05


def test_a_few_rows_without_a_key_are_not_told_of(make_case) -> None:
    assert made_of(make_case, 9, GeneratorSpec())["who"].notna().all()
    assert made_of(make_case, 9, GeneratorSpec(), k=9)["who"].isna().any()
