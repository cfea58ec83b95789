"""SDMetrics with its documented defaults: ``quality`` or ``dcr``."""

from __future__ import annotations

import pandas as pd
from tables import arguments, features, say


def metadata(frame: pd.DataFrame, codes: list[str]) -> dict:
    columns = {}
    for name, kind in frame.dtypes.items():
        if pd.api.types.is_datetime64_any_dtype(kind):
            columns[name] = {"sdtype": "datetime", "datetime_format": "%Y-%m-%d %H:%M:%S"}
        elif pd.api.types.is_numeric_dtype(kind) and name not in codes:
            columns[name] = {"sdtype": "numerical"}
        else:
            columns[name] = {"sdtype": "categorical"}
    # of one table; DCROverfittingProtection asks for the table's name
    return {"tables": {"table": {"columns": columns}}}


tables, roles, work, answer = arguments()
tables = features(tables, roles)
about = metadata(tables["train"], roles["codes"])
if work == "quality":
    from sdmetrics.reports.single_table import QualityReport

    report = QualityReport()
    report.generate(tables["train"], tables["synthetic"], about["tables"]["table"], verbose=False)
    say(answer, score=report.get_score())
else:
    from sdmetrics.single_table import DCROverfittingProtection

    found = DCROverfittingProtection.compute_breakdown(
        tables["train"], tables["synthetic"], tables["holdout"], about, "table"
    )
    say(answer, score=found["score"], breakdown=found)
