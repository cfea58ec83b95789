"""Rows for days beyond the source."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Calendar, GeneratorSpec, Outliers, Period, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import generate, rows_asked
from synth_contracts.generate.volume import VolumeModel


def shop(days: int = 730, growth: float = 0.0) -> pd.DataFrame:
    """Two years, no Sundays, no Christmas, Mondays twice as busy, more rows in December."""
    rng = np.random.default_rng(0)
    at = pd.date_range("2022-01-01", periods=days)
    mean = 12.0 * np.exp(growth * np.arange(days) / 365)
    mean = mean * np.where(at.dayofweek == 0, 2, 1) * np.where(at.month == 12, 1.6, 1)
    mean[(at.dayofweek == 6) | ((at.month == 12) & (at.day == 25))] = 0
    stamp = at.repeat(rng.poisson(mean))
    return pd.DataFrame(
        {
            "who": rng.integers(0, 400, len(stamp)),
            "at": stamp + pd.to_timedelta(rng.integers(9 * 60, 18 * 60, len(stamp)), "min"),
            "paid": rng.gamma(2, 10, len(stamp)).round(2),
        }
    )


def made_of(case, rows: int) -> pd.DataFrame:
    return generate(
        case.contract, case.train, case.schema, secret_seed=3, rows=rows, progress=lambda _: None
    ).frame


def test_rows_of_the_next_year_keep_the_calendar(make_case) -> None:
    frame = shop()
    spec = GeneratorSpec(
        calendar=Calendar(holidays="US"),
        period=Period(days=365),
        outliers=Outliers(reject=False),
    )
    case = make_case(frame, roles=Roles("who", "at"), spec=spec)
    rows = rows_asked(case.contract, case.train, case.schema, len(frame))
    assert rows == pytest.approx(len(frame) / 2, rel=0.02)
    made = made_of(case, rows)["at"]
    assert made.dt.year.value_counts(normalize=True)[2024] > 0.98
    assert made.min() > frame["at"].max().normalize()
    assert not (made.dt.dayofweek == 6).any()
    assert not ((made.dt.month == 12) & (made.dt.day == 25)).any()
    monday = (made.dt.dayofweek == 0).mean()
    assert monday == pytest.approx((frame["at"].dt.dayofweek == 0).mean(), abs=0.03)
    assert (made.dt.month == 12).mean() > (made.dt.month == 10).mean() * 1.2
    assert made.dt.hour.between(9, 17).all()


def test_the_trend_goes_on_and_is_damped() -> None:
    times = pd.DatetimeIndex(shop(growth=0.5)["at"])
    model = VolumeModel(None, Period(start=date(2023, 12, 1), days=760)).fit(times)
    shape = pd.Series(np.zeros(len(model.days)), index=model.days)
    shape[model._open] = model._shape
    monthly = shape.groupby(shape.index.to_period("M")).mean()
    assert monthly["2024-02"] > monthly["2024-02":"2025-12"].mean() * 0.85
    grown = monthly["2025-10"] / monthly["2024-10"]
    assert grown == pytest.approx(1, abs=0.02)  # a year on nothing is left of the slope
    flat = VolumeModel(None, Period(days=60)).fit(times)
    whole = VolumeModel(None).fit(times)
    assert flat.days[0] == whole.days[-1] + pd.Timedelta(1, "D")
    lately = whole.sample(len(times), np.random.default_rng(0))[-60:].sum() / len(times)
    assert lately > 60 / 730 * 1.1  # it did grow


def test_days_of_the_source_keep_their_own_shape() -> None:
    times = pd.DatetimeIndex(shop()["at"])
    own = VolumeModel(None).fit(times)
    same = VolumeModel(None, Period(start=date(2022, 1, 1), end=own.days[-1].date())).fit(times)
    np.testing.assert_allclose(own._shape, same._shape)
    assert (own._open == same._open).all()
    half = VolumeModel(None, Period(end=date(2022, 6, 30))).fit(times)
    assert half.days[0] == own.days[0]
    assert len(half.days) == 181


def test_a_series_goes_on_hour_by_hour(make_case) -> None:
    at = pd.date_range("2023-01-01", periods=24 * 90, freq="h")
    frame = pd.DataFrame({"at": at, "n": np.arange(len(at)) % 7})
    spec = GeneratorSpec(period=Period(start=date(2023, 4, 1), end=date(2023, 4, 10)))
    case = make_case(frame, roles=Roles(None, "at"), spec=spec)
    made = made_of(case, 240)["at"]
    assert set(made) == set(pd.date_range("2023-04-01", periods=240, freq="h"))


def test_a_period_without_an_open_day_is_an_error(make_case) -> None:
    sunday = Period(start=date(2024, 3, 3), end=date(2024, 3, 3))
    case = make_case(shop(), roles=Roles("who", "at"), spec=GeneratorSpec(period=sunday))
    with pytest.raises(GenerationError, match="no rows on any weekday of the period"):
        made_of(case, 100)


def test_a_period_of_a_table_without_times_is_an_error(make_case) -> None:
    frame = shop(60)
    frame["at"] = pd.NaT
    case = make_case(frame, roles=Roles("who", "at"), spec=GeneratorSpec(period=Period(days=9)))
    with pytest.raises(GenerationError, match="holds none"):
        rows_asked(case.contract, case.train, case.schema, 100)
