"""forecast_utility: a real future, foretold by what synthetic rows teach."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.tables import Kind

ID = "forecast_utility"


def read(comparison: Comparison, **options: object) -> Measurement:
    found = measure(ID, comparison, options=options)
    assert isinstance(found, Measurement), found
    return found


def days(first: int, counts: list[int]) -> dict[str, list[object]]:
    """Eight entities that each come ``counts[d]`` times on day d, from Monday 2024-01-01 on."""
    monday = np.datetime64("2024-01-01", "ns")
    rows = [
        (first + who, monday + np.timedelta64(day, "D"))
        for who in range(8)
        for day, times in enumerate(counts)
        for _ in range(times)
    ]
    who, at = zip(*rows, strict=True)
    return {"who": list(who), "at": list(at)}


def weeks(busy: int, length: int = 112) -> list[int]:
    """One row a day and eight on one weekday."""
    return [8 if day % 7 == busy else 1 for day in range(length)]


@pytest.fixture
def compare(by_hand):
    def make(*counts: list[int]) -> Comparison:
        tables = tuple(days(100 * i, one) for i, one in enumerate(counts))
        return by_hand({"at": Kind.TIMESTAMP}, tables, time_index="at")

    return make


def noisy(counts: list[int], seed: int) -> list[int]:
    return [int(n) for n in np.random.default_rng(seed).poisson(counts)]


def test_by_hand(compare):
    """The last Saturday of the holdout, day 110, has one row more for each of its eight entities.

    112 days, horizon 7: behind 28 days of history and 28 of learning there is room for 8 windows,
    and half of the calendar holds 8. Train and holdout together have 2 * 8 * 14 rows a week, 32 a
    day. The last week as a guess is wrong by 8 rows, 8 / 32 of a day, on one of 56 days.
    """
    future = weeks(5)
    future[110] += 1
    found = read(compare(weeks(5), future, weeks(5)), horizon=7)
    assert found.details["windows"] == 8
    assert found.n == 56
    assert found.unit == "days"
    assert found.value == 1
    assert found.details["error_seasonal_naive"] == pytest.approx(8 / 32 / 56)


def test_another_weekday_and_no_weekday_err(compare):
    """A table whose busy day is Tuesday, and one without a week, foretell Saturdays badly."""
    train, future = (noisy(weeks(5), seed) for seed in (1, 2))
    good, moved, flat = (
        read(compare(train, future, noisy(counts, 3)), horizon=7)
        for counts in (weeks(5), weeks(1), [2] * 112)
    )
    assert good.value < 1.3
    assert moved.value > 1.1
    assert flat.value > 2
    assert good.details["error_real"] == moved.details["error_real"]


def test_the_size_of_the_table_does_not_matter(compare):
    """Ten times the rows at the same rhythm teach the same."""
    train, future = noisy(weeks(5), 1), noisy(weeks(5), 2)
    many = [10 * n for n in train]
    assert read(compare(train, future, many), horizon=7).value == pytest.approx(1)


def test_only_the_past_is_learned_from(compare):
    """What synthetic rows say of the last window has no part in any forecast."""
    train, future = noisy(weeks(5), 1), noisy(weeks(5), 2)
    other = train[:-7] + [50] * 7
    assert read(compare(train, future, other), horizon=7).value == pytest.approx(1)
    earlier = train[:-14] + [50] * 7 + train[-7:]
    assert read(compare(train, future, earlier), horizon=7).value != pytest.approx(1, rel=1e-3)


def test_a_copy_of_train_reads_1_and_more_entities_read_no_better(toys, remake, make_toy):
    assert read(remake(synthetic=toys.train)).value == 1
    twice = read(remake(synthetic=make_toy(3, 440, first=2000)))
    assert twice.details["entities_thinned_to"] == 220
    assert 0.7 < twice.value < 1.3


def test_real_tables(thirds):
    """Fresh entities teach what train teaches; a week that was smeared out does not."""
    time = thirds.schema.roles.time_index
    fresh = read(thirds.compare(thirds.fresh))
    assert 0.9 < fresh.value < 1.1
    assert fresh.lower < 1 < fresh.upper
    assert abs(fresh.value - fresh.floor) < 0.1
    assert fresh.details["beats_seasonal_naive"]
    assert fresh.n == 6 * 28
    smeared = thirds.fresh.copy()
    moved = np.random.default_rng(1).integers(-3, 4, len(smeared))
    smeared[time] += pd.to_timedelta(moved, unit="D")
    found = read(thirds.compare(smeared))
    assert found.value > 1.1
    assert found.lower > 1
    assert found.details["rows_outside_the_real_calendar"] > 0


def test_sums_and_hours(toys):
    sums = read(toys, aggregate="sum", column="items")
    assert sums.value != read(toys).value
    hours = read(toys, frequency="hour")
    assert hours.unit == "hours"
    assert hours.n == 28 * 28
    assert 0.8 < hours.value < 1.2


def test_what_cannot_be_foretold_is_not_measured(compare, toys, remake):
    def reason(comparison: Comparison, **options: object) -> str:
        found = measure(ID, comparison, options=options)
        assert isinstance(found, NotMeasured), found
        return found.reason

    week = weeks(5)
    short = compare(week[:70], week[:70], week[:70])
    assert "has 70 days, and a forecast of 28 needs 112" in reason(short)
    late = [0] * 84 + week[:28]
    assert "synthetic comes to nothing" in reason(compare(week, week, late))
    still = [2] * 112
    assert "holds still" in reason(compare(still, still, still))
    far = toys.train.copy()
    far["at"] += np.timedelta64(365 * 200, "D")
    assert "out of range" in reason(remake(train=far), frequency="hour")
    huge = toys.train.assign(amount=1e308)
    assert "too large" in reason(remake(train=huge), aggregate="sum", column="amount")
    roles = toys.schema.roles.__class__(entity_key="who")
    schema = toys.schema.__class__("toy", toys.schema.fields, roles)
    assert "no time index" in reason(remake(schema=schema))


def test_options(toys):
    for options in ({"aggregate": "sum"}, {"frequency": "week"}, {"horizon": 0}):
        with pytest.raises(ValueError, match=ID):
            measure(ID, toys, options=options)
