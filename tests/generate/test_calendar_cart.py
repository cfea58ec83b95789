"""calendar_cart end to end: fidelity, privacy, constraints and determinism on real tables."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from synth_contracts.contract.model import Calendar, Column, GeneratorSpec, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import generate
from synth_contracts.metrics import Comparison, Measurement, measure
from synth_contracts.tables import canonical, restore, rows_digest


def run(case, rows: int, seed: int = 5) -> pd.DataFrame:
    return generate(
        case.contract, case.train, case.schema, secret_seed=seed, rows=rows,
        progress=lambda _: None,
    ).frame  # fmt: skip


def digest(made: pd.DataFrame, case) -> str:
    return rows_digest(restore(made, case.schema))


def profile(times: pd.Series, part: str) -> pd.Series:
    return getattr(times.dt, part).value_counts(normalize=True)


def total_variation(a: pd.Series, b: pd.Series) -> float:
    return float(a.sub(b, fill_value=0).abs().sum() / 2)


@pytest.fixture(scope="module")
def baskets_made(baskets_case) -> pd.DataFrame:
    return run(baskets_case, len(baskets_case.train) + len(baskets_case.holdout))


@pytest.fixture(scope="module")
def flights_made(flights_case) -> pd.DataFrame:
    return run(flights_case, 30_000)


def test_numbers_follow_the_holdout(baskets_case, baskets_made) -> None:
    names = ["n_items", "n_departments", "amount", "retail_disc", "coupon_disc"]
    real = baskets_case.holdout
    away = [ks_2samp(real[name], baskets_made[name]).statistic for name in names]
    assert np.mean(away) <= 0.05
    assert max(away) <= 0.08


def test_hours_and_weekdays_follow_train(baskets_case, baskets_made) -> None:
    time = "transaction_timestamp"
    for part, limit in (("hour", 0.03), ("dayofweek", 0.02)):
        real, made = profile(baskets_case.train[time], part), profile(baskets_made[time], part)
        assert total_variation(real, made) <= limit, part


def test_households_keep_their_size_and_habits(baskets_case, baskets_made) -> None:
    key = "household_id"
    real, made = baskets_case.train, baskets_made
    assert made[key].nunique() == pytest.approx(900, rel=0.03)
    sizes = ks_2samp(real.groupby(key).size(), made.groupby(key).size()).statistic
    assert sizes <= 0.08
    spend = ks_2samp(
        real.groupby(key)["amount"].mean(), made.groupby(key)["amount"].mean()
    ).statistic
    assert spend <= 0.15  # without habits every household spends the same: above .35
    constant = made.groupby(key)[["marital_status", "household_size"]].nunique(dropna=False)
    assert (constant == 1).all().all()


def test_declared_constraints_and_k_hold(baskets_case, baskets_made) -> None:
    comparison = Comparison(
        baskets_case.train, baskets_case.holdout, baskets_made, baskets_case.schema, 10, 0
    )
    broken = measure("constraint_violations", comparison)
    smallest = measure("k_anonymity", comparison)
    assert isinstance(broken, Measurement)
    assert broken.value == 0
    assert isinstance(smallest, Measurement)
    assert smallest.value >= 10


def test_the_tables_own_gate_passes_on_flights(flights_case, flights_made) -> None:
    schema = flights_case.schema
    made = canonical(restore(flights_made, schema), schema)
    tables = (flights_case.train, flights_case.holdout, made)
    few = [table.sample(6_000, random_state=0) for table in tables]
    comparison = Comparison(*few, schema, 10, 0)
    limits = {"membership_inference": 0.25, "nearest_neighbor_distance": 0.6, "ks_max": 0.15}
    for name, limit in limits.items():
        found = measure(name, comparison)
        assert isinstance(found, Measurement), name
        assert found.value <= limit, name


def test_distances_belong_to_their_routes(flights_case, flights_made) -> None:
    route = ["origin", "dest", "distance"]
    real = pd.concat([flights_case.train, flights_case.holdout])[route].drop_duplicates()
    kept = flights_made[flights_made["dest"] != "other"]
    share = len(kept.merge(real, on=route)) / len(kept)
    assert share >= 0.93  # 7 % where distance is drawn on its own


def test_times_keep_their_resolution(flights_case, flights_made) -> None:
    times = flights_made["sched_dep"]
    assert (times.dt.second == 0).all()
    real = flights_case.train["sched_dep"]
    on_five = [float((t.dt.minute % 5 == 0).mean()) for t in (real, times)]
    assert on_five[1] == pytest.approx(on_five[0], abs=0.03)
    closed = set(range(24)) - set(real.dt.hour)
    assert not closed & set(times.dt.hour)


def test_no_rare_value_and_no_extreme_of_train_comes_through(flights_case, flights_made) -> None:
    train = flights_case.train
    for name in ("dest", "flight"):
        held = train.groupby(name)["tailnum"].nunique()
        assert not set(flights_made[name]) & set(held.index[held < 10])
    for name in ("dep_delay", "air_time"):
        most = train.groupby("tailnum")[name].max().nlargest(10).iloc[-1]
        assert flights_made[name].max() <= most


def test_the_order_of_train_does_not_matter(make_case) -> None:
    case = make_case(shop(800), roles=Roles("who", "at", None, ("town",), ()))
    again = replace(case, train=case.train.sample(frac=1, random_state=3).reset_index(drop=True))
    pd.testing.assert_frame_equal(run(case, 500), run(again, 500))
    assert not run(case, 500).equals(run(case, 500, seed=6))


def test_keys_are_fresh(baskets_case, baskets_made) -> None:
    assert baskets_made["basket_id"].tolist() == list(range(1, len(baskets_made) + 1))
    assert baskets_made["transaction_timestamp"].is_monotonic_increasing
    owners = set(baskets_made["household_id"])
    assert owners == set(range(1, len(owners) + 1))


def shop(rows: int) -> pd.DataFrame:
    """Visits of people in towns with zip codes; missing values, a constant, an empty column."""
    rng = np.random.default_rng(0)
    who = rng.integers(0, rows // 8, rows)
    zips = rng.integers(0, 12, rows)
    return pd.DataFrame(
        {
            "visit": np.arange(rows) + 7_000,
            "who": [f"person-{w}" for w in who],
            "at": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, rows), "D"),
            "zip": [f"z{z}" for z in zips],
            "town": [f"t{z // 4}" for z in zips],
            "paid": np.where(rng.random(rows) < 0.2, np.nan, rng.gamma(2, 10, rows).round(2)),
            "member": who % 3 == 0,
            "born": pd.Timestamp("1960-01-01") + pd.to_timedelta(who * 90, "D"),
            "same": "x",
            "nothing": pd.Series([None] * rows, dtype=object),
        }
    )


@pytest.mark.parametrize(
    ("entity", "time"), [("who", "at"), ("who", None), (None, "at"), (None, None)]
)
def test_any_combination_of_roles(make_case: Callable, entity, time) -> None:
    case = make_case(
        shop(1_200),
        roles=Roles(entity, time, None, ("town", "member"), ()),
        columns=(Column("visit", primary_key=True),),
    )
    made = run(case, 700)
    assert list(made.columns) == [f.name for f in case.schema.released]
    assert len(made) == 700
    assert made["paid"].isna().mean() == pytest.approx(0.2, abs=0.06)
    assert made["nothing"].isna().all()
    assert set(made["same"]) == {"x"}
    assert (made["at"].dt.normalize() == made["at"]).all()
    towns = made[(made["zip"] != "other") & (made["town"] != "other")]
    assert (towns["zip"].str[1:].astype(int) // 4 == towns["town"].str[1:].astype(int)).all()
    if entity:
        assert made["who"].str.fullmatch(r"e\d{6}").all()
        assert (made.groupby("who")["born"].nunique() == 1).all()
    restore(made, case.schema)


def test_one_row_and_tables_smaller_than_k(make_case) -> None:
    case = make_case(shop(40).iloc[:5], roles=Roles("who", "at", None, ("town",), ()), share=0.0)
    assert len(run(case, 1)) == 1
    assert len(run(case, 30)) == 30


def test_closed_days_stay_closed(make_case) -> None:
    days = pd.bdate_range("2024-01-01", "2024-06-28")
    days = days[days != pd.Timestamp("2024-03-06")]
    rng = np.random.default_rng(1)
    hours = pd.to_timedelta(rng.integers(9, 17, 6_000), "h")
    frame = pd.DataFrame(
        {"at": days.to_numpy()[rng.integers(0, len(days), 6_000)] + hours, "n": np.arange(6_000)}
    )
    made = run(make_case(frame, roles=Roles(None, "at", None, (), ())), 5_000)
    assert made["at"].dt.dayofweek.max() == 4
    assert not (made["at"].dt.normalize() == pd.Timestamp("2024-03-06")).any()
    assert set(made["at"].dt.hour) == set(range(9, 17))
    assert (made["at"].dt.minute == 0).all()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (GeneratorSpec(type="gauss"), "unknown generator"),
        (GeneratorSpec(parameters={"leaf_rows": 15}), "from 100 to"),
        (GeneratorSpec(parameters={"leaves": 15}), "unknown parameter"),
        (GeneratorSpec(parameters={"entity_leaf": "many"}), "whole number"),
        (GeneratorSpec(fit_rows=50), "fits the whole training part"),
        (GeneratorSpec(calendar=Calendar(holidays="Atlantis")), "Atlantis"),
    ],
)
def test_what_cannot_be_generated_says_why(make_case, spec, words) -> None:
    case = make_case(shop(200), roles=Roles("who", "at", None, (), ()), spec=spec)
    with pytest.raises(GenerationError, match=words):
        run(case, 100)


def test_an_empty_train_and_no_rows_are_refused(make_case) -> None:
    case = make_case(shop(200), roles=Roles("who", "at", None, (), ()))
    with pytest.raises(GenerationError, match="0 rows"):
        run(case, 0)
    with pytest.raises(GenerationError, match="holds no rows"):
        run(replace(case, train=case.train.iloc[:0]), 10)


def test_a_forbidden_other_takes_an_allowed_value(make_case) -> None:
    towns = ("t0", "t1", "t2")
    frame = shop(1_200)
    frame.loc[:2, "town"] = "t2"
    case = make_case(
        frame[["who", "town", "paid"]],
        roles=Roles("who", None, None, ("town",), ()),
        columns=(Column("town", required=True, enum=towns),),
        k=60,
    )
    made = run(case, 600)
    assert set(made["town"]) <= set(towns)


def test_the_same_bytes_whatever_the_hash_seed_and_threads(tmp_path: Path) -> None:
    """A process of its own for each setting; the table is the small shop."""
    here = Path(__file__).parent
    code = (
        "import importlib.util as u, sys\n"
        "def load(name, path):\n"
        "    spec = u.spec_from_file_location(name, path); m = u.module_from_spec(spec)\n"
        "    sys.modules[name] = m; spec.loader.exec_module(m); return m\n"
        f"c = load('build_case', {str(here / 'conftest.py')!r})\n"
        f"t = load('cart_tests', {str(here / 'test_calendar_cart.py')!r})\n"
        "case = c.build(t.shop(1500), roles=c.Roles('who', 'at', None, ('town', 'zip'), ()))\n"
        "made = t.run(case, 900)\n"
        "print(t.digest(made, case))\n"
    )
    seen = set()
    for hash_seed, threads in (("0", "1"), ("77", "2")):
        env = os.environ | {
            "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        seen.add(done.stdout)
    assert len(seen) == 1
    assert len(seen.pop().strip()) == 64
