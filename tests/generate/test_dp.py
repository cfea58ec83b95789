"""dp_marginals: what it may know, what it reads, how far one entity reaches, and what it pays."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.guarantee import Binned, DailySeries, Guarantee, Listed
from synth_contracts.contract.model import Column, GeneratorSpec, Outliers, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import dp_days, dp_marginals, dp_release, generate, run
from synth_contracts.generate.dp_codec import codec
from synth_contracts.tables.schema import Field, Kind

needs_opendp = pytest.mark.skipif(
    importlib.util.find_spec("opendp") is None and not os.environ.get("CI"),
    reason="the extra [dp] is not installed; make setup installs it",
)
NONE = Outliers(False, False, False)
ASKED = Guarantee(
    2.0, 1e-6, 4.0, "who", 4,
    {"a": Listed(("x", "y", "z"), "other"), "b": Binned(0, 100, 10), "c": Binned(0, 9, 10)},
    (("a", "b"), ("a", "c")),
    DailySeries("2020-01-01", "2020-02-29", 9, 0.4),
)  # fmt: skip


def frame(seed: int = 0, rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.choice(["x", "y", "z", "rare"], rows, p=[0.4, 0.3, 0.29, 0.01])
    level = np.select([a == "x", a == "y"], [10.0, 50.0], 85.0)
    return pd.DataFrame(
        {
            "who": rng.integers(0, 700, rows),
            "at": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(rng.integers(0, 60 * 86400, rows), unit="s"),
            "a": a,
            "b": np.clip(level + rng.normal(0, 5, rows), 0, 100),
            "c": np.clip(np.rint(level / 12 + rng.normal(0, 1, rows)), 0, 9).astype(int),
        }
    )


def case(make_case: Any, table: pd.DataFrame | None = None, asked: Guarantee = ASKED) -> Any:
    return make_case(
        frame() if table is None else table,
        roles=Roles("who", "at"),
        columns=(Column("b", required=True), Column("c", required=True), Column("at", required=True)),
        spec=GeneratorSpec(
            type="dp_marginals", rows=500, outliers=NONE, guarantee=asked,
            parameters={"iterations": 1000},
        ),
    )  # fmt: skip


def make(made: Any, spend: Any, rows: int | None = 500, seed: int = 1) -> pd.DataFrame:
    return generate(
        made.contract, made.train, made.schema, secret_seed=seed, rows=rows,
        progress=lambda _: None, spend=spend,
    ).frame  # fmt: skip


# ---- bins come from the contract


def field(kind: Kind) -> Field:
    return Field("v", kind, "X")


@pytest.mark.parametrize(
    ("kind", "domain", "values", "levels"),
    [
        (Kind.NUMBER, Binned(0, 10, 5), [-3.0, 0.0, 1.9, 2.0, 10.0, 99.0, np.nan], [0, 0, 0, 1, 4, 4, 5]),
        (Kind.INTEGER, Binned(1, 4, 4), [0.0, 1.0, 4.0, 9.0, np.nan], [0, 0, 3, 3, 4]),
        (Kind.INTEGER, Binned(0, 99, 2, points=(0.0, 99.0)), [0.0, 1.0, 49.0, 50.0, 98.0, 99.0], [2, 0, 0, 1, 1, 3]),
        (Kind.TEXT, Listed(("x", "y"), "other"), ["x", "y", "new", "other", None], [0, 1, 2, 2, 3]),
        (Kind.TEXT, Listed(("x", "y")), ["x", "new", None], [0, 2, 2]),
        (Kind.DATE, Binned("2020-01-01", "2020-01-10", 10), ["2019-12-31", "2020-01-01", "2020-01-10"], [0, 0, 9]),
    ],
)  # fmt: skip
def test_values_fall_into_declared_levels(kind, domain, values, levels):
    column = (
        pd.Series(pd.to_datetime(values).astype("datetime64[ns]"))
        if kind is Kind.DATE
        else pd.Series(values)
    )
    made = codec(field(kind), domain)
    assert made.encode(column).tolist() == levels
    again = made.encode(pd.Series(made.decode(np.array(levels), np.random.default_rng(0))))
    assert again.tolist() == levels


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.INTEGER])
def test_whatever_is_drawn_falls_back_into_its_level(kind, scale):
    made = codec(field(kind), Binned(0, 5000, 30, scale, (0.0,)))
    codes = np.repeat(np.arange(made.levels + 1), 50)
    back = made.decode(codes, np.random.default_rng(0))
    assert (made.encode(pd.Series(back)) == codes).all()


def test_two_sources_with_other_extremes_and_categories_have_the_same_bins(make_case):
    other = frame(5)
    other.loc[:3, "b"] = [-1e6, 1e6, 55.5, 1e9]
    other.loc[:200, "a"] = "never seen"
    other["at"] += pd.Timedelta(days=400)
    one, two = case(make_case), case(make_case, other)
    assert (
        one.contract.generator.guarantee.expanded() == two.contract.generator.guarantee.expanded()
    )
    for name in ("a", "b", "c"):
        made = [codec(x.schema.field(name), ASKED.domain(name)) for x in (one, two)]
        codes = np.arange(made[0].levels + 1)
        assert made[0].levels == made[1].levels
        drawn = [m.decode(codes, np.random.default_rng(3)) for m in made]
        assert pd.Series(drawn[0]).equals(pd.Series(drawn[1]))


def test_a_column_that_nobody_declared_is_an_error_before_anything_is_spent(make_case, monkeypatch):
    monkeypatch.setattr(dp_marginals, "need_library", lambda: None)
    made = case(make_case, frame().assign(extra=1.0))
    spent: list[Any] = []
    with pytest.raises(GenerationError, match="declares no domain") as found:
        make(made, spent.append)
    assert found.value.where == "extra"
    assert "dp.columns" in found.value.mend
    assert not spent


# ---- how far one entity reaches


def test_truncation_leaves_no_more_than_the_cap_and_is_not_repeatable():
    owners = np.repeat([0, 1, 2, 5], [1, 3, 50, 9])
    kept = dp_release.truncate(owners, 4)
    assert np.bincount(owners[kept]).tolist() == [1, 3, 4, 0, 0, 4]
    assert any((dp_release.truncate(owners, 4) != kept).any() for _ in range(5))


def test_an_entity_moves_the_days_by_no_more_than_the_root_of_the_cap():
    rng = np.random.default_rng(0)
    owners, days = rng.integers(0, 50, 9000), rng.integers(0, 365, 9000)
    owners[:3000] = 7
    place, weight = dp_release.clipped_days(owners, days, 16)
    pairs = np.unique(np.stack([owners, days]), axis=1)
    assert (place == pairs[1]).all()
    squares = np.bincount(pairs[0], weights=weight**2) / dp_release.UNIT**2
    assert squares.max() <= 16
    assert squares[7] > 15.5  # and no more is given away than must be


def test_smoothing_follows_the_calendar_and_leaves_strong_days():
    days = np.arange(364)
    real = 300 + 60.0 * (days % 7 == 5) + 40 * np.sin(days / 60)
    real[100] = 500
    noisy = real + np.random.default_rng(0).normal(0, 20, 364)
    smooth = dp_days.smoothed(noisy, 20.0, 0)
    assert np.corrcoef(smooth, real)[0, 1] > np.corrcoef(noisy, real)[0, 1]
    assert np.abs(smooth - real).mean() < 0.8 * np.abs(noisy - real).mean()
    closed = dp_days.smoothed(np.where(days == 50, 3.0, noisy), 20.0, 0)
    assert closed[50] == 0


@needs_opendp
def test_noise_is_scaled_to_all_rows_of_an_entity():
    codes = {"a": np.zeros(100, dtype=np.int64)}
    model = dp_release.release(codes, {"a": 2}, (), rows_per_unit=8, rho=0.5, iterations=2)
    (measured,) = model.table.marginals.flatten()
    assert float(measured.stddev) == pytest.approx(8.0, rel=1e-3)  # 8 / sqrt(2 rho)
    noisy = dp_release.noisy_counts(np.zeros(4000, dtype=np.int64), 30.0, 0.5)
    assert noisy.std() == pytest.approx(30.0, rel=0.1)


@needs_opendp
def test_the_budget_is_the_declared_one():
    rho = dp_release.rho_of(1.0, 1e-6)
    assert 0.02 < rho < 0.03
    # the classical bound epsilon = rho + 2 sqrt(rho log(1 / delta)) is not below OpenDP's
    assert rho + 2 * np.sqrt(rho * np.log(1e6)) > 1.0


# ---- what it pays


def test_nothing_is_fitted_without_an_account(make_case, monkeypatch):
    monkeypatch.setattr(dp_marginals, "need_library", lambda: None)
    with pytest.raises(GenerationError, match="nobody keeps account"):
        make(case(make_case), None)


def test_it_is_paid_before_noise_is_drawn(make_case, monkeypatch):
    order: list[str] = []

    class Stop(Exception):
        pass

    def noise(*_: Any, **__: Any) -> Any:
        order.append("noise")
        raise Stop

    monkeypatch.setattr(dp_marginals, "need_library", lambda: None)
    monkeypatch.setattr(dp_marginals, "rho_of", lambda *_: 0.1)
    for name in ("release", "noisy_counts", "release_days"):
        monkeypatch.setattr(dp_marginals, name, noise)
    with pytest.raises(Stop):
        make(case(make_case), lambda details: order.append(f"paid {details['rho']}"))
    assert order == ["paid 0.1", "noise"]

    def broke(_: Any) -> None:
        raise GenerationError("spent")

    with pytest.raises(GenerationError, match="spent"):
        make(case(make_case), broke)
    assert order == ["paid 0.1", "noise"]


def test_no_protection_reads_train(make_case, monkeypatch):
    def reads(*_: Any, **__: Any) -> Any:
        raise AssertionError("a protection read the training part")

    monkeypatch.setattr(run, "protect", reads)
    monkeypatch.setattr(dp_marginals, "need_library", lambda: None)
    made = case(make_case)
    spec = replace(made.contract.generator, outliers=Outliers())
    with pytest.raises(GenerationError, match="nobody keeps account"):
        make(replace(made, contract=replace(made.contract, generator=spec)), None)


def test_a_missing_extra_is_named_with_its_command(make_case, monkeypatch):
    monkeypatch.setattr(dp_release.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(GenerationError, match=r"needs the extra \[dp\]") as found:
        make(case(make_case), lambda _: None)
    assert found.value.mend == "pip install 'synth-contracts[dp]'"


# ---- what comes out


@pytest.mark.slow
@needs_opendp
def test_a_fit_keeps_columns_pairs_and_days_and_no_two_are_alike(make_case):
    made = case(make_case, frame(rows=20_000), replace(ASKED, epsilon=15.0, lifetime_epsilon=30.0))
    paid: list[Any] = []
    first = make(made, paid.append, rows=None)
    assert len(paid) == 1
    assert paid[0]["pairs"] == [["a", "b"], ["a", "c"]]
    assert not first[["b", "c", "at"]].isna().any().any()
    assert set(first["a"].dropna()) <= {"x", "y", "z", "other"}
    assert first["b"].between(0, 100).all()
    assert first["at"].between("2020-01-01", "2020-03-01").all()
    assert first["who"].value_counts().max() <= ASKED.rows_per_entity
    kept = np.minimum(np.bincount(made.train["who"].astype(int)), ASKED.rows_per_entity).sum()
    assert len(first) == pytest.approx(kept / 0.7, rel=0.1)
    real = made.train.groupby("a")["b"].mean()
    assert first.groupby("a")["b"].mean()[["x", "y", "z"]].to_numpy() == pytest.approx(
        real[["x", "y", "z"]].to_numpy(), abs=6
    )
    second = make(made, paid.append, rows=len(first))
    assert not second.equals(first)


@needs_opendp
def test_columns_that_are_tied_to_a_third_alone_are_drawn_each_for_itself():
    rng = np.random.default_rng(0)
    codes = {name: rng.integers(0, size, 20_000) for name, size in (("p", 2), ("b", 4), ("c", 4))}
    model = dp_release.release(
        codes, {"p": 2, "b": 4, "c": 4}, (("p", "b"), ("p", "c")),
        rows_per_unit=1, rho=0.4, iterations=200,
    )  # fmt: skip
    # five tables share rho, and an entity of one row moves each by one: sqrt(5 / (2 rho))
    noise = [float(measured.stddev) for measured in model.table.marginals.flatten()]
    assert noise == pytest.approx([2.5] * 5, rel=1e-3)
    drawn = model.draw(4000, np.random.default_rng(1))
    joint = np.zeros((5, 5))
    np.add.at(joint, (drawn["b"], drawn["c"]), 1 / 4000)
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    # rounding the model's counts, as the library does by default, reads .74
    assert 0.5 * np.abs(joint - alone).sum() < 0.1


@pytest.mark.slow
@needs_opendp
def test_sampling_a_fit_repeats_by_its_seed(make_case):
    made = case(make_case)
    model = dp_marginals.DpMarginals(made.contract, lambda _: None)
    model.spend = lambda _: None
    features = made.train.drop(columns="who").assign(who=pd.factorize(made.train["who"])[0])
    model.fit(features, made.schema.roles, made.schema, np.random.default_rng(0))
    one, two, other = (model.sample(300, np.random.default_rng(s)).frame for s in (4, 4, 5))
    assert one.equals(two)
    assert not one.equals(other)
