"""entity_profile: rows per entity."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.metrics import NotMeasured, measure
from synth_contracts.tables import Kind

KINDS = {"amount": Kind.NUMBER}


def people(*who):
    return {"who": list(who), "amount": [1.0] * len(who)}


def test_by_hand(by_hand):
    """Holdout: 1 and 2 rows; synthetic: 2 and 2: half of the entities lie apart."""
    tables = people(1, 2, 2), people(3, 4, 4), people(5, 5, 6, 6)
    found = measure("entity_profile", by_hand(KINDS, tables))
    assert found.value == 0.5
    assert found.floor == 0
    assert found.details["sums"] == {"amount": 0.5}
    assert (found.details["repeat_share_synthetic"], found.details["repeat_share_holdout"]) == (
        1,
        0.5,
    )


def test_keys_decide(by_hand):
    rows = {"amount": [1.0, 2.0]}
    found = measure("entity_profile", by_hand(KINDS, (rows, rows, rows)))
    assert isinstance(found, NotMeasured)
    found = measure(
        "entity_profile", by_hand(KINDS, (people(1, 2), people(3, 4), people(None, None)))
    )
    assert isinstance(found, NotMeasured)
    assert "entity key" in found.reason


def test_real_entities_and_keys_dealt_out(basket_thirds):
    fresh = measure("entity_profile", basket_thirds.compare(basket_thirds.fresh))
    assert fresh.value < 0.12
    assert fresh.details["gaps"] < 0.1
    dealt = basket_thirds.fresh.copy()
    keys = dealt["household_id"].unique()
    dealt["household_id"] = np.random.default_rng(1).choice(keys, len(dealt))
    found = measure("entity_profile", basket_thirds.compare(dealt))
    assert found.value > 0.3
    assert found.lower > 0.25
    assert found.floor == pytest.approx(fresh.floor)
