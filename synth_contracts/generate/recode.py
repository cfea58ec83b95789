"""Recoding of a candidate's quasi-identifiers, as its contract asks (coarsening/recode.py)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.model import Contract
from synth_contracts.omission import room
from synth_contracts.tables.schema import TableSchema


def recode_table(
    frame: pd.DataFrame, entities: np.ndarray, schema: TableSchema, contract: Contract
) -> pd.DataFrame:
    """``frame`` with every class of the contract's quasi-identifiers held by >= k entities."""
    if contract.export.fingerprint:  # so that k hold the class in an export, too
        contract = replace(contract, k=room(contract.k))
    return Coarsening.of(contract).recode(frame, entities, schema)
