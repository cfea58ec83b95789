"""Our own figures of a generator's rows against the holdout: every rule of the contract."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import synth_contracts as sc
from synth_contracts.metrics import METRICS

folder, made, answer = (Path(word) for word in sys.argv[1:4])
train, holdout = (pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "holdout"))
contract = sc.load_contract(folder / "contract.odcs.yaml")
synthetic = pd.read_parquet(made)
evaluation = sc.evaluate(
    contract, train=train, holdout=holdout, synthetic=synthetic, seed=1, controls=False
)
verdict = sc.judge(contract, evaluation)
rules = [
    {
        "metric": state.metric, "family": METRICS[state.metric].family, "status": state.status,
        "number": state.number, "value": state.value, "severity": state.severity,
    }
    for state in verdict.states
    if state.status != "not_asked"
]  # fmt: skip
found = {"outcome": verdict.outcome.value, "rules": rules, "rows": len(synthetic)}
answer.write_text(json.dumps(found, default=float))
