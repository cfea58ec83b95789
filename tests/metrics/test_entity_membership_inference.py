"""entity_membership_inference: whole entities, holes and replayed daily totals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Roles
from synth_contracts.metrics import Measurement, NotMeasured, attacks, measure
from synth_contracts.metrics.tails import advantage
from synth_contracts.tables import TableSchema


def read(comparison) -> Measurement:
    found = measure("entity_membership_inference", comparison)
    assert isinstance(found, Measurement), found
    assert found.lower <= found.value <= found.upper
    assert found.value == found.details["attacks"][found.details["attack"]]["value"]
    return found


def test_fresh_entities_read_clean(thirds):
    found = read(thirds.clean)
    assert found.value <= 0.35
    assert set(found.details["attacks"]) == {"link", "closest", "hole", "agreement", "aggregate"}
    assert not found.details["attacks"]["aggregate"]["flagged"]
    assert found.details["spread"] == pytest.approx(0.1)


def test_whole_entities_pasted_in_are_seen(thirds):
    key = thirds.schema.roles.entity_key
    some = thirds.train[key].drop_duplicates().sample(70, random_state=1)
    rows = thirds.train[thirds.train[key].isin(some)].copy()
    rows[key] = "new " + rows[key].astype(str)
    leaked = pd.concat([thirds.fresh, rows], ignore_index=True)
    found = read(thirds.compare(leaked))
    assert found.value > 0.40


def test_synthetic_rows_that_avoid_members_are_a_leak(basket_thirds):
    """The synthetic table moves away from each member's rows: the attack ``hole`` sees it."""
    whole = basket_thirds.clean
    near = whole.nearby
    moved = near.near.copy()
    moved[: near.cut] *= 1.2
    pushed = attacks.Nearby(
        moved, near.synthetic_row, near.reference, near.cut, near.half, near.reference_rows
    )
    members = whole.candidates.members
    for nearby, low, high in ((near, -0.15, 0.15), (pushed, 0.3, 1.0)):
        scores = attacks.entity_scores(nearby, whole.candidates, None)["hole"]
        value, _ = advantage(scores[:members], scores[members:])
        assert low < value < high


def test_replayed_daily_totals_are_flagged(baskets):
    """Only the totals of train are published, no row of it; their fresh counterpart is clean."""
    days = (baskets["transaction_timestamp"].dt.normalize() - pd.Timestamp("2017-01-01")).dt.days
    who = pd.factorize(baskets["household_id"], sort=True)[0]
    r = np.random.default_rng(0)
    part = r.permutation(np.arange(who.max() + 1) % 3)[who]
    real = part < 2
    order = np.argsort(part[real], kind="stable")
    entity = pd.factorize(who[real][order])[0].astype(np.int64)
    day = days.to_numpy()[real][order]
    members = len(np.unique(entity[: int((part == 0).sum())]))
    people = attacks.Candidates(entity, members, int(entity.max()) + 1 - members, entity)
    rows = len(entity)
    nearby = attacks.Nearby(
        np.ones(rows), np.zeros(rows, dtype=np.int64), np.ones(rows), int((part == 0).sum()),
        r.random(people.entities) < 0.5, (0, 0),
    )  # fmt: skip
    found = {}
    for name, which in (("replayed", 0), ("fresh", 2)):
        totals = np.bincount(days[part == which], minlength=365).astype(float)
        scores = attacks.entity_scores(nearby, people, attacks.Calendar(day, totals))["aggregate"]
        value, variance = advantage(scores[:members], scores[members:])
        found[name] = value / np.sqrt(variance)
    assert found["replayed"] > 3.09
    assert abs(found["fresh"]) < 3.09


def test_other_days_give_no_aggregate_attack(toys, remake):
    later = toys.synthetic.assign(at=toys.synthetic["at"] + pd.Timedelta(days=4000))
    assert "aggregate" not in read(remake(synthetic=later)).details["attacks"]
    assert "aggregate" in read(remake()).details["attacks"]


def test_advantage_by_hand():
    """Of six pairs four are right and one is a tie: AUC = 4.5 / 6."""
    value, _ = advantage(np.array([3.0, 2.0, 1.0]), np.array([2.0, 0.0]))
    assert value == pytest.approx(2 * 4.5 / 6 - 1)
    assert advantage(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == (1.0, pytest.approx(0.25))


def test_without_an_entity_key_it_is_not_measured(toys, remake):
    found = measure(
        "entity_membership_inference",
        remake(schema=TableSchema("toy", toys.schema.fields, Roles(time_index="at"))),
    )
    assert isinstance(found, NotMeasured)
    assert "no entity key" in found.reason


def test_few_entities_are_not_measured(toys, remake):
    keys = toys.train["who"].drop_duplicates().iloc[:199]
    few = toys.train[toys.train["who"].isin(keys)]
    found = measure("entity_membership_inference", remake(train=few))
    assert isinstance(found, NotMeasured)
    assert "199 entities in train" in found.reason
