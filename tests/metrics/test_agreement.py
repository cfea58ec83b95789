"""Agreement, worked out by hand on few rows; what it sees; and that nobody is favoured."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from synth_contracts.metrics import attacks, measure
from synth_contracts.metrics.agreement import AGREE, Agreement, Columns
from synth_contracts.tables import Field, Kind

NUMBER = Field("amount", Kind.NUMBER, "DOUBLE")
SHOP = Field("shop", Kind.TEXT, "VARCHAR")
AT = Field("at", Kind.TIMESTAMP, "TIMESTAMP")
LOG = math.log(math.log(100))


def _agreement(real: pd.DataFrame, *features: Field, seed: int = 1) -> Agreement:
    columns = Columns([real.iloc[:50], real.iloc[50:]], features)
    return Agreement(columns, columns.mark(real), np.random.default_rng(seed))


def _best(real: pd.DataFrame, other: pd.DataFrame, *features: Field) -> np.ndarray:
    found = _agreement(real, *features)
    return found.best(found.columns.mark(other))


def test_a_number_counts_by_how_many_real_values_lie_as_near() -> None:
    real = pd.DataFrame({"amount": np.arange(100.0)})
    # 40 equals the 41st of a hundred values; twice 1 of 100 lie as near to it as its neighbours
    found = _best(real, pd.DataFrame({"amount": [40.0]}), NUMBER)
    assert found[40] == pytest.approx(-math.log(0.01) - LOG, abs=1e-5)
    assert found[41] == pytest.approx(-math.log(0.02) - LOG, abs=1e-5)
    # 40.5 lies between: 41 of a hundred are below it, 40.5 of them below 40
    found = _best(real, pd.DataFrame({"amount": [40.5]}), NUMBER)
    assert found[40] == pytest.approx(-math.log(0.01) - LOG, abs=1e-5)


def test_a_category_counts_by_how_rare_its_level_is_and_a_change_costs_little() -> None:
    shops = ["rare"] * 2 + ["often"] * 98
    real = pd.DataFrame({"amount": np.arange(100.0), "shop": shops})
    found = _best(
        real, pd.DataFrame({"amount": [0.0, 1.0], "shop": ["rare", "often"]}), NUMBER, SHOP
    )
    alike, unlike = math.log(AGREE / 0.02), math.log((1 - AGREE) / (1 - 0.98))
    number = -math.log(0.01) - LOG
    assert found[0] == pytest.approx(number + alike, abs=1e-5)
    # the copy of the second row has another shop now
    near = -math.log(0.02) - LOG
    assert found[1] == pytest.approx(max(number + unlike, near + alike), abs=1e-5)
    new = _best(real, pd.DataFrame({"amount": [0.0], "shop": ["never seen"]}), NUMBER, SHOP)
    assert new[0] < found[0]


def test_nulls_agree_with_nulls_alone() -> None:
    real = pd.DataFrame({"amount": [np.nan] * 4 + list(np.arange(96.0))})
    found = _best(real, pd.DataFrame({"amount": [np.nan]}), NUMBER)
    assert found[:4] == pytest.approx([-math.log(0.04) - LOG] * 4, abs=1e-5)
    assert not found[4:].any()


def test_a_time_is_read_as_a_day_and_an_hour() -> None:
    start = np.datetime64("2024-01-01", "ns")
    minutes = np.arange(100) * 1_447  # each day once, each hour once
    real = pd.DataFrame({"at": start + minutes.astype("timedelta64[m]").astype("timedelta64[ns]")})
    assert len(Columns([real], (AT,)).numbers) == 2
    found = _best(real, real.iloc[[30]], AT)
    assert found[30] == pytest.approx(-2 * math.log(0.01) - 2 * LOG, abs=0.8)
    days = pd.DataFrame({"at": start + np.arange(100).astype("timedelta64[D]")})
    assert len(Columns([days], (AT,)).numbers) == 1


def test_no_row_is_worth_less_than_nothing_and_an_empty_table_agrees_with_none() -> None:
    real = pd.DataFrame({"amount": np.arange(100.0)})
    assert not _best(real, real.iloc[:0], NUMBER).any()
    assert (_best(real, pd.DataFrame({"amount": [1e9]}), NUMBER) >= 0).all()


def test_rows_that_are_added_to_a_table_take_nothing_away() -> None:
    rng = np.random.default_rng(3)
    real = pd.DataFrame(
        {"amount": rng.normal(size=100).round(1), "shop": rng.choice(list("abc"), 100)}
    )
    one, two = (real.sample(40, random_state=seed) for seed in (1, 2))
    found = _agreement(real, NUMBER, SHOP)
    mark = found.columns.mark
    both = found.best(mark(pd.concat([one, two])))
    assert (both == np.maximum(found.best(mark(one)), found.best(mark(two)))).all()
    # and what the control plants is found pair by pair
    nothing = np.zeros(100)
    pairs, _, score = found.pairs(mark(two), nothing, nothing)
    best = np.zeros(100)
    np.maximum.at(best, pairs, score)
    assert (best == found.best(mark(two))).all()


def test_among_equal_rows_members_do_not_come_first() -> None:
    # the last of the members and the first of the others are equal
    real = pd.DataFrame(
        {"amount": np.concatenate([np.arange(40.0), [50.0] * 20, 60 + np.arange(40.0)])}
    )
    shares = []
    for seed in range(40):
        found = _agreement(real, NUMBER, seed=seed)
        met = np.flatnonzero(found.best(found.columns.mark(real.iloc[[45]])))
        shares.append((met[(met >= 40) & (met < 60)] < 50).mean())
    assert 0.35 < np.mean(shares) < 0.65


def test_near_copies_are_seen_where_every_row_has_near_neighbours(toys, remake) -> None:
    rng = np.random.default_rng(5)
    frames = {}
    for name in ("train", "holdout", "synthetic"):
        frame = getattr(toys, name).copy()
        frame["amount"] = rng.normal(size=len(frame)).round(5)
        frames[name] = frame
    fresh = remake(**frames)
    taken = rng.choice(len(frames["train"]), len(frames["synthetic"]) // 3, replace=False)
    rows = frames["train"].iloc[taken]
    near = frames["synthetic"].iloc[: len(taken)].copy()
    near["amount"] = rows["amount"].to_numpy() + rng.choice([-1e-5, 1e-5], len(taken))
    near["at"] = rows["at"].to_numpy()
    leaky = remake(
        **{**frames, "synthetic": pd.concat([near, frames["synthetic"].iloc[len(taken) :]])}
    )
    clean, seen = (measure("membership_inference", one) for one in (fresh, leaky))
    assert clean.value < 0.25
    assert seen.details["attacks"]["agreement"]["value"] > 0.4
    assert seen.details["attack"] == "agreement"


def test_what_the_reference_says_too_is_no_news(toys, remake) -> None:
    whole = remake()
    nearby = whole.nearby
    own = whole.agreement.best(whole.agreement.columns.mark(whole.synthetic_side.frame))
    assert attacks.row_scores(nearby)["agreement"] == pytest.approx(own - nearby.usual)
    # nobody is compared with a row of the own half
    half = nearby.half[whole.candidates.entity]
    others = np.arange(len(half)) >= nearby.cut
    reference = whole.agreement.real.of(others & half)
    again = whole.agreement.best(reference, among=~half)
    assert (nearby.usual[~half] == again[~half]).all()
