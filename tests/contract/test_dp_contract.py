"""What a guarantee needs is declared, and whatever would read it from data is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from synth_contracts.contract import load_contract, show_expanded
from synth_contracts.contract.dp import largest_clique
from synth_contracts.contract.guarantee import Binned, DailySeries, Listed
from synth_contracts.contract.linting import LintReport, lint

BASE = """\
apiVersion: v3.2.0
kind: DataContract
id: urn:test:visits
version: 1.0.0
status: active
servers:
  - {server: source, type: duckdb, database: "${SYNTH_SOURCE}", schema: raw}
schema:
  - name: visits
    properties:
      - {name: who, logicalType: integer, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: spent, logicalType: number, required: true}
      - {name: shop, logicalType: string}
      - {name: size, logicalType: integer, logicalTypeOptions: {minimum: 1, maximum: 9}}
      - {name: paid, logicalType: string, enum: [{value: cash}, {value: card}]}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: exploratory
          roles: {entityKey: who, timeIndex: at}
          generator:
            type: dp_marginals
            rows: 5000
            epsilon: 2
            delta: 1.0e-6
            outliers: false
            dp:
              lifetimeEpsilon: 4
              unit: who
              maxRowsPerEntity: 8
              columns:
                spent: {low: 0, high: 500, bins: 40, scale: log, points: [0], decimals: 2}
                shop: {values: [north, south], other: other}
              pairs: [[shop, spent], [size, spent]]
              days: {start: 2020-01-01, end: 2020-12-31, daysPerEntity: 16}
"""


@pytest.fixture
def bend(tmp_path: Path) -> Callable[..., Path]:
    def write(*pairs: tuple[str, str]) -> Path:
        text = BASE
        for old, new in pairs:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = tmp_path / "visits.odcs.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def faults(bend: Callable[..., Path]) -> Callable[..., LintReport]:
    return lambda *pairs: lint([bend(*pairs)])


def test_the_guarantee_is_what_the_contract_says(bend):
    contract = load_contract(bend())
    asked = contract.generator.guarantee
    assert (asked.epsilon, asked.delta, asked.lifetime_epsilon) == (2, 1e-6, 4)
    assert (asked.unit, asked.rows_per_entity) == ("who", 8)
    assert asked.domain("SPENT") == Binned(0, 500, 40, "log", (0.0,), 2)
    assert asked.domain("shop") == Listed(("north", "south"), "other")
    assert asked.domain("size") == Binned(1, 9)  # the property's own range
    assert asked.domain("paid") == Listed(("cash", "card"))  # the property's own enum
    assert asked.days == DailySeries("2020-01-01", "2020-12-31", 16, 0.4)
    outliers = contract.generator.outliers
    assert (outliers.rare_category, outliers.top_code, outliers.reject) == (False, False, False)
    assert not contract.generator.calendar.enabled
    assert "lifetimeEpsilon: 4" in show_expanded(contract)


def test_every_declared_number_changes_the_digest(bend):
    digests = {load_contract(bend()).digest}
    changes = [
        ("epsilon: 2\n", "epsilon: 1\n"), ("1.0e-6", "1.0e-7"), ("high: 500", "high: 400"),
        ("lifetimeEpsilon: 4", "lifetimeEpsilon: 5"), ("maxRowsPerEntity: 8", "maxRowsPerEntity: 9"),
        ("other: other", "other: north"), ("daysPerEntity: 16", "daysPerEntity: 8"),
        ("[[shop, spent], [size, spent]]", "[[shop, spent]]"), ("rows: 5000", "rows: noisy"),
    ]  # fmt: skip
    digests |= {load_contract(bend(change)).digest for change in changes}
    assert len(digests) == 1 + len(changes)


#: name -> (replacements, words of the fault, words of the mend)
FAULTS = {
    "no bounds": ([("spent: {low: 0, high: 500, bins: 40, scale: log, points: [0], decimals: 2}\n                ", "")], "`spent` has no bounds", "declare spent: {low"),
    "no lower bound": ([("{low: 0, high: 500, bins: 40,", "{high: 500, bins: 40,")], "lacks `low`", "may not be read"),
    "no categories": ([("\n                shop: {values: [north, south], other: other}", ""), ("pairs: [[shop, spent], [size, spent]]", "pairs: []")], "`shop` has no categories", "declare shop: {values"),
    "no period": ([("\n              days: {start: 2020-01-01, end: 2020-12-31, daysPerEntity: 16}", "")], "`at` has no period", "dp.days"),
    "half a period": ([("start: 2020-01-01, ", "")], "`days.start` is no date", "may not be read"),
    "no cap of days": ([(", daysPerEntity: 16", "")], "lacks `daysPerEntity`", "for example 64"),
    "no epsilon": ([("            epsilon: 2\n", "")], "needs `epsilon`", "epsilon: 1"),
    "no delta": ([("            delta: 1.0e-6\n", "")], "needs `delta`", "delta"),
    "epsilon of zero": ([("epsilon: 2\n", "epsilon: 0\n")], "`epsilon` must be above 0", ""),
    "delta of a tenth": ([("1.0e-6", "0.1")], "`delta` must be at most", ""),
    "no cap": ([("              maxRowsPerEntity: 8\n", "")], "lacks `maxRowsPerEntity`", "for example 32"),
    "no unit": ([("              unit: who\n", "")], "lacks `unit`", "unit: who"),
    "another unit": ([("unit: who", "unit: shop")], "the unit is `shop`", "unit: who"),
    "no lifetime": ([("              lifetimeEpsilon: 4\n", "")], "lacks `lifetimeEpsilon`", "at least 2"),
    "a short lifetime": ([("lifetimeEpsilon: 4", "lifetimeEpsilon: 1")], "below epsilon 2", ""),
    "rows of the source": ([("rows: 5000", "rows: source")], "exact number of rows", "rows: noisy"),
    "rows by default": ([("            rows: 5000\n", "")], "exact number of rows", "rows: noisy"),
    "rare categories": ([("outliers: false", "outliers: {rareCategory: true}")], "`rareCategory` reads the source", "take it out"),
    "coded tails": ([("outliers: false", "outliers: {topCode: true}")], "`topCode` reads the source", "take it out"),
    "rejection": ([("outliers: false", "outliers: {reject: true}")], "`reject` reads the source", "take it out"),
    "all protections": ([("outliers: false", "outliers: true")], "reads the source", "outliers: false"),
    "the calendar model": ([("outliers: false", "calendar: {volume: model}")], "calendar model reads the source", "dp.days"),
    "unknown pair": ([("[size, spent]", "[sise, spent]")], "dp.pairs names `sise`", "`size`"),
    "pair with itself": ([("[size, spent]", "[size, size]")], "pairs `size` with itself", ""),
    "pair twice": ([("[size, spent]", "[spent, shop]")], "twice", ""),
    "a key": ([("shop: {values", "who: {low: 0, high: 9}\n                shop: {values")], "dp.columns names `who`", "take it out"),
    "categories of a number": ([("spent: {low: 0, high: 500, bins: 40, scale: log, points: [0], decimals: 2}", "spent: {values: [1, 2]}")], "lists categories", "low and high"),
    "bounds of a text": ([("{values: [north, south], other: other}", "{low: 0, high: 1}")], "does not go with", "values and other"),
    "bounds upside down": ([("low: 0, high: 500", "low: 500, high: 0")], "not below", ""),
    "a point outside": ([("points: [0]", "points: [-1]")], "outside its bounds", ""),
    "too large a clique": ([("bins: 40", "bins: 4000"), ("{values: [north, south], other: other}", "{values: [" + ", ".join(f"s{i}" for i in range(700)) + "]}")], "cells", "fewer bins"),
    "another generator": ([("type: dp_marginals", "type: calendar_cart")], "no guarantee", "dp_marginals"),
    "an unknown key": ([("unit: who", "unit: who\n              budget: 3")], "unknown key `budget`", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_bad_input_is_named_with_its_place_and_mend(faults, name):
    pairs, words, mend = FAULTS[name]
    report = faults(*pairs)
    found = [p for p in report.problems if words in p.message]
    assert found, [str(problem) for problem in report.problems]
    assert not report.contracts
    file, line, _ = found[0].where.rsplit(":", 2)
    assert file.endswith("visits.odcs.yaml")
    assert int(line) > 1
    assert mend in found[0].mend


def test_without_an_entity_key_a_row_is_the_unit(bend):
    contract = load_contract(
        bend(
            ("entityKey: who, ", "exclude: [who], "),
            ("unit: who", "unit: row"),
            ("              maxRowsPerEntity: 8\n", ""),
            ("daysPerEntity: 16", "share: 0.3"),
        )
    )
    asked = contract.generator.guarantee
    assert (asked.unit, asked.rows_per_entity) == ("row", 1)
    assert (asked.days.days_per_entity, asked.days.share) == (1, 0.3)


def test_rings_of_pairs_join_their_columns_into_one_clique():
    size = {"a": 10, "b": 20, "c": 30, "d": 40}
    assert largest_clique(size, [("a", "b"), ("b", "c"), ("c", "d")]) == (1200, ("c", "d"))
    assert largest_clique(size, [("a", "b"), ("b", "c"), ("a", "c")]) == (6000, ("a", "b", "c"))
    assert largest_clique(size, [])[0] == 40


def claimed(contract):
    return [rule for rule in contract.rules if rule.metric == "empirical_epsilon"]


def test_an_audit_must_not_refute_the_claim(bend):
    (rule,) = claimed(load_contract(bend()))
    assert (rule.threshold, rule.judged, rule.severity) == (2.0, "lower", "error")
    assert rule.options == {"canaries": 2000}
    (rule,) = claimed(load_contract(bend(("epsilon: 2\n", "epsilon: 0.5\n"))))
    assert rule.threshold == 0.5


def test_the_rule_of_the_claim_can_be_tightened_loosened_by_name_and_not_disabled(bend, faults):
    quality = (
        "    quality:\n      - {id: empirical_epsilon, type: custom, engine: greatExpectations, "
        "implementation: {type: expect_table_empirical_epsilon_to_be_at_most, "
        "kwargs: {max_value: %s}}}\n    customProperties:\n"
    )
    (rule,) = claimed(load_contract(bend(("    customProperties:\n", quality % 5))))
    assert rule.loosened
    (rule,) = claimed(load_contract(bend(("    customProperties:\n", quality % 1))))
    assert not rule.loosened
    report = faults(
        ("preset: exploratory", "preset: exploratory\n          disable: [empirical_epsilon]")
    )
    assert "no rule `empirical_epsilon` to disable" in str(report.problems[0])
