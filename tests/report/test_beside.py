"""Guesses side by side: trained, never seen, blind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synth_contracts.report.numbers import percent


@pytest.fixture
def guessing(contract, make):
    """An evaluation that reports singling_out and attribute_disclosure beside its rules."""
    evaluation = make.evaluation(contract)
    base = evaluation.results["membership_inference"]
    singled = replace(
        base, metric="singling_out", value=0.0211, lower=0.0102, upper=0.0317,
        details={"rate_train": 0.0612, "rate_control": 0.0413, "rate_blind": 0.0021},
    )  # fmt: skip
    columns = {
        "amount": {"value": -0.0312, "train": 0.4512, "holdout": 0.4824},
        "CANARY": {"value": -0.1, "train": 0.1, "holdout": 0.2},
    }
    disclosed = replace(
        base, metric="attribute_disclosure", value=-0.0312, lower=-0.05, upper=0.01,
        details={"columns": columns},
    )  # fmt: skip
    reported = {"singling_out": singled, "attribute_disclosure": disclosed}
    return replace(evaluation, reported=reported)


def test_trained_unseen_and_blind_stand_in_one_row(card_of, guessing):
    card = card_of(evaluation=guessing)
    singled, disclosed = card.json["beside"]
    assert (singled["trained"], singled["unseen"], singled["blind"]) == (0.0612, 0.0413, 0.0021)
    assert singled["more"] is True
    assert (disclosed["trained"], disclosed["unseen"]) == (0.4512, 0.4824)
    assert disclosed["blind"] is None
    assert disclosed["more"] is False
    for shown in ("6.1 %", "4.1 %", "0.2 %", "45 %", "48 %"):
        assert f">{shown}</td>" in card.html
    assert "never seen</td>" in card.html
    assert "not told from chance" in card.html
    assert "CANARY" not in card.html


def test_the_analyst_reads_rounded_shares(card_of, guessing):
    card = card_of(evaluation=guessing, audience="analyst")
    singled, disclosed = card.json["beside"]
    assert (singled["trained"], singled["unseen"]) == (0.061, 0.041)
    assert (disclosed["trained"], disclosed["unseen"]) == (0.45, 0.48)


def test_a_rate_that_is_not_there_makes_no_row(card_of, contract, make):
    evaluation = make.evaluation(contract)
    base = evaluation.results["membership_inference"]
    odd = replace(base, metric="linkability", details={"rate_train": 0.1, "rate_control": None})
    card = card_of(evaluation=replace(evaluation, reported={"linkability": odd}))
    assert card.json["beside"] == []


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0.0 %"), (0.0612, "6.1 %"), (0.1, "10 %"), (-0.031, "\u22123.1 %"), (None, "–")],
)
def test_shares_in_per_cent(share, shown):
    assert percent(share) == shown
