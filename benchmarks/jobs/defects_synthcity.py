"""synthcity's k-anonymity of the synthetic tables of tools/defects.py, over their quasi-identifiers.

Categories are numbered, since it clusters numbers.
"""

from __future__ import annotations

from synthcity.metrics.eval_privacy import kAnonymization
from synthcity.plugins.core.dataloader import GenericDataLoader
from tables import arguments, say

tables, roles, work, answer = arguments()
columns = [*roles["quasi_identifiers"], *roles["sensitive"]]
frame = tables["synthetic"][columns].apply(lambda column: column.astype("category").cat.codes)
loader = GenericDataLoader(frame, sensitive_features=roles["sensitive"])
say(answer, figures={"k-anonymization": int(kAnonymization().evaluate_data(loader))})
