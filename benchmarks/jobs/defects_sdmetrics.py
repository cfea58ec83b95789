"""SDMetrics' DCR overfitting protection on the tables of tools/defects.py, whole and subsampled."""

from __future__ import annotations

from sdmetrics.single_table import DCROverfittingProtection
from tables import arguments, say

SUBSAMPLE, ITERATIONS = 200, 5

tables, roles, work, answer = arguments()
columns = {
    name: {"sdtype": "numerical" if kind == "float64" else "categorical"}
    for name, kind in tables["train"].dtypes.items()
}
about = {"tables": {"table": {"columns": columns}}}
three = tables["train"], tables["synthetic"], tables["holdout"]
figures = {}
for label, options in (
    ("DCR overfitting protection", {}),
    (
        f"the same, num_rows_subsample={SUBSAMPLE}, num_iterations={ITERATIONS}",
        {"num_rows_subsample": SUBSAMPLE, "num_iterations": ITERATIONS},
    ),
):
    found = DCROverfittingProtection.compute_breakdown(*three, about, "table", **options)
    figures[label] = found["score"]
say(answer, figures=figures)
