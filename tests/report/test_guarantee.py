"""The card of a table with a guarantee: what it says, and what it keeps from the analyst."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from synth_contracts.contract.guarantee import Guarantee
from synth_contracts.gate import judge
from synth_contracts.release.promoting import verdict_summary
from synth_contracts.report.card import build_card
from synth_contracts.report.guarantee import WITHHELD

from .conftest import ATTEMPTS, provenance_of, wide


def card(audience: str, **changes: Any) -> Any:
    contract, evaluation = wide()
    asked = Guarantee(5.0, 1e-6, 5.0, "household_id", 32, **changes)
    contract = replace(contract, generator=replace(contract.generator, guarantee=asked))
    return build_card(
        contract, evaluation, judge(contract, evaluation), comparison=None,
        provenance=provenance_of(), attempts=ATTEMPTS, docs_link=None, audience=audience,
    )  # fmt: skip


@pytest.mark.parametrize("audience", ["owner", "analyst"])
def test_the_guarantee_and_its_limits_are_said_in_words(audience):
    made = card(audience)
    assert made.json["facts"]["differential_privacy"].startswith(
        "epsilon 5, delta 1e-06 per household_id"
    )
    said = " ".join(made.json["limits"])
    assert "a factor of at most e^5" in said
    assert "at most 32 rows of each" in said
    assert "Not covered by it: that this table passed, the number of attempts" in said
    assert "not a guarantee" not in made.html
    assert "epsilon 5, delta 1e-06" in made.html


def test_the_owner_reads_the_figures_and_the_analyst_the_states_alone():
    owner, analyst = card("owner").json, card("analyst").json
    assert any(row["value"] is not None for row in owner["rules"])
    for mine, theirs in zip(owner["rules"], analyst["rules"], strict=True):
        assert theirs["limit"] == mine["limit"]
        for key in (
            "value",
            "interval",
            "number",
            "floor",
            "ceiling",
            "margin_percent",
            "n",
            "scale",
        ):
            assert theirs[key] is None
        assert theirs["state"] == ("holds" if mine["state"] == "close" else mine["state"])
    assert (analyst["attacks"], analyst["beside"], analyst["reported"]) == ([], [], [])
    assert analyst["figures"] == analyst["controls"] == {"missing": WITHHELD}
    assert analyst["facts"]["entities_train"] is None
    assert WITHHELD in card("analyst").html


def test_no_reading_reaches_the_analyst_in_any_form():
    contract, evaluation = wide()
    made = card("analyst")
    text = json.dumps(made.json) + made.html
    numbers = {
        f"{value:.{digits}f}"
        for result in evaluation.results.values()
        for value in (result.value, result.lower, result.upper)
        if value is not None and 0 < abs(value) < 1
        for digits in (3, 4)
    }
    limits = {f"{rule.threshold:g}" for rule in contract.rules}
    found = {n for n in numbers if re.search(rf"(?<![0-9.]){re.escape(n)}(?![0-9])", text)}
    assert numbers
    assert not {n for n in found if n.rstrip("0") not in limits}


def test_a_contract_may_publish_what_was_measured():
    rows = card("analyst", publish_results=True).json["rules"]
    assert any(row["value"] is not None for row in rows)


def test_the_statement_has_no_numbers_either():
    contract, evaluation = wide()
    verdict = judge(contract, evaluation)
    assert any(r["number"] is not None for r in verdict_summary(verdict)["rules"])
    assert all(r["number"] is None for r in verdict_summary(verdict, numbers=False)["rules"])
