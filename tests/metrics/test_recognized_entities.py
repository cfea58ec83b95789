"""recognized_entities: one copied row of each of ten entities is seen, fresh entities are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.metrics.privacy.recognized_entities import recognized


def read(comparison) -> Measurement:
    found = measure("recognized_entities", comparison)
    assert isinstance(found, Measurement), found
    assert found.lower <= found.bound_lower <= found.value <= found.bound_upper <= found.upper
    return found


def test_fresh_entities_are_not_recognised(thirds):
    found = read(thirds.clean)
    assert found.bound_lower <= 0
    assert found.unit == "entities"


def test_ten_copied_rows_of_ten_entities_are_seen(thirds):
    key = thirds.schema.roles.entity_key
    rows = thirds.train.sample(frac=1, random_state=4).drop_duplicates(key).iloc[:10]
    leaked = pd.concat([thirds.fresh, thirds.with_fresh_keys(rows)], ignore_index=True)
    found = read(thirds.compare(leaked))
    assert found.bound_lower > 0
    assert found.details["attack"] == "closest"
    assert found.details["guesses"] == found.details["right"] == 10
    assert found.value == pytest.approx(10)


def test_real_duplicates_do_not_drown_copies(toys, remake):
    """A third of all real rows have equals everywhere; copies of rows in voids rank before them."""
    frames = {}
    for seed, name in enumerate(("train", "holdout", "synthetic")):
        frame = getattr(toys, name).copy()
        common = frame.index[::3]
        frame.loc[common, ["shop", "kind", "member"]] = ["1", "a", "true"]
        frame.loc[common, ["items", "amount"]] = 1.0
        frame.loc[common, "at"] = np.datetime64("2024-01-01", "ns")
        rare = frame.index[1:100:10]
        frame.loc[rare, "amount"] = 1e5 * np.random.default_rng(seed).lognormal(size=len(rare))
        frames[name] = frame
    clean = read(remake(**frames))
    assert clean.bound_lower <= 0
    features = [f.name for f in toys.schema.features]
    frames["synthetic"].loc[rare, features] = frames["train"].loc[rare, features].to_numpy()
    assert read(remake(**frames)).bound_lower > 0


def test_by_hand():
    """Ten members first among 20 and 20: p is 1, its lower limit (.05 / 7) ** (1 / 10) = .610."""
    scores = np.concatenate([np.arange(40.0, 30.0, -1), np.zeros(30)])
    found = recognized(scores[: 20 + 20], 20, 1, np.random.default_rng(1))
    assert (found.guesses, found.right) == (10, 10)
    assert found.value == pytest.approx(10 * (1 - 0.5) / 0.5)
    low = (0.05 / 7) ** 0.1
    assert found.interval.bound_lower == pytest.approx(10 * (low - 0.5) / 0.5)
    assert found.interval.upper == 10
    # seven numbers of guesses, of which 10 of 10 at a half is the least probable
    assert found.p_value == pytest.approx(7 * 0.5**10)


def test_a_p_value_below_5_percent_is_a_bound_above_0():
    r = np.random.default_rng(6)
    low = 0
    for members in (150, 210):
        for gain in np.linspace(0, 1.5, 60):
            scores = r.normal(size=300)
            scores[:members][r.random(members) < 0.2] += gain
            found = recognized(scores, members, 5, r)
            assert 0 < found.p_value <= 1
            assert (found.p_value < 0.05) == (found.interval.bound_lower > 0)
            low += found.p_value < 0.05
    assert 0 < low < 120


def test_every_attack_and_every_number_of_guesses_is_a_look(toys, remake):
    scores = np.concatenate([np.arange(40.0, 30.0, -1), np.zeros(30)])
    found = recognized(scores, 20, 4, np.random.default_rng(1)).interval
    assert found.bound_lower == pytest.approx(10 * ((0.05 / 28) ** 0.1 - 0.5) / 0.5)
    whole = remake()
    members, believed = whole.candidates.members, whole.entity_scores
    assert len(believed) == 5
    for name, stored in read(whole).details["attacks"].items():
        again = recognized(believed[name], members, 5, whole.rng(f"recognized ties {name}"))
        assert stored["bound_lower"] == again.interval.bound_lower
        assert stored["p_value"] == again.p_value


def test_the_base_rate_counts():
    """With 70 % members ten right guesses of ten are no evidence."""
    scores = np.concatenate([np.full(10, 1.0), np.zeros(60), np.zeros(30)])
    scores[10:] = -np.random.default_rng(0).random(90)
    assert recognized(scores, 70, 4, np.random.default_rng(1)).interval.bound_lower < 0
    even = np.concatenate([scores[:50], -np.random.default_rng(1).random(50)])
    assert recognized(even, 50, 4, np.random.default_rng(1)).interval.bound_lower > 0


def test_chance_alone_is_rarely_certain():
    """Four attacks of coin flips: at most about 2 % of the tables read above 0."""
    r = np.random.default_rng(5)
    high = [
        max(recognized(r.random(600), 300, 4, r).interval.bound_lower for _ in range(4)) > 0
        for _ in range(150)
    ]
    assert sum(high) <= 9


def test_few_entities_are_not_measured(toys, remake):
    keys = toys.holdout["who"].drop_duplicates().iloc[:199]
    few = toys.holdout[toys.holdout["who"].isin(keys)]
    found = measure("recognized_entities", remake(holdout=few))
    assert isinstance(found, NotMeasured)
    assert "199 entities in holdout" in found.reason
