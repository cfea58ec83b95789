"""Neighbour searches: exact zeros survive, both engines agree, thread counts change nothing."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from synth_contracts.metrics import neighbours
from synth_contracts.metrics.neighbours import nearest


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


def test_thread_counts_change_nothing(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_PAIRS", 0)
    queries, reference = cloud(2000, 4), cloud(6000, 5)
    threads = faiss.omp_get_max_threads()
    try:
        found = []
        for count in (1, 2):
            faiss.omp_set_num_threads(count)
            found.append(nearest(queries, reference, 2).tobytes())
    finally:
        faiss.omp_set_num_threads(threads)
    assert found[0] == found[1]


def test_fewer_rows_than_neighbours(engine):
    found = nearest(cloud(3, 6), cloud(2, 7), 4)
    assert np.isfinite(found[:, :2]).all()
    assert np.isinf(found[:, 2:]).all()


def test_by_hand(engine):
    reference = np.array([[0, 0], [3, 4], [6, 8]], dtype=np.float32)
    found = nearest(np.array([[0, 0], [3, 3]], dtype=np.float32), reference, 2)
    np.testing.assert_allclose(found, [[0, 5], [1, 18**0.5]])
