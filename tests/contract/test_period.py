"""generator.period and the holidays' country: what is read, warned of and refused."""

from __future__ import annotations

from datetime import date

import pytest

from synth_contracts.contract.linting import lint
from synth_contracts.contract.model import Period


def with_period(text: str) -> tuple[str, str]:
    return ("rows: source", f"rows: source\n            period: {text}")


def test_a_period_is_read_hashed_and_warned_of(bend, bent):
    contract = bent(with_period("{start: 2018-01-01, days: 90}"))
    assert contract.generator.period == Period(start=date(2018, 1, 1), days=90)
    assert contract.expanded["synthetic"]["generator"]["period"] == {
        "start": "2018-01-01", "days": 90,
    }  # fmt: skip
    assert "period" not in bent().expanded["synthetic"]["generator"]  # digests stay as they were
    assert contract.digest != bent().digest
    (warning,) = lint([bend(with_period("{days: 9}"))]).warnings
    assert "autocorrelation, calendar_correlation, detection compare" in warning.message
    assert "disable: [autocorrelation, calendar_correlation, detection]" in warning.mend
    quiet = bend(
        with_period("{days: 9}"),
        ("k: 10", "disable: [autocorrelation, calendar_correlation, detection]"),
    )
    assert not [w for w in lint([quiet]).warnings if "same days" in w.message]


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        (Period(days=2), date(2017, 7, 1), date(2017, 7, 2)),
        (Period(end=date(2017, 8, 1)), date(2017, 1, 1), date(2017, 8, 1)),
        (Period(start=date(2017, 3, 1), days=1), date(2017, 3, 1), date(2017, 3, 1)),
        (Period(date(2016, 1, 1), date(2016, 2, 1)), date(2016, 1, 1), date(2016, 2, 1)),
    ],
)
def test_the_days_of_a_period(given, first, last):
    assert given.between(date(2017, 1, 1), date(2017, 6, 30)) == (first, last)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([with_period("{}")], "says nothing"),
        ([with_period("{days: 3, end: 2018-01-01}")], "both `end` and `days`"),
        ([with_period("{start: 2018-01-01}")], "no end"),
        ([with_period("{start: 2018-01-02, end: 2018-01-01}")], "ends before it starts"),
        ([with_period("{end: 2018-02-30}")], "no day of the calendar"),
        ([with_period("{end: tomorrow}")], "must match"),
        ([with_period("{days: 0}")], "at least 1"),
        ([with_period("{day: 3}")], "unknown key `day`"),
        ([with_period("{days: 3}"), ("volume: model", "volume: replay")], "repeats train's own"),
        ([with_period("{days: 3}"), ("calendar: {holidays: US, volume: model}", "calendar: false")],
         "needs the calendar"),
        ([("holidays: US", "holidays: QQ")], "no holidays are known for the country `QQ`"),
        ([("holidays: US", "holidays: US-XX")], "subdivision `XX` of US"),
    ],
)  # fmt: skip
def test_what_is_no_period(faults, pairs, words):
    report = faults(*pairs)
    assert report.contracts == ()
    assert any(words in p.message for p in report.problems), report.problems
