"""autocorrelation: the rhythm of detrended series, judged over what a holdout reads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.metrics.fidelity import autocorrelation
from synth_contracts.metrics.results import CannotMeasure
from synth_contracts.metrics.series import autocorrelations


def read(comparison: Comparison, **options: object) -> Measurement:
    found = measure("autocorrelation", comparison, options=options)
    assert isinstance(found, Measurement), found
    return found


def test_acf_by_hand():
    """A spike every second period of 40, less its mean: +1 and -1 alternating."""
    wave = np.tile([0.0, 2.0], 20)
    found = autocorrelations(wave[None], np.array([1, 2]), 80)[0]
    np.testing.assert_allclose(found, [-39 / 40, 38 / 40])


def test_a_trend_is_no_rhythm():
    """cdnow reads .91 raw and -.03 detrended: a straight line must not look like repetition."""
    r = np.random.default_rng(1)
    line = np.arange(365) * 5.0 + r.normal(0, 3, 365)
    assert abs(autocorrelations(line[None], np.array([7]), 28)[0, 0]) < 0.3


def test_a_flat_series_has_none():
    with pytest.raises(CannotMeasure, match="does not vary"):
        autocorrelations(np.full((1, 100), 3.0), np.array([1]), 28)


def test_real_figures(flights, baskets):
    """Lag 7 of daily counts less a 28-day centred mean; all flights read .79."""
    for frame, column, expected in (
        (flights, "sched_dep", 0.52),
        (baskets, "transaction_timestamp", 0.40),
    ):
        days = frame[column].dt.floor("D").value_counts().sort_index()
        counts = days.asfreq("D", fill_value=0).to_numpy(dtype=float)
        found = autocorrelations(counts[None], np.array([7]), 28)[0, 0]
        assert found == pytest.approx(expected, abs=0.05)


def test_train_itself_reads_zero_and_fresh_entities_their_floor(toys, remake):
    assert read(remake(synthetic=toys.train)).value == 0
    fresh = read(toys)
    assert fresh.value - fresh.floor < 0.1
    assert fresh.lower <= fresh.value <= fresh.upper


def test_a_table_without_the_week_is_seen(toys, remake):
    flat = toys.synthetic.copy()
    days = np.random.default_rng(3).integers(0, 140, len(flat))
    flat["at"] = np.datetime64("2024-01-01", "ns") + days.astype("timedelta64[D]")
    found = read(remake(synthetic=flat))
    assert found.value - found.floor > 0.1
    weekly = read(remake(synthetic=flat), lags=[7])
    assert weekly.value <= found.value
    assert weekly.details["lags"] == [7]


def test_rows_outside_the_period_count(toys, remake):
    late = toys.synthetic.iloc[:300].copy()
    late["at"] += pd.Timedelta(days=200)
    found = read(remake(synthetic=pd.concat([toys.synthetic, late], ignore_index=True)))
    assert found.details["rows_outside_the_period_of_train"] == 300
    assert found.value > read(toys).value


def test_the_floor_holds_equal_entities(toys, remake, monkeypatch):
    """With a holdout of a third, train is sampled down to it: a floor of unequal sides is none."""
    few = toys.holdout[toys.holdout["who"] < 1073]
    rows = []
    total = autocorrelation.total

    def counted(side, first, length, entities=None):
        found = total(side, first, length, entities)
        if side.entities in {220, 73} and entities is not None:
            rows.append((side.entities, int(found.sum())))
        return found

    monkeypatch.setattr(autocorrelation, "_HALVES", 2)
    monkeypatch.setattr("synth_contracts.metrics.series.total", counted)
    monkeypatch.setattr(autocorrelation, "total", counted)
    found = read(remake(holdout=few))
    assert {(220, 73 * 5), (73, 73 * 5)} <= set(rows)
    assert found.floor > read(toys).floor


def test_sums_of_a_column(toys, remake):
    sums = read(toys, aggregate="sum", column="items", frequency="day", lags=[1, 7])
    assert sums.value != read(toys, lags=[1, 7]).value
    bad = toys.synthetic.assign(items=np.inf)
    found = measure(
        "autocorrelation",
        remake(synthetic=bad),
        options={"aggregate": "sum", "column": "items"},
    )
    assert isinstance(found, NotMeasured)
    assert "infinite" in found.reason


def test_hours(toys):
    found = read(toys, frequency="hour", lags=[24])
    assert found.unit == "hours"
    assert found.n > 3000


def test_too_short_is_not_measured(toys, remake):
    cut = np.datetime64("2024-02-20")
    short = toys.train[toys.train["at"] < cut]
    found = measure("autocorrelation", remake(train=short))
    assert isinstance(found, NotMeasured)
    assert "fewer than 56 days" in found.reason


def test_times_out_of_their_mind_are_not_measured(toys, remake):
    mad = toys.synthetic.copy()
    mad.loc[0, "at"] = pd.Timestamp("1700-01-01")
    found = measure("autocorrelation", remake(synthetic=mad), options={"frequency": "hour"})
    assert isinstance(found, NotMeasured)
    assert "out of range" in found.reason


@pytest.mark.parametrize(
    "options", [{"lags": [0]}, {"aggregate": "mean"}, {"frequency": "week"}, {"aggregate": "sum"},
                {"day": 1}]
)  # fmt: skip
def test_options_no_contract_can_hold(toys, options):
    with pytest.raises(ValueError, match="autocorrelation"):
        measure("autocorrelation", toys, options=options)
