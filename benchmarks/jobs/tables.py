"""What every job reads: three Parquet files and the roles of their columns. Only pandas needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd


def arguments() -> tuple[dict[str, pd.DataFrame], dict[str, Any], str, Path]:
    """(train, holdout and synthetic; roles; the work that is asked for; where the answer goes)."""
    work, folder, answer = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    names = ("train", "holdout", "synthetic")
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in names}
    return tables, json.loads((folder / "roles.json").read_text()), work, answer


def features(tables: dict[str, pd.DataFrame], roles: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The three tables without keys: a peer that knows no entity would compare them as values."""
    return {name: frame.drop(columns=roles["keys"]) for name, frame in tables.items()}


def say(answer: Path, **found: Any) -> None:
    """Write what was found as JSON."""
    answer.write_text(json.dumps(found, default=float))
