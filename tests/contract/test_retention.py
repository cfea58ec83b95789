"""slaProperties, property retention: what is read, hashed and refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from synth_contracts.contract.retention import Retention, expiry

LINE = "{id: retention, property: retention, value: 90, unit: d, element: transactions, driver: regulatory}"
NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "read", "ends"),
    [
        ("value: 90, unit: d", Retention(90, "d"), "2024-04-30T12:00:00.000+00:00"),
        ("value: 1, unit: Days", Retention(1, "d"), "2024-02-01T12:00:00.000+00:00"),
        ("value: 36, unit: hours", Retention(36, "h"), "2024-02-02T00:00:00.000+00:00"),
        ("value: 2, unit: weeks", Retention(2, "w"), "2024-02-14T12:00:00.000+00:00"),
        ("value: 1, unit: months", Retention(1, "mo"), "2024-02-29T12:00:00.000+00:00"),
        ("value: 13, unit: mo", Retention(13, "mo"), "2025-02-28T12:00:00.000+00:00"),
        ("value: 3, unit: y", Retention(3, "y"), "2027-01-31T12:00:00.000+00:00"),
        ("value: 3, unit: yr", Retention(3, "y"), "2027-01-31T12:00:00.000+00:00"),
        ("value: 3, unit: y, element: 'transactions.amount, transactions.age'", Retention(3, "y"),
         "2027-01-31T12:00:00.000+00:00"),
    ],
)  # fmt: skip
def test_a_retention_is_read_bound_and_ends(bent, said: str, read: Retention, ends: str) -> None:
    contract = bent((LINE, f"{{property: retention, {said}}}"))
    assert contract.retention == read
    assert contract.expanded["retention"] == {"value": read.value, "unit": read.unit}
    assert expiry(contract.expanded, NOON.isoformat()) == ends


def test_without_one_a_release_is_kept_and_the_digest_is_what_it_was(bent) -> None:
    contract = bent((LINE, "{property: latency, value: 4, unit: h}"))
    assert contract.retention is None
    assert "retention" not in contract.expanded
    assert expiry(contract.expanded, NOON.isoformat()) is None
    assert bent().digest != contract.digest
    assert bent((LINE, LINE.replace("90", "91"))).digest != bent().digest


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("property: retention, value: 90", "has no unit"),
        ("property: retention, value: 90, unit: m", "cannot be counted in `m`"),
        ("property: retention, value: 90, unit: moons", "cannot be counted in `moons`"),
        ("property: retention, value: null, unit: d", "has no value"),
        ("property: retention, value: 0, unit: d", "cannot be `0`"),
        ("property: retention, value: -1, unit: d", "cannot be `-1`"),
        ("property: retention, value: 1.5, unit: d", "cannot be `1.5`"),
        ("property: retention, value: '90', unit: d", "cannot be `90`"),
        ("property: retention, value: true, unit: d", "cannot be `True`"),
        ("property: retention, value: 101, unit: y", "cannot be `101`"),
        ("property: retention, value: 1000000000000, unit: d", "cannot be"),
        ("property: retention, value: 90, valueExt: 180, unit: d", "no `valueExt`"),
        ("property: retention, value: 90, unit: d, element: other", "is of `other`"),
        ("property: retention, value: 90, unit: d, element: 'transactions, other.x'", "`other.x`"),
        ("property: Retention, value: 90, unit: d", "would not be acted on"),
        ("property: retension, value: 90, unit: d", "would not be acted on"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_an_error_with_its_line(faults, demo_path, said, words) -> None:
    number = next(i for i, line in enumerate(demo_path.read_text().splitlines(), 1) if LINE in line)
    found = faults((LINE, f"{{{said}}}")).problems
    assert len(found) == 1
    assert words in found[0].message
    assert f".yaml:{number}:" in found[0].where
    assert found[0].mend


def test_a_retention_without_a_value_is_an_error(faults) -> None:
    (problem,) = faults((LINE, "{property: retention, unit: d}")).problems
    assert "`value`" in problem.message


def test_a_retention_stands_once(faults) -> None:
    (problem,) = faults((LINE, f"{LINE}\n  - {LINE.replace('90', '900')}")).problems
    assert "twice" in problem.message


@pytest.mark.parametrize(
    "odd", [1, [], {}, {"value": 1}, {"value": 1, "unit": "m"}, {"value": "1", "unit": "d"},
            {"value": 0, "unit": "d"}, {"value": True, "unit": "d"}, {"value": 10**9, "unit": "y"}]
)  # fmt: skip
def test_a_bound_contract_that_is_malformed_never_reads_as_kept_for_ever(odd: object) -> None:
    with pytest.raises(ValueError, match="malformed"):
        expiry({"retention": odd}, NOON.isoformat())
