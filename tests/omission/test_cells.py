"""What an export leaves out: one of ten neighbours, under a key, whatever the order of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth_contracts.omission import (
    Cells,
    assign,
    digits,
    identity,
    in_batches,
    pool_rows,
    room,
    subset_names,
    told,
    weight,
)

KEY = bytes(range(32))
QUASI = ("store_id", "age", "income")


def cells(frame: pd.DataFrame, key: bytes = KEY, entity: str | None = "household_id") -> Cells:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return assign(
        table.schema, in_batches(table), entity_key=entity, quasi_identifiers=QUASI, key=key,
        release="r",
    )  # fmt: skip


def test_each_ten_neighbours_lose_one(few_baskets: pd.DataFrame) -> None:
    found = cells(few_baskets)
    assert (len(found.group), found.groups, found.category) == (900, 90, "age")
    pairs = found.group.astype(int) * 10 + found.digit
    assert sorted(pairs) == list(range(900))  # every cell is one household
    for left_out in digits(KEY, "r", ["a", "b"], 90):
        kept = found.kept(left_out)
        assert len(np.unique(found.unit[~kept])) == 90
        assert not set(found.unit[kept]) & set(found.unit[~kept])


def test_categories_and_sizes_are_thinned_evenly(few_baskets: pd.DataFrame) -> None:
    found = cells(few_baskets)
    first = few_baskets.assign(unit=found.unit).groupby("unit")
    age = first["age"].first().fillna("none")
    whole = age.value_counts()
    shares = []
    for left_out in digits(KEY, "r", [str(n) for n in range(50)], found.groups):
        kept = found.kept(left_out)
        left = age.drop(np.unique(found.unit[kept])).value_counts().reindex(whole.index).fillna(0)
        # neighbours share their category, so that at most the runs at both ends are mixed
        assert (np.abs(left - whole / 10) <= 2).all()
        shares.append(1 - kept.mean())
    # of entities drawn without regard to their size the share of rows would vary by 0.0125
    assert np.std(shares) < 0.006
    assert abs(np.mean(shares) - 0.1) < 0.002


def test_the_order_of_rows_does_not_matter(few_baskets: pd.DataFrame) -> None:
    order = np.random.default_rng(0).permutation(len(few_baskets))
    one, two = cells(few_baskets), cells(few_baskets.iloc[order])
    left_out = digits(KEY, "r", ["a"], one.groups)[0]
    assert (one.kept(left_out)[order] == two.kept(left_out)).all()
    other = cells(few_baskets, key=bytes(32))
    assert (other.digit != one.digit).mean() > 0.5


def test_digits_depend_on_the_token_the_release_and_the_key_alone() -> None:
    whole = digits(KEY, "r", [f"token {n}" for n in range(200)], 500)
    assert (digits(KEY, "r", ["token 7"], 500)[0] == whole[7]).all()
    assert (digits(KEY, "r", ["token 7"], 400)[0] == whole[7, :400]).all()
    counts = np.bincount(whole.ravel(), minlength=10)
    assert len(counts) == 10
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(9_000)
    for other in (
        digits(KEY, "r", ["token 8"], 500),
        digits(KEY, "s", ["token 7"], 500),
        digits(bytes(32), "r", ["token 7"], 500),
    ):
        assert abs((other[0] == whole[7]).mean() - 0.1) < 0.07
    with pytest.raises(ValueError, match="32 bytes"):
        digits(b"short", "r", ["a"], 1)
    assert len({identity(KEY, "r"), identity(KEY, "s"), identity(bytes(32), "r")}) == 3


def test_rows_without_an_entity_are_units_of_their_own(few_baskets: pd.DataFrame) -> None:
    frame = few_baskets.head(2_000).astype({"household_id": "Int64"}).copy()
    frame.loc[frame.index[:100], "household_id"] = pd.NA
    keyed = frame["household_id"].dropna().nunique()
    assert len(cells(frame).group) == keyed + 100
    alone = cells(frame, entity=None)
    assert len(alone.group) == 2_000
    twice = cells(pd.concat([frame, frame]), entity=None)
    assert len(twice.group) == 2_000  # equal rows are one unit
    left_out = digits(KEY, "r", ["a"], alone.groups)[0]
    assert 1 - alone.kept(left_out).mean() == pytest.approx(0.1)


def test_of_many_units_several_share_a_cell() -> None:
    frame = pd.DataFrame({"household_id": np.arange(50_000), "x": 1.0})
    found = cells(frame)
    assert found.groups == 2_048
    left_out = digits(KEY, "r", ["a"], found.groups)[0]
    assert 1 - found.kept(left_out).mean() == pytest.approx(0.1)


def test_weighted_totals_come_back_to_the_pools(few_baskets: pd.DataFrame) -> None:
    found = cells(few_baskets)
    kept = [found.kept(d) for d in digits(KEY, "r", subset_names(), found.groups)]
    record = told(few_baskets, kept, found, ["amount", "n_items"], key="k")
    assert record["rows"] == [int(keep.sum()) for keep in kept]
    for keep in kept:
        factor = weight(len(few_baskets), int(keep.sum()))
        assert factor * keep.sum() == pytest.approx(len(few_baskets))
        for name in ("amount", "n_items"):
            total, part = few_baskets[name].sum(), few_baskets.loc[keep, name].sum()
            assert abs(factor * part / total - 1) <= record["spread"][name] + 1e-6
            assert part / total < 0.93  # without the weight it is a tenth short
    assert 0 < record["spread"]["amount"] < 0.03


def test_room_for_what_is_left_out() -> None:
    rng = np.random.default_rng(0)
    for k in (2, 10):
        assert room(k) > k
        # a class of that size never fell below k in ten thousand draws; one of k does mostly
        assert (rng.binomial(room(k), 0.9, 10_000) >= k).all()
        assert (rng.binomial(k, 0.9, 10_000) < k).mean() > 0.15
    assert pool_rows(900) == 1_000
    assert pool_rows(1) == 2
