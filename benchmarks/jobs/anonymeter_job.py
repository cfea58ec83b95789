"""anonymeter's three attacks, 500 each (its default), with the holdout as control."""

from __future__ import annotations

from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator
from tables import arguments, features, say


def told(evaluator: object) -> dict:
    risk = evaluator.risk()
    return {"value": risk.value, "lower": risk.ci[0], "upper": risk.ci[1]}


tables, roles, work, answer = arguments()
tables = features(tables, roles)
for frame in tables.values():  # its distances take numbers and texts alone
    for name in frame.select_dtypes("datetime"):
        frame[name] = frame[name].astype("int64") // 10**9
# NaN breaks its Gower distance, so rows that hold any are left out
train, holdout, synthetic = (
    tables[name].dropna().reset_index(drop=True) for name in ("train", "holdout", "synthetic")
)
known = roles["quasi_identifiers"]
other = [name for name in train.columns if name not in known]
found = {}
singling = SinglingOutEvaluator(ori=train, syn=synthetic, control=holdout, n_attacks=500)
found["singling_out"] = told(singling.evaluate(mode="multivariate"))
linking = LinkabilityEvaluator(
    ori=train, syn=synthetic, control=holdout, n_attacks=500, aux_cols=(known, other)
)
found["linkability"] = told(linking.evaluate())
secret = roles["sensitive"][0]
inferring = InferenceEvaluator(
    ori=train, syn=synthetic, control=holdout, n_attacks=500, secret=secret, regression=True,
    aux_cols=[name for name in train.columns if name != secret],
)  # fmt: skip
found["inference"] = told(inferring.evaluate())
say(answer, risks=found, worst=max(risk["value"] for risk in found.values()))
