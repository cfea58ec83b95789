"""The headline of a page follows the rules of severity error."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment, PackageLoader, StrictUndefined

from synth_contracts.evaluation.docs_site import BLOCKED, NOT_EVALUATED, PASSED, headline, row
from synth_contracts.expectations.measured import result_to_json
from synth_contracts.metrics.measurement import Measurement, NotMeasured


def result(
    state: str | None, severity: str = "error", judged: str = "value", **changes: Any
) -> SimpleNamespace:
    values: dict[str, Any] = {
        "metric": "ks", "value": 0.31, "n": 400, "unit": "rows", "direction": "lower_is_better",
        "method": "m", "compared_with": "holdout", "column": "amount",
    }  # fmt: skip
    record = result_to_json(Measurement(**{**values, **changes}))
    meta = {
        "rule": "ks-amount", "metric": "ks", "column": "amount", "operator": "<=", "limit": 0.25,
        "judged": judged, "severity": severity,
    }  # fmt: skip
    return SimpleNamespace(
        expectation_config=SimpleNamespace(meta=meta, type="expect_column_ks_to_be_at_most"),
        success=state == "holds",
        result={} if state is None else {"details": {"state": state, "result": record}},
    )


@pytest.mark.parametrize(
    ("states", "asked", "expected"),
    [
        ([("holds", "error")], 1, PASSED),
        ([("holds", "error"), ("broken", "warning")], 2, PASSED),
        ([("holds", "error"), ("broken", "error")], 2, BLOCKED),
        ([("not measured", "error"), ("broken", "error")], 2, BLOCKED),
        ([("holds", "error"), ("not measured", "error")], 2, NOT_EVALUATED),
        ([("holds", "error"), (None, "error")], 2, NOT_EVALUATED),
        ([("holds", "error")], 2, NOT_EVALUATED),
        ([("holds", "warning")], 1, NOT_EVALUATED),
        ([], 0, NOT_EVALUATED),
    ],
)
def test_the_headline(states: list[tuple[str | None, str]], asked: int, expected: str) -> None:
    assert headline([row(result(*state)) for state in states], asked) == expected


def test_a_row_says_its_numbers_in_words() -> None:
    found = row(result("broken", lower=0.24, upper=0.38))
    assert (found.rule, found.limit, found.broken) == ("ks of amount", "at most 0.25", "above 0.25")
    assert (found.number, found.interval, found.count) == ("0.31", "0.24 to 0.38", "400 rows")


def test_a_row_has_a_scale_with_value_limit_interval_and_floor() -> None:
    (plot,) = row(result("broken", lower=0.24, upper=0.38, floor=0.1), 3).plots
    assert 'aria-labelledby="r3-t r3-d"' in plot
    assert "value 0.31, limit 0.25, unseen real rows read 0.10" in plot
    at = {
        kind: float(re.search(rf'class="{kind}" (?:d="M|cx=")([\d.]+)', plot)[1])
        for kind in ("limit", "range", "base", "dot")
    }
    assert at["base"] < at["range"] < at["limit"] < at["dot"]


def test_a_limit_over_the_floor_stands_there_on_the_scale_of_values() -> None:
    (plot,) = row(result("holds", judged="over_floor", floor=0.2)).plots
    assert "limit 0.45" in plot
    assert row(result("holds", judged="over_floor")).plots == ()


def test_attacks_and_columns_are_listed_and_no_other_name() -> None:
    attacks = {"attacks": {"distance": {"value": 0.1, "lower": 0.0, "upper": 0.2}, "CANARY": 0.3}}
    plots = row(result("holds", details=attacks), 1, ["amount"]).plots
    assert "distance 0.10" in plots[1]
    columns = {"columns": {"amount": {"value": 0.2, "floor": 0.1}, "CANARY": 0.3}}
    plots = (*plots, *row(result("holds", details=columns), 1, ["amount"]).plots)
    assert "amount 0.20" in plots[3]
    assert "CANARY" not in "".join(plots)


def test_the_text_of_an_error_is_not_repeated() -> None:
    item = result("not measured")
    error = NotMeasured("ks", "ValueError: could not read 'CANARY'", "amount", error=True)
    item.result["details"]["result"] = result_to_json(error)
    assert "CANARY" not in row(item).note
    plain = NotMeasured("ks", "only 150 of 200 entities", "amount")
    item.result["details"]["result"] = result_to_json(plain)
    assert row(item).note == "only 150 of 200 entities"


def page(rows: list[Any], **changes: Any) -> str:
    pages = Environment(
        loader=PackageLoader("synth_contracts.evaluation", "templates"),
        autoescape=True, undefined=StrictUndefined,
    )  # fmt: skip
    statistics = {"evaluated_expectations": len(rows), "successful_expectations": 0}
    facts = {
        "table": "t", "when": "now", "run": "r", "verdict": BLOCKED, "rows": rows, "up": "../",
        "statistics": statistics, "card": "../../card%20a/report-card.html",
    }  # fmt: skip
    return pages.get_template("validation.html.j2").render({**facts, **changes})


def test_a_page_says_its_verdict_first_and_leads_to_the_card() -> None:
    rows = [row(result("broken", lower=0.24, upper=0.38)), row(result(None), 1)]
    text = page(rows)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text.split("</style>")[1])).strip()
    assert words.startswith(BLOCKED)
    assert '<a href="../../card%20a/report-card.html">report card of this run</a>' in text
    assert text.count("<svg") == 1
    assert "stands on the report card" in page([], card=None)
    assert not re.search(r"(src|href)=\"?(https?:|//)|@import|url\(", text)


def test_names_from_outside_are_text_and_not_markup() -> None:
    item = result("broken")
    item.expectation_config.meta["column"] = "<script>1</script>"
    assert "<script" not in page([row(item)], run="<script>", table='"><script>')


def test_a_result_that_says_holds_without_success_is_broken() -> None:
    item = result("holds")
    item.success = False
    assert row(item).state == "broken"
