"""Evaluations as people meet them: in a terminal, a notebook, a frame and JSON."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

import synth_contracts as sc
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
MEASURED = Measurement(
    "ks", 0.125, 1234, "rows", "lower_is_better", "two-sample", "holdout", "amount",
    lower=-0.5, upper=0.75, bound_lower=-0.4, bound_upper=0.6, floor=0.0625,
)  # fmt: skip
UNMEASURED = NotMeasured("k_anonymity", "the holdout table has no rows")
EVALUATION = Evaluation(
    contract_digest="a" * 64, rows_digest="b" * 64, train_digest="c" * 64, holdout_digest="",
    seed=7, n_train=20, n_holdout=0, n_synthetic=1500, entities_train=2, entities_holdout=0,
    results={"ks-amount": MEASURED, "k_anonymity": UNMEASURED}, reported={"ks": MEASURED},
)  # fmt: skip
NOTHING = replace(EVALUATION, results={}, reported={})
ONLY_REASONS = replace(EVALUATION, results={"k_anonymity": UNMEASURED}, reported={})


class Cells(HTMLParser):
    """The text of each cell by row, every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        self._cell = tag in ("td", "th", "caption") or (self._cell and tag not in ("tr", "table"))
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and self._cell:
            self.rows[-1][-1] += data


# Notebook.


def test_a_row_shows_the_number_with_all_that_belongs_to_it() -> None:
    [head, first, second, third] = Cells(EVALUATION._repr_html_()).rows
    assert head == [
        "rule", "measured", "value", "95 % interval", "n", "floor", "ceiling", "compared with",
    ]  # fmt: skip
    assert first == [
        "ks-amount", "Distribution of a column: amount (lower is better)", "0.12",
        "−0.50 to 0.75", "1,234 rows", "0.062", "–", "holdout",
    ]  # fmt: skip
    assert second == [
        "k_anonymity", "Smallest group on the quasi-identifiers",
        "not measured: the holdout table has no rows",
    ]  # fmt: skip
    assert third[0] == "ksreported, no rule"


@pytest.mark.parametrize("shown", [EVALUATION, NOTHING, ONLY_REASONS, MEASURED, UNMEASURED])
def test_the_table_needs_no_script_no_sheet_and_no_network(shown: Any) -> None:
    html = shown._repr_html_()
    tags = Cells(html).tags
    assert {tag for tag, _ in tags} <= {
        "table", "caption", "thead", "tbody", "tr", "th", "td", "code", "strong", "br", "small",
    }  # fmt: skip
    assert {name for _, attrs in tags for name in attrs} <= {"style", "scope", "colspan"}
    assert not re.search(r"url\(|https?:|#[0-9a-f]{3,6}\b|\bsafe\b|color:(?!inherit)", html)


def test_what_comes_from_outside_is_escaped() -> None:
    evil = '<img src=x onerror="alert(1)">&'
    found = replace(
        EVALUATION,
        results={
            evil: replace(MEASURED, column=evil, unit=evil, compared_with=evil),
            "b": NotMeasured(evil, evil, evil),
        },
    )
    assert "<img" not in found._repr_html_()
    rows = Cells(found._repr_html_()).rows
    assert rows[1][0] == evil
    assert rows[2][2] == f"not measured: {evil}"


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, None, True, "0.1", 0.1 + 0j, NotMeasured("ks", ""), "text"],
    ids=repr,
)  # fmt: skip
def test_what_is_no_number_shows_as_not_measured_everywhere(value: Any) -> None:
    whole = isinstance(value, NotMeasured) or value == "text"
    result = value if whole else replace(MEASURED, value=value)
    found = replace(EVALUATION, results={"r": result}, reported={})
    assert Cells(found._repr_html_()).rows[1][2].startswith("not measured: ")
    assert "0 of 1 rules measured, 1 not" in repr(found)
    row = found.to_frame().iloc[0]
    assert row["kind"] == "not measured"
    assert row["value"] is pd.NA
    assert row["reason"]


# Terminal.


def test_a_terminal_gets_a_few_lines() -> None:
    assert repr(MEASURED) == (
        "Measurement(ks of amount 0.12 (95 % interval −0.50 to 0.75), n 1,234 rows)"
    )
    assert repr(UNMEASURED) == (
        "NotMeasured(k_anonymity not measured: the holdout table has no rows)"
    )
    assert str(EVALUATION).splitlines() == [
        "Evaluation of 1,500 synthetic rows against 20 of train and 0 of holdout, seed 7",
        "  1 of 2 rules measured, 1 not; 1 of 1 more reported without a rule",
        "  not measured: k_anonymity (the holdout table has no rows)",
        "  to_frame() has the numbers, judge(contract, evaluation) the verdict",
    ]
    many = {f"r{i}": NotMeasured("ks", f"reason {i} " * 50, "c") for i in range(99)}
    shown = repr(replace(EVALUATION, results=many))
    assert len(shown.splitlines()) <= 10
    assert len(shown) < 2000


# Frames.


def test_a_frame_has_one_row_per_result() -> None:
    frame = EVALUATION.to_frame()
    assert frame["rule"].tolist() == ["ks-amount", "k_anonymity", "ks"]
    assert frame["reported"].tolist() == [False, False, True]
    first, second = frame.iloc[0], frame.iloc[1]
    assert (first["value"], first["lower"], first["upper"]) == (0.125, -0.5, 0.75)
    assert (first["bound_lower"], first["bound_upper"], first["floor"]) == (-0.4, 0.6, 0.0625)
    assert (first["n"], first["unit"], first["column"]) == (1234, "rows", "amount")
    assert first["ceiling"] is pd.NA
    assert second["reason"] == "the holdout table has no rows"
    assert frame.loc[1, "value":"compared_with"].isna().all()
    # a filter for values within a limit lets nothing through that was not measured
    assert frame[frame["value"] <= 0.2]["rule"].tolist() == ["ks-amount", "ks"]
    assert frame[~(frame["value"] > 0.2)]["rule"].tolist() == ["ks-amount", "ks"]


def test_dtypes_do_not_depend_on_what_was_measured() -> None:
    wanted = EVALUATION.to_frame().dtypes
    for other in (NOTHING, ONLY_REASONS):
        pd.testing.assert_series_equal(other.to_frame().dtypes, wanted)
    alone = [result.to_frame() for result in (MEASURED, UNMEASURED)]
    for frame in alone:
        assert len(frame) == 1
        pd.testing.assert_series_equal(frame.dtypes, wanted.drop(["rule", "reported"]))
    assert pd.concat(alone)["value"].dtype == "Float64"


def test_the_page_names_every_column_of_a_frame() -> None:
    table = PAGE.split("| column | dtype | is |")[1].split("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert told == list(EVALUATION.to_frame().columns)


# JSON.


def test_real_evaluations_fit_the_schema_and_come_back(direct: Evaluation) -> None:
    schema = sc.evaluation_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for found in (direct, EVALUATION, NOTHING):
        text = json.dumps(found.to_json(), allow_nan=False)
        check.validate(json.loads(text))
        assert Evaluation.from_json(json.loads(text)) == found
    one = jsonschema.Draft202012Validator({"$ref": "#/$defs/result", "$defs": schema["$defs"]})
    for result in direct.measurements:
        one.validate(result.to_json())


def test_a_checkpoint_s_evaluation_fits_the_schema(checked: Evaluation) -> None:
    jsonschema.validate(checked.to_json(), sc.evaluation_schema())


def changed(**values: Any) -> dict[str, Any]:
    return {**EVALUATION.to_json(), **values}


def result(**values: Any) -> dict[str, Any]:
    return changed(results={"r": {**MEASURED.to_json(), **values}})


@pytest.mark.parametrize(
    "record",
    [changed(format="synth-contracts/evaluation/v2"), changed(seed="7"), changed(more=1),
     changed(rows_digest="short"), result(value=None), result(value="0.1"), result(lower="x"),
     result(direction="up"), result(extra=1), result(kind="not_measured"),
     changed(results={"r": {**UNMEASURED.to_json(), "reason": ""}}),
     changed(results={"r": {**UNMEASURED.to_json(), "value": 0}}),
     {k: v for k, v in EVALUATION.to_json().items() if k != "results"}],
)  # fmt: skip
def test_the_schema_refuses_what_no_evaluation_writes(record: Mapping[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(sc.evaluation_schema()).is_valid(record)


@pytest.mark.parametrize("record", [{}, [], None, changed(format="v2"), changed(more=1)], ids=str)
def test_foreign_json_is_refused(record: Any) -> None:
    with pytest.raises(ValueError, match="not an evaluation"):
        Evaluation.from_json(record)


def test_what_is_not_finite_cannot_be_published() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite JSON"):
            replace(MEASURED, value=value).to_json()
        with pytest.raises(ValueError, match="not finite JSON"):
            replace(EVALUATION, results={"r": replace(MEASURED, value=value)}).to_json()


def test_the_schema_describes_every_field_of_the_records() -> None:
    schema = sc.evaluation_schema()
    for described, record, tag in (
        (schema, Evaluation, "format"),
        (schema["$defs"]["measurement"], Measurement, "kind"),
        (schema["$defs"]["not_measured"], NotMeasured, "kind"),
    ):
        names = {tag} | {field.name for field in fields(record)}
        assert set(described["properties"]) == names == set(described["required"])
    schema["properties"].clear()  # a copy: the next reader gets the whole one
    assert sc.evaluation_schema()["properties"]


# The page.


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 6
    space: dict[str, Any] = {}
    for block in blocks:
        ast.parse(block)
        exec(compile(block, "docs/notebook.md", "exec"), space)
    assert space["verdict"].outcome in sc.Outcome
    assert len(space["missing"]) < len(space["frame"])
    printed = PAGE.split("```text\n")[1].split("```")[0]
    assert space["unfit"].results["identical_match"].reason + "\n" == printed
