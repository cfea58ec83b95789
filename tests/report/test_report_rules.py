"""Rule rows: states, margins, closeness, rounding for outsiders, and words for every metric."""

from dataclasses import replace

import pytest

from synth_contracts.contract.rules import RULES as ALL_RULES
from synth_contracts.gate import judge
from synth_contracts.metrics import METRICS
from synth_contracts.metrics.measurement import NotMeasured
from synth_contracts.report.meanings import meaning_of
from synth_contracts.report.numbers import blurred, limit_text, plain, rounded, rounded_count, text
from synth_contracts.report.rules import FAMILIES, GLYPHS, rule_rows


def rows_of(make, contract, values=None, audience="owner"):
    evaluation = make.evaluation(contract, values)
    rows = rule_rows(contract, evaluation, judge(contract, evaluation), audience)
    return {row["rule"]: row for row in rows}


@pytest.mark.parametrize("metric", sorted(ALL_RULES))
def test_every_rule_a_contract_can_name_has_words(metric):
    words = meaning_of(metric)
    assert words.title == METRICS[metric].title
    assert len(words.title) > 4
    assert len(words.meaning) > 20
    assert words.family == ALL_RULES[metric].family


def test_unknown_metrics_are_named_and_never_dropped():
    assert meaning_of("brand_new_metric").title == "Brand new metric"


def test_rules_stand_in_fixed_order_with_codes(make, contract):
    rows = list(rows_of(make, contract).values())
    families = [row["family"] for row in rows]
    assert families == sorted(families, key=FAMILIES.index)
    assert [row["code"] for row in rows] == [
        "P1",
        "P2",
        "P3",
        "P4",
        "F1",
        "F2",
        "F3",
        "F4",
        "F5",
        "V1",
    ]


@pytest.mark.parametrize(
    ("rule", "value", "state", "margin"),
    [
        ("membership_inference", 0.0853, "holds", 66),
        ("membership_inference", -0.2, "holds", 100),
        ("membership_inference", 0.22, "close", 12),  # by its interval
        ("membership_inference", 0.25, "close", 0),
        ("membership_inference", 0.31, "broken", -24),
        ("membership_inference", 0.2501, "broken", -1),  # a broken rule never reads 0 %
        ("identical_match", 0.00081, "holds", 100),
        (
            "identical_match",
            0.0054,
            "close",
            16,
        ),  # judged is the lower bound .0042, the value is over
        ("identical_match", 0.0201, "broken", -278),
        ("nearest_neighbor_distance", 0.5031, "holds", 97),  # from one half, what chance gives
        ("nearest_neighbor_distance", 0.4, "holds", 100),
        ("nearest_neighbor_distance", 0.595, "close", 5),
        ("k_anonymity", 10.0, "holds", 0),  # a count on the released table has no uncertainty
        ("k_anonymity", 14.0, "holds", 40),
        ("k_anonymity", 3.0, "broken", -70),
        ("autocorrelation", 0.1247, "holds", 100),
        ("autocorrelation", 0.2116, "close", 13),
        ("autocorrelation", 0.2447, "broken", -20),
        ("constraint_violations", 0.0, "holds", None),
        ("constraint_violations", 2.0, "broken", None),
    ],
)
def test_states_and_margins(make, contract, rule, value, state, margin):
    row = rows_of(make, contract, {rule: value})[rule]
    assert (row["state"], row["margin_percent"]) == (state, margin)
    assert row["state"] in GLYPHS


def test_warning_unmeasured_and_not_asked_rules_keep_their_own_words(make, contract):
    rules = tuple(
        replace(r, severity="warning") if r.id == "hour_profile" else r for r in contract.rules
    )
    asked = replace(
        contract,
        rules=rules,
        not_asked=(
            make.not_asked("calendar_correlation", "no time index"),
            make.not_asked("detection", "disabled by the contract", True),
        ),
    )
    why = NotMeasured("ks_mean", "only 150 of 200 entities")
    rows = rows_of(make, asked, {"hour_profile": 0.4, "ks_mean": why})
    assert rows["hour_profile"]["state"] == "warns"
    assert rows["ks_mean"]["state"] == "not measured"
    assert rows["ks_mean"]["reason"] == "only 150 of 200 entities"
    assert rows["ks_mean"]["margin_percent"] is None
    assert rows["calendar_correlation"]["state"] == "not asked"
    assert not rows["calendar_correlation"]["loosened"]
    assert rows["detection"]["loosened"]
    assert list(rows)[-2:] == ["detection", "calendar_correlation"] or list(rows)[-2:] == [
        "calendar_correlation",
        "detection",
    ]


def test_an_error_text_is_not_repeated_for_it_may_quote_a_row(make, contract):
    why = NotMeasured(
        "ks_mean", "ValueError: could not convert 'CANARY-VALUE' to float", error=True
    )
    row = rows_of(make, contract, {"ks_mean": why})["ks_mean"]
    assert row["reason"] == "an error while measuring (ValueError)"
    silent = NotMeasured("ks_mean", "CANARY-VALUE went wrong", error=True)
    assert "CANARY" not in rows_of(make, contract, {"ks_mean": silent})["ks_mean"]["reason"]


def test_nan_is_not_measured_and_has_no_ruler(make, contract):
    row = rows_of(make, contract, {"membership_inference": float("nan")})["membership_inference"]
    assert row["state"] == "not measured"
    assert row["value"] is None
    assert row["scale"] is None


def test_the_ruler_puts_value_and_limit_where_they_belong(make, contract):
    rows = rows_of(make, contract)
    row = rows["membership_inference"]["scale"]
    assert row["lower"] < row["value"] < row["upper"] < row["limit"]
    assert row["allowed"] == "left"
    broken = rows_of(make, contract, {"ks_max": 0.93})["ks_max"]["scale"]
    assert broken["value"] == 1.0
    assert broken["cut"]
    floor = rows["autocorrelation"]["scale"]
    assert floor["floor"] < floor["value"] < floor["limit"]
    assert rows["identical_match"]["scale"]["number"] < rows["identical_match"]["scale"]["value"]
    assert rows["k_anonymity"]["scale"]["allowed"] == "right"


def test_the_outsider_reads_rounded_numbers_and_no_floor(make, contract):
    row = rows_of(make, contract, audience="analyst")["membership_inference"]
    assert (row["value"], row["interval"]) == (0.085, [-0.065, 0.24])
    assert row["n"] is None
    assert rows_of(make, contract, audience="analyst")["autocorrelation"]["floor"] is None
    assert rows_of(make, contract)["autocorrelation"]["floor"] == 0.1247


@pytest.mark.parametrize("number", [0.2504, 0.24996, 0.25, 0.2549, 0.31, -0.2, 0.0])
@pytest.mark.parametrize("limit", [0.25, 0.3, 0.0])
def test_rounding_never_carries_a_number_over_its_limit(number, limit):
    short = rounded(number, limit)
    assert (short > limit) == (number > limit)
    assert (short < limit) == (number < limit)


def test_rounding_and_texts():
    assert rounded(0.08534) == 0.085
    assert rounded(0.00081) == 0.001
    assert rounded(12.345) == 12.0
    assert rounded(None) is None
    assert [rounded_count(n) for n in (4, 27, 741, 1728, 24690)] == [0, 30, 740, 1700, 25000]
    assert text(-0.0652) == "−0.065"
    assert text(None) == "–"
    assert text(0.2501, 0.25) == "0.2501"
    assert text(155848.0) == "155,848"
    assert limit_text(10.0) == "10"
    assert limit_text(0.1) == "0.10"


def test_counts_in_words_are_rounded_for_outsiders():
    assert blurred("741 of 1,728 entities, 0.1234, 12.5 % and 12") == (
        "740 of 1,700 entities, 0.1234, 12.5 % and 12"
    )
    assert blurred("there are 741, of them 157.") == "there are 740, of them 160."


def test_the_analyst_reads_a_reason_with_rounded_counts(make, contract):
    why = NotMeasured("ks_mean", "only 157 of 200 entities")
    assert rows_of(make, contract, {"ks_mean": why})["ks_mean"]["reason"] == why.reason
    found = rows_of(make, contract, {"ks_mean": why}, "analyst")["ks_mean"]["reason"]
    assert found == "only 160 of 200 entities"


def test_json_has_no_nan_and_no_foreign_types():
    import numpy as np

    body = plain({"a": float("nan"), "b": np.float64(2.5), "c": (np.int64(3), True), 4: np.inf})
    assert body == {"a": None, "b": 2.5, "c": [3.0, True], "4": None}
