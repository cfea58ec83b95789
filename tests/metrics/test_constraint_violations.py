"""constraint_violations: every declared constraint counted, nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from synth_contracts.contract.model import Column, Constraint
from synth_contracts.metrics import Measurement, NotMeasured, measure
from synth_contracts.tables import Kind

NAN = float("nan")


def broken(by_hand, kind, values, **declared):
    """Violations of a table of one column ``x``."""
    rows = {"x": values}
    comparison = by_hand({"x": kind}, (rows, rows, rows), {"x": Column("x", **declared)})
    found = measure("constraint_violations", comparison)
    assert isinstance(found, Measurement), found
    assert found.value == sum(found.details["broken"].values())
    return found.value


@pytest.mark.parametrize(
    ("kind", "values", "declared", "count"),
    [
        (Kind.NUMBER, [1, NAN, NAN, 2], {"required": True}, 2),
        (Kind.NUMBER, [1, np.inf, -np.inf, 2], {"required": True}, 2),
        (Kind.NUMBER, [1, NAN, np.inf, 2], {}, 0),
        (Kind.INTEGER, [1, 1.5, 2, NAN], {}, 1),
        (Kind.NUMBER, [0, -0.01, NAN, 3], {"minimum": 0}, 1),
        (Kind.NUMBER, [0, -0.01, NAN, 3], {"exclusive_minimum": 0}, 2),
        (Kind.NUMBER, [0, 3, np.inf, NAN], {"maximum": 3}, 1),
        (Kind.NUMBER, [0, 3, 4, NAN], {"exclusive_maximum": 3}, 2),
        (Kind.CODE, ["1", "20", "3", None], {"maximum": 9}, 1),
        (Kind.CODE, ["1", "20", "3", None], {"enum": (1, 3)}, 1),
        (Kind.TEXT, ["a", "b", None, "A"], {"enum": ("a", "b")}, 1),
        (Kind.BOOLEAN, ["true", "false", None], {"enum": (True,)}, 1),
        (Kind.INTEGER, [1, 2, 3, NAN], {"enum": (1, 2)}, 1),
        (Kind.TEXT, ["a", "a", None, None], {"unique": True}, 1),
        (Kind.TEXT, ["AB-1", "ab", None], {"pattern": "^[A-Z]+-[0-9]$"}, 1),
        (Kind.DATE, ["2024-01-01", "2023-01-01", None], {"minimum": date(2024, 1, 1)}, 1),
        (Kind.TIMESTAMP, ["2024-01-01 00:00", "2024-01-03"], {"maximum": "2024-01-02"}, 1),
    ],
)
def test_by_hand(by_hand, kind, values, declared, count):
    assert broken(by_hand, kind, values, **declared) == count


def test_a_composite_primary_key(by_hand):
    """(1, 1) stands twice; (1, 2) and (2, 1) once; a null in a key column breaks required."""
    rows = {"a": [1, 1, 1, 2, None], "b": [1, 1, 2, 1, 1]}
    declared = {name: Column(name, primary_key=True) for name in rows}
    found = measure("constraint_violations", by_hand({}, (rows, rows, rows), declared))
    assert found.details["broken"] == {"a: required": 1, "primary key (a, b): unique": 1}
    assert found.n == 15


def test_the_toy_table_is_clean_until_it_is_not(toys, remake):
    assert measure("constraint_violations", toys).value == 0
    bad = toys.synthetic.assign(id=7, items=-60.0)
    found = measure("constraint_violations", remake(synthetic=bad))
    assert found.value == 2 * len(bad) - 1


def test_only_the_synthetic_table_is_asked(toys, remake):
    bad = remake(train=toys.train.assign(items=-60.0), holdout=toys.holdout.assign(id=7))
    assert measure("constraint_violations", bad).value == 0


def test_a_limit_that_cannot_be_compared(by_hand):
    rows = {"x": [1, 2]}
    comparison = by_hand({"x": Kind.NUMBER}, (rows,) * 3, {"x": Column("x", minimum="soon")})
    found = measure("constraint_violations", comparison)
    assert isinstance(found, NotMeasured)
    assert "soon" in found.reason


def test_a_condition_over_columns_counts_each_row_once(by_hand):
    rows = {"paid": [1.0, 2.0, NAN, 5.0], "due": [1.0, 3.0, 3.0, 9.0]}
    comparison = by_hand({"paid": Kind.NUMBER, "due": Kind.NUMBER}, (rows, rows, rows))
    condition = Constraint("paid-up", "paid = due", ("paid", "due"))
    comparison.schema = replace(comparison.schema, constraints=(condition,))
    found = measure("constraint_violations", comparison)
    assert found.value == 2
    assert found.details["broken"] == {"paid-up: paid = due": 2}
    assert found.n == 4
