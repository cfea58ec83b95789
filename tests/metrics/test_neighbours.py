"""Neighbour searches: exact zeros survive, both engines agree, thread counts change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from synth_contracts.metrics import centroids, inverted_lists, neighbours
from synth_contracts.metrics.neighbours import nearest, search
from synth_contracts.metrics.threads import single_threaded


@pytest.fixture(params=["brute", "inverted lists"])
def engine(request, monkeypatch):
    if request.param == "inverted lists":
        monkeypatch.setattr(neighbours, "EXACT_PAIRS", 0)
    return request.param


def cloud(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 12)).astype(np.float32)


def test_exact_zeros_survive_far_from_the_origin(engine):
    """GEMM distances read .0067 instead of .010 and no zero for copies (reproduced elsewhere)."""
    reference = cloud(3000, 1) + np.float32(1000)
    copies = reference[:500]
    assert (nearest(copies, reference)[:, 0] == 0).all()
    moved = copies.copy()
    moved[:, 0] += np.float32(0.01)
    gaps = np.abs(moved[:, 0].astype(float) - copies[:, 0].astype(float))
    np.testing.assert_allclose(nearest(moved, reference)[:, 0], gaps, rtol=1e-6)


def test_the_engines_agree(monkeypatch):
    queries, reference = cloud(800, 2), cloud(4000, 3)
    exact = nearest(queries, reference, 3)
    monkeypatch.setattr(neighbours, "EXACT_PAIRS", 0)
    approximate = nearest(queries, reference, 3)
    assert (approximate >= exact - 1e-9).all()
    assert np.mean(approximate[:, 0] <= exact[:, 0] + 1e-6) > 0.95


def test_both_engines_agree_with_differences(engine):
    # more than is looked at together, of either
    queries, reference = cloud(300, 8), cloud(12_000, 9)
    differences = np.stack(
        [np.linalg.norm(reference.astype(float) - query, axis=1) for query in queries]
    )
    distances, rows = search(queries, reference, 3, probes=10_000)
    np.testing.assert_allclose(distances, np.sort(differences, axis=1)[:, :3], rtol=1e-6)
    assert (rows == np.argsort(differences, axis=1)[:, :3]).all()


def test_a_copy_is_found_where_products_cannot_tell_rows_apart(engine):
    """Far out, the products of float32 are coarser than the gaps between the rows."""
    far = np.float32(1000) + np.float32(0.002) * cloud(2000, 10)
    reference = np.concatenate([cloud(4000, 11), far])
    distances, rows = search(far, reference)
    assert (distances == 0).all()
    assert (reference[rows[:, 0]] == far).all()


def test_equal_rows_are_neighbours_of_their_own(engine):
    reference = np.array([[5, 5], [1, 1], [5, 5], [2, 1], [1, 1]], dtype=np.float32)
    queries = np.array([[1, 1], [5, 5], [1, 1]], dtype=np.float32)
    distances, rows = search(queries, reference, 3)
    # the first of equal rows comes first
    assert rows.tolist() == [[1, 4, 3], [0, 2, 3], [1, 4, 3]]
    np.testing.assert_allclose(distances, [[0, 0, 1], [0, 0, 5], [0, 0, 1]])


def test_minus_zero_is_zero(engine):
    reference = np.array([[0, 1], [3, 3]], dtype=np.float32)
    assert nearest(np.array([[-0.0, 1]], dtype=np.float32), reference).tolist() == [[0.0]]


def test_one_row_is_enough(engine):
    one = np.ones((1, 3), dtype=np.float32)
    assert nearest(one, one).tolist() == [[0.0]]
    assert nearest(np.zeros((0, 3), dtype=np.float32), one).shape == (0, 1)


def test_thread_counts_change_nothing(engine):
    queries, reference = cloud(3000, 4), cloud(6000, 5)
    found = []
    for count in (1, 2):
        with threadpool_limits(limits=count):
            found.append([part.tobytes() for part in search(queries, reference, 2)])
    assert found[0] == found[1]


def test_the_limit_on_threads_is_restored_when_the_last_has_left():
    """Two at once: whoever leaves first must not give threads back to the other."""

    def allowed() -> int:
        return max(pool["num_threads"] for pool in threadpool_info())

    with threadpool_limits(limits=2):
        before = allowed()
        first, second = single_threaded(), single_threaded()
        assert first.__enter__() == before
        assert second.__enter__() == before
        first.__exit__(None, None, None)
        assert allowed() == 1
        second.__exit__(None, None, None)
        assert allowed() == before


def test_fewer_rows_than_neighbours(engine):
    found = nearest(cloud(3, 6), cloud(2, 7), 4)
    assert np.isfinite(found[:, :2]).all()
    assert np.isinf(found[:, 2:]).all()


def test_by_hand(engine):
    reference = np.array([[0, 0], [3, 4], [6, 8]], dtype=np.float32)
    found = nearest(np.array([[0, 0], [3, 3]], dtype=np.float32), reference, 2)
    np.testing.assert_allclose(found, [[0, 5], [1, 18**0.5]])


def test_lists_that_hold_nothing_nearer_are_passed_over_and_no_neighbour_with_them(monkeypatch):
    """Of all lists: what is found is what differences tell, and most rows were never looked at."""
    monkeypatch.setattr(neighbours, "EXACT_PAIRS", 0)
    looked = []
    look = inverted_lists.Lists._look

    def count(lists, left, asked, found):
        looked.append(int(np.diff(lists.start)[asked.lists].sum()))
        look(lists, left, asked, found)

    monkeypatch.setattr(inverted_lists.Lists, "_look", count)
    rng = np.random.default_rng(12)
    # far from the origin, where products of float32 are coarse
    reference = (rng.random((4000, 3)) + 20).astype(np.float32)
    queries = (rng.random((700, 3)) + 20).astype(np.float32)
    gaps = np.linalg.norm(queries[:, None].astype(float) - reference[None].astype(float), axis=2)
    distances, rows = search(queries, reference, 2, probes=10_000)
    assert (rows == np.argsort(gaps, axis=1, kind="stable")[:, :2]).all()
    np.testing.assert_allclose(distances, np.sort(gaps, axis=1)[:, :2], rtol=1e-5)
    assert sum(looked) < 0.2 * gaps.size


def test_the_lowest_of_each_row_are_those_of_a_sort_and_all_equals_of_the_last():
    rng = np.random.default_rng(13)
    # few different values: the last one is there several times
    gaps = rng.integers(0, 90, (50, 900)).astype(np.float32)
    for count in (1, 8, 32, 100, 900):
        row, column, value = inverted_lists.lowest(gaps, count)
        assert (gaps[row, column] == value).all()
        most = np.sort(gaps, axis=1)[:, count - 1]
        for number in range(50):
            assert set(column[row == number]) == set(np.flatnonzero(gaps[number] <= most[number]))


def test_rows_of_a_group_lie_no_nearer_than_it_says():
    rng = np.random.default_rng(14)
    rows = (rng.random((3000, 4)) * 3 + 10).astype(np.float32)
    points = (rng.random((200, 4)) * 3 + 10).astype(np.float32)
    groups = centroids.Groups.of(rows, 40)
    far = 0
    for group, beyond in groups.beyond(points, most=5.0):
        own = rows[groups.order[groups.start[group] : groups.start[group + 1]]]
        gaps = np.linalg.norm(points[:, None].astype(float) - own[None].astype(float), axis=2)
        assert (gaps.min(axis=1) >= beyond).all()
        far += int((beyond > 0.5 * gaps.min(axis=1)).sum())
    assert far > 0.5 * 200 * len(groups.centre)
