"""Presets, overriding, what is loosened, what is not asked; the table against the registries."""

from __future__ import annotations

import dataclasses

import pytest

from synth_contracts.contract import EXPECTATIONS, GENERATORS, RULES, settle
from synth_contracts.contract.rules import PRESETS, preset_rules

#: The limits of the rules that exist: strict, standard, exploratory, and what is judged.
LIMITS = {
    "membership_inference": (0.30, 0.25, 0.30, "value"),
    "recognized_entities": (0, 5, 20, "lower"),
    "entity_membership_inference": (0.35, 0.40, 0.50, "value"),
    "outlier_membership_inference": (0.25, 0.25, "report", "value"),
    "identical_match": (0.005, 0.005, 0.005, "lower"),
    "nearest_neighbor_distance": (0.58, 0.60, 0.65, "value"),
    "k_anonymity": (10, 10, 10, "value"),
    "replicated_uniques": (0.02, 0.05, "report", "value"),
    "attribute_disclosure": (0.03, 0.05, 0.10, "value"),
    "singling_out": (0.09, "report", "report", "bound"),
    "linkability": (0.09, "report", "report", "bound"),
    "l_diversity": ("report", "report", "report", "value"),
    "t_closeness": ("report", "report", "report", "value"),
    "ks_mean": (0.05, 0.09, 0.30, "value"),
    "ks_max": (0.10, 0.15, None, "value"),
    "total_variation": (0.05, 0.10, "report", "over_floor"),
    "missingness": (0.02, 0.05, 0.10, "over_floor"),
    "pair_association": (0.10, 0.13, 0.50, "value"),
    "autocorrelation": (0.05, 0.10, None, "over_floor"),
    "calendar_correlation": (0.60, 0.40, None, "ceiling_share"),
    "hour_profile": (0.08, 0.15, None, "value"),
    "weekday_profile": (0.03, 0.04, None, "value"),
    "entity_profile": (0.06, 0.10, None, "value"),
    "forecast_utility": (1.10, "report", None, "value"),
    "detection": (0.60, 0.70, None, "value"),
    "constraint_violations": (0, 0, 0, "value"),
}
AT_LEAST = {"k_anonymity", "l_diversity", "calendar_correlation"}
#: rules that stand in no preset
OWN = {"ks", "empirical_epsilon"}
STANDARD = [name for name, limits in LIMITS.items() if limits[1] not in (None, "report")]
KINDS = {
    "basket_id": "integer", "household_id": "integer", "store_id": "code",
    "transaction_timestamp": "timestamp", "n_items": "integer", "amount": "number",
    "n_departments": "integer", "retail_disc": "number", "coupon_disc": "number",
    "top_department": "text", "age": "text", "income": "text", "marital_status": "text",
    "household_size": "text", "home_ownership": "text",
}  # fmt: skip


def rule(rule_id, metric, limit="max_value: 0.2", **more):
    scope = "column" if metric == "ks" else "table"
    end = "least" if limit.startswith("min") else "most"
    severity = more.get("severity", "error")
    engine = more.get("engine", "greatExpectations")
    return (
        f"{{id: {rule_id}, type: custom, engine: {engine}, severity: {severity}, implementation: "
        f"{{type: expect_{scope}_{metric}_to_be_at_{end}, kwargs: {{{limit}}}}}}}"
    )


@pytest.mark.parametrize(("index", "preset"), list(enumerate(PRESETS)))
def test_presets_hold_their_limits(index, preset, bent):
    contract = bent(("preset: standard", f"preset: {preset}"))
    limits = {r.id: r.threshold for r in contract.rules}
    assert limits == {k: v[index] for k, v in LIMITS.items() if v[index] not in (None, "report")}
    for r in contract.rules:
        judged = (
            "bound" if (r.id, preset) == ("membership_inference", "strict") else LIMITS[r.id][3]
        )
        assert (r.judged, r.severity, r.metric, r.column) == (judged, "error", r.id, None)
        assert r.operator == (">=" if r.id in AT_LEAST else "<=")
        assert not r.loosened
    assert contract.report_only == tuple(k for k, v in LIMITS.items() if v[index] == "report")


def test_k_is_the_limit_of_k_anonymity(bent):
    def k_of(contract):
        return next(r for r in contract.rules if r.id == "k_anonymity")

    assert k_of(bent(("k: 10", "k: 25"))).threshold == 25
    weak = bent(("k: 10", "k: 2"))
    assert (k_of(weak).threshold, weak.loosened) == (2, ("k_anonymity",))


def test_missing_roles_are_not_asked(bent):
    contract = bent(
        ("            timeIndex: transaction_timestamp\n", ""),
        ("            quasiIdentifiers: [store_id, age, income]\n", ""),
    )
    assert {(n.id, n.reason, n.disabled) for n in contract.not_asked} == {
        ("k_anonymity", "no quasi-identifiers", False),
        ("replicated_uniques", "no quasi-identifiers", False),
        ("attribute_disclosure", "no quasi-identifiers", False),
        ("singling_out", "no quasi-identifiers", False),
        ("linkability", "no quasi-identifiers", False),
        ("l_diversity", "no quasi-identifiers", False),
        ("t_closeness", "no quasi-identifiers", False),
        ("calendar_correlation", "no time index", False),
        ("autocorrelation", "no time index", False),
        ("forecast_utility", "no time index", False),
        ("hour_profile", "no time index", False),
        ("weekday_profile", "no time index", False),
    }
    assert contract.loosened == ()
    assert not {n.id for n in contract.not_asked} & {r.id for r in contract.rules}


def test_a_declared_date_has_no_hours(bent):
    contract = bent(
        ("transaction_timestamp, logicalType: timestamp, physicalType: TIMESTAMP",
         "transaction_timestamp, logicalType: date, physicalType: DATE"),
    )  # fmt: skip
    assert [(n.id, n.reason) for n in contract.not_asked] == [
        ("hour_profile", "the time index has no hours")
    ]


def test_settling_a_full_contract_changes_nothing(bent):
    contract = bent()
    assert settle(contract, KINDS) == contract


def test_settling_learns_what_the_contract_did_not_say(bent):
    contract = bent(("transaction_timestamp, logicalType: timestamp", "transaction_timestamp"))
    assert contract.not_asked == ()
    settled = settle(contract, {**KINDS, "transaction_timestamp": "date"})
    assert [n.id for n in settled.not_asked] == ["hour_profile"]
    assert settled.digest != contract.digest
    assert settle(settled, {**KINDS, "transaction_timestamp": "date"}) == settled
    assert settle(settled, KINDS) == contract


def test_keys_and_codes_are_no_numeric_columns(bent):
    contract = bent()
    numbers = {"n_items", "amount", "n_departments", "retail_disc", "coupon_disc"}
    bare = {name: kind for name, kind in KINDS.items() if name not in numbers}
    settled = settle(contract, bare)
    assert {(n.id, n.reason) for n in settled.not_asked} == {
        ("ks_mean", "no numeric column"), ("ks_max", "no numeric column"),
    }  # fmt: skip
    one = settle(contract, {**bare, "AMOUNT": "number"})
    assert one.not_asked == ()


def test_codes_texts_and_booleans_are_categories(bent):
    contract = bent()
    named = {name for name, kind in KINDS.items() if kind in {"text", "code"}}
    bare = {name: kind for name, kind in KINDS.items() if name not in named}
    settled = settle(contract, bare)
    assert {(n.id, n.reason) for n in settled.not_asked} == {
        ("total_variation", "no column of categories"),
    }  # fmt: skip
    assert settle(contract, {**bare, "STORE_ID": "code"}).not_asked == ()
    assert settle(contract, {**bare, "member": "boolean"}).not_asked == ()


def test_settling_keeps_what_the_contract_writes(with_rules):
    contract = with_rules(
        rule("ks_mean", "ks_mean", "max_value: 0.2"), "{type: text, description: x}"
    )
    (contract,) = contract.contracts
    settled = settle(contract, {"age": "text", "transaction_timestamp": "timestamp"})
    assert [r.id for r in settled.rules if r.origin == "contract"] == ["ks_mean"]
    assert ("text-1", "text only") in {(n.id, n.reason) for n in settled.not_asked}
    assert settle(settled, KINDS) == contract


@pytest.mark.parametrize(
    ("written", "loosened"),
    [
        (rule("ks_mean", "ks_mean", "max_value: 0.09"), False),
        (rule("ks_mean", "ks_mean", "max_value: 0.08"), False),
        (rule("ks_mean", "ks_mean", "max_value: 0.091"), True),
        (rule("ks_mean", "ks_mean", "max_value: 0.08", severity="warning"), True),
        (rule("membership_inference", "membership_inference", "max_value: 0.6"), True),
        (rule("k_anonymity", "k_anonymity", "min_value: 20"), False),
        (rule("k_anonymity", "k_anonymity", "min_value: 9"), True),
        (rule("autocorrelation", "autocorrelation", "max_value: 0.1"), False),
        (rule("autocorrelation", "autocorrelation", "max_value: 0.1, lags: [7]"), True),
        (rule("autocorrelation", "autocorrelation", "max_value: 0.1, frequency: hour"), True),
        (rule("autocorrelation", "autocorrelation",
              f"max_value: 0.1, lags: {list(range(1, 31))}"), False),
    ],
)  # fmt: skip
def test_an_explicit_rule_overrides_and_a_weaker_one_reads_loosened(written, loosened, with_rules):
    report = with_rules(written)
    assert report.problems == ()
    (contract,) = report.contracts
    (own,) = [r for r in contract.rules if r.origin == "contract"]
    assert [r.id for r in contract.rules].count(own.id) == 1
    assert len(contract.rules) == len(STANDARD)
    assert own.loosened is loosened
    assert contract.loosened == ((own.id,) if loosened else ())
    assert any("LOOSENED" in w.message for w in report.warnings) is loosened


def test_the_judged_number_belongs_to_the_preset(with_rules):
    written = rule("membership_inference", "membership_inference", "max_value: 0.2")
    for preset, judged in (("strict", "bound"), ("standard", "value")):
        (contract,) = with_rules(written, preset=preset).contracts
        assert contract.rules[0].judged == judged
    refused = with_rules(
        rule("membership_inference", "membership_inference", "max_value: 0.2, judged: lower")
    )
    assert "no argument `judged`" in refused.problems[0].message


def test_disabling_reads_loosened(bent):
    contract = bent(("k: 10", "disable: [identical_match]"))
    assert [(n.id, n.disabled) for n in contract.not_asked] == [("identical_match", True)]
    assert contract.loosened == ("identical_match",)
    assert settle(contract, KINDS) == contract


def test_another_rule_of_the_same_metric_stands_beside(with_rules):
    report = with_rules(
        rule("autocorrelation-hourly", "autocorrelation",
             "max_value: 0.2, aggregate: sum, column: amount, frequency: hour, lags: [24, 168]"),
    )  # fmt: skip
    (contract,) = report.contracts
    ids = [r.id for r in contract.rules]
    assert len(ids) == len(STANDARD) + 1
    assert {"autocorrelation", "autocorrelation-hourly"} <= set(ids)
    assert contract.rules[-1].options == {
        "aggregate": "sum", "column": "amount", "frequency": "hour", "lags": [24, 168],
    }  # fmt: skip


REFUSED = {
    "nan": (rule("ks_mean", "ks_mean", "max_value: .nan"), "not a finite number"),
    "bool": (rule("ks_mean", "ks_mean", "max_value: true"), "must be a number, not `True`"),
    "text": (rule("ks_mean", "ks_mean", "max_value: '0.2'"), "must be a number, not `0.2`"),
    "null": (rule("ks_mean", "ks_mean", "max_value: null"), "must be a number"),
    "list": (rule("ks_mean", "ks_mean", "max_value: [0.1]"), "must be a number"),
    "percent": (rule("ks_mean", "ks_mean", "max_value: 9"), "no ks_mean can be judged"),
    "vacuous": (rule("membership_inference", "membership_inference", "max_value: 1.0"), "can be judged"),
    "negative": (rule("ks_mean", "ks_mean", "max_value: -0.1"), "can be judged"),
    "k of one": (rule("k_anonymity", "k_anonymity", "min_value: 1"), "can be judged"),
    "no limit": (rule("ks_mean", "ks_mean", ""), "lacks `max_value`"),
    "wrong limit": (rule("ks_mean", "ks_mean", "min_value: 0.1").replace("least", "most"), "lacks `max_value`"),
    "wrong end": (rule("ks_mean", "ks_mean", "min_value: 0.1"), "unknown expectation"),
    "not yet": (rule("l_diversity", "l_diversity", "max_value: 2"), "unknown expectation"),
    "few attacks": (rule("a", "singling_out", "max_value: 0.1, attacks: 10"), "whole number from 100"),
    "half attacks": (rule("a", "linkability", "max_value: 0.1, attacks: 500.5"), "whole number from 100"),
    "no columns": (rule("a", "linkability", "max_value: 0.1, aux_columns: []"), "different names"),
    "one column": (rule("a", "linkability", "max_value: 0.1, aux_columns: age"), "different names"),
    "column twice": (rule("a", "linkability", "max_value: 0.1, aux_columns: [age, age]"), "different names"),
    "key known": (rule("a", "linkability", "max_value: 0.1, aux_columns: [basket_id]"), "made afresh"),
    "far": (rule("a", "forecast_utility", "max_value: 1.1, horizon: 0"), "whole number from 1"),
    "wrong side": (rule("a", "calendar_correlation", "max_value: 0.7"), "unknown expectation"),
    "no lags here": (rule("a", "calendar_correlation", "min_value: 0.7, lags: [7]"), "no argument `lags`"),
    "typo": (rule("ks_mean", "ks_meen", "max_value: 0.1"), "unknown expectation"),
    "kwarg": (rule("ks_mean", "ks_mean", "max_value: 0.1, maximum: 3"), "no argument `maximum`"),
    "lags": (rule("a", "autocorrelation", "max_value: 0.1, lags: [0]"), "whole numbers from 1"),
    "lags twice": (rule("a", "autocorrelation", "max_value: 0.1, lags: [7, 7]"), "different whole numbers"),
    "no lags": (rule("a", "autocorrelation", "max_value: 0.1, lags: []"), "whole numbers from 1"),
    "aggregate": (rule("a", "autocorrelation", "max_value: 0.1, aggregate: mean"), "count or sum"),
    "sum of": (rule("a", "autocorrelation", "max_value: 0.1, aggregate: sum"), "needs `column`"),
    "count of": (rule("a", "autocorrelation", "max_value: 0.1, column: amount"), "needs `aggregate: sum`"),
    "sum text": (rule("a", "autocorrelation", "max_value: 0.1, aggregate: sum, column: age"), "is a string"),
    "sum code": (rule("a", "autocorrelation", "max_value: 0.1, aggregate: sum, column: store_id"), "codes"),
    "sum key": (rule("a", "autocorrelation", "max_value: 0.1, aggregate: sum, column: basket_id"), "made afresh"),
    "severity": (rule("ks_mean", "ks_mean", severity="info"), "severity `info`"),
    "engine": (rule("ks_mean", "ks_mean", engine="soda"), "engine `soda`"),
    "other's id": (rule("membership_inference", "ks_mean"), "id of another rule"),
    "bad id": (rule("ks mean", "ks_mean"), "`id` must match"),
    "no id": (rule("x", "ks_mean").replace("id: x, ", ""), "lacks `id`"),
    "column rule": (rule("ks-amount", "ks"), "wrong place"),
    "text implementation": (
        "{id: a, type: custom, engine: greatExpectations, implementation: 'expect this'}",
        "must be a mapping of type and kwargs"),
    "implementation key": (
        rule("ks_mean", "ks_mean").replace("type: expect", "name: x, type: expect"),
        "unknown key `name`"),
    "rowCount": ("{id: n, metric: rowCount, mustBeGreaterThan: 5}", "cannot be run yet"),
    "nullValues": ("{id: n, type: library, metric: nullValues, mustBe: 0}", "cannot be run yet"),
    "sql": ("{id: n, type: sql, query: 'select 1', mustBe: 1}", "cannot be run yet"),
    "operators": ("{id: n, type: sql, query: 'select 1'}", "exactly one of mustBe"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_rule_nobody_can_run_is_a_fault(case, with_rules):
    written, words = REFUSED[case]
    report = with_rules(written)
    assert report.contracts == ()
    assert any(words in p.message for p in report.problems), [str(p) for p in report.problems]
    # line 29 is the rule itself: nothing else is said of the contract
    assert {p.where.split(":")[-2] for p in report.problems} == {"29"}


def test_rules_need_their_roles(bend, demo_path, tmp_path):
    from synth_contracts.contract import lint

    text = demo_path.read_text().replace("            timeIndex: transaction_timestamp\n", "")
    text = text.replace(
        "description: One row per basket.",
        f"description: x\n    quality:\n      - {rule('weekday_profile', 'weekday_profile')}",
    )
    path = tmp_path / "no_time.odcs.yaml"
    path.write_text(text)
    (problem,) = lint([path]).problems
    assert "cannot be asked: no time index" in problem.message


def test_ids_are_unique_and_not_disabled_at_once(with_rules, bend):
    twice = with_rules(rule("a", "ks_mean"), rule("a", "ks_max"))
    assert "used twice" in twice.problems[0].message
    report = with_rules(rule("ks_mean", "ks_mean"), preset="standard\n          disable: [ks_mean]")
    assert "both written here and disabled" in report.problems[0].message


def test_column_rules_stand_on_numeric_columns(with_rules):
    (contract,) = with_rules(rule("ks-amount", "ks", "max_value: 0.04"), column=True).contracts
    assert (contract.rules[-1].column, contract.rules[-1].metric) == ("amount", "ks")
    table_rule = with_rules(rule("ks_mean", "ks_mean"), column=True)
    assert "wrong place" in table_rule.problems[0].message


def test_total_variation_is_asked_of_the_table_or_of_a_column_of_categories(with_rules):
    written = rule("total_variation-x", "total_variation").replace("expect_table", "expect_column")
    on_amount = with_rules(written, column=True)
    assert "needs categories, and `amount` is a number" in on_amount.problems[0].message
    same_id = with_rules(written.replace("-x", ""), column=True)
    assert "`total_variation-amount`" in same_id.problems[0].mend
    (contract,) = with_rules(rule("total_variation", "total_variation", "max_value: 0.2")).contracts
    (own,) = [r for r in contract.rules if r.metric == "total_variation"]
    assert (own.judged, own.column, own.loosened) == ("over_floor", None, True)


def test_text_rules_are_listed_as_not_asked(with_rules):
    (contract,) = with_rules(
        "{id: by-eye, type: text, description: Someone looks at it.}"
    ).contracts
    assert [(n.id, n.reason, n.disabled) for n in contract.not_asked] == [
        ("by-eye", "text only", False)
    ]


def test_membership_inference_must_gate(with_rules):
    report = with_rules(
        rule("membership_inference", "membership_inference", "max_value: 0.2", severity="warning")
    )
    assert "no rule of membership_inference with severity error" in report.problems[0].message


def test_lint_warns_of_similarity_alone(bent, faults):
    report = faults(("k: 10", "disable: [identical_match, recognized_entities]"))
    words = " ".join(w.message for w in report.warnings)
    assert "a similarity and no attack" in words
    assert "LOOSENED: identical_match" in words


def test_lint_warns_of_limits_no_real_rows_meet(with_rules):
    report = with_rules(rule("membership_inference", "membership_inference", "max_value: 0.01"))
    assert any("tighter than what fresh real rows read" in w.message for w in report.warnings)


def test_the_table_names_itself_consistently():
    for rule_id, spec in RULES.items():
        assert spec.id == rule_id
        assert all(EXPECTATIONS[name] is spec for name in spec.expectations)
        assert set(spec.limits) <= set(PRESETS)
    assert set(LIMITS) | OWN == set(RULES)
    assert preset_rules(None) == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        RULES["ks"].family = "privacy"


def test_the_table_equals_the_registry_of_expectations():
    from synth_contracts.expectations.catalog import EXPECTATIONS as CLASSES

    assert set(CLASSES) == set(EXPECTATIONS)
    for name, spec in EXPECTATIONS.items():
        assert set(CLASSES[name].option_keys) == set(spec.options), name


def test_the_table_equals_the_registry_of_metrics():
    from synth_contracts.metrics import METRICS

    assert set(METRICS) == set(RULES)
    for rule_id, metric in METRICS.items():
        assert (metric.family, metric.scope) == (RULES[rule_id].family, RULES[rule_id].scope)


def test_the_generators_of_the_table_equal_those_that_can_be_made():
    from synth_contracts.generate.run import GENERATORS as MAKERS

    assert set(MAKERS) == set(GENERATORS)
    for spec in GENERATORS.values():
        for name, parameter in spec.parameters.items():
            assert parameter.fault(parameter.default) == "", name
