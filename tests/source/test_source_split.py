"""The split is by entity, by secret, and by nothing else (METRICS; issue, Show 8)."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_contracts.contract.model import Column, Contract, Roles
from synth_contracts.errors import NotEvaluatedError, Refused
from synth_contracts.source import (
    DEMO_SECRET,
    SourceTable,
    Split,
    read_source,
    refuse_public_secret,
    split,
)
from synth_contracts.tables import duckdb_types, resolve, rows_digest

SECRET = bytes(range(32))
Make = Callable[..., Contract]


def source_of(table: pa.Table, contract: Contract) -> SourceTable:
    schema = resolve(contract, duckdb_types(table))
    return SourceTable(schema, table, rows_digest(table), table.num_rows, "memory")


def table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()


def same(one: Split, other: Split) -> bool:
    """Equal to the byte, in order."""
    return one.train.equals(other.train) and one.holdout.equals(other.holdout)


@pytest.fixture(scope="module")
def some(few_baskets: pd.DataFrame) -> pa.Table:
    return table_of(few_baskets)


def test_entities_are_never_on_both_sides(some: pa.Table, contract: Make) -> None:
    found = split(source_of(some, contract()), contract(), SECRET)
    train = set(found.train.column("household_id").to_pylist())
    holdout = set(found.holdout.column("household_id").to_pylist())
    assert not train & holdout
    assert (len(train), len(holdout)) == (found.entities_train, found.entities_holdout)
    assert found.train.num_rows + found.holdout.num_rows == some.num_rows
    assert 200 <= len(holdout) <= 340  # 30 % of 900, sd 14
    assert found.train_digest == rows_digest(found.train)
    assert found.holdout_digest == rows_digest(found.holdout)


def test_another_secret_is_another_split(some: pa.Table, contract: Make) -> None:
    source = source_of(some, contract())
    one, other = split(source, contract(), SECRET), split(source, contract(), bytes(32))
    assert not same(one, other)
    shared = set(one.holdout.column("household_id").to_pylist()) & set(
        other.holdout.column("household_id").to_pylist()
    )
    assert 45 <= len(shared) <= 120  # 9 % of 900 by chance, sd 9


def test_storage_order_leaves_no_trace(few_baskets: pd.DataFrame, contract: Make) -> None:
    shuffled = few_baskets.sample(frac=1, random_state=3)
    one = split(source_of(table_of(few_baskets), contract()), contract(), SECRET)
    assert same(one, split(source_of(table_of(shuffled), contract()), contract(), SECRET))


def test_show_8_changed_holdout_values_leave_train_as_it_was(
    few_baskets: pd.DataFrame, contract: Make
) -> None:
    source = source_of(table_of(few_baskets), contract())
    found = split(source, contract(), SECRET)
    held = few_baskets["household_id"].isin(found.holdout.column("household_id").to_pylist())
    changed = few_baskets.copy()
    for name in changed.columns.drop(["household_id"]):
        column = changed[name].to_numpy(copy=True)
        column[held] = column[held][::-1]
        changed[name] = column
    after = source_of(table_of(changed), contract())
    assert after.digest != source.digest
    again = split(after, contract(), SECRET)
    assert again.train.equals(found.train)
    assert again.train_digest == found.train_digest
    assert again.holdout_digest != found.holdout_digest


def test_other_entities_have_no_say(few_baskets: pd.DataFrame, contract: Make) -> None:
    keys = few_baskets["household_id"]
    all_of = split(source_of(table_of(few_baskets), contract()), contract(), SECRET)
    rest = few_baskets[keys % 7 != 0]
    part = split(source_of(table_of(rest), contract()), contract(), SECRET)
    left = {k for k in all_of.holdout.column("household_id").to_pylist() if k % 7 != 0}
    assert left == set(part.holdout.column("household_id").to_pylist())


_KEYS = st.one_of(
    st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=6, unique=True),
    st.lists(st.text(max_size=5), min_size=1, max_size=6, unique=True),
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(keys=_KEYS, data=st.data())
def test_each_entity_is_placed_by_itself(contract: Make, keys: list[Any], data: Any) -> None:
    """Beside any other entities, in any order, with any values, an entity lands where it lands."""
    filler = [f"f{i}" if isinstance(keys[0], str) else 2**62 + 1 + i for i in range(900)]
    drawn = data.draw(st.lists(st.sampled_from(keys), max_size=8))
    # floats of any bits but NaN, from one seed: 900 drawn apart are more than hypothesis will draw
    bits = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).bytes(8 * (len(drawn) + 900))
    floats = np.frombuffer(bits, dtype=np.float64)
    if data.draw(st.booleans()):
        values = np.where(np.isnan(floats), 1.0, floats).tolist()
    else:
        values = [1.0] * len(floats)
    order = data.draw(st.randoms(use_true_random=False))
    rows = list(zip(drawn + filler, values, strict=True))
    order.shuffle(rows)

    def holdout(pairs: list[tuple[Any, float]]) -> set[Any]:
        table = pa.table({"household_id": [k for k, _ in pairs], "v": [v for _, v in pairs]})
        found = split(source_of(table, contract()), contract(), SECRET)
        return set(found.holdout.column("household_id").to_pylist())

    alone = [(key, 0.0) for key in [*keys, *filler]]
    present = {key for key, _ in rows}
    assert holdout(rows) == holdout(alone) & present


def test_key_types_are_told_apart_and_widths_are_not(contract: Make) -> None:
    def held(values: list[Any], kind: pa.DataType) -> list[bool]:
        table = pa.table({"household_id": pa.array(values, kind)})
        found = split(source_of(table, contract()), contract(), SECRET)
        holdout = set(found.holdout.column("household_id").to_pylist())
        return [value in holdout for value in values]

    numbers = list(range(1000))
    assert held(numbers, pa.int16()) == held(numbers, pa.int64())
    assert held(numbers, pa.int64()) != held([str(n) for n in numbers], pa.string())
    texts = [f"h{n}" for n in numbers]
    encoded = pa.table({"household_id": pa.array(texts).dictionary_encode()})
    found = split(source_of(encoded, contract()), contract(), SECRET)
    plain = held(texts, pa.string())
    assert {texts[i] for i in numbers if plain[i]} == set(
        found.holdout.column("household_id").to_pylist()
    )


@pytest.mark.parametrize(
    "values",
    [
        [Decimal(i) / 8 for i in range(1000)],
        [dt.date(2020, 1, 1) + dt.timedelta(i) for i in range(1000)],
        [dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(1000)],
        [i / 7 for i in range(1000)],
    ],
    ids=["decimal", "date", "timestamp", "float"],
)
def test_keys_of_any_type_split(contract: Make, values: list[Any]) -> None:
    found = split(source_of(pa.table({"household_id": values}), contract()), contract(), SECRET)
    assert 240 <= found.entities_holdout <= 360


def test_rows_without_an_entity_stand_for_themselves(contract: Make) -> None:
    keys = [None] * 1500 + list(range(500))
    table = pa.table(
        {"household_id": pa.array(keys, pa.int64()), "v": [i % 40 for i in range(2000)]}
    )
    found = split(source_of(table, contract()), contract(), SECRET)
    assert found.entities_train + found.entities_holdout == 2000
    nulls = found.holdout.column("household_id").null_count
    assert 380 <= nulls <= 520  # 30 % of 1500, though only 40 of them differ


def test_a_table_without_an_entity_key(contract: Make) -> None:
    table = pa.table({"id": list(range(2000)), "v": [i % 40 for i in range(2000)]})
    by_content = contract(roles=Roles())
    found = split(source_of(table.select(["v"]), by_content), by_content, SECRET)
    assert found.entities_train + found.entities_holdout == 2000
    by_key = contract(roles=Roles(), columns=(Column("id", primary_key=True),))
    one = split(source_of(table, by_key), by_key, SECRET)
    changed = table.set_column(1, "v", pa.array([7] * 2000))
    other = split(source_of(changed, by_key), by_key, SECRET)
    assert one.holdout.column("id").equals(other.holdout.column("id"))


def test_too_few_entities_say_what_would_do(few_baskets: pd.DataFrame, contract: Make) -> None:
    keys = sorted(few_baskets["household_id"].unique())
    rows = few_baskets[few_baskets["household_id"].isin(keys[:500])]
    with pytest.raises(NotEvaluatedError, match=r"only \d+ entities of 500") as few:
        split(source_of(table_of(rows), contract()), contract(), SECRET)
    assert few.value.exit_code == 3
    assert "set split.holdout to 0.47" in few.value.mend
    enough = replace(contract(), holdout=0.47)
    assert split(source_of(table_of(rows), enough), enough, SECRET).entities_holdout >= 200
    rows = few_baskets[few_baskets["household_id"].isin(keys[:300])]
    with pytest.raises(NotEvaluatedError) as few:
        split(source_of(table_of(rows), contract()), contract(), SECRET)
    assert "300 entities are too few to be sure of at any share" in few.value.mend


def test_the_demo_secret_is_for_the_demo_alone(
    baskets_path: Path, load: Callable[..., str], contract: Make
) -> None:
    demo = read_source(contract(), load(f"SELECT * FROM read_parquet('{baskets_path}')"))
    refuse_public_secret(DEMO_SECRET, demo.digest)
    with pytest.raises(Refused) as refused:
        refuse_public_secret(DEMO_SECRET, hashlib.sha256(b"another source").hexdigest())
    assert refused.value.exit_code == 5
    refuse_public_secret(SECRET, hashlib.sha256(b"another source").hexdigest())


CHILD = """
import sys
import pyarrow as pa, pyarrow.parquet as pq
sys.path.insert(0, sys.argv[2])
from test_source_split import source_of, SECRET, split
from conftest import make_contract
pa.set_cpu_count(int(sys.argv[3]))
found = split(source_of(pq.read_table(sys.argv[1]), make_contract()), make_contract(), SECRET)
print(found.train_digest, found.train.slice(0, 1).to_pylist())
"""


def test_neither_hash_seed_nor_threads_have_a_say(some: pa.Table, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(some, tmp_path / "some.parquet")
    said = {
        subprocess.run(
            [
                sys.executable,
                "-c",
                CHILD,
                str(tmp_path / "some.parquet"),
                str(Path(__file__).parent),
                n,
            ],
            env={**os.environ, "PYTHONHASHSEED": n},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in ("1", "2")
    }
    assert len(said) == 1
