"""Sums, orders and alternatives over several columns hold on every generated row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from synth_contracts.contract.model import Calendar, Column, GeneratorSpec, Outliers, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import generate
from synth_contracts.generate.reshape import Reshaped
from synth_contracts.tables import broken, canonical, restore

SHOP = (
    "total = net + tax",
    "qty * 2 - pairs = 0",
    "shipped is null or shipped >= ordered",
    "joined <= ordered",
    "discount <= net",
    "kind <> 'gift' or discount = 0",
)
SPECS = {
    "cart": GeneratorSpec(),
    "framed": GeneratorSpec(type="gaussian_copula", outliers=Outliers(reject=False)),
    "bare": GeneratorSpec(
        type="gaussian_copula", calendar=Calendar(enabled=False), outliers=Outliers(reject=False)
    ),
}


def orders(rows: int = 2_000) -> pd.DataFrame:
    """Orders of people who joined before them; sums, discounts and deliveries."""
    rng = np.random.default_rng(0)
    who = rng.permutation(np.arange(rows) % (rows // 8))
    joined = rng.integers(0, 60, rows // 8)[who]
    late = joined + rng.integers(0, 140, rows)
    net = rng.gamma(2, 20, rows).round(2) + 1
    kind = rng.choice(["gift", "book", "tool"], rows)
    ordered = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        late * 1440 + rng.integers(480, 1200, rows), "min"
    )
    shipped = ordered + pd.to_timedelta(rng.integers(30, 9_000, rows), "min")
    tax = (net * rng.choice([0.07, 0.19], rows)).round(2)
    qty = rng.integers(1, 9, rows)
    return pd.DataFrame(
        {
            "who": who,
            "joined": pd.Timestamp("2024-01-01") + pd.to_timedelta(joined, "D"),
            "ordered": ordered,
            "shipped": pd.Series(shipped).where(rng.random(rows) > 0.2),
            "net": net,
            "tax": tax,
            "total": (net + tax).round(2),
            "qty": qty,
            "pairs": 2 * qty,
            "kind": kind,
            "discount": np.where(
                (kind == "gift") | (rng.random(rows) < 0.6), 0, net * rng.random(rows)
            ).round(2),
        }
    )


def made_of(case, rows: int = 1_500, seed: int = 3) -> pd.DataFrame:
    return generate(
        case.contract, case.train, case.schema, secret_seed=seed, rows=rows,
        progress=lambda _: None,
    ).frame  # fmt: skip


def breaking(case, made: pd.DataFrame) -> dict[str, int]:
    """Rows of the table as it would be staged that break each condition."""
    staged = canonical(restore(made, case.schema), case.schema)
    return {c.check: int(broken(c, staged, case.schema).sum()) for c in case.schema.constraints}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_conditions_hold_on_every_row_whatever_the_generator(make_case, spec) -> None:
    roles = Roles("who", "ordered", None, (), ())
    case = make_case(orders(), roles=roles, spec=spec, conditions=SHOP)
    made = made_of(case)
    assert set(breaking(case, made).values()) == {0}
    assert len(made) == 1_500
    assert list(made.columns) == list(orders(8).columns)


def test_what_keeps_a_condition_keeps_its_shape(make_case) -> None:
    case = make_case(orders(4_000), roles=Roles("who", "ordered"), conditions=SHOP)
    made = made_of(case, 4_000)
    real = case.holdout
    for name in ("net", "tax", "total", "discount", "qty"):
        assert ks_2samp(real[name], made[name]).statistic <= 0.07, name
    lags = [((t["shipped"] - t["ordered"]).dt.total_seconds().dropna()) for t in (real, made)]
    assert ks_2samp(*lags).statistic <= 0.08
    assert made["shipped"].isna().mean() == pytest.approx(0.2, abs=0.04)
    assert (made["discount"] == 0).mean() == pytest.approx((real["discount"] == 0).mean(), abs=0.05)
    assert (made.groupby("who")["joined"].nunique() == 1).all()


def test_sums_and_distances_are_learned_instead_of_the_columns(make_case) -> None:
    case = make_case(orders(), roles=Roles("who", "ordered"), conditions=SHOP)
    train = case.train.drop(columns="who")
    reshaped = Reshaped(train, case.train["who"].to_numpy(dtype=np.int64), case.schema)
    learned = reshaped.forward(train)
    assert set(train.columns) - set(learned.columns) == {"total", "pairs"}
    assert learned["shipped"].min() >= 30
    assert learned["shipped"].dtype == np.float64
    owner = case.train["who"].to_numpy(dtype=np.int64)
    again = reshaped.back(learned, owner, reshaped.anchors(learned, owner))
    for name in train.columns:
        pd.testing.assert_series_equal(again[name], train[name], check_names=False, atol=1e-9)


def test_a_second_date_that_follows_the_first_is_learned_as_a_distance(make_case) -> None:
    """Without any constraint: parcels that arrive within four days still do."""
    rng = np.random.default_rng(1)
    day = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, 2_000), "D")
    frame = pd.DataFrame(
        {
            "ordered": day,
            "arrived": day + pd.to_timedelta(rng.integers(1, 5, 2_000), "D"),
            "born": pd.Timestamp("1950-01-01")
            + pd.to_timedelta(rng.integers(0, 9_000, 2_000), "D"),
        }
    )
    made = made_of(make_case(frame, roles=Roles(None, "ordered")))
    assert set((made["arrived"] - made["ordered"]).dt.days) == {1, 2, 3, 4}
    assert made["born"].max() < pd.Timestamp("1975-01-01")


def test_a_sum_with_missing_values_of_its_own(make_case) -> None:
    frame = orders()[["net", "tax", "total"]]
    frame.loc[::5, "total"] = np.nan
    frame.loc[::7, "tax"] = np.nan
    case = make_case(frame, roles=Roles(), conditions=("net + tax = total",))
    made = made_of(case)
    assert breaking(case, made) == {"net + tax = total": 0}
    assert made["total"].isna().mean() == pytest.approx(0.2, abs=0.05)
    assert (made["total"].notna() & made["tax"].isna()).sum() > 50  # as in train: its own value


def test_a_condition_that_no_row_can_keep_is_an_error(make_case) -> None:
    frame = orders()[["who", "ordered", "net"]]
    case = make_case(frame, roles=Roles("who", "ordered"), conditions=("net + 1 < 0",))
    with pytest.raises(GenerationError, match=r"500 of 500 .* break c0: net \+ 1 < 0") as error:
        made_of(case, 500)
    assert "loosen" in error.value.mend


def test_numbers_of_an_enum_and_of_a_range_stay_there(make_case) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"size": rng.choice([36.125, 38.5, 44.0], 900), "share": rng.beta(0.3, 0.3, 900)}
    )
    columns = (
        Column("size", enum=(36.125, 38.5, 44)),
        Column("share", exclusive_minimum=0, exclusive_maximum=1, required=True),
    )
    frame["share"] = frame["share"].clip(1e-9, 1 - 1e-9)
    case = make_case(frame, roles=Roles(), columns=columns)
    alone = np.arange(len(case.train))
    drawn = case.train.assign(size=case.train["size"] + 0.5)
    back = Reshaped(case.train, alone, case.schema).back(drawn, alone, {})
    assert (back["size"] == case.train["size"]).all()
    for spec in SPECS.values():
        made = made_of(make_case(frame, roles=Roles(), columns=columns, spec=spec))
        assert set(made["size"]) <= {36.125, 38.5, 44.0}
        assert (made["size"] == 38.5).mean() > 0.2
        assert made["share"].between(0, 1, inclusive="neither").all()


def test_the_same_seed_draws_again_alike(make_case) -> None:
    case = make_case(orders(), roles=Roles("who", "ordered"), conditions=SHOP)
    pd.testing.assert_frame_equal(made_of(case), made_of(case))
