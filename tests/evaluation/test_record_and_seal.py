"""The record is finite JSON that comes back equal, and the seal breaks with any change."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_contracts.evaluation import evaluation_from_json, evaluation_to_json, seal, sealed
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured

SECRET = b"sixteen bytes or more"
MEASURED = Measurement(
    "membership_inference", 0.1 + 0.2, 400, "entities", "lower_is_better", "tail", "holdout",
    lower=-0.1, upper=0.4, details={"attacks": {"distance": [0.1, None]}},
)  # fmt: skip
EVALUATION = Evaluation(
    contract_digest="c", rows_digest="r", train_digest="t", holdout_digest="h", seed=2**63,
    n_train=3, n_holdout=2, n_synthetic=3, entities_train=2, entities_holdout=1,
    results={"membership_inference": MEASURED, "ks-b": NotMeasured("ks", "all null", "b")},
    reported={"k": replace(MEASURED, metric="k")}, timings={"total": 0.5},
    validation={"suite": "t", "evaluated": 2},
)  # fmt: skip


def test_a_record_comes_back_equal_through_text() -> None:
    text = json.dumps(evaluation_to_json(EVALUATION), allow_nan=False)
    assert evaluation_from_json(json.loads(text)) == EVALUATION


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_survives(value: float) -> None:
    found = replace(EVALUATION, results={"m": replace(MEASURED, value=value)})
    assert evaluation_from_json(json.loads(json.dumps(evaluation_to_json(found)))) == found


@pytest.mark.parametrize("value", [math.nan, math.inf, object], ids=repr)
def test_what_is_not_finite_json_cannot_be_written_or_sealed(value: Any) -> None:
    bad = replace(EVALUATION, results={"m": replace(MEASURED, value=value)})
    with pytest.raises(ValueError, match="not finite JSON"):
        evaluation_to_json(bad)
    assert not sealed(replace(bad, seal="00"), SECRET)


@pytest.mark.parametrize(
    "change", [{"seed": None}, {"results": {"m": {"kind": "passed"}}}, {"x": 1}]
)
def test_foreign_records_are_refused(change: dict[str, Any]) -> None:
    record = {**evaluation_to_json(EVALUATION), **change}
    if change == {"seed": None}:
        del record["seed"]
    with pytest.raises(ValueError, match="not a"):
        evaluation_from_json(record)


def test_the_seal_holds_for_this_evaluation_under_this_secret_alone() -> None:
    good = replace(EVALUATION, seal=seal(EVALUATION, SECRET))
    assert sealed(good, SECRET)
    assert sealed(evaluation_from_json(evaluation_to_json(good)), SECRET)
    assert not sealed(good, b"another secret of bytes")
    for forged in (
        None,
        "",
        "é",
        7,
        good.seal.upper() if good.seal else "",
        EVALUATION.rows_digest,
    ):
        assert not sealed(replace(good, seal=forged), SECRET)


CHANGED: dict[str, Any] = {
    "results": {**EVALUATION.results, "membership_inference": replace(MEASURED, value=0.2)},
    "reported": {}, "timings": {}, "validation": None,
}  # fmt: skip


@pytest.mark.parametrize("name", [f.name for f in fields(Evaluation) if f.name != "seal"])
def test_a_change_of_any_field_breaks_the_seal(name: str) -> None:
    good = replace(EVALUATION, seal=seal(EVALUATION, SECRET))
    old = getattr(good, name)
    new = CHANGED.get(name, f"{old}x" if isinstance(old, str) else 99)
    assert not sealed(replace(good, **{name: new}), SECRET)


def test_a_short_secret_seals_nothing() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        seal(EVALUATION, b"short")
