"""``par``: whole entities by SDV, bare and on the simulated calendar."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Calendar, Column, GeneratorSpec, Outliers, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import generate

ROOT = Path(__file__).resolve().parents[2]
ROLES = Roles("who", "at", None, ("ward",), ())


def visits(rows: int = 240) -> pd.DataFrame:
    """Patients of 1 to 20 visits on weekdays from 8 to 18; a ward and a birthday of their own."""
    rng = np.random.default_rng(0)
    who = np.sort(rng.integers(0, rows // 8, rows))
    day = pd.bdate_range("2024-01-01", periods=120)[rng.integers(0, 120, rows)]
    at = pd.Series(day + pd.to_timedelta(rng.integers(8, 18, rows), "h"))
    return pd.DataFrame(
        {
            "visit": np.arange(rows) + 7_000,
            "who": [f"person-{w}" for w in who],
            "at": at.where(rng.random(rows) > 0.1),
            "ward": [f"w{w % 3}" for w in who],
            "kind": [f"k{z}" if z else None for z in rng.integers(0, 4, rows)],
            "paid": np.where(rng.random(rows) < 0.2, np.nan, rng.gamma(2, 10, rows).round(2)),
            "born": pd.Timestamp("1960-01-01") + pd.to_timedelta(who * 90, "D"),
            "same": "x",
            "nothing": pd.Series([None] * rows, dtype=object),
        }
    )


def spec_of(*, framed: bool, **more: Any) -> GeneratorSpec:
    parameters = {"epochs": 2} | more.pop("parameters", {})
    return GeneratorSpec(
        type="par", calendar=Calendar(enabled=framed), parameters=parameters,
        outliers=Outliers(reject=False), **more,
    )  # fmt: skip


def run(case, spec: GeneratorSpec, *, rows: int = 90, seed: int = 1) -> pd.DataFrame:
    contract = replace(case.contract, generator=spec)
    return generate(
        contract, case.train, case.schema, secret_seed=seed, rows=rows, progress=lambda _: None
    ).frame


@pytest.fixture(scope="module")
def case(make_case):
    return make_case(visits(), roles=ROLES, columns=(Column("visit", primary_key=True),), share=0.1)


@pytest.fixture(scope="module")
def made(case) -> dict[bool, pd.DataFrame]:
    """By whether it stands on the simulated calendar."""
    return {framed: run(case, spec_of(framed=framed)) for framed in (False, True)}


@pytest.mark.parametrize("framed", [False, True])
def test_entities_are_whole(case, made, framed: bool) -> None:
    found = made[framed]
    assert list(found.columns) == [f.name for f in case.schema.released]
    assert len(found) == 90
    # what belongs to an entity is constant within it, by the model itself
    each = found.groupby("who")
    assert (each[["ward", "born"]].nunique(dropna=False) == 1).all().all()
    assert each.size().max() > 1
    assert each["paid"].nunique().max() > 1
    assert found["nothing"].isna().all()
    assert set(found["same"]) == {"x"}
    assert found["kind"].isna().any()
    assert 0 < found["at"].isna().mean() < 1
    days = case.train["at"].dt.normalize()
    assert found["at"].dropna().dt.normalize().between(days.min(), days.max()).all()


def test_the_calendar_of_the_frame_is_kept_and_the_rest_is_the_models(made) -> None:
    known = made[True]["at"].dropna()
    assert (known.dt.dayofweek < 5).all()
    assert known.dt.hour.between(8, 17).all()
    assert (made[False]["at"].dropna().dt.dayofweek >= 5).any()
    rows = [
        sorted(map(repr, frame[["ward", "kind", "paid", "born"]].values.tolist()))
        for frame in made.values()
    ]
    assert rows[0] == rows[1]


def test_visits_keep_their_order_in_time_on_the_calendar(made) -> None:
    """The k-th place of the frame holds the visit that the model put k-th."""
    rank = {}
    for framed, frame in made.items():
        known = frame[frame["at"].notna() & frame["paid"].notna()]
        rank[framed] = known.groupby("paid")["at"].min().rank()
    both = pd.concat(rank, axis=1).dropna()
    assert len(both) > 8
    assert both.corr(method="spearman").iloc[0, 1] > 0.8


@pytest.mark.slow
def test_another_process_makes_the_same_rows_and_another_seed_others(
    case, made, tmp_path: Path
) -> None:
    """Under another PYTHONHASHSEED and number of threads: SDV numbers texts by their hashes."""
    script = (
        "import importlib.util as u, sys\n"
        "def load(n):\n"
        "    s = u.spec_from_file_location(n, f'tests/generate/{n}.py'); m = u.module_from_spec(s)\n"
        "    sys.modules[n] = m; s.loader.exec_module(m); return m\n"
        "c, t = load('conftest'), load('test_par')\n"
        "case = c.build(t.visits(), roles=t.ROLES, share=0.1,"
        " columns=(t.Column('visit', primary_key=True),))\n"
        "t.run(case, t.spec_of(framed=False)).to_pickle(sys.argv[1])\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": "42", "OMP_NUM_THREADS": "2"}
    target = tmp_path / "made.pickle"
    subprocess.run([sys.executable, "-c", script, str(target)], cwd=ROOT, env=env, check=True)
    pd.testing.assert_frame_equal(pd.read_pickle(target), made[False])
    assert not made[False].equals(run(case, spec_of(framed=False), seed=2))


def test_no_entity_is_as_long_as_the_longest_real_ones(make_case) -> None:
    """One patient of 60 visits, forty of 3: none may be drawn with more than the 10th longest has."""
    frame = pd.DataFrame(
        {
            "who": ["long"] * 60 + [f"p{i // 3}" for i in range(120)],
            "paid": np.arange(180) % 7 * 1.5,
        }
    )
    case = make_case(frame, roles=Roles("who", None, None, (), ()), share=0.0)
    found = run(case, spec_of(framed=False, parameters={"epochs": 1}), rows=300)
    assert found.groupby("who").size().max() <= 3
    assert len(found) == 300


def test_rows_to_fit_are_those_of_whole_entities(case, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdv.sequential import PARSynthesizer

    seen: list[pd.DataFrame] = []
    fit = PARSynthesizer.fit
    monkeypatch.setattr(
        PARSynthesizer,
        "fit",
        lambda self, data: (seen.append(data["table"].copy()), fit(self, data)),
    )
    run(case, spec_of(framed=False, fit_rows=80, parameters={"epochs": 1}), rows=20)
    (data,) = seen
    assert 60 <= len(data) <= 80
    sizes = case.train.groupby("who").size().value_counts()
    # every entity is there with all of its rows
    assert set(data.groupby("key").size()) <= set(sizes.index)
    # no label, no name: numbers alone
    assert {dtype.kind for dtype in data.drop(columns="c3").dtypes} <= set("if")
    assert data["c3"].dtype == "datetime64[ns]"  # the birthday


def test_entities_of_a_single_row(make_case) -> None:
    frame = visits(60).drop(columns=["nothing"]).assign(who=[f"p{i}" for i in range(60)])
    for time in ("at", None):
        case = make_case(frame, roles=Roles("who", time, None, (), ()), share=0.0)
        found = run(case, spec_of(framed=False, parameters={"epochs": 1}), rows=30)
        assert found["who"].nunique() == 30


@pytest.mark.parametrize(
    ("roles", "more", "words"),
    [
        (Roles(None, "at", None, (), ()), {}, "there is no entity key"),
        (ROLES, {"fit_rows": 10**6}, "fitRows is 1,000,000"),
        (ROLES, {"parameters": {"segment_size": 500}}, "no entity has as many rows"),
        (ROLES, {"parameters": {"epoch": 3}}, "unknown parameter of par: epoch"),
    ],
)
def test_what_cannot_be_fitted_says_why(make_case, roles: Roles, more, words: str) -> None:
    case = make_case(visits(80), roles=roles, share=0.0)
    with pytest.raises(GenerationError, match=words):
        run(case, spec_of(framed=False, **more))
