"""evaluate(): every rule measured, faults contained, bad tables named."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth_contracts import metrics
from synth_contracts.contract import load_contract
from synth_contracts.contract.expand import with_digest
from synth_contracts.contract.model import Contract
from synth_contracts.evaluation import evaluate
from synth_contracts.expectations.measured import Measuring
from synth_contracts.gate import Outcome, judge
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured


def test_every_rule_is_measured_in_the_contracts_order(
    contract: Contract, direct: Evaluation, thirds: Mapping[str, pd.DataFrame]
) -> None:
    assert list(direct.results) == [rule.id for rule in contract.rules]
    assert all(isinstance(r, Measurement) for r in direct.results.values()), direct.results
    assert direct.contract_digest == contract.digest
    assert direct.n_synthetic == len(thirds["synthetic"])
    assert direct.entities_holdout == thirds["holdout"]["household_id"].nunique()
    assert direct.seal is None
    assert direct.validation is None


def test_fresh_real_entities_pass_the_privacy_rules(contract: Contract, direct: Evaluation) -> None:
    states = {state.rule_id: state for state in judge(contract, direct).states}
    for name in ("membership_inference", "identical_match", "nearest_neighbor_distance"):
        assert states[name].status == "passed", states[name].reason


def test_arrow_tables_and_frames_read_the_same(
    contract: Contract, direct: Evaluation, thirds: Mapping[str, pd.DataFrame]
) -> None:
    arrow = {
        name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in thirds.items()
    }
    assert evaluate(contract, **arrow, seed=7, controls=False).results == direct.results


def test_a_copy_of_train_is_blocked_by_a_privacy_rule(
    contract: Contract, thirds: Mapping[str, pd.DataFrame]
) -> None:
    leaked = {**thirds, "synthetic": thirds["train"]}
    verdict = judge(contract, evaluate(contract, **leaked, seed=7, controls=False))
    assert verdict.outcome is Outcome.FAILED
    assert "identical_match" in {reason.metric for reason in verdict.reasons}


DATES = """\
apiVersion: v3.2.0
kind: DataContract
id: days
version: 1.0.0
schema:
  - name: days
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: standard
          disable: [k_anonymity, autocorrelation]
          roles: {entityKey: household_id, timeIndex: day}
"""


def test_rules_that_open_columns_rule_out_are_not_asked(
    tmp_path: Path, thirds: Mapping[str, pd.DataFrame]
) -> None:
    """A table of dates alone has no hours and no numbers; the loaded contract cannot know."""
    path = tmp_path / "days.odcs.yaml"
    path.write_text(DATES, encoding="utf-8")
    contract = load_contract(path)
    frames = {
        name: pa.table(
            {
                "household_id": pa.array(frame["household_id"]),
                "day": pa.array(frame["transaction_timestamp"].dt.date),
                "department": pa.array(frame["top_department"]),
            }
        )
        for name, frame in thirds.items()
    }
    found = evaluate(contract, **frames, seed=7, controls=False)
    assert "hour_profile" in {rule.id for rule in contract.rules}
    assert not {"hour_profile", "ks_mean", "ks_max"} & set(found.results)
    assert found.contract_digest != contract.digest
    verdict = judge(contract, found)
    assert verdict.contract_digest == found.contract_digest
    states = {state.rule_id: state for state in verdict.states}
    assert set(states) >= {rule.id for rule in contract.rules}
    assert states["hour_profile"].status == "not_asked"
    assert states["membership_inference"].status == "passed"
    assert not any(reason.metric == "contract" for reason in verdict.reasons)
    forged = replace(found, kinds={**found.kinds, "department": "date"})
    assert any("another contract" in r.text for r in judge(contract, forged).reasons)
    by_hand = with_digest(replace(contract, preset=None, rules=contract.rules[:1]))
    assert list(evaluate(by_hand, **frames, seed=7, controls=False).results) == [
        contract.rules[0].id
    ]


def test_missing_columns_are_all_named(
    contract: Contract, thirds: Mapping[str, pd.DataFrame]
) -> None:
    lacking = thirds["synthetic"].drop(columns=["amount", "age"])
    found = evaluate(contract, **{**thirds, "synthetic": lacking}, seed=7)
    assert list(found.results) == [rule.id for rule in contract.rules]
    reasons = {result.reason for result in found.results.values()}
    assert reasons == {
        "the synthetic table lacks columns that train has: 'amount' (double), 'age' (string)"
    }


def test_an_empty_candidate_never_passes(
    contract: Contract, thirds: Mapping[str, pd.DataFrame]
) -> None:
    empty = {**thirds, "synthetic": thirds["synthetic"].iloc[:0]}
    assert judge(contract, evaluate(contract, **empty, seed=7)).outcome is not Outcome.PASSED


def _fake(value: Any) -> Measurement:
    return Measurement("ks_mean", value, 3, "columns", "lower_is_better", "m", "holdout")


@pytest.mark.parametrize(
    "returned",
    [_fake(math.nan), _fake(math.inf), _fake(None), _fake(True), _fake("0.1"), None, 0.1,
     Measurement("ks_max", 0.1, 3, "columns", "lower_is_better", "m", "holdout")],
    ids=str,
)  # fmt: skip
def test_a_metric_that_returns_no_number_is_a_fault(
    comparison: metrics.Comparison, monkeypatch: pytest.MonkeyPatch, returned: Any
) -> None:
    monkeypatch.setattr(metrics, "measure", lambda *_, **__: returned)
    found = Measuring(comparison).measure("ks_mean")
    assert isinstance(found, NotMeasured)
    assert found.error
    assert found.reason.startswith("error: returned")


def test_a_metric_that_raises_is_a_fault_and_its_trace_is_logged(
    comparison: metrics.Comparison,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = []

    def broken(*_: Any, **__: Any) -> Measurement:
        calls.append(1)
        raise ZeroDivisionError("canary 4711")

    monkeypatch.setattr(metrics, "measure", broken)
    measuring = Measuring(comparison)
    with caplog.at_level(logging.ERROR):
        found = [measuring.measure("ks_mean") for _ in range(3)]
    assert calls == [1]
    assert found[0] is found[2]
    assert isinstance(found[0], NotMeasured)
    assert found[0].error
    assert found[0].reason.startswith("error: ZeroDivisionError in ks_mean")
    assert "4711" not in found[0].reason  # messages may quote values of real rows
    assert caplog.records[0].exc_info is not None


def test_numbers_of_numpy_become_python_s(
    comparison: metrics.Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Measurement(
        "ks_mean", np.float32(0.5), np.int64(3), "columns", "lower_is_better", "m", "holdout",
        lower=np.float64(0.25), upper=math.inf,
        details={"bins": np.array([1.0, math.nan]), 3: (np.int64(2),)},
    )  # fmt: skip
    monkeypatch.setattr(metrics, "measure", lambda *_, **__: found)
    plain = Measuring(comparison).measure("ks_mean")
    assert isinstance(plain, Measurement)
    assert [type(x) for x in (plain.value, plain.n, plain.lower)] == [float, int, float]
    assert plain.upper is None
    assert plain.details == {"bins": [1.0, None], "3": [2]}


def test_evaluating_does_not_import_great_expectations() -> None:
    code = (
        "import sys, synth_contracts.evaluation, synth_contracts.gate, synth_contracts.expectations;"
        "sys.exit('great_expectations' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
