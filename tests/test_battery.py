"""The battery in small: each section holds, and says so when the check that it attacks is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import battery
import pyarrow as pa
import pytest
from batteries import canaries, disk, kills, leaks
from batteries.ground import Answer, Ground, ground
from batteries.outcome import Outcome

from synth_contracts.delivery import accusing, exporting, verify
from synth_contracts.errors import Problem
from synth_contracts.release import Registry, promoting, registry
from synth_contracts.signing import jwt
from synth_contracts.warehouse import connection

#: what they attack has tests of its own in `make test`: test_full_disk.py, release/test_crash.py,
#: delivery/test_delivery_protocol.py, test_gate.py, warehouse/ and delivery/test_delivery_accusing.py
DEAR = ("disk", "kills", "machine", "slots", "lockdown", "leaks")
FAST = [
    pytest.param(name, marks=pytest.mark.slow if name in DEAR else ())
    for name, numbers in battery.SECTIONS.items()
    if numbers is not None
]


@pytest.mark.parametrize("name", FAST)
def test_a_section_holds(name: str) -> None:
    found = battery.run_section(name, 1, fast=True)
    assert found["errors"] == found["findings"] == []
    assert found["status"] == "held"
    assert found["attacks"] == found["refused"] > 1
    assert found["controls"] >= 2


BROKEN = {
    "tokens": (jwt, "_verify", lambda *_: None),
    "edits": (registry, "check_signed", lambda *_, **__: None),
    "races": (Registry, "_was_used", lambda *_: False),
    "flips": (verify, "_compare", lambda *_: None),
    "leaks": (accusing, "ALLOWED", 1e-30),
    "slots": (promoting, "judge", lambda *_: ANY),
    "lockdown": (connection, "_LOCKDOWN", connection._LOCKDOWN[:-2]),
    "names": (Problem, "__str__", lambda self: self.message),
    "machine": (promoting, "sealed", lambda *_: True),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in DEAR else ()) for n in BROKEN]
)
def test_a_broken_check_is_a_violation(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(*BROKEN[name])
    assert battery.main(["--fast", "--only", name, "--seed", "1"]) == 1
    assert "VIOLATED" in capsys.readouterr().out


@pytest.mark.slow
def test_a_value_that_comes_out_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of 90 persons is nobody's own: it is generated, exported, and the scan finds it."""
    few = canaries.planted

    def many() -> pa.Table:
        towns = few().column("town").to_pylist()
        towns[20:110] = [canaries.PLANTED[0].value] * 90
        return few().set_column(1, "town", pa.array(towns))

    monkeypatch.setattr(canaries, "planted", many)
    outcome = canaries.attack(1, builds=0)
    assert outcome.errors == []
    assert outcome.status == "VIOLATED"
    assert any("a rare name in house/exports" in finding for finding in outcome.findings)


def test_a_name_that_is_not_the_leakers_is_a_violation() -> None:
    said = Answer(0, json.dumps({"named": [{"jti": "a"}, {"jti": "b"}]}), "")
    assert leaks._accused(said, {"a", "b"}) is None
    assert leaks._accused(said, {"a"}) == "['b'] were named"
    assert "exit code 3" in str(leaks._accused(Answer(3, "", "no"), {"a"}))


def test_an_export_that_nobody_settles_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "recover", lambda _: [])
    outcome = Outcome("a test")
    with ground() as place:
        kills._kill(outcome, place, "export", "after rows", 0.0)
    assert outcome.violations == 1
    assert "for ever" in outcome.findings[0]
    assert "left behind" in outcome.findings[0]


@pytest.mark.parametrize(
    ("answer", "left", "fault"),
    [
        (Answer(3, "", "error: no room\n  mend: make some"), [], None),
        (Answer(0, "exported", ""), [], None),
        (Answer(3, "", "mend: this is a fault of synth-contracts"), [], "a fault of ours"),
        (Answer(3, "", "error: no room"), [], "no mend"),
        (Answer(1, "", "mend: x"), [], "exit code 1"),
        (Answer(0, "exported", ""), ["half written: x"], "half written"),
    ],
)
def test_what_counts_on_a_full_disk(answer: Answer, left: list[str], fault: str | None) -> None:
    outcome = Outcome("a test")
    disk._judge(outcome, "one", answer, left)
    assert outcome.violations == (fault is not None)
    assert fault is None or fault in outcome.findings[0]


def test_a_moment_that_never_comes_is_no_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "POINTS", {"export": ("before nothing",)})
    monkeypatch.setattr(kills, "_control", lambda outcome, _: outcome.control(True, ""))
    outcome = kills.attack(1, kills=1)
    assert (outcome.attacks, outcome.status) == (0, "NOT_EVALUATED")
    assert "never came to 'before nothing'" in outcome.errors[0]


def test_where_the_unattacked_case_fails_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is refused, so every attack is: that is no pass."""
    monkeypatch.setattr(Ground, "verify", lambda *_: Answer(5, "", "error: no"))
    found = battery.run_section("flips", 1, fast=True)
    assert (found["status"], found["attacks"]) == ("NOT_EVALUATED", 0)
    assert battery.main(["--fast", "--only", "flips"]) == 1


def test_counts_and_states() -> None:
    outcome = Outcome("a test")
    assert outcome.status == "NOT_EVALUATED"  # no attack was made
    outcome.attack("one", None)
    assert outcome.status == "NOT_EVALUATED"  # and none counts without its controls
    outcome.control(True, "")
    outcome.control(True, "")
    assert outcome.status == "held"
    with outcome.running():
        raise ValueError("it broke")
    assert (outcome.status, outcome.errors) == ("NOT_EVALUATED", ["ValueError: it broke"])
    outcome.attack("two", "exit code 0")
    assert outcome.status == "VIOLATED"
    assert (outcome.attacks, outcome.refused, outcome.violations) == (2, 1, 1)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(5, "", "error: no"), None),
        (Answer(0, "", ""), "exit code 0"),
        (Answer(3, "", "error: unexpected"), "exit code 3"),
        (Answer(5, "verified", ""), "it printed 'verified'"),
    ],
)
def test_what_counts_as_refused(answer: Answer, fault: str | None) -> None:
    told = answer.fault(5)
    assert told is None if fault is None else fault in str(told)


def test_the_report_names_what_got_through_and_what_did_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(battery, "RESULTS", tmp_path / "battery.json")
    monkeypatch.setattr(battery, "REPORT", tmp_path / "battery.md")
    outcome = Outcome("a test", controls=2)
    outcome.attack("one", None)
    outcome.attack("two", "exit code 0")
    result: dict[str, Any] = {
        "section": "flips", "seed": 7, "commit": "abc", "seconds": 1.5, **outcome.to_json()
    }  # fmt: skip
    battery.keep(result)
    text = (tmp_path / "battery.md").read_text()
    assert "2 attacks, 1 got through. Not run yet: tokens" in text
    assert "| flips | 2 | 1 | 2 | VIOLATED | 2 | 7 | abc |" in text
    assert "- two: exit code 0" in text
