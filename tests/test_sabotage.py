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
