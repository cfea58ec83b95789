"""What a test could have shown at most is not what unseen real rows reach."""

from __future__ import annotations

from dataclasses import replace


def test_the_ceiling_of_an_audit_is_no_reading_of_real_rows(card_of, contract, make):
    base = make.evaluation(contract).results["membership_inference"]
    audited = replace(base, floor=None, ceiling=3.46)
    card = card_of(values={"membership_inference": audited})
    assert "This test cannot show more than 3.46." in card.html
    (rule,) = [r for r in card.json["rules"] if r["metric"] == "membership_inference"]
    assert rule["scale"]["floor"] is None
    assert rule["ceiling"] == 3.46
