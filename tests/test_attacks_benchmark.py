"""How scores of attacks are read beside public code: tails and AUC of known scores."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "attacks.py"


@pytest.fixture(scope="module")
def attacks():
    spec = importlib.util.spec_from_file_location("benchmarks_attacks", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_scores_that_tell_everybody_and_nobody(attacks):
    high, low = np.ones(2000), np.zeros(2000)
    assert attacks.read(high, low) == {"tail": 1.0, "auc": 1.0}
    assert attacks.read(low, high) == {"tail": -1.0, "auc": 0.0}
    # all equal: the tie is broken at random, not by place
    same = attacks.read(low, low)
    assert same["auc"] == 0.5
    assert abs(same["tail"]) < 0.2


def test_a_few_certain_members_stand_at_the_top_of_the_tail(attacks):
    rng = np.random.default_rng(1)
    members, others = rng.random(2000), rng.random(2000)
    members[:100] = 2.0
    # 200 guesses: 100 certain members, and 100 at a coin flip
    assert attacks.read(members, others)["tail"] == pytest.approx(0.5, abs=0.12)


def test_members_and_others_weigh_the_same_however_many_they_are(attacks):
    rng = np.random.default_rng(2)
    found = attacks.read(rng.random(4000), rng.random(1000))
    assert abs(found["tail"]) < 0.2
    assert found["auc"] == pytest.approx(0.5, abs=0.03)


def test_scores_that_are_no_numbers_are_no_figure(attacks):
    assert attacks.read(np.array([np.nan, 1.0]), np.zeros(2)) == "scores that are no numbers"


def test_the_page_says_why_a_cell_has_no_figure(attacks):
    def line(attack, kind, **more):
        return {"table": "adult", "kind": kind, "attack": attack, "sizes": {"mem": 4000},
                "seed": 1, **more}  # fmt: skip

    lines = [
        line("DCR", "near", tail=0.25, auc=0.512, seconds=3.0),
        line("DCR", "null", tail=0.0, auc=0.5, seconds=5.0),
        line("MC", "near", reason="more than 60 CPU s"),
        line("ours: distance", "near", tail=0.5, auc=0.6, seconds=1.0),
    ]
    rows = attacks.written(lines).splitlines()
    assert "| attack | null | near | CPU s |" in rows
    assert rows.index("| ours: distance | – | 0.50, 0.600 | 1.0 |") < rows.index(
        "| DCR | 0.00, 0.500 | 0.25, 0.512 | 4.0 |"
    )
    assert "| MC | – | more than 60 CPU s | – |" in rows
