"""Series, daylight saving, and times that are unique."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth_contracts.contract.model import Column, GeneratorSpec, Outliers, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import generate
from synth_contracts.generate.slots import Slots, onward, skipped
from synth_contracts.tables import restore

NEW_YORK = "America/New_York"


def made_of(case, rows: int, seed: int = 3) -> pd.DataFrame:
    return generate(
        case.contract, case.train, case.schema, secret_seed=seed, rows=rows,
        progress=lambda _: None,
    ).frame  # fmt: skip


def hourly(days: int = 60, first: str = "2023-10-01") -> pd.DataFrame:
    """A count for each hour, closed from 1 to 5 h, with its rhythm."""
    at = pd.date_range(first, periods=24 * days, freq="h")
    at = at[~at.hour.isin([1, 2, 3, 4])]
    rng = np.random.default_rng(0)
    mean = 50 + 40 * np.sin(np.asarray(at.hour) / 24 * 2 * np.pi) + 60 * (at.dayofweek < 5)
    return pd.DataFrame({"at": at, "count": rng.poisson(mean), "wet": rng.random(len(at)) < 0.3})


def test_a_row_per_hour_stays_a_row_per_hour(make_case) -> None:
    frame = hourly()
    case = make_case(frame, roles=Roles(None, "at"))
    assert len(case.train) < 0.75 * len(frame)  # hours of the holdout are not known to be open
    made = made_of(case, len(frame))
    assert made["at"].is_unique
    assert set(made["at"]) == set(frame["at"])
    busy = made[made["at"].dt.dayofweek < 5]["count"].mean()
    assert busy > made["count"].mean() + 5
    twice = made_of(case, 2 * len(frame))  # more rows than hours: evenly
    assert set(twice["at"].value_counts()) == {2}
    fewer = made_of(case, 500)
    assert fewer["at"].is_unique


def test_a_row_per_business_day_stays_one(make_case) -> None:
    days = pd.bdate_range("2022-01-03", "2023-06-30")
    frame = pd.DataFrame({"day": days, "n": np.arange(len(days)) % 17})
    case = make_case(frame, roles=Roles(None, "day"))
    made = made_of(case, len(frame))
    assert made["day"].is_unique
    assert made["day"].dt.dayofweek.max() == 4
    assert len(set(made["day"]) & set(days)) >= len(days) - 2  # its first day is holdout
    assert case.train["day"].min() > days[0]


def test_events_are_no_series() -> None:
    rng = np.random.default_rng(1)
    days = pd.date_range("2024-01-01", periods=100)
    assert Slots.find(pd.DatetimeIndex(rng.choice(days, 200)), None) is None
    seconds = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(10**6)[:500], "s")
    assert Slots.find(pd.DatetimeIndex(seconds), None) is None
    thin = rng.permutation(pd.date_range("2024-01-01", periods=20_000, freq="h"))[:200]
    assert Slots.find(pd.DatetimeIndex(thin), None) is None
    assert Slots.find(days[:40], None) is None
    assert Slots.find(days, None) is not None


def test_no_hour_that_the_clock_skips_and_the_repeated_one_twice(make_case) -> None:
    """An hourly series of moments over both changes of 2023."""
    moments = pd.date_range("2023-03-01 05:00", "2023-11-30 04:00", freq="h", tz="UTC")
    frame = pd.DataFrame({"at": moments, "n": np.arange(len(moments)) % 9})
    case = make_case(frame, roles=Roles(None, "at", NEW_YORK))
    made = restore(made_of(case, len(frame)), case.schema)
    found = made.column("at").to_pandas()
    assert found.is_unique
    assert set(found) == set(moments)


@pytest.mark.parametrize("zoned", [False, True])
def test_events_keep_out_of_the_skipped_hour(make_case, zoned: bool) -> None:
    rng = np.random.default_rng(2)
    first, last = pd.Timestamp("2022-12-04", tz="UTC"), pd.Timestamp("2023-03-14", tz="UTC")
    seconds = int((last - first).total_seconds())
    at = (first + pd.to_timedelta(np.sort(rng.integers(0, seconds, 5_000)), "s")).tz_convert(
        NEW_YORK
    )
    at = at.tz_convert("UTC") if zoned else at.tz_localize(None)
    frame = pd.DataFrame({"at": at, "n": rng.integers(0, 5, 5_000)})
    case = make_case(frame, roles=Roles(None, "at", NEW_YORK))
    made = made_of(case, 20_000)["at"]
    assert not skipped(pd.DatetimeIndex(made), NEW_YORK).any()
    march = made[made.dt.month == 3]
    assert not ((march.dt.day == 12) & (march.dt.hour == 2)).any()
    assert ((march.dt.day == 5) & (march.dt.hour == 2)).any()  # another Sunday


def test_a_second_time_keeps_out_of_the_skipped_hour(make_case) -> None:
    rng = np.random.default_rng(3)
    at = pd.Timestamp("2023-03-11 20:00") + pd.to_timedelta(rng.integers(0, 240, 1_500), "min")
    frame = pd.DataFrame(
        {"at": at, "done": at + pd.to_timedelta(rng.integers(60, 90, 1_500), "min")}
    )
    frame["done"] = frame["done"] + pd.Timedelta(4, "h")
    frame["done"] = onward(pd.DatetimeIndex(frame["done"]), NEW_YORK)
    spec = GeneratorSpec(type="gaussian_copula", outliers=Outliers(reject=False))
    for one in (GeneratorSpec(), spec):
        case = make_case(frame, roles=Roles(None, "at", NEW_YORK), spec=one)
        made = made_of(case, 1_500)
        assert not skipped(pd.DatetimeIndex(made["done"]), NEW_YORK).any()
        assert (made["done"].dt.hour == 3).any()


def test_both_readings_of_a_repeated_hour_get_rows(make_case) -> None:
    wall = pd.date_range("2023-11-05 00:30", periods=6, freq="30min")
    frame = pd.DataFrame({"at": wall.repeat(2)[:11], "n": 1.0})
    zoned = pd.DataFrame({"at": wall[:3].tz_localize(NEW_YORK, ambiguous=True).tz_convert("UTC")})
    schema = make_case(zoned.assign(n=1.0), roles=Roles(None, "at", NEW_YORK), share=0.0).schema
    found = restore(frame, schema).column("at").combine_chunks().cast(pa.timestamp("us", NEW_YORK))
    offsets = [moment.utcoffset().total_seconds() / 3600 for moment in found.to_pylist()]
    assert offsets == [-4, -4, -4, -5, -4, -5, -5, -5, -5, -5, -5]


def test_unique_times_are_learned_and_moved_apart(make_case) -> None:
    rng = np.random.default_rng(4)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(3_000)[:800], "min")
    frame = pd.DataFrame({"at": at, "n": rng.integers(0, 5, 800)})
    case = make_case(frame, roles=Roles(), columns=(Column("at", unique=True),))
    made = made_of(case, 1_200)
    assert made["at"].is_unique
    assert made["at"].between("2024-01-01", "2024-01-04").all()
    with pytest.raises(GenerationError, match="5000 rows cannot each have a time"):
        made_of(case, 5_000)
