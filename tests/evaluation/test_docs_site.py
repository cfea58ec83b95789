"""The headline of a page follows the rules of severity error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from synth_contracts.evaluation.docs_site import BLOCKED, NOT_EVALUATED, PASSED, headline, row
from synth_contracts.expectations.measured import result_to_json
from synth_contracts.metrics.measurement import Measurement


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


def test_a_result_that_says_holds_without_success_is_broken() -> None:
    item = result("holds")
    item.success = False
    assert row(item).state == "broken"
