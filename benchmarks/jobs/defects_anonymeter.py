"""anonymeter's inference and linkability, 500 attacks each, on the tables of tools/defects.py."""

from __future__ import annotations

from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator
from tables import arguments, say

tables, roles, work, answer = arguments()
three = {"ori": tables["train"], "syn": tables["synthetic"], "control": tables["holdout"]}
known, secret = roles["quasi_identifiers"], roles["sensitive"][0]
other = [name for name in tables["train"].columns if name not in known]


def inference():
    return InferenceEvaluator(
        **three, n_attacks=500, secret=secret, regression=True, aux_cols=known
    ).evaluate()


def linkability():
    return LinkabilityEvaluator(**three, n_attacks=500, aux_cols=(known, other)).evaluate()


figures = {}
for label, attack in (("inference", inference), ("linkability", linkability)):
    try:
        done = attack()
        figures[f"{label}, share of right guesses"] = done.results().attack_rate.value
        figures[f"{label}, risk"] = done.risk().value
    except Exception as error:  # noqa: BLE001 - what it says of nulls is the figure
        figures[label] = f"{type(error).__name__}: {str(error)[:80]}"
say(answer, figures=figures)
