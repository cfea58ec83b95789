"""Small made-up tables that generators are tried on: ordinary ones and degenerate ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from synth_contracts.contract.model import (
    Calendar,
    Column,
    Contract,
    ExportPolicy,
    GeneratorSpec,
    Outliers,
    Roles,
)
from synth_contracts.tables.frame import canonical, duckdb_types, to_arrow
from synth_contracts.tables.resolving import resolve
from synth_contracts.tables.schema import TableSchema


@dataclass(frozen=True)
class Trial:
    """A training table with its contract and schema."""

    contract: Contract
    schema: TableSchema
    train: pd.DataFrame

    def shuffled(self) -> Trial:
        """The same rows in another order."""
        order = np.random.default_rng(1).permutation(len(self.train))
        return Trial(self.contract, self.schema, self.train.iloc[order].reset_index(drop=True))


def trial(
    frame: pd.DataFrame, generator: GeneratorSpec, *, entity: bool = True, time: bool = True
) -> Trial:
    """A contract over ``frame``; ``visit``, ``who`` and ``at`` have roles or are left out."""
    roles = Roles("who" if entity else None, "at" if time else None, None, (), ())
    frame = frame.drop(columns=[*([] if entity else ["who"]), *([] if time else ["at"])])
    contract = Contract(
        path=Path("trial.odcs.yaml"), text="", id="urn:trial", table="trial", version="1.0.0",
        description={}, source=None, columns=(Column("visit", primary_key=True),), preset=None,
        k=3, roles=roles, codes=(), holdout=0.3, generator=generator, rules=(), not_asked=(),
        report_only=(), export=ExportPolicy(), expanded={}, digest="",
    )  # fmt: skip
    table = to_arrow(frame)
    schema = resolve(contract, duckdb_types(table))
    return Trial(contract, schema, canonical(table, schema))


def spec(name: str, parameters: dict[str, object], *, framed: bool) -> GeneratorSpec:
    """A generator section with every protection that could hide a fault switched off."""
    return GeneratorSpec(
        type=name,
        calendar=Calendar(enabled=framed),
        parameters=parameters,
        outliers=Outliers(rare_category=False, top_code=False, reject=False),
    )


def visits(rows: int = 240) -> pd.DataFrame:
    """Persons of 1 to some 15 visits: every kind of column, and missing values in most."""
    rng = np.random.default_rng(0)
    who = np.sort(rng.integers(0, max(rows // 6, 1), rows))
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 120, rows), "D")
    at = pd.Series(day + pd.to_timedelta(rng.integers(8, 18, rows), "h"))
    kinds = np.array(["a", "b", "c", None], dtype=object)
    return pd.DataFrame(
        {
            "visit": np.arange(rows) + 7_000_000,
            "who": [f"person-{w:04d}" for w in who],
            "at": at.where(rng.random(rows) > 0.1),
            "kind": kinds[rng.integers(0, 4, rows)],
            "paid": np.where(rng.random(rows) < 0.2, np.nan, rng.gamma(2, 10, rows)),
            "items": rng.poisson(3, rows) + 1,
            "private": rng.random(rows) < 0.3,
            "region": [f"r{w % 3}" for w in who],
            "born": pd.Timestamp("1960-01-01") + pd.to_timedelta(who * 90, "D"),
        }
    )


def constant(rows: int = 60) -> pd.DataFrame:
    """Columns of one value each, and one without any."""
    frame = visits(rows)
    return frame.assign(
        kind="a", paid=1.5, items=2, private=True, nothing=pd.Series([None] * rows, dtype=object)
    )


def single_rows(rows: int = 40) -> pd.DataFrame:
    """Every person once."""
    return visits(rows).assign(who=[f"person-{i:04d}" for i in range(rows)])


def one_row() -> pd.DataFrame:
    """A table of one row."""
    return visits(20).dropna().head(1).reset_index(drop=True)


def infinite(rows: int = 60) -> pd.DataFrame:
    """A number that no model can learn."""
    frame = visits(rows)
    frame.loc[3, "paid"] = np.inf
    return frame
