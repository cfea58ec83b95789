"""The encoder: fitted on both sides, equal stays equal, five minutes stay near."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_contracts.metrics import encoding
from synth_contracts.metrics.encoding import FAR, hashed_directions
from synth_contracts.tables import Field, Kind


def one(kind: Kind, real: list[object], asked: list[object]) -> np.ndarray:
    dtype = {"number": "float64", "timestamp": "datetime64[ns]"}.get(kind.value, object)
    field = Field("x", kind, "any")
    frames = [pd.DataFrame({"x": np.array(v, dtype=dtype)}) for v in (real, asked)]
    return encoding.fit([frames[0]], [field]).encode(frames[1])


def gap(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors[0] - vectors[1]))


def test_neither_side_is_favoured(toys):
    """An encoder fitted on one side only reads .28 to .47 on a perfect generator (measured)."""
    a, b = toys.train, toys.holdout
    features = toys.schema.features
    one_way = encoding.fit([a, b], features).encode(toys.synthetic)
    other_way = encoding.fit([b, a], features).encode(toys.synthetic)
    np.testing.assert_array_equal(one_way, other_way)
    only_train = encoding.fit([a], features).encode(toys.synthetic)
    assert not np.array_equal(one_way, only_train)


def test_the_comparison_fits_on_train_and_holdout(toys, remake):
    """A level that only the holdout holds is known: swapping the sides changes no vector."""
    holdout = toys.holdout.assign(kind="only here")
    forth = remake(holdout=holdout).vectors[2]
    back = remake(train=holdout, holdout=toys.train).vectors[2]
    np.testing.assert_array_equal(forth, back)


@pytest.mark.parametrize("levels", [3, 500])
def test_unlike_categories_are_apart_and_like_ones_are_not(levels):
    names: list[object] = [f"level {i}" for i in range(levels)]
    vectors = one(Kind.TEXT, names, ["level 0", "level 1", "level 0", "unseen", None])
    assert gap(vectors[[0, 2]]) == 0
    for other in (1, 3, 4):
        assert gap(vectors[[0, other]]) > 0.3


def test_five_minutes_are_near_and_two_moments_far():
    year: list[object] = list(pd.date_range("2024-01-01", "2024-12-31", freq="h"))
    vectors = one(
        Kind.TIMESTAMP, year, ["2024-05-01 12:00", "2024-05-01 12:05", "2024-06-30 12:00"]
    )
    assert gap(vectors[[0, 1]]) < 0.05
    assert gap(vectors[[0, 2]]) > 0.3


def test_one_more_item_is_near():
    counts: list[object] = list(np.random.default_rng(1).poisson(6, 500).astype(float))
    vectors = one(Kind.NUMBER, counts, [6.0, 7.0, 30.0])
    assert gap(vectors[[0, 1]]) < 0.4
    assert gap(vectors[[0, 2]]) > 1.2


def test_infinities_and_unheard_of_nulls_are_finite_and_far():
    vectors = one(Kind.NUMBER, [1.0, 2.0, 3.0], [2.0, np.inf, -np.inf, np.nan])
    assert np.isfinite(vectors).all()
    assert min(gap(vectors[[0, i]]) for i in (1, 2, 3)) > FAR / 2


def test_directions_are_the_same_in_every_process():
    found, other = hashed_directions(["store\0is 366", "store\0is 367"], 6)
    assert np.linalg.norm(found) == pytest.approx(1)
    # whoever stands beside it
    np.testing.assert_array_equal(hashed_directions(["store\0is 366"], 6)[0], found)
    assert abs(found @ other) < 0.99
    assert found[0] == pytest.approx(0.6289688009914277, abs=1e-12)
