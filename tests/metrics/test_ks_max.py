"""ks_max: the worst column, named."""

from __future__ import annotations

from synth_contracts.metrics import Measurement, measure
from synth_contracts.tables import Kind


def test_by_hand(by_hand):
    """x reads .5, y reads .25: .5."""
    tables = (
        {"x": [1, 2], "y": [1, 2]},
        {"x": [3, 4, 5, 6], "y": [1, 2, 3, 4]},
        {"x": [1, 2, 3, 4], "y": [1, 1, 3, 4]},
    )
    found = measure("ks_max", by_hand({"x": Kind.NUMBER, "y": Kind.NUMBER}, tables))
    assert isinstance(found, Measurement)
    assert (found.value, found.details["worst"]) == (0.5, "x")


def test_one_bad_column_shows(toys, remake):
    bad = toys.synthetic.assign(amount=toys.synthetic["amount"] * 3)
    assert measure("ks_max", toys).value < 0.1
    found = measure("ks_max", remake(synthetic=bad))
    assert found.value > 0.3
    assert found.details["worst"] == "amount"
    assert found.floor < 0.1
