"""SDV's models, bare and in the frame of calendar and entities, and the traps of SDV 2.0."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ks_2samp

import synth_contracts as sc
from synth_contracts.contract.model import Calendar, Column, GeneratorSpec, Outliers, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import Produced, generate
from synth_contracts.generate.sdv_rows import SdvRows
from synth_contracts.generate.sdv_session import session
from synth_contracts.generate.wrapped import match
from synth_contracts.metrics import Comparison, Measurement, measure
from synth_contracts.tables import restore

ROOT = Path(__file__).resolve().parents[2]
TIME, KEY = "transaction_timestamp", "household_id"
TYPES = ("gaussian_copula", "ctgan", "copula_gan", "tvae")
#: one copula and one network; the others are run by `make slow`
QUICK = ("gaussian_copula", "tvae")
EACH = [pytest.param(t, marks=() if t in QUICK else pytest.mark.slow) for t in TYPES]
NO_SHIELDS = Outliers(rare_category=False, top_code=False, reject=False)
BARE, FRAMED = 4_000, 16_000
SHIELDS = Outliers(reject=False, other_value={"store_id": 0})


def spec_of(kind: str, *, wrapped: bool, fit_rows: int | None = 400, **more) -> GeneratorSpec:
    parameters = {} if kind == "gaussian_copula" else {"epochs": 2, "batch_size": 200}
    more = {"outliers": SHIELDS, "parameters": parameters} | more
    calendar = Calendar(enabled=wrapped, holidays="US")
    return GeneratorSpec(type=kind, fit_rows=fit_rows, calendar=calendar, **more)


def run(case, spec: GeneratorSpec, *, rows: int = 800, seed: int = 1, said=None) -> Produced:
    return generate(
        replace(case.contract, generator=spec), case.train, case.schema, secret_seed=seed,
        rows=rows, progress=(said if said is not None else []).append,
    )  # fmt: skip


def total_variation(real: pd.Series, made: pd.Series, part: str) -> float:
    shares = [getattr(s.dt, part).value_counts(normalize=True) for s in (real, made)]
    return float(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)


class Made(dict[tuple[str, bool], pd.DataFrame]):
    """By kind, and whether it stands in the frame; more rows of that, to tell chance from a flaw."""

    def __init__(self, case) -> None:
        self.case = case

    def __missing__(self, key: tuple[str, bool]) -> pd.DataFrame:
        kind, wrapped = key
        spec = spec_of(kind, wrapped=wrapped, outliers=SHIELDS if wrapped else NO_SHIELDS)
        self[key] = run(self.case, spec, rows=FRAMED if wrapped else BARE).frame
        return self[key]


@pytest.fixture(scope="module")
def made(few_case) -> Made:
    return Made(few_case)


@pytest.mark.parametrize("kind", EACH)
def test_a_bare_model_gives_a_whole_table_and_repeats_by_seed(
    few_case, made, kind, capfd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.random.seed(4)
    torch.manual_seed(4)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # type: ignore[union-attr]
    bare = spec_of(kind, wrapped=False, outliers=NO_SHIELDS)
    found = run(few_case, bare, rows=BARE).frame
    after = np.random.get_state()[1], torch.get_rng_state()  # type: ignore[union-attr]
    assert (before[0] == after[0]).all()
    assert torch.equal(before[1], after[1])
    assert list(found.columns) == [f.name for f in few_case.schema.released]
    assert len(found) == BARE
    # a [us] column would be sampled as January 1970
    days = few_case.train[TIME].dt.normalize()
    assert found[TIME].dt.normalize().between(days.min(), days.max()).all()
    assert found[TIME].dt.normalize().nunique() > 50  # all on one day, once clipped
    assert (found["n_items"] >= 1).all()
    assert (found["amount"] >= 0).all()
    assert (found["n_items"] % 1 == 0).all()
    each = len(few_case.train) / few_case.train[KEY].nunique()
    assert found[KEY].nunique() == round(BARE / each)
    assert set(found["store_id"]) <= set(few_case.train["store_id"])
    restore(found, few_case.schema)
    pd.testing.assert_frame_equal(found, made[kind, False])
    assert not found.equals(run(few_case, bare, rows=BARE, seed=2).frame)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_one_fit_draws_by_the_stream_it_is_given(make_case) -> None:
    case = make_case(clinic(300), roles=Roles(None, "at", None, (), ()))
    rows = SdvRows(spec_of("gaussian_copula", wrapped=False, fit_rows=None), lambda _: None)
    rows.fit(case.train, case.schema.features, np.random.default_rng(0))
    first, again, other = (rows.draw(200, np.random.default_rng(seed)) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["ward"].equals(other["ward"])
    assert not first["paid"].isna().equals(other["paid"].isna())


@pytest.mark.parametrize("kind", EACH)
def test_the_frame_keeps_calendar_and_entities_of_any_model(few_case, made, kind) -> None:
    train, bare, framed = few_case.train, made[kind, False], made[kind, True]
    # 16,000 rows of six seeds read .029 to .034 by hour, .003 to .013 by weekday; 4,000 rows up to
    # .051 by hour, by chance alone
    for part, limit in (("hour", 0.04), ("dayofweek", 0.03)):
        assert total_variation(train[TIME], framed[TIME], part) <= limit, part
    assert total_variation(train[TIME], bare[TIME], "hour") >= 0.2
    sizes = [frame.groupby(KEY).size() for frame in (train, framed, bare)]
    scaled = [size / size.mean() for size in sizes]
    assert ks_2samp(scaled[0], scaled[1]).statistic <= 0.15
    assert ks_2samp(scaled[0], scaled[2]).statistic >= 0.3
    constant = framed.groupby(KEY)[["marital_status", "household_size"]].nunique(dropna=False)
    assert (constant == 1).all().all()
    assert (bare.groupby(KEY)["household_size"].nunique(dropna=False) > 1).any()
    restore(framed, few_case.schema)
    again = run(few_case, spec_of(kind, wrapped=True), rows=FRAMED).frame
    pd.testing.assert_frame_equal(framed, again)


@pytest.mark.parametrize("kind", EACH)
def test_a_framed_model_meets_declared_constraints_and_k(few_case, made, kind) -> None:
    tables = (few_case.train, few_case.holdout, made[kind, True])
    comparison = Comparison(*tables, few_case.schema, 10, 0)
    broken, smallest = (
        measure(name, comparison) for name in ("constraint_violations", "k_anonymity")
    )
    assert isinstance(broken, Measurement)
    assert isinstance(smallest, Measurement)
    assert broken.value == 0
    assert smallest.value >= 10


def test_hours_of_rows_follow_the_frame_as_far_as_the_model_has_learned_them(make_case) -> None:
    """Dear in the evening: the base sees the hour, and its rows go to places of that hour."""
    rng = np.random.default_rng(2)
    hours = rng.integers(8, 20, 4_000)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 120, 4_000), "D")
    frame = pd.DataFrame(
        {
            "at": days + pd.to_timedelta(hours, "h"),
            "paid": (hours + rng.normal(0, 2, 4_000)).round(2),
        }
    )
    case = make_case(frame, roles=Roles(None, "at", None, (), ()))
    found = run(case, spec_of("gaussian_copula", wrapped=True, fit_rows=None), rows=3_000).frame
    linked = [np.corrcoef(f["at"].dt.hour, f["paid"])[0, 1] for f in (case.train, found)]
    assert linked[0] >= 0.8
    assert linked[1] >= 0.6  # 0 where rows are dealt to places at random


def test_rows_go_to_places_of_their_weekday_and_the_left_over_fill_the_rest() -> None:
    asked, offered = np.array([0, 0, 1, 2, 7]), np.array([2, 0, 1, 1, 7])
    asked_hours, offered_hours = np.array([18, 9, 5, 5, np.nan]), np.array([1, 20, 6, 4, np.nan])
    taken = match(asked, asked_hours, offered, offered_hours)
    # Monday lacks a row and gets the second of Tuesday's (row 3, hour 4), before row 1 (hour 20)
    assert taken.tolist() == [1, 3, 2, 0, 4]


def clinic(rows: int) -> pd.DataFrame:
    """Patients with a birthday; missing values and times, a constant and an empty column."""
    rng = np.random.default_rng(0)
    who = rng.integers(0, rows // 8, rows)
    at = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, rows), "D"))
    return pd.DataFrame(
        {
            "visit": np.arange(rows) + 7_000,
            "who": [f"person-{w}" for w in who],
            "at": at.where(rng.random(rows) > 0.1),
            "ward": [f"w{z}" for z in rng.integers(0, 4, rows)],
            "paid": np.where(rng.random(rows) < 0.2, np.nan, rng.gamma(2, 10, rows).round(2)),
            "private": who % 3 == 0,
            "born": pd.Timestamp("1960-01-01") + pd.to_timedelta(who * 90, "D"),
            "same": "x",
            "nothing": pd.Series([None] * rows, dtype=object),
        }
    )


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    ("entity", "time"), [("who", "at"), ("who", None), (None, "at"), (None, None)]
)
def test_any_combination_of_roles(make_case: Callable, entity, time, wrapped) -> None:
    case = make_case(
        clinic(1_200),
        roles=Roles(entity, time, None, ("ward", "private"), ()),
        columns=(Column("visit", primary_key=True),),
    )
    found = run(case, spec_of("gaussian_copula", wrapped=wrapped), rows=700).frame
    assert list(found.columns) == [f.name for f in case.schema.released]
    assert found["paid"].isna().mean() == pytest.approx(0.2, abs=0.07)
    assert found["at"].isna().mean() == pytest.approx(0.1, abs=0.05)
    assert found["nothing"].isna().all()
    assert set(found["same"]) == {"x"}
    known = found["at"].dropna()
    assert (known.dt.normalize() == known).all()
    if entity and wrapped:
        assert (found.groupby("who")["born"].nunique() == 1).all()
    restore(found, case.schema)


@pytest.mark.parametrize(
    ("kind", "wrapped"),
    [
        ("gaussian_copula", False),
        ("gaussian_copula", True),
        *(pytest.param(kind, False, marks=pytest.mark.slow) for kind in TYPES[1:]),
    ],
)
def test_no_real_extreme_is_reproduced(make_case, kind, wrapped) -> None:
    rng = np.random.default_rng(1)
    frame = clinic(400).drop(columns=["nothing", "same", "ward"])
    frame["at"] = pd.Timestamp("2024-01-01 08:00:07") + pd.to_timedelta(
        rng.integers(0, 10**7, 400), "s"
    )
    frame["paid"] = rng.lognormal(3, 2, 400)
    frame["whole"] = rng.integers(-(10**9), 10**9, 400)
    case = make_case(frame, roles=Roles("who", "at", None, (), ()), share=0.0)
    bare = spec_of(kind, wrapped=wrapped, fit_rows=None, outliers=NO_SHIELDS)
    found = run(case, bare, rows=2_000).frame
    for name in ("paid", "whole", "at"):
        real = case.train[name]
        assert not found[name].isin([real.min(), real.max()]).any(), name
    coded = run(case, replace(bare, outliers=Outliers(reject=False)), rows=2_000).frame
    for name in ("paid", "whole"):
        ends = case.train.groupby("who")[name]
        assert coded[name].max() <= ends.max().nlargest(10).iloc[-1]
        assert coded[name].min() >= ends.min().nsmallest(10).iloc[-1]


def test_metadata_and_progress_hold_nothing_of_the_table(
    make_case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog
) -> None:
    from sdv.metadata import Metadata

    seen: list[str] = []
    load = Metadata.load_from_dict

    def spy(given, *more, **named):
        seen.append(json.dumps(given))
        return load(given, *more, **named)

    def detect(*_given, **_named):
        raise AssertionError("metadata was detected from the data")

    monkeypatch.setattr(Metadata, "load_from_dict", spy)
    monkeypatch.setattr(Metadata, "detect_from_dataframes", detect)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    case = make_case(clinic(400), roles=Roles("who", "at", None, (), ()))
    said: list[str] = []
    with caplog.at_level("DEBUG"):
        run(case, spec_of("gaussian_copula", wrapped=False, fit_rows=None), rows=50, said=said)
    assert len(seen) == 1
    words = " ".join([*seen, *said, caplog.text])
    assert said
    for secret in ("ward", "w1", "paid", "2024", "1960", "person"):
        assert secret not in words, secret
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (spec_of("tvae", wrapped=False, fit_rows=10**6), "fitRows is 1,000,000 and the training"),
        (spec_of("tvae", wrapped=True, fit_rows=10**6), "fitRows is 1,000,000 and the training"),
        (spec_of("tvae", wrapped=True, parameters={"epoch": 3}), "unknown parameter of tvae: epoch"),
        (spec_of("ctgan", wrapped=True, parameters={"epochs": 1.5}), "epochs must be a whole number"),
        (spec_of("ctgan", wrapped=True, parameters={"batch_size": 15}), "must be a multiple of 2"),
        (spec_of("ctgan", wrapped=True, parameters={"batch_size": 24}), "must be a multiple of `pac`"),
        (
            spec_of("copula_gan", wrapped=False, fit_rows=None, parameters={"numerical_distributions": {"ward": "beta"}}),
            "names `ward`, which copula_gan does not learn as a number",
        ),
        (
            spec_of("gaussian_copula", wrapped=True, parameters={"default_distribution": "gaussian_kde"}),
            "default_distribution must be one of beta",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_says_why(make_case, spec, words) -> None:
    case = make_case(clinic(200), roles=Roles("who", "at", None, (), ()))
    with pytest.raises(GenerationError, match=words):
        run(case, spec)


def test_a_typing_error_is_answered_with_the_nearest_name(make_case) -> None:
    case = make_case(clinic(200), roles=Roles("who", "at", None, (), ()))
    with pytest.raises(GenerationError) as caught:
        run(case, spec_of("tvae", wrapped=True, parameters={"epoch": 3}))
    assert caught.value.mend == "did you mean `epochs`?"


def test_infinite_numbers_are_refused(make_case) -> None:
    frame = clinic(200)
    frame.loc[3, "paid"] = np.inf
    case = make_case(frame, roles=Roles("who", "at", None, (), ()), share=0.0)
    bare = spec_of("gaussian_copula", wrapped=False, fit_rows=None, outliers=NO_SHIELDS)
    with pytest.raises(GenerationError, match="infinite"):
        run(case, bare)


def test_bare_models_end_failed_by_the_gate(few_case, made) -> None:
    contract = sc.load_contract(ROOT / "contracts" / "transactions_gan.odcs.yaml")
    real = {
        part: restore(frame, few_case.schema).to_pandas()
        for part, frame in (("train", few_case.train), ("holdout", few_case.holdout))
    }
    for kind in ("gaussian_copula", "tvae"):
        found = restore(made[kind, False], few_case.schema).to_pandas()
        verdict = sc.judge(
            contract, sc.evaluate(contract, **real, synthetic=found, seed=1, controls=False)
        )
        assert verdict.outcome == sc.Outcome.FAILED, kind
        broken = {state.metric for state in verdict.states if state.status == "failed"}
        assert {"ks_mean", "hour_profile"} <= broken, kind


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (ValueError("value 'Quixworth' is odd"), "SDV's tvae failed with ValueError"),
        (MemoryError(), "SDV's tvae ran out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "ran out of memory"),
    ],
)
def test_what_sdv_says_in_an_error_is_kept_back(raised: Exception, words: str) -> None:
    with pytest.raises(GenerationError, match=words) as caught, session("tvae", 1):
        raise raised
    assert "Quixworth" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_framed_rows_near_an_outlier_are_drawn_again(make_case) -> None:
    """A tail that a copula draws near real lonely ones: none of those rows is kept as it was."""
    rng = np.random.default_rng(5)
    frame = clinic(900).drop(columns=["nothing", "same"])
    frame["paid"] = rng.lognormal(3, 1.5, 900).round(2)
    frame["other"] = frame["paid"] * rng.lognormal(0, 0.05, 900)
    case = make_case(frame, roles=Roles("who", "at", None, (), ()), share=0.0)
    open_, shut = (
        spec_of(
            "gaussian_copula",
            wrapped=True,
            fit_rows=None,
            outliers=Outliers(rare_category=False, top_code=False, reject=reject),
        )
        for reject in (False, True)
    )
    said: list[str] = []
    before, after = run(case, open_, rows=3_000), run(case, shut, rows=3_000, said=said)
    told = [int(line.split()[1]) for line in said if line.startswith("redrawing:")]
    assert told
    assert before.protection.redrawn == 0
    assert after.protection.redrawn == sum(told)
    # a share of the table, not all of it, and every round leaves fewer
    assert told[0] < 600
    assert told == sorted(told, reverse=True)
    # the frame is the same, and so are the rows that were not near
    assert after.frame["at"].equals(before.frame["at"])
    kept = set(before.frame["other"].round(6)) & set(after.frame["other"].round(6))
    assert len(kept) >= 3_000 - told[0]
    pd.testing.assert_frame_equal(after.frame, run(case, shut, rows=3_000).frame)
