"""Rows near real outliers: the fast searches find what comparing all pairs finds."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from synth_contracts.generate import reject
from synth_contracts.generate.reject import Outliers
from synth_contracts.generate.trees import Values, Variable


def table(categories: int, rows: int = 3_000) -> Values:
    """Two skewed numbers, one with many equal values, and categories of four axes each."""
    rng = np.random.default_rng(5)
    values: Values = {
        "x": (Variable("x"), rng.gamma(1, 1, rows)),
        "n": (Variable("n", 0, 0), rng.geometric(0.4, rows).astype(float)),
    }
    values["x"][1][rng.random(rows) < 0.05] = np.nan
    for i in range(categories):
        values[f"c{i}"] = (Variable(f"c{i}", 5), rng.binomial(4, 0.08, rows) - (i == 0))
    return values


def drawn_like(values: Values) -> dict[str, np.ndarray]:
    """Rows that lie near some outliers: half of each row is a real one's."""
    rng = np.random.default_rng(6)
    out = {name: column.copy() for name, (_, column) in values.items()}
    for name in list(out)[:2]:
        out[name] = np.where(
            rng.random(len(out[name])) < 0.5, rng.permutation(out[name]), out[name]
        )
    return out


def all_pairs(found: Outliers, drawn: dict[str, np.ndarray]) -> np.ndarray:
    points = found._points(drawn).astype(np.float64)
    gaps = points[:, None, :] - found._targets[None, :, :].astype(np.float64)
    return (np.sqrt((gaps**2).sum(-1)) < found._radius[None, :]).any(axis=1)


@pytest.mark.parametrize("categories", [2, 9], ids=["few axes", "many axes"])
def test_the_searches_find_what_all_pairs_find(categories) -> None:
    values = table(categories)
    found = Outliers().fit(values, np.arange(3_000), np.random.default_rng(1))
    assert (found._points(drawn_like(values)).shape[1] <= reject._TREE) == (categories == 2)
    near = found.near(drawn_like(values))
    wanted = all_pairs(found, drawn_like(values))
    assert wanted.sum() > 10
    assert (near == wanted).all()
    assert not near.all()


@pytest.mark.parametrize("categories", [2, 9])
def test_a_row_on_the_radius_is_not_near(categories) -> None:
    values = table(categories)
    found = Outliers().fit(values, np.arange(3_000), np.random.default_rng(1))
    row = {name: column[:1] for name, column in drawn_like(values).items()}
    away = np.sqrt(((found._points(row)[0].astype(float) - found._targets) ** 2).sum(1))
    found._targets, found._radius = found._targets[:1], away[:1]
    assert not found.near(row)[0]
    found._radius = away[:1] * 1.001
    assert found.near(row)[0]


def test_no_radius_of_nothing_takes_equal_rows() -> None:
    """Half of the entities repeat the other half: nobody is isolated, nothing is near."""
    column = np.tile(np.arange(20.0), 200)
    values: Values = {"x": (Variable("x", 0, 0), column)}
    found = Outliers().fit(values, np.arange(4_000), np.random.default_rng(1))
    assert not found.near({"x": column}).any()


def test_the_radius_is_half_the_distance_to_the_other_half() -> None:
    """Two entities far apart, one in each half, each with company of its own rows only."""
    rng = np.random.default_rng(3)
    crowd = rng.normal(size=400)
    values: Values = {"x": (Variable("x"), np.append(crowd, [9.0] * 3))}
    entities = np.append(np.arange(400), [400] * 3)
    found = Outliers().fit(values, entities, np.random.default_rng(1))
    points = found._points({"x": values["x"][1]})
    away = np.abs(points[-1] - points[:400]).min()
    at = np.abs(found._targets[:, 0] - points[-1, 0]).argmin()
    assert found._targets[at, 0] == points[-1, 0]  # its own rows do not make it common
    assert found._radius[at] >= away / 2 * (1 - 1e-6)


def test_the_same_bits_on_one_thread_and_on_two() -> None:
    values = table(9)
    radii = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found = Outliers().fit(values, np.arange(3_000), np.random.default_rng(1))
            radii.append((found._radius.tobytes(), found.near(drawn_like(values)).tobytes()))
    assert radii[0] == radii[1]
