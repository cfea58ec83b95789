"""NeMo Safe Synthesizer's membership inference protection on the tables of tools/defects.py.

It attacks the holdout and as many rows of train, ten times where train has ten times as many rows:
so it is given a tenth of the holdout, and the whole of it beside that.
"""

from __future__ import annotations

from nemo_safe_synthesizer.evaluation.components.membership_inference_protection import (
    MembershipInferenceProtection,
)
from tables import arguments, say

tables, roles, work, answer = arguments()
figures: dict[str, object] = {}
for words, rows in (
    ("a tenth of the holdout", len(tables["holdout"]) // 10),
    ("the whole holdout", len(tables["holdout"])),
):
    score, *_ = MembershipInferenceProtection.mia(
        tables["train"], tables["synthetic"], tables["holdout"].head(rows)
    )
    figures[f"membership inference protection, {words}"] = (
        f"{score.score} of 10, {score.grade.value}"
    )
say(answer, figures=figures)
