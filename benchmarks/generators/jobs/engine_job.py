"""mostlyai-engine's TabularARGN with its defaults, as its documentation shows; codes as texts."""

from __future__ import annotations

import pandas as pd
from given import arguments, features, seeded, write
from mostlyai.engine import TabularARGN

model, train, roles, seed, answer = arguments()
seeded(seed)
rows = features(train, roles)
rows = rows.astype(dict.fromkeys(roles["codes"], "Int64")).astype(
    dict.fromkeys(roles["codes"], str)
)
argn = TabularARGN()
argn.fit(rows)
made = argn.sample(n_samples=len(rows))
for name in made.columns:  # rare values come as text, numbers with nulls as extension types
    if pd.api.types.is_numeric_dtype(train[name]):
        numbers = pd.to_numeric(made[name], errors="coerce").astype("float64")
        made[name] = numbers if numbers.isna().any() else numbers.astype(train[name].dtype)
    elif pd.api.types.is_datetime64_any_dtype(train[name]):
        made[name] = pd.to_datetime(made[name]).astype(train[name].dtype)
write(answer, made, train, roles, seed)
