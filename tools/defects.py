"""Small tables on which public tools for synthetic data read wrongly; made up, rows are people.

The tests show that the metrics of this package read them rightly; the benchmark runs both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

ROWS = 1_000


@dataclass(frozen=True)
class Tables:
    """Train, holdout and synthetic table with the roles of their columns."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]


def _mixed(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """Two numbers and three categories; hardly two rows are equal."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": np.round(rng.lognormal(3, 1, rows), 2),
            "items": rng.poisson(6, rows).astype("float64"),
            "shop": [f"shop {i}" for i in rng.integers(0, 30, rows)],
            "kind": rng.choice(["bread", "milk", "tea", "wine"], rows),
            "paid": rng.choice(["card", "cash"], rows),
        }
    )


def _categories(seed: int, columns: int, levels: int, rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            f"c{i}": np.array([f"level {j}" for j in rng.integers(0, levels, rows)], dtype=object)
            for i in range(columns)
        }
    )


def _coarse(seed: int) -> pd.DataFrame:
    """One small number and four categories: few rows are equal, many are equally far."""
    rng = np.random.default_rng([seed, 4])
    sizes = [f"size {i}" for i in rng.integers(0, 8, ROWS)]
    return _mixed(seed).drop(columns="amount").assign(size=sizes)


def copied(count: int, rows: Callable[[int], pd.DataFrame] = _mixed) -> Tables:
    """Fresh people of whom the first ``count`` are the first of train."""
    train, holdout, synthetic = (rows(seed) for seed in (1, 2, 3))
    made = pd.concat([train.iloc[:count], synthetic.iloc[count:]], ignore_index=True)
    return Tables(train, holdout, made, ("shop", "kind"), (train.columns[-1],))


def _few_levels() -> Tables:
    """64 combinations, all of them in every table: nobody is nearer to anybody."""
    train, holdout = (_categories(seed, 3, 4) for seed in (1, 2))
    return Tables(train, holdout, train.copy(), ("c0", "c1"), ("c2",))


def _many_levels() -> Tables:
    """Copies of train in categories alone: unseen rows are hardly ever equal."""
    train, holdout = (_categories(seed, 8, 6) for seed in (1, 2))
    return Tables(train, holdout, train.copy(), ("c0", "c1"), ("c2",))


def _negative() -> Tables:
    """A secret about 0 that nothing tells anything of."""
    sides = []
    for seed in (1, 2, 3):
        frame = _mixed(seed).drop(columns="amount")
        frame["change"] = np.round(np.random.default_rng([seed, 1]).normal(0, 100, ROWS), 2)
        sides.append(frame)
    return Tables(*sides, ("shop", "kind", "items"), ("change",))


def _with_nulls(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One number or another is missing in every row, and a category in a fifth of them."""
    rng = np.random.default_rng([seed, 2])
    which = rng.integers(0, 2, len(frame))
    frame = frame.copy()
    frame.loc[which == 0, "amount"] = np.nan
    frame.loc[which == 1, "items"] = np.nan
    frame.loc[rng.random(len(frame)) < 0.2, "kind"] = None
    return frame


def _nulls(copies: bool) -> Tables:
    train, holdout, fresh = (_with_nulls(_mixed(seed), seed) for seed in (1, 2, 3))
    made = train.copy() if copies else fresh
    return Tables(train, holdout, made, ("shop", "kind", "paid"), ("amount",))


def _wide_categories() -> Tables:
    """Fresh people with two columns of names that few others share."""
    sides = []
    for seed in (1, 2, 3):
        rng = np.random.default_rng([seed, 3])
        frame = _mixed(seed)
        for name, levels in (("street", 4_000), ("employer", 2_000)):
            frame[name] = [f"{name} {i}" for i in rng.integers(0, levels, ROWS)]
        sides.append(frame)
    return Tables(*sides, ("shop", "kind"), ("amount",))


def _ten_thousand() -> Tables:
    """A sensitive number of many values over 10,000 rows."""
    train, holdout, fresh = (_mixed(seed, 10_000) for seed in (1, 2, 3))
    return Tables(train, holdout, fresh, ("shop", "kind", "paid"), ("amount",))


MAKERS: dict[str, Callable[[], Tables]] = {
    "fresh": lambda: copied(0, _coarse),
    "copies-5": lambda: copied(ROWS // 20, _coarse),
    "copies-20": lambda: copied(ROWS // 5, _coarse),
    "copies-100": lambda: copied(ROWS),
    "few-levels": _few_levels,
    "many-levels": _many_levels,
    "negative": _negative,
    "nulls": lambda: _nulls(copies=False),
    "nulls-copied": lambda: _nulls(copies=True),
    "wide-categories": _wide_categories,
    "rows-10000": _ten_thousand,
}
#: What is in them, in the words of the benchmark's page.
WORDS = {
    "fresh": "fresh people, many equally far apart",
    "copies-5": "the same with 5 % exact copies",
    "copies-20": "the same with 20 % exact copies",
    "copies-100": "100 % exact copies, amounts to the cent",
    "few-levels": "100 % copies; 3 categories, every combination in every table",
    "many-levels": "100 % copies; 8 categories, no number",
    "negative": "fresh people; a secret about 0 that nothing tells of",
    "nulls": "fresh people; a null in every row",
    "nulls-copied": "100 % copies; a null in every row",
    "wide-categories": "fresh people; thousands of levels",
    "rows-10000": "fresh people, 10,000 rows",
}
#: Peer -> the tables on which it is run.
PEERS = {
    "sdmetrics": ("fresh", "copies-5", "copies-20", "copies-100", "few-levels", "many-levels"),
    "anonymeter": ("negative", "nulls", "nulls-copied"),
    "pycanon": ("rows-10000",),
    "nemo-safe-synthesizer": ("fresh", "copies-5", "copies-20", "copies-100"),
    "synthcity": ("fresh",),
}


def made(name: str) -> Tables:
    """The tables ``name``, the same every time."""
    return MAKERS[name]()


CONTRACT = """
apiVersion: v3.2.0
kind: DataContract
id: defects
version: 1.0.0
status: active
servers: [{{server: source, type: duckdb, database: x.duckdb, schema: raw}}]
schema:
  - name: defects
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: standard
          roles: {{quasiIdentifiers: [{quasi}], sensitive: [{sensitive}]}}
"""


def contract_text(tables: Tables) -> str:
    """A contract over them."""
    return CONTRACT.format(quasi=", ".join(tables.quasi), sensitive=", ".join(tables.sensitive))


def comparison(tables: Tables, seed: int = 5):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """The tables as the metrics of this package take them."""
    from synth_contracts.contract.model import Roles
    from synth_contracts.metrics import Comparison
    from synth_contracts.tables import Field, Kind, TableSchema, canonical

    fields = tuple(
        Field(name, Kind.NUMBER, "DOUBLE") if column.dtype == "float64"
        else Field(name, Kind.TEXT, "VARCHAR")
        for name, column in tables.train.items()
    )  # fmt: skip
    roles = Roles(quasi_identifiers=tables.quasi, sensitive=tables.sensitive)
    schema = TableSchema("defects", fields, roles)
    frames = (canonical(frame, schema)
              for frame in (tables.train, tables.holdout, tables.synthetic))  # fmt: skip
    return Comparison(*frames, schema, seed=seed)
