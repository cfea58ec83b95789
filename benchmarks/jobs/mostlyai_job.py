"""mostlyai-qa's report with its defaults, training and holdout table given."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mostlyai import qa
from tables import arguments, features, say

tables, roles, work, answer = arguments()
tables = features(tables, roles)
with tempfile.TemporaryDirectory() as where:
    _, metrics = qa.report(
        syn_tgt_data=tables["synthetic"],
        trn_tgt_data=tables["train"],
        hol_tgt_data=tables["holdout"],
        report_path=Path(where) / "report.html",
    )
say(answer, **metrics.model_dump())
