"""This package's generator with the settings of the table's contract."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import synth_contracts as sc
from given import arguments
from synth_contracts.generate import generate
from synth_contracts.tables import canonical, duckdb_types, resolve, restore, to_arrow

model, train, roles, seed, answer = arguments()
contract = sc.load_contract(Path(sys.argv[2]) / "contract.odcs.yaml")
contract = replace(contract, generator=replace(contract.generator, type=model))
arrow = to_arrow(train)
schema = resolve(contract, duckdb_types(arrow))
made = generate(
    contract, canonical(arrow, schema), schema, secret_seed=seed, rows=len(train),
    progress=lambda _: None,
)  # fmt: skip
restore(made.frame, schema).to_pandas().to_parquet(answer, index=False)
