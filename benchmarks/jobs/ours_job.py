"""This package's whole evaluation: ``card`` with the positive control, ``metrics`` without."""

from __future__ import annotations

import sys
from pathlib import Path

import synth_contracts as sc
from tables import arguments, say

tables, roles, work, answer = arguments()
contract = sc.load_contract(Path(sys.argv[2]) / "contract.odcs.yaml")
found = sc.evaluate(contract, **tables, seed=7, controls=work == "card")
verdict = sc.judge(contract, found)
say(
    answer,
    outcome=verdict.outcome.value,
    blocked=sorted({reason.metric for reason in verdict.reasons}),
    values={key: getattr(one, "value", None) for key, one in found.results.items()},
)
