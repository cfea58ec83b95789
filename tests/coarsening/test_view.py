"""The protected view: what it hides, what it leaves alone, and that twice is once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_contracts.coarsening import Coarsening, group_rare
from synth_contracts.coarsening.rare import entities_per_value, equivalents_per_value
from synth_contracts.contract.model import Column, GeneratorSpec, Outliers, Roles
from synth_contracts.tables import Field, Kind, TableSchema

SCHEMA = TableSchema(
    "t",
    (
        Field("who", Kind.INTEGER, "BIGINT", key=True),
        Field("shop", Kind.CODE, "INTEGER", required=True),
        Field("age", Kind.TEXT, "VARCHAR", declared=Column("age", enum=("a", "b", "c"))),
        Field("kind", Kind.TEXT, "VARCHAR"),
        Field("flag", Kind.BOOLEAN, "BOOLEAN", required=True),
        Field("ticket", Kind.TEXT, "VARCHAR", declared=Column("ticket", unique=True)),
        Field("paid", Kind.NUMBER, "DOUBLE"),
    ),
    Roles(entity_key="who", quasi_identifiers=("shop", "age", "paid")),
)


def table(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: np.array(values, dtype="float64" if name == "paid" else object)
            for name, values in columns.items()
        }
    )


def test_each_column_takes_its_own_token() -> None:
    """Three entities hold the common value, one or two the others; k = 3."""
    frame = table(
        shop=["7"] * 3 + ["8", "9", "9"],
        age=["a"] * 3 + ["b", "c", "c"],
        kind=["x"] * 3 + ["y", "z", None],
        flag=["true"] * 4 + ["false"] * 2,
        ticket=list("abcdef"),
    )
    out = Coarsening(3, {"shop": 0}).group(frame, np.arange(6), SCHEMA)
    assert out["shop"].tolist() == ["7"] * 3 + ["0"] * 3
    assert out["age"].tolist() == ["a"] * 3 + [None] * 3  # its domain knows no "other"
    assert out["kind"].tolist() == ["x"] * 5 + [None]  # y and z together are too few: commonest
    assert out["flag"].tolist() == ["true"] * 6  # neither token nor missing is allowed
    assert out["ticket"].tolist() == list("abcdef")  # unique: made afresh, never compared
    assert frame["shop"].tolist() == ["7"] * 3 + ["8", "9", "9"]  # the frame given is kept


def test_a_category_that_one_holder_dominates_is_rare() -> None:
    """Ten customers each: equal ones make ten, one with 91 of 100 visits makes about one."""
    even, owner = ["even"] * 100, np.arange(100) % 10
    lone, alone = ["lone"] * 100, np.r_[np.full(91, 10), np.arange(11, 20)]
    column = pd.Series(even + lone, dtype=object)
    out = group_rare(column, np.concatenate([owner, alone]), 10, (True, "other"))
    assert list(out) == even + ["other"] * 100


def test_equivalents_are_counted_by_concentration() -> None:
    """Three holders of 2, 2 and 2 rows are three; of 4, 1 and 1 they are 36 / 18 = 2; none is 0."""
    codes = np.array([0] * 6 + [1] * 6 + [-1])
    owners = np.array([*[0, 0, 1, 1, 2, 2], *[0, 0, 0, 0, 1, 2], 5])
    assert equivalents_per_value(codes, owners, 3).tolist() == pytest.approx([3, 2, 0])


def test_a_commonest_value_that_becomes_dominated_is_grouped_in_turn() -> None:
    """y is of one entity alone, so it goes to x and makes 6 of its 9 rows: 81 / 39 = 2.1 holders."""
    column = pd.Series(["x"] * 4 + ["y"] * 5, dtype=object)
    owner = np.array([0, 1, 2, 3] + [3] * 5)
    assert list(group_rare(column[:4], owner[:4], 3, (True, "other"))) == ["x"] * 4
    assert list(group_rare(column, owner, 3, (True, "other"))) == ["other"] * 9
    # not y, though it is the commonest
    assert list(group_rare(column, owner, 3, (False, None))) == ["x"] * 9


def test_classes_below_k_are_recoded_after_rare_values() -> None:
    frame = table(shop=["1"] * 4 + ["2"] * 4, age=["a", "a", "a", "b", "b", "b", "b", "a"])
    coarsening = Coarsening(3)
    grouped = coarsening.group(frame, np.arange(8), SCHEMA)
    pd.testing.assert_frame_equal(grouped, frame)  # each value alone has four entities
    out = coarsening.view(frame, np.arange(8), SCHEMA)
    classes = out.groupby(["shop", "age"], dropna=False).size()
    assert classes.min() >= 3


def test_switched_off_nothing_is_touched() -> None:
    frame = table(shop=["1", "2"], age=["a", "b"])
    assert Coarsening(5, on=False).view(frame, np.arange(2), SCHEMA) is frame


def test_a_contract_says_what_is_coarsened(make_contract) -> None:
    contract = make_contract(k=4, outliers=Outliers(rare_category=False, other_value={"shop": 0}))
    found = Coarsening.of(contract)
    assert (found.k, found.other_value, found.on) == (4, {"shop": 0}, False)
    assert Coarsening.of(make_contract(k=10, outliers=Outliers())).on


def test_counting_entities_is_the_same_for_few_and_for_many_values(monkeypatch) -> None:
    r = np.random.default_rng(3)
    codes, owners = r.integers(-1, 40, 500), r.integers(0, 30, 500)
    dense = entities_per_value(codes, owners, 40)
    monkeypatch.setattr("synth_contracts.coarsening.rare._DENSE", 0)
    assert dense.tolist() == entities_per_value(codes, owners, 40).tolist()


def test_a_column_without_rare_values_keeps_its_memory() -> None:
    column = pd.Series(["a", "a", "b", "b"], dtype=object)
    out = group_rare(column, np.arange(4), 2, (True, "other"))
    assert np.may_share_memory(out, column.to_numpy())


shops = st.sampled_from(["1", "2", "3", "4", "-1"])
ages = st.sampled_from(["a", "b", "c", None])
kinds = st.sampled_from(["x", "y", "z", "other", None])
paid = st.sampled_from([1.0, 2.0, 5.0, float("nan")])


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(shops, ages, kinds, st.sampled_from(["true", "false"]), paid,
                  st.integers(0, 11)),
        min_size=1, max_size=60,
    ),
    k=st.integers(1, 5),
)  # fmt: skip
def test_each_step_twice_is_once_and_classes_hold_k(rows, k) -> None:
    names = ("shop", "age", "kind", "flag", "paid")
    frame = table(**{name: [row[i] for row in rows] for i, name in enumerate(names)})
    owner = np.array([row[5] for row in rows])
    coarsening = Coarsening(k)
    grouped = coarsening.group(frame, owner, SCHEMA)
    pd.testing.assert_frame_equal(coarsening.group(grouped, owner, SCHEMA), grouped)
    once = coarsening.view(frame, owner, SCHEMA)
    pd.testing.assert_frame_equal(coarsening.recode(once, owner, SCHEMA), once)
    held = once.assign(owner=owner).groupby(["shop", "age", "paid"], dropna=False)["owner"]
    assert held.nunique().min() >= min(k, len(set(owner)))
    order = np.random.default_rng(0).permutation(len(frame))
    turned = coarsening.view(frame.iloc[order].reset_index(drop=True), owner[order], SCHEMA)
    pd.testing.assert_frame_equal(turned, once.iloc[order].reset_index(drop=True))


@pytest.fixture
def make_contract():
    from pathlib import Path

    from synth_contracts.contract.model import Contract, ExportPolicy

    def make(k: int, outliers: Outliers) -> Contract:
        return Contract(
            path=Path("t.odcs.yaml"), text="", id="urn:t", table="t", version="1.0.0",
            description={}, source=None, columns=(), preset="standard", k=k, roles=Roles(),
            codes=(), holdout=0.3, generator=GeneratorSpec(outliers=outliers), rules=(),
            not_asked=(), report_only=(), export=ExportPolicy(), expanded={}, digest="",
        )  # fmt: skip

    return make
