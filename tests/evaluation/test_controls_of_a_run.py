"""The positive control is made by both doors, sealed with the rest, and contained when it breaks."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import pytest

from synth_contracts import metrics
from synth_contracts.contract.model import Contract
from synth_contracts.evaluation import (
    evaluate,
    evaluation_from_json,
    evaluation_to_json,
    seal,
    sealed,
)
from synth_contracts.expectations import measured
from synth_contracts.expectations.measured import Measuring
from synth_contracts.gate import Outcome, judge
from synth_contracts.metrics.measurement import Evaluation


def test_the_control_reads_the_rules_of_the_contract(
    contract: Contract, direct: Evaluation
) -> None:
    controls = direct.controls
    assert controls is not None
    asked = {rule.id: rule for rule in contract.rules}
    assert "membership_inference" in controls["rules"]
    for name, rule in controls["rules"].items():
        assert (rule["threshold"], rule["judged"]) == (asked[name].threshold, asked[name].judged)
    assert {kind["kind"] for kind in controls["kinds"]} == {
        "exact", "noisy", "interpolated", "whole_entities",
    }  # fmt: skip
    assert "ks_mean" in controls["null"]["readings"]
    assert direct.timings["positive control and null"] > 0


def test_the_checkpoint_makes_the_same_control(direct: Evaluation, checked: Evaluation) -> None:
    assert direct.controls is not None
    assert checked.controls is not None
    assert checked.controls["kinds"] == direct.controls["kinds"]
    assert checked.controls["null"] == direct.controls["null"]


def test_it_is_recorded_and_sealed(direct: Evaluation) -> None:
    secret = b"sixteen bytes or more"
    good = replace(direct, seal=seal(direct, secret))
    back = evaluation_from_json(json.loads(json.dumps(evaluation_to_json(good))))
    assert back == good
    assert sealed(back, secret)
    assert good.controls is not None
    forged = json.loads(json.dumps(good.controls))
    forged["kinds"][0]["smallest"] = 1
    assert not sealed(replace(good, controls=forged), secret)


def test_nobody_need_ask_for_it(contract: Contract, thirds: Mapping[str, pd.DataFrame]) -> None:
    found = evaluate(contract, **thirds, seed=7, controls=False)
    assert found.controls is None
    strict = replace(contract, preset="strict", blind_above=500)
    verdict = judge(strict, replace(found, contract_digest=strict.digest))
    assert verdict.blind == ("no leak was planted (the positive control was not made)",)
    assert verdict.outcome is not Outcome.PASSED


def test_a_fault_of_the_control_is_no_control(
    comparison: metrics.Comparison,
    contract: Contract,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("canary 4711")

    monkeypatch.setattr(measured, "control", broken)
    with caplog.at_level(logging.ERROR):
        found = Measuring(comparison).control(contract.rules, {}, ())
    assert found == {"reason": "error: ZeroDivisionError; the log has the trace"}
    assert caplog.records[0].exc_info is not None


def test_progress_is_told(comparison: metrics.Comparison) -> None:
    lines: list[str] = []
    Measuring(comparison, lines.append).control((), {}, ())
    assert lines == ["reading the null: real entities in the place of synthetic ones"]
