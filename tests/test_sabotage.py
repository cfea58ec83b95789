"""The patches of `make sabotage` apply to the code as it stands, and none is missing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import sabotage

from synth_contracts.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
PATCHES = sabotage.patches()


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_each_patch_applies_and_names_its_tests(patch) -> None:
    broken = patch.applied((ROOT / patch.file).read_text(encoding="utf-8"))
    if patch.file.endswith(".py"):
        ast.parse(broken)
    assert patch.what
    assert patch.tests
    for test in patch.tests:
        assert (ROOT / test.split("::")[0]).exists(), test


def test_every_metric_has_a_patch_that_breaks_it() -> None:
    assert {patch.metric for patch in PATCHES if patch.metric} == set(METRICS)


def test_a_patch_whose_text_is_gone_is_no_patch() -> None:
    patch = sabotage.Patch("x", "y", "z.py", "a = 1", "a = 2", ("tests",))
    with pytest.raises(ValueError, match="0 times"):
        patch.applied("b = 1\n")
    with pytest.raises(ValueError, match="2 times"):
        patch.applied("a = 1\na = 1\n")


def test_a_patch_that_was_caught_is_tried_again_once_what_it_stands_on_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("patches", "tests"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(sabotage, "ROOT", tmp_path)
    monkeypatch.setattr(sabotage, "PATCHES", tmp_path / "patches")
    patch = sabotage.Patch("x", "y", "z.py", "a", "b", ("tests/test_z.py::test_a",))
    results = tmp_path / "results"
    assert sabotage.seen(patch, results, {}) is None
    outcome = sabotage.Outcome(patch, True, "tests/test_z.py::test_a", 0.0, "c0ffee")
    for name in ("z.py", "patches/x.toml", "tests/test_z.py", "tests/conftest.py"):
        outcome.keep(results)
        known = {"x": outcome.record()}
        assert sabotage.seen(patch, results, {}) == outcome
        assert sabotage.seen(patch, tmp_path / "none", known) == outcome
        (tmp_path / name).write_text("changed")
        assert sabotage.seen(patch, results, known) is None, name
    survived = sabotage.Outcome(patch, False, "", 2.0, "c0ffee")
    survived.keep(results)
    assert sabotage.seen(patch, results, {"x": survived.record()}) is None


def test_the_report_counts_what_was_tried_alone() -> None:
    patch = sabotage.Patch("x", "breaks it", "z.py", "a", "b", ("tests/test_z.py",))
    other = sabotage.Patch("w", "breaks more", "z.py", "a", "b", ("tests/test_z.py",))
    page = sabotage.report(
        [
            sabotage.Outcome(patch, True, "tests/test_z.py::test_a", 90.0, "c0ffee"),
            sabotage.Outcome(other, False, "1 passed", 30.0, "c0ffee"),
        ],
        ["v"],
    )
    assert "1 of 2 patches that were tried were caught." in page
    assert "Not tried, which counts as neither: v." in page
    assert "| w | breaks more | **survives**: 1 passed | c0ffee |" in page
