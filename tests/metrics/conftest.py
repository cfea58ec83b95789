"""Small canonical frames with every kind of column, and real ones split in thirds by entity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Column, Roles
from synth_contracts.metrics import Comparison
from synth_contracts.tables import NUMERIC, TEMPORAL, Field, Kind, TableSchema, canonical

TOY = TableSchema(
    "toy",
    (
        Field("id", Kind.INTEGER, "BIGINT", required=True, key=True,
              declared=Column("id", primary_key=True, required=True)),
        Field("who", Kind.INTEGER, "BIGINT", key=True),
        Field("at", Kind.TIMESTAMP, "TIMESTAMP"),
        Field("items", Kind.INTEGER, "BIGINT", required=True,
              declared=Column("items", required=True, minimum=-50)),
        Field("amount", Kind.NUMBER, "DOUBLE"),
        Field("shop", Kind.CODE, "INTEGER"),
        Field("kind", Kind.TEXT, "VARCHAR"),
        Field("member", Kind.BOOLEAN, "BOOLEAN"),
    ),
    Roles(entity_key="who", time_index="at", quasi_identifiers=("kind", "member")),
)  # fmt: skip


def toy(seed: int, entities: int = 220, rows: int = 5, first: int = 0) -> pd.DataFrame:
    """A canonical frame of TOY: ``entities`` with ``rows`` rows each, busier on weekends."""
    r = np.random.default_rng(seed)
    n = entities * rows
    days = r.choice(140, n, p=(weights := 1.0 + 2.0 * (np.arange(140) % 7 > 4)) / weights.sum())
    # numbers have a narrow grid, so that near rows exist, but few rows are equal
    return pd.DataFrame(
        {
            "id": np.arange(first * rows, first * rows + n).astype(object),
            "who": np.repeat(np.arange(first, first + entities), rows).astype(object),
            "at": np.datetime64("2024-01-01", "ns")
            + days.astype("timedelta64[D]")
            + r.integers(8 * 3600, 20 * 3600, n).astype("timedelta64[s]"),
            "items": r.poisson(6, n).astype("float64"),
            "amount": np.round(r.lognormal(3, 1, n), 2),
            "shop": r.integers(0, 30, n).astype(str).astype(object),
            "kind": r.choice(np.array(["a", "b", "c", None], dtype=object), n),
            "member": r.choice(np.array(["true", "false"], dtype=object), n),
        }
    )


@pytest.fixture
def toys() -> Comparison:
    """Train, holdout and synthetic of 220 fresh entities each."""
    return Comparison(toy(1), toy(2, first=1000), toy(3, first=2000), TOY, k=3, seed=11)


@pytest.fixture
def make_toy() -> Callable[..., pd.DataFrame]:
    """``make_toy(seed, entities, rows, first)``: a frame of the toy schema."""
    return toy


@pytest.fixture
def remake(toys: Comparison) -> Callable[..., Comparison]:
    """A new Comparison (nothing cached) with some of its parts replaced."""

    def make(**parts: object) -> Comparison:
        return replace(toys, **parts)

    return make


def frame_of(kinds: dict[str, Kind], **columns: list[object]) -> pd.DataFrame:
    """A canonical frame of the given columns; columns without a kind are keys."""
    out = {}
    for name, values in columns.items():
        if kinds.get(name) in NUMERIC:
            out[name] = np.array(values, dtype="float64")
        elif kinds.get(name) in TEMPORAL:
            out[name] = np.array(values, dtype="datetime64[ns]")
        else:
            out[name] = np.array(values, dtype=object)
    return pd.DataFrame(out)


@pytest.fixture
def by_hand() -> Callable[..., Comparison]:
    """Four-row comparisons: ``by_hand(kinds, roles, train, holdout, synthetic)`` of column lists.

    The entity key is ``who`` where the tables hold it; columns without a kind are keys.
    """

    def make(
        kinds: dict[str, Kind],
        tables: tuple[dict[str, list[object]], ...],
        declared: dict[str, Column] | None = None,
        **roles: object,
    ) -> Comparison:
        names = list(tables[0])
        fields = tuple(
            Field(
                name, kinds.get(name, Kind.INTEGER), "BIGINT", key=name not in kinds,
                declared=(declared or {}).get(name),
                required=bool((d := (declared or {}).get(name)) and (d.required or d.primary_key)),
            )
            for name in names
        )  # fmt: skip
        if "who" in names:
            roles = {"entity_key": "who", **roles}
        schema = TableSchema("hand", fields, Roles(**roles))
        return Comparison(*(frame_of(kinds, **t) for t in tables), schema, k=2, seed=5)

    return make


def schema_of(frame: pd.DataFrame, roles: Roles, codes: set[str], primary: set[str]) -> TableSchema:
    """The schema a contract with these roles would resolve to."""
    fields = []
    for name in frame.columns:
        kind = Kind.TEXT
        if pd.api.types.is_datetime64_any_dtype(frame[name]):
            kind = Kind.TIMESTAMP
        elif pd.api.types.is_integer_dtype(frame[name]):
            kind = Kind.CODE if name in codes else Kind.INTEGER
        elif pd.api.types.is_float_dtype(frame[name]):
            kind = Kind.NUMBER
        key = name in primary or name == roles.entity_key
        declared = Column(name, primary_key=True) if name in primary else None
        fields.append(Field(name, kind, "BIGINT", key=key, declared=declared))
    return TableSchema("real", tuple(fields), roles)


class Thirds:
    """A real table in thirds by entity: train, holdout, fresh; and attacks planted in the last."""

    def __init__(self, frame: pd.DataFrame, schema: TableSchema, steps: dict[str, float]) -> None:
        self.schema, self.steps = schema, steps
        whole = canonical(frame, schema)
        who = schema.roles.entity_key
        assert who is not None
        keys = whole[who].drop_duplicates()
        self.rng = np.random.default_rng(1)
        third = dict(zip(keys, self.rng.permutation(len(keys)) % 3, strict=True))
        part = whole[who].map(third)
        self.train, self.holdout, self.fresh = (
            whole[part == i].reset_index(drop=True) for i in range(3)
        )

    def compare(self, synthetic: pd.DataFrame) -> Comparison:
        return Comparison(self.train, self.holdout, synthetic, self.schema, seed=3)

    @cached_property
    def clean(self) -> Comparison:
        """Fresh entities as the synthetic table, searched once for all tests; do not change it."""
        return self.compare(self.fresh)

    def with_fresh_keys(self, rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.reset_index(drop=True)
        for field in self.schema.released:
            if field.key:
                rows[field.name] = np.array([f"new {i}" for i in range(len(rows))], dtype=object)
        return rows

    def planted(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Fresh entities of which as many rows are replaced by ``rows`` under new keys."""
        keep = self.rng.permutation(len(self.fresh))[: len(self.fresh) - len(rows)]
        return pd.concat([self.fresh.iloc[keep], self.with_fresh_keys(rows)], ignore_index=True)

    def near_copies(self, share: float) -> pd.DataFrame:
        """Fresh entities with train rows moved by one unit of the last digit, five minutes."""
        n = int(share * len(self.fresh))
        rows = self.train.iloc[self.rng.permutation(len(self.train))[:n]].copy()
        for field in self.schema.features:
            if field.kind in NUMERIC:
                step = self.steps.get(field.name, 1.0)
                rows[field.name] += self.rng.choice([-step, step], n)
            elif field.kind in TEMPORAL:
                rows[field.name] += pd.to_timedelta(self.rng.integers(-300, 301, n), unit="s")
        return self.planted(rows)

    def isolated(self, share: float) -> pd.DataFrame:
        """Fresh entities with the train rows that have the largest numbers (sum of ranks)."""
        n = int(share * len(self.fresh))
        numeric = [f.name for f in self.schema.of(NUMERIC)]
        far = self.train[numeric].fillna(0).rank(pct=True).sum(axis=1)
        return self.planted(self.train.loc[far.nlargest(n).index])


@pytest.fixture(scope="session")
def basket_thirds(few_baskets: pd.DataFrame) -> Thirds:
    roles = Roles(entity_key="household_id", time_index="transaction_timestamp")
    schema = schema_of(few_baskets, roles, {"store_id"}, {"basket_id"})
    return Thirds(
        few_baskets, schema, dict.fromkeys(("amount", "retail_disc", "coupon_disc"), 0.01)
    )


@pytest.fixture(scope="session")
def flight_thirds(flights: pd.DataFrame) -> Thirds:
    roles = Roles(entity_key="tailnum", time_index="sched_dep")
    planes = flights["tailnum"].drop_duplicates().sort_values().iloc[:660]
    few = flights[flights["tailnum"].isin(planes)].reset_index(drop=True)
    return Thirds(few, schema_of(few, roles, {"flight"}, set()), {})


@pytest.fixture(params=["basket_thirds", pytest.param("flight_thirds", marks=pytest.mark.slow)])
def thirds(request: pytest.FixtureRequest) -> Thirds:
    """Each of the two; flights are left to `make slow`."""
    found: Thirds = request.getfixturevalue(request.param)
    return found
