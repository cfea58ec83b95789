"""The tables of the benchmark: flights out of New York, ten columns, the aeroplane as entity.

Half of the aeroplanes are trained on, the other half is the holdout; ``n`` rows of each half at
random. For the cost the synthetic table has as many rows from the generator of this package, with
the settings that its gate passes; for detection it is fresh real rows in which a leak is planted,
by the same code that the calibration uses.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import calibrate
import defects
import numpy as np
import pandas as pd
import tables

ROOT = Path(__file__).resolve().parents[1]
SIZES = (2_000, 10_000, 50_000, 150_000)
#: Rows a side of the tables in which leaks are looked for.
DETECTED = 5_000
KINDS = ("null", "exact-0.5", "exact-1", "exact-5", "exact-20", "noisy", "isolated", "interpolated")
_NAME = "flights"


def made(target: Path, data: str) -> Path:
    """The folder of a data set: cost-<rows>, detect-<kind>-<seed> or defects-<name>."""
    folder = target / "data" / data
    if (folder / "roles.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if data.startswith("defects-"):
        _write_defects(folder, defects.made(data.removeprefix("defects-")))
        return folder
    whole = tables.load(_NAME, ROOT / "target" / "calibration" / "tables")
    whole = plain(whole[whole["tailnum"].notna()].reset_index(drop=True))
    what, *rest = data.split("-")
    train, holdout, synthetic = (
        _cost(whole, int(rest[0])) if what == "cost" else _detect(whole, "-".join(rest))
    )
    contract = calibrate.contract_of(_NAME)
    for name, frame in (("train", train), ("holdout", holdout), ("synthetic", synthetic)):
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    shutil.copy(tables.TABLES[_NAME].contract, folder / "contract.odcs.yaml")
    roles = {
        "keys": calibrate.keys_of(contract),
        "codes": list(contract.codes),
        "quasi_identifiers": list(contract.roles.quasi_identifiers),
        "sensitive": list(contract.roles.sensitive),
    }
    (folder / "roles.json").write_text(json.dumps(roles))
    return folder


def _write_defects(folder: Path, tables_of: defects.Tables) -> None:
    for name in ("train", "holdout", "synthetic"):
        getattr(tables_of, name).to_parquet(folder / f"{name}.parquet", index=False)
    roles = {
        "keys": [],
        "codes": [],
        "quasi_identifiers": list(tables_of.quasi),
        "sensitive": list(tables_of.sensitive),
    }
    (folder / "roles.json").write_text(json.dumps(roles))


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """NumPy types that every tool takes: nullable integers become floats."""
    frame = frame.copy()
    for name, kind in frame.dtypes.items():
        if isinstance(kind, pd.Int32Dtype | pd.Int64Dtype):
            frame[name] = frame[name].astype("float64")
        elif pd.api.types.is_datetime64_any_dtype(kind):
            frame[name] = frame[name].astype("datetime64[ns]")
    return frame


def _sides(whole: pd.DataFrame, rows: int, parts: int, seed: int) -> list[pd.DataFrame]:
    """``parts`` tables of ``rows`` rows that share no aeroplane."""
    rng = np.random.default_rng(seed)
    planes = np.sort(whole["tailnum"].unique())
    side = pd.Series(rng.permutation(len(planes)) % parts, index=planes)
    found = []
    for part in range(parts):
        own = whole[whole["tailnum"].map(side).to_numpy() == part]
        chosen = np.sort(rng.permutation(len(own))[:rows])
        found.append(own.iloc[chosen].reset_index(drop=True))
    return found


def _cost(whole: pd.DataFrame, rows: int) -> tuple[pd.DataFrame, ...]:
    from synth_contracts.generate import generate
    from synth_contracts.tables import canonical, duckdb_types, resolve, restore, to_arrow

    train, holdout = _sides(whole, rows, 2, 1)
    contract = calibrate.contract_of(_NAME)
    arrow = to_arrow(train)
    schema = resolve(contract, duckdb_types(arrow))
    made = generate(
        contract,
        canonical(arrow, schema),
        schema,
        secret_seed=1,
        rows=rows,
        progress=lambda _: None,
    )
    return train, holdout, plain(restore(made.frame, schema).to_pandas())


def _detect(whole: pd.DataFrame, what: str) -> tuple[pd.DataFrame, ...]:
    import leaks

    kind, seed = what.rsplit("-", 1)
    train, holdout, fresh = _sides(whole, DETECTED, 3, int(seed))
    split = leaks.Thirds(train, holdout, fresh)
    contract = calibrate.contract_of(_NAME)
    if kind.startswith("exact-"):
        share = float(kind.removeprefix("exact-")) / 100
        planted = leaks.exact(split, calibrate.keys_of(contract), int(seed), share=share)
    else:
        planted = calibrate.synthetic_of(calibrate.Job(_NAME, kind, int(seed), True), split)
    return train, holdout, planted
