"""k_anonymity: classes counted in entities, null a value."""

from __future__ import annotations

from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.tables import Kind

KINDS = {"zip": Kind.TEXT, "age": Kind.NUMBER}
REAL = {"who": [1, 2], "zip": ["a", "b"], "age": [1, 2]}
OTHER = {"who": [3, 4], "zip": ["a", "b"], "age": [1, 2]}


def read(by_hand, synthetic, **roles):
    roles = roles or {"quasi_identifiers": ("zip", "age")}
    return measure("k_anonymity", by_hand(KINDS, (REAL, OTHER, synthetic), **roles))


def test_rows_of_one_entity_count_once(by_hand):
    """Class (a, 30) holds two rows of one person, (b, 30) two persons: k is 1."""
    found = read(by_hand, {"who": [1, 1, 2, 3], "zip": list("aabb"), "age": [30] * 4})
    assert isinstance(found, Measurement)
    assert found.value == 1
    assert found.details["classes_below_k"] == 1
    assert found.details["rows_in_classes_below_k"] == 0.5
    assert found.bound_lower is None


def test_null_is_a_value(by_hand):
    nan = float("nan")
    synthetic = {"who": [1, 2, 3, 4], "zip": ["a", "a", None, None], "age": [nan, nan, 1, 1]}
    assert read(by_hand, synthetic).value == 2


def test_null_keys_are_entities_of_their_own(by_hand):
    found = read(by_hand, {"who": [None, None, 1], "zip": ["a"] * 3, "age": [1] * 3})
    assert found.value == 3


def test_without_quasi_identifiers_it_is_not_measured(by_hand):
    found = read(by_hand, REAL, sensitive=("age",))
    assert isinstance(found, NotMeasured)
    assert "quasi-identifier" in found.reason
