"""Where exports omit a part, a rule reads the worst of the whole and its subsets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Roles
from synth_contracts.expectations.measured import Measuring
from synth_contracts.metrics import Comparison
from synth_contracts.metrics.measurement import Measurement, NotMeasured
from synth_contracts.metrics.registry import METRICS
from synth_contracts.metrics.thinned import PROPERTIES, is_rechecked, is_worst_of, worst
from synth_contracts.tables import Field, Kind, TableSchema


def one(value: float, **changes: object) -> Measurement:
    base = Measurement(
        metric="ks_mean", value=value, n=10, unit="u", direction="lower_is_better", method="m",
        compared_with="holdout", lower=value - 0.1, upper=value + 0.1, bound_upper=value + 0.05,
        floor=0.02, ceiling=1.0, details={"kept": 1},
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]  # any field


def test_no_judged_number_is_better_than_that_of_a_part() -> None:
    parts = [one(0.3, floor=0.05), one(0.2, floor=0.01), one(0.25, upper=0.9)]
    found = worst(one(0.1), parts)
    assert isinstance(found, Measurement)
    assert (found.value, found.upper, found.floor) == (0.3, 0.9, 0.01)
    assert found.lower == pytest.approx(0.2)
    for judged in ("value", "bound", "over_floor"):
        number = found.number(judged)
        assert number is not None
        assert all(number >= (part.number(judged) or 0.0) for part in [one(0.1), *parts])
    assert found.details == {"kept": 1, "subsets": {"whole": 0.1, "values": [0.3, 0.2, 0.25]}}
    assert is_worst_of(found, 3)
    assert not is_worst_of(found, 4)
    assert not is_worst_of(one(0.1), 1)

    high = {"direction": "higher_is_better"}
    found = worst(one(0.9, **high), [one(0.7, ceiling=1.2, **high), one(0.8, **high)])
    assert isinstance(found, Measurement)
    assert (found.value, found.ceiling, found.floor) == (0.7, 1.2, 0.02)


def test_a_part_that_was_not_measured_is_never_a_pass() -> None:
    found = worst(one(0.1), [one(0.2), NotMeasured("ks_mean", "too few rows")])
    assert isinstance(found, NotMeasured)
    assert found.reason == "on subset 2 of 2: too few rows"
    whole = NotMeasured("ks_mean", "no numbers")
    assert worst(whole, [one(0.1)]) is whole
    lacks = worst(one(0.1), [one(0.1, floor=None)])
    assert isinstance(lacks, Measurement)
    assert lacks.floor is None  # and a rule over a floor is not judged without one


def test_which_metrics_are_measured_on_subsets() -> None:
    assert set(METRICS) >= PROPERTIES
    again = {name for name in METRICS if is_rechecked(name)}
    assert again == PROPERTIES | {n for n, m in METRICS.items() if m.family == "fidelity"}
    assert "membership_inference" not in again
    assert not is_rechecked("no such metric")


@pytest.fixture
def thinned() -> Comparison:
    """Twelve synthetic entities a region; the first subset loses nine of region a."""
    frame = pd.DataFrame(
        {"key": [str(i) for i in range(24)], "region": ["a"] * 12 + ["b"] * 12,
         "x": np.arange(24.0)}
    )  # fmt: skip
    fields = (
        Field("key", Kind.TEXT, "VARCHAR", key=True), Field("region", Kind.TEXT, "VARCHAR"),
        Field("x", Kind.NUMBER, "DOUBLE"),
    )  # fmt: skip
    roles = Roles(entity_key="key", quasi_identifiers=("region",))
    kept = (np.arange(24) >= 9, np.arange(24) < 23)
    return Comparison(frame, frame, frame, TableSchema("t", fields, roles), kept=kept)


def test_k_is_that_of_the_smallest_class_of_any_subset(thinned: Comparison) -> None:
    measuring = Measuring(thinned)
    alone = Measuring(replace(thinned, kept=())).measure("k_anonymity")
    measuring.thin([], ["k_anonymity", "ks", "membership_inference"])
    found = measuring.measure("k_anonymity")
    assert isinstance(found, Measurement)
    assert isinstance(alone, Measurement)
    assert (alone.value, found.value) == (12, 3)
    assert found.details["subsets"] == {"whole": 12.0, "values": [3.0, 11.0]}
    assert [len(subset.synthetic) for subset in thinned.subsets()] == [15, 23]
