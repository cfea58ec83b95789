"""Recoding to k entities: hand-worked tables and one law."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_contracts.coarsening import Quasi, recode


def smallest(frame: pd.DataFrame, owner: np.ndarray, names: list[str]) -> int:
    held = frame.assign(owner=owner).groupby(names, dropna=False)["owner"].nunique()
    return int(held.min())


def test_rare_values_become_other_together() -> None:
    # entities: a 4, b 2, c 1; k = 3: b and c together hold 3
    frame = pd.DataFrame({"q": list("aaaabbc")}, dtype=object)
    out = recode(frame, np.arange(7), [Quasi("q", token="other")], 3)
    assert out["q"].tolist() == ["a"] * 4 + ["other"] * 3


def test_a_group_that_is_too_small_takes_the_commonest_value() -> None:
    # a 3, b 4, c 1; k = 3: c alone is too small, and no other row has to change
    frame = pd.DataFrame({"q": list("aaabbbbc")}, dtype=object)
    out = recode(frame, np.arange(8), [Quasi("q", token="other")], 3)
    assert out["q"].tolist() == list("aaabbbbb")


def test_most_rows_without_a_value_stay_without_whatever_a_few_hold() -> None:
    # nearly nobody tells an income: two who do are too few for a group of their own
    frame = pd.DataFrame({"q": [None] * 20 + ["high", "low"]}, dtype=object)
    out = recode(frame, np.arange(22), [Quasi("q", token="other")], 3)
    assert out["q"].isna().all()


def test_entities_are_counted_not_rows() -> None:
    # value b has five rows but a single entity
    frame = pd.DataFrame({"q": list("aabbbbba")}, dtype=object)
    owner = np.array([0, 1, 2, 2, 2, 2, 2, 3])
    out = recode(frame, owner, [Quasi("q", token="other")], 2)
    assert smallest(out, owner, ["q"]) >= 2
    assert set(out["q"]) == {"a"}


def test_an_other_that_was_there_before_counts() -> None:
    frame = pd.DataFrame({"q": ["a"] * 3 + ["other"] * 2 + ["b"]}, dtype=object)
    out = recode(frame, np.arange(6), [Quasi("q", token="other")], 3)
    assert out["q"].tolist() == ["a"] * 3 + ["other"] * 3


def test_the_entity_column_is_kept_and_the_wide_row_column_pays() -> None:
    # `age` is constant within entities; `store` varies within them and has more values
    frame = pd.DataFrame(
        {"store": list("pqpqprps"), "age": ["x", "x", "x", "x", "y", "y", "y", "y"]}, dtype=object
    )
    owner = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    quasi = [Quasi("store", token="other"), Quasi("age", token="other")]
    out = recode(frame, owner, quasi, 2)
    assert out["age"].tolist() == frame["age"].tolist()
    assert out["store"].tolist() == ["p", "q", "p", "q", "p", "other", "p", "other"]


def test_missing_stands_in_where_other_is_forbidden() -> None:
    frame = pd.DataFrame({"q": list("aaabbc")}, dtype=object)
    out = recode(frame, np.arange(6), [Quasi("q", token=None)], 3)
    assert out["q"].tolist() == ["a", "a", "a", None, None, None]


def test_the_commonest_stands_in_where_missing_is_forbidden_too() -> None:
    frame = pd.DataFrame({"q": list("aaabbc")}, dtype=object)
    out = recode(frame, np.arange(6), [Quasi("q", has_token=False)], 3)
    assert out["q"].tolist() == ["a"] * 6


def test_the_commonest_is_counted_in_rows() -> None:
    # a and b hold three entities each; b has more rows, all but one of a single entity
    frame = pd.DataFrame({"q": list("aaabbbbbbc")}, dtype=object)
    owner = np.array([0, 1, 2, 3, 3, 3, 3, 4, 5, 6])
    out = recode(frame, owner, [Quasi("q", has_token=False)], 3)
    assert out["q"].tolist() == list("aaabbbbbbb")


def test_numbers_merge_with_their_neighbours() -> None:
    frame = pd.DataFrame({"q": [20.0, 20.0, 21.0, 35.0, 36.0, 36.0, 90.0]})
    out = recode(frame, np.arange(7), [Quasi("q", ordered=True)], 3)
    assert out["q"].tolist() == [20.0, 20.0, 20.0, 36.0, 36.0, 36.0, 36.0]


def test_fewer_entities_than_k_end_as_one_class() -> None:
    frame = pd.DataFrame({"q": list("abc")}, dtype=object)
    out = recode(frame, np.arange(3), [Quasi("q", token="other")], 10)
    assert set(out["q"]) == {"other"}


def test_nothing_changes_where_every_class_is_large_enough() -> None:
    frame = pd.DataFrame({"q": list("aaabbb")}, dtype=object)
    pd.testing.assert_frame_equal(
        recode(frame, np.arange(6), [Quasi("q", token="other")], 3), frame
    )


texts = st.sampled_from(["a", "b", "c", "d", "other", None])
numbers = st.sampled_from([1.0, 2.0, 3.0, 7.0, float("nan")])


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(texts, texts, texts, numbers, st.integers(0, 9)), min_size=1),
    k=st.integers(1, 5),
)
def test_after_recoding_every_class_holds_k_entities(rows, k) -> None:
    owner = np.array([row[4] for row in rows])
    frame = pd.DataFrame(
        {
            "t": pd.Series([row[0] for row in rows], dtype=object),
            "m": pd.Series([row[1] for row in rows], dtype=object),
            "c": pd.Series([row[2] for row in rows], dtype=object),
            "n": [row[3] for row in rows],
        }
    )
    quasi = [
        Quasi("t", token="other"),
        Quasi("m", token=None),
        Quasi("c", has_token=False),
        Quasi("n", ordered=True),
    ]
    out = recode(frame, owner, quasi, k)
    assert len(out) == len(frame)
    assert smallest(out, owner, ["t", "m", "c", "n"]) >= min(k, len(np.unique(owner)))
    again = recode(out, owner, quasi, k)
    pd.testing.assert_frame_equal(again, out)
