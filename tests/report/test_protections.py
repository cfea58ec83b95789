"""Counts of the protections stand on the owner's card alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synth_contracts.contract.model import GeneratorSpec, Outliers

COUNTED = {
    "train_rows": 107_283,
    "rows": 155_848,
    "columns": [
        {"column": "store_id", "grouped": 51_234, "joined": 0, "coded_low": 0, "coded_high": 0,
         "recoded": 61_235},
        {"column": "amount", "grouped": 0, "joined": 5_127, "coded_low": 3, "coded_high": 37,
         "recoded": 0},
    ],
    "redrawn": 4_321,
    "afresh": ["household_id", "basket_id"],
    "notes": ["Leaves hold 200 rows and 20 entities at least."],
}  # fmt: skip
NUMBERS = ("51,234", "61,235", "5,127", "4,321", "107,283 trained")


def test_the_owner_reads_what_was_touched(card_of) -> None:
    card = card_of(protection=COUNTED)
    assert card.json["protection"]["counts"] == COUNTED
    for number in NUMBERS:
        assert number in card.html
    assert "Made anew: household_id, basket_id. Leaves hold 200 rows and 20" in card.html


def test_the_analyst_reads_which_protections_were_on_and_no_count(card_of) -> None:
    card = card_of(protection=COUNTED, audience="analyst")
    assert set(card.json["protection"]) == {"on", "off"}
    assert len(card.json["protection"]["on"]) == 3
    for number in NUMBERS:
        assert number not in card.html
        assert number.split()[0].replace(",", "") not in card.json_text
    assert "Leaves hold" not in card.html
    assert "told to the owner of the source alone" in card.html


@pytest.mark.parametrize("audience", ["owner", "analyst"])
def test_protections_that_were_off_are_said(card_of, contract, audience) -> None:
    off = GeneratorSpec(outliers=Outliers(rare_category=False, top_code=False, reject=False))
    card = card_of(contract=replace(contract, generator=off), audience=audience)
    assert card.json["protection"]["on"] == []
    assert "protections of rare values, tails and outliers were off" in card.html
    some = GeneratorSpec(outliers=Outliers(reject=False))
    card = card_of(contract=replace(contract, generator=some), audience=audience)
    assert "Off: rows too near a real outlier are drawn again." in card.html
