"""Contracts and canonical tables for the generators' tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.conditions import columns_of
from synth_contracts.contract.model import (
    Calendar,
    Column,
    Constraint,
    Contract,
    ExportPolicy,
    GeneratorSpec,
    Outliers,
    Roles,
)
from synth_contracts.tables import TableSchema, canonical, duckdb_types, resolve, to_arrow


@dataclass(frozen=True)
class Case:
    """A contract, the schema it resolves to and canonical train and holdout frames."""

    contract: Contract
    schema: TableSchema
    train: pd.DataFrame
    holdout: pd.DataFrame


def build(
    frame: pd.DataFrame,
    *,
    roles: Roles | None = None,
    columns: tuple[Column, ...] = (),
    codes: tuple[str, ...] = (),
    spec: GeneratorSpec | None = None,
    k: int = 10,
    share: float = 0.3,
    seed: int = 0,
    conditions: tuple[str, ...] = (),
) -> Case:
    contract = Contract(
        path=Path("t.odcs.yaml"), text="", id="urn:t", table="t", version="1.0.0", description={},
        source=None, columns=columns, preset="standard", k=k, roles=roles or Roles(), codes=codes,
        holdout=share, generator=spec or GeneratorSpec(), rules=(), not_asked=(), report_only=(),
        export=ExportPolicy(), expanded={}, digest="",
        constraints=tuple(
            Constraint(f"c{i}", check, columns_of(check)) for i, check in enumerate(conditions)
        ),
    )  # fmt: skip
    table = to_arrow(frame)
    schema = resolve(contract, duckdb_types(table))
    whole = canonical(table, schema)
    key = contract.roles.entity_key
    owner = whole[key].to_numpy() if key else np.arange(len(whole))
    names = np.unique(owner)
    held = np.random.default_rng(seed).permutation(names)[: int(len(names) * share)]
    out = np.isin(owner, held)
    return Case(
        contract, schema, whole[~out].reset_index(drop=True), whole[out].reset_index(drop=True)
    )


@pytest.fixture(scope="session")
def make_case() -> Callable[..., Case]:
    return build


@pytest.fixture(scope="session")
def baskets_case(few_baskets: pd.DataFrame) -> Case:
    """900 households with all roles of the demo."""
    return build(
        few_baskets,
        roles=Roles(
            "household_id", "transaction_timestamp", "America/New_York",
            ("store_id", "age", "income"), ("amount", "top_department"),
        ),
        codes=("store_id",),
        columns=(
            Column("basket_id", primary_key=True, required=True, unique=True),
            Column("household_id", required=True),
            Column("store_id", required=True),
            Column("transaction_timestamp", required=True),
            Column("n_items", required=True, minimum=1),
            Column("amount", required=True, minimum=0),
        ),
        spec=GeneratorSpec(
            calendar=Calendar(holidays="US"), outliers=Outliers(other_value={"store_id": 0})
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def few_case(baskets_case: Case) -> Case:
    """A quarter of those households: quick to fit."""
    parts = []
    for frame in (baskets_case.train, baskets_case.holdout):
        keys = np.sort(frame["household_id"].unique())
        parts.append(frame[frame["household_id"].isin(keys[::4])].reset_index(drop=True))
    return Case(baskets_case.contract, baskets_case.schema, *parts)


@pytest.fixture(scope="session")
def flights_case(flights: pd.DataFrame) -> Case:
    """Flights by aeroplane; distance hangs on origin and destination."""
    return build(
        flights,
        roles=Roles("tailnum", "sched_dep", "America/New_York", ("carrier", "origin", "dest"), ()),
        codes=("flight",),
        columns=(Column("tailnum", required=True),),
        spec=GeneratorSpec(calendar=Calendar(holidays="US")),
    )
