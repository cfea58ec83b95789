"""One of SDV's synthesizers with its defaults, as its documentation shows.

The metadata is made from the roles: numbers, codes and categories, times. Single-table models get no
keys. PAR gets the entity as sequence key, the time as sequence index, and the columns that are
constant within entities as context.
"""

from __future__ import annotations

import pandas as pd
from given import arguments, features, seeded, write
from sdv import sequential, single_table
from sdv.metadata import Metadata

CLASSES = {
    "gaussian_copula": single_table.GaussianCopulaSynthesizer,
    "ctgan": single_table.CTGANSynthesizer,
    "tvae": single_table.TVAESynthesizer,
    "copula_gan": single_table.CopulaGANSynthesizer,
}


def kinds(frame: pd.DataFrame, codes: list[str]) -> dict[str, dict[str, str]]:
    found = {}
    for name, kind in frame.dtypes.items():
        if pd.api.types.is_datetime64_any_dtype(kind):
            found[name] = {"sdtype": "datetime", "datetime_format": "%Y-%m-%d %H:%M:%S"}
        elif pd.api.types.is_numeric_dtype(kind) and name not in codes:
            found[name] = {"sdtype": "numerical"}
        else:
            found[name] = {"sdtype": "categorical"}
    return found


model, train, roles, seed, answer = arguments()
seeded(seed)
rows = features(train, roles)
about = {"columns": kinds(rows, roles["codes"])}
if model == "par":
    entity = roles["entity"]
    rows = rows.assign(**{entity: train[entity].astype(str)})
    about["columns"][entity] = {"sdtype": "id"}
    about |= {"sequence_key": entity, "sequence_index": roles["time"]}
    groups = rows.groupby(entity)
    context = [
        name for name in rows.columns
        if name not in {entity, roles["time"]} and groups[name].nunique(dropna=False).max() == 1
    ]  # fmt: skip
    metadata = Metadata.load_from_dict({"tables": {"table": about}})
    synthesizer = sequential.PARSynthesizer(metadata, context_columns=context or None)
    synthesizer.fit({"table": rows})
    made = synthesizer.sample_sequences(num_sequences=len(groups))["table"]
    number = pd.factorize(made[entity])[0] + 1
    own = train[entity]
    made[entity] = number if pd.api.types.is_numeric_dtype(own) else [f"e{i:07d}" for i in number]
else:
    metadata = Metadata.load_from_dict({"tables": {"table": about}})
    synthesizer = CLASSES[model](metadata)
    synthesizer.fit({"table": rows})
    made = synthesizer.sample(len(rows))["table"]
for name in train.columns.intersection(made.columns):  # sampled as objects or floats
    if pd.api.types.is_numeric_dtype(train[name]) and name != roles["entity"]:
        made[name] = pd.to_numeric(made[name]).astype(train[name].dtype)
write(answer, made, train, roles, seed)
