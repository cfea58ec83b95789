"""Source databases of a few rows, and contracts over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from synth_contracts.contract.model import (
    Contract,
    ExportPolicy,
    GeneratorSpec,
    Roles,
    SourceRef,
)


def make_contract(**changes: Any) -> Contract:
    values: dict[str, Any] = {
        "path": Path("transactions.odcs.yaml"),
        "text": "",
        "id": "transactions",
        "table": "transactions",
        "version": "1.0.0",
        "description": {},
        "source": SourceRef("raw", "duckdb", "source.duckdb", "raw", "transactions"),
        "columns": (),
        "preset": None,
        "k": 10,
        "roles": Roles(entity_key="household_id"),
        "codes": (),
        "holdout": 0.3,
        "generator": GeneratorSpec(),
        "rules": (),
        "not_asked": (),
        "report_only": (),
        "export": ExportPolicy(),
        "expanded": {},
        "digest": "",
    }
    return Contract(**{**values, **changes})


@pytest.fixture(scope="session")
def contract() -> Callable[..., Contract]:
    return make_contract


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., str]:
    """Writes a frame (or the result of a query) as raw.transactions of a source database."""

    def write(rows: pd.DataFrame | str, name: str = "source.duckdb") -> str:
        path = tmp_path / name
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE SCHEMA raw")
            query = rows
            if isinstance(rows, pd.DataFrame):
                connection.register("incoming", rows)
                query = "SELECT * FROM incoming"
            connection.execute(f"CREATE TABLE raw.transactions AS {query}")
        return str(path)

    return write
