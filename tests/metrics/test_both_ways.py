"""Both directions at once find what a search in each direction finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_contracts.metrics import Measurement, comparison, measure
from synth_contracts.metrics.both_ways import BothWays
from synth_contracts.metrics.neighbours import TALL, WIDE, search


def cloud(rows: int, seed: int, levels: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if levels:
        return rng.integers(0, levels, (rows, 3)).astype(np.float32)
    return rng.normal(size=(rows, 8)).astype(np.float32)


def same(found, wanted):
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


def test_by_hand():
    """On a line: 0 and 10 of one part, 4 of another; the table holds 1, 5 and 10."""
    parts = [np.array([[0], [10]], np.float32), np.array([[4]], np.float32)]
    both = BothWays(parts, np.array([[1], [5], [10]], np.float32))
    assert both.nearest(0)[0].ravel().tolist() == [1, 0]
    assert both.nearest(0)[1].ravel().tolist() == [0, 2]
    assert both.nearest(1)[1].ravel().tolist() == [1]
    distances, rows = both.back(0, 2)
    assert distances.tolist() == [[1, 9], [5, 5], [0, 10]]
    assert rows.tolist() == [[0, 1], [0, 1], [1, 0]]
    distances, rows = both.back(1, 2)
    # of one row there is no second
    assert distances[:, 0].tolist() == [3, 1, 6]
    assert np.isinf(distances[:, 1]).all()
    assert rows.tolist() == [[0, -1]] * 3


def test_more_rows_than_are_looked_at_together():
    parts = [cloud(3 * TALL + 7, 1), cloud(TALL // 2, 2)]
    other = np.concatenate([cloud(WIDE + 40, 3), parts[0][::9], parts[1][:3]])
    both = BothWays(parts, other)
    for number, part in enumerate(parts):
        same(both.nearest(number), search(part, other))
        same(both.back(number, 2), search(other, part, 2))


@given(
    sizes=st.lists(st.integers(1, 3 * TALL), min_size=3, max_size=3),
    levels=st.sampled_from([0, 2, 5, 40]),
    k=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60)
def test_equal_rows_and_ties_too(sizes, levels, k, seed):
    one, two, other = (cloud(size, seed + n, levels) for n, size in enumerate(sizes))
    both = BothWays([one, two], other)
    for number, part in enumerate((one, two)):
        found, wanted = both.nearest(number), search(part, other)
        np.testing.assert_array_equal(found[0], wanted[0])
        back, asked = both.back(number, k), search(other, part, k)
        np.testing.assert_array_equal(back[0], asked[0])
        for rows, far, table, queries in (
            (found[1], found[0], other, part), (back[1], back[0], part, other),
        ):  # fmt: skip
            # of rows that are equally near either may be found
            there = rows >= 0
            gap = table[np.maximum(rows, 0)] - queries[:, None, :]
            true = np.sqrt(np.einsum("qkd,qkd->qk", gap, gap, dtype=np.float64))
            np.testing.assert_array_equal(true[there], far[there])


@pytest.mark.parametrize("metric", ["nearest_neighbor_distance", "membership_inference"])
def test_a_metric_reads_the_same_either_way(basket_thirds, monkeypatch, metric):
    whole = basket_thirds.clean
    keys = whole.holdout["household_id"].drop_duplicates().iloc[:240]
    fewer = whole.holdout[whole.holdout["household_id"].isin(keys)].reset_index(drop=True)
    found = []
    for most in (comparison.MOST_QUERIES, 0):
        monkeypatch.setattr(comparison, "MOST_QUERIES", most)
        tables = replace(whole, holdout=fewer)
        assert (tables.both_ways is None) == (most == 0)
        found.append(measure(metric, tables))
    assert isinstance(found[0], Measurement)
    assert found[0] == found[1]
