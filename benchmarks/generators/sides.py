"""The tables of the generators' benchmark: ``ROWS`` rows a side, half of the entities on each.

One half is what a generator sees, the other the holdout that its rows are judged against. Rows are
drawn at random from all entities of a half, so that a small table still has many of them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import calibrate
import numpy as np
import pandas as pd
import tables
from datasets import plain

ROOT = Path(__file__).resolve().parents[2]
ROWS = 3_000
TABLES = ("baskets", "flights", "adult")
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Roles:
    """What a job is told of the columns; ``primary`` are row keys, ``entity`` and ``time`` may be empty."""

    primary: list[str]
    entity: str
    time: str
    codes: list[str]

    @staticmethod
    def read(folder: Path) -> Roles:
        return Roles(**json.loads((folder / "roles.json").read_text()))


def made(target: Path, table: str, seed: int) -> Path | None:
    """The folder of train, holdout, contract and roles; None where the table is not at hand."""
    folder = target / "generators" / "data" / f"{table}-{seed}"
    if (folder / "roles.json").exists():
        return folder
    whole = tables.load(table, ROOT / "target" / "calibration" / "tables")
    if whole is None:
        return None
    contract = calibrate.contract_of(table)
    entity, time = contract.roles.entity_key or "", contract.roles.time_index or ""
    train, holdout = halves(plain(whole), entity, ROWS, seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("train", train), ("holdout", holdout)):
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    shutil.copy(tables.TABLES[table].contract, folder / "contract.odcs.yaml")
    primary = [column.name for column in contract.columns if column.primary_key]
    roles = {"primary": primary, "entity": entity, "time": time, "codes": list(contract.codes)}
    (folder / "roles.json").write_text(json.dumps(roles))
    return folder


def halves(
    whole: pd.DataFrame, entity: str, rows: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables of ``rows`` rows that share no entity; rows without one are left out."""
    if entity:
        whole = whole[whole[entity].notna()].reset_index(drop=True)
        keys, owner = np.unique(whole[entity].to_numpy(), return_inverse=True)
    else:
        keys = owner = np.arange(len(whole))
    rng = np.random.default_rng([seed, 17])
    side = rng.permutation(len(keys)) % 2
    found = []
    for part in (0, 1):
        own = np.flatnonzero(side[owner] == part)
        chosen = np.sort(rng.choice(own, min(rows, len(own)), replace=False))
        found.append(whole.iloc[chosen].reset_index(drop=True))
    return found[0], found[1]
