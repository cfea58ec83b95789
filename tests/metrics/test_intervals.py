"""Intervals hold what they promise, on entities and not on rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from synth_contracts.metrics import measure
from synth_contracts.metrics.intervals import (
    clustered_variance,
    halves,
    korn_graubard,
    normal,
    sample,
)
from synth_contracts.metrics.tails import advantage


def test_clustered_variance_by_hand():
    """Two entities with sums .5 and -.5: (.25 + .25) * 2 / 1."""
    influence = np.array([0.25, 0.25, -0.5])
    assert clustered_variance(influence, np.array([0, 0, 1])) == pytest.approx(1.0)
    assert clustered_variance(influence, np.array([0, 0, 0])) == np.inf
    assert normal(0.5, np.inf) is None


def test_korn_graubard_is_clopper_pearson_for_independent_rows():
    share, size = 0.6, 50
    found = korn_graubard(share, share * (1 - share) / size, 1e9, tests=1)
    expected = stats.binomtest(30, 50).proportion_ci(0.95, "exact")
    assert found.lower == pytest.approx(expected.low)
    assert found.upper == pytest.approx(expected.high)
    wider = korn_graubard(share, 4 * share * (1 - share) / size, 1e9, tests=2)
    assert wider.lower < found.lower < found.upper < wider.upper


def test_only_the_one_sided_bounds_follow_the_attempt():
    """Clopper-Pearson of 30 of 50 at a one-sided level of 1 - .05 / 5."""
    first, fifth = (
        korn_graubard(0.6, 0.6 * 0.4 / 50, 1e9, tests=1, attempt=number) for number in (1, 5)
    )
    expected = stats.binomtest(30, 50, alternative="less").proportion_ci(0.99, "exact")
    assert fifth.bound_upper == pytest.approx(expected.high)
    assert (fifth.lower, fifth.upper) == (first.lower, first.upper)
    assert fifth.bound_lower < first.bound_lower < first.bound_upper < fifth.bound_upper


def test_membership_takes_its_bounds_at_the_level_of_the_attempt(remake):
    first, fifth = (
        measure("membership_inference", remake(seed=1, attempt=number)) for number in (1, 5)
    )
    assert (first.value, first.lower, first.upper) == (fifth.value, fifth.lower, fifth.upper)
    assert first.bound_upper < fifth.bound_upper
    assert (first.details["bound_level"], fifth.details["bound_level"]) == (0.95, 0.99)


def test_a_share_of_one_is_not_known_exactly():
    found = korn_graubard(1.0, 0.0, 200, tests=2)
    assert found.upper == 1
    assert 0.96 < found.lower < 1


def test_clustered_intervals_cover_and_row_wise_ones_do_not():
    """Share of rows above 0, where all rows of an entity share a sign: 95 % in 300 tries."""
    r = np.random.default_rng(8)
    entity = np.repeat(np.arange(100), 10)
    clustered = rowwise = 0
    for _ in range(300):
        hit = (r.random(100) < 0.4)[entity].astype(float)
        share = hit.mean()
        influence = (hit - share) / len(hit)
        for kind, groups in (("clustered", entity), ("rows", np.arange(1000))):
            limits = normal(share, clustered_variance(influence, groups))
            inside = limits.lower <= 0.4 <= limits.upper
            clustered += kind == "clustered" and inside
            rowwise += kind == "rows" and inside
    assert clustered > 0.91 * 300
    assert rowwise < 0.6 * 300


def test_half_samples_have_the_variance_of_the_whole():
    r = np.random.default_rng(9)
    values = r.normal(size=400)
    means = [values[mask].mean() for mask in halves(r, 400, 2000)]
    assert np.var(means) == pytest.approx(values.var() / 400, rel=0.15)


def test_samples_are_of_the_size_asked():
    r = np.random.default_rng(1)
    assert sample(r, 10, 4).sum() == 4
    assert all(mask.sum() == 5 for mask in halves(r, 11, 3))
    assert next(halves(r, 1)).sum() == 1


@pytest.mark.parametrize("variance", [math.nan, math.inf])
def test_a_share_without_a_variance_may_be_anything(variance):
    limit = korn_graubard(0.5, variance, 100, 1)
    assert (limit.lower, limit.upper, limit.bound_lower, limit.bound_upper) == (0, 1, 0, 1)


def test_one_candidate_on_a_side_has_no_variance():
    value, variance = advantage(np.array([1.0]), np.array([0.0, 0.5]))
    assert (value, variance) == (1.0, math.inf)
