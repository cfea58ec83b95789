"""Earlier releases beside the candidate: what one gave away counts, and weak evidence adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.metrics import Comparison, Measurement, measure
from synth_contracts.metrics.composition import worse
from synth_contracts.metrics.controls.null import halved

TOGETHER = (
    "membership_inference", "entity_membership_inference", "recognized_entities",
    "outlier_membership_inference",
)  # fmt: skip


def read(metric: str, comparison: Comparison) -> Measurement:
    found = measure(metric, comparison)
    assert isinstance(found, Measurement), found
    assert found.lower <= found.bound_lower <= found.value <= found.bound_upper <= found.upper
    return found


def planted(frame: pd.DataFrame, train: pd.DataFrame, who: range, shift: str = "0s"):
    """``frame`` with one train row of each of ``who``, moved by ``shift``, in entities of its own.

    Row 0 of every fifth row is replaced: the first of each synthetic entity.
    """
    out = frame.copy()
    rows = train[train["who"].isin(who)].drop_duplicates("who")
    places = out.index[: 5 * len(rows) : 5]
    for name in out.columns.drop(["id", "who"]):
        out.loc[places, name] = rows[name].to_numpy()
    out.loc[places, "at"] += pd.Timedelta(shift)
    return out


@pytest.fixture
def fresh(make_toy):
    """Entities that nobody has seen, as an honest earlier release."""
    return make_toy(4, first=3000)


def test_without_earlier_releases_nothing_changes(toys, remake, fresh):
    assert toys.together is None
    nothing = remake(earlier=(fresh[["id", "who"]], fresh.iloc[:0]))
    assert nothing.together is None, "no column in common, or no row: nothing to compare"
    for metric in TOGETHER:
        plain = read(metric, toys)
        assert read(metric, nothing) == plain
        assert "alone" not in plain.details


def test_union_is_the_largest_score_and_joint_the_sum(toys, remake, fresh):
    earlier = (fresh, toys.synthetic.iloc[::-1])
    found = remake(earlier=earlier).together
    other = remake(synthetic=fresh)
    # the same values stand in every column, so rows have the same order in all three
    assert np.array_equal(other.train_side.rows_hash, toys.train_side.rows_hash)
    assert np.array_equal(other.holdout_side.rows_hash, toys.holdout_side.rows_hash)
    assert found.releases == 2
    for own, another, all_of_them in (
        (toys.scores, other.scores, found.rows),
        (toys.entity_scores, other.entity_scores, found.entities),
    ):
        named = {name.removeprefix("union ") for name in all_of_them if name.startswith("union ")}
        assert named & {"calibrated", "closest"}
        assert set(all_of_them) == {
            f"{kind} {name}" for kind in ("union", "joint") for name in named
        }
        for name in named:
            assert np.array_equal(
                all_of_them[f"union {name}"], np.maximum(own[name], another[name])
            ), name
            # the candidate itself once more is an earlier release too
            assert all_of_them[f"joint {name}"] == pytest.approx(2 * own[name] + another[name])


def test_entities_copied_into_both_are_recognised_together(toys, remake, fresh):
    """Eight in each are not certain, sixteen are: 20 of 20 guesses, where 5 may be certain."""
    candidate = planted(toys.synthetic, toys.train, range(8))
    earlier = planted(fresh, toys.train, range(20, 28))
    alone = read("recognized_entities", remake(synthetic=candidate))
    before = read("recognized_entities", remake(synthetic=earlier))
    assert max(alone.bound_lower, before.bound_lower) < 5
    found = read("recognized_entities", remake(synthetic=candidate, earlier=(earlier,)))
    assert found.bound_lower > 5
    assert found.details["attack"].split()[0] in {"union", "joint"}
    assert found.details["alone"]["bound_lower"] == alone.bound_lower
    assert found.details["alone"]["value"] == alone.value
    assert found.details["beside"]["releases"] == 1
    assert "1 earlier release" in found.compared_with


def test_what_an_earlier_release_gave_away_counts_by_itself(toys, remake, fresh):
    """A clean candidate beside a leak that was released: the union is blocked."""
    leak = planted(fresh, toys.train, range(40))
    found = read("recognized_entities", remake(earlier=(leak,)))
    assert found.bound_lower > 5
    assert found.details["alone"]["bound_lower"] < 5


def test_an_earlier_release_never_makes_a_candidate_look_better(toys, remake, fresh):
    leak = remake(synthetic=planted(toys.synthetic, toys.train, range(60)))
    beside = replace(leak, earlier=(fresh, fresh.iloc[:300], fresh.iloc[300:]))
    for metric in TOGETHER:
        alone, found = read(metric, leak), read(metric, beside)
        for name in ("lower", "upper", "bound_lower", "bound_upper"):
            assert getattr(found, name) >= getattr(alone, name), (metric, name)
        if metric != "recognized_entities":
            assert found.value >= alone.value
        told = found.details["alone"]
        assert (told["value"], told["bound_lower"]) == (alone.value, alone.bound_lower)


@pytest.mark.parametrize("metric", TOGETHER)
def test_honest_earlier_releases_are_no_evidence(remake, make_toy, metric):
    earlier = tuple(make_toy(seed, first=1000 * seed) for seed in (4, 5, 6))
    assert read(metric, remake(earlier=earlier)).bound_lower <= 0.05


def test_neither_order_of_releases_nor_of_rows_and_columns_matters(toys, remake, make_toy):
    first, second = make_toy(4, first=3000), make_toy(5, first=4000, entities=100)
    mixed = first.sample(frac=1, random_state=1)[sorted(first.columns)].reset_index(drop=True)
    third = make_toy(6, first=5000).drop(columns="shop")
    one = remake(earlier=(first, second, third))
    two = remake(earlier=(third, second, mixed))
    for metric in TOGETHER:
        assert read(metric, one) == read(metric, two)


def test_other_columns_keys_and_values_are_compared_by_what_they_share(toys, remake, fresh):
    """Fewer columns, no key, a category that no real row has; the three tables stay as they are."""
    part = fresh.drop(columns=["who", "at", "amount"]).assign(kind="never seen")
    found = remake(earlier=(part, fresh))
    assert found.together.releases == 2
    for name, score in toys.scores.items():
        assert np.array_equal(found.scores[name], score)
    for name, score in toys.entity_scores.items():
        assert np.array_equal(found.entity_scores[name], score)
    assert all(np.isfinite(score).all() for score in found.together.rows.values())
    assert all(np.isfinite(score).all() for score in found.together.entities.values())
    for metric in TOGETHER:
        read(metric, found)


def test_the_null_has_no_earlier_releases(remake, fresh):
    null, _ = halved(remake(earlier=(fresh,)))
    assert null.earlier == ()


def test_worse_by_hand():
    def one(value, bound, attack):
        return Measurement(
            "m", value, 9, "rows", "lower_is_better", "way", "holdout", bound_lower=bound,
            bound_upper=value + 1, details={"attack": attack, "attacks": {attack: value}},
        )  # fmt: skip

    found = worse(one(0.3, 0.1, "a"), one(0.2, 0.15, "union a"), 3)
    assert (found.value, found.bound_lower, found.bound_upper) == (0.3, 0.15, 1.3)
    assert found.lower is None
    assert found.details["attack"] == "a"
    assert found.details["attacks"] == {"a": 0.3, "union a": 0.2}
    assert found.details["beside"] == {
        "attack": "union a", "value": 0.2, "bound_lower": 0.15, "bound_upper": 1.2, "releases": 3,
    }  # fmt: skip
    assert worse(one(0.3, 0.1, "a"), one(0.2, 0.15, "b"), 1, by="bound_lower").value == 0.2
