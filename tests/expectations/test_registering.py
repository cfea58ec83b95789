"""Importing the package registers the expectations; stored suites never load without them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
import pytest
from great_expectations.expectations.registry import get_expectation_impl

import synth_contracts.expectations as sce
from synth_contracts.expectations.catalog import EXPECTATIONS

ASSET = {"data_source": "shop", "batch_definition": "whole"}
COUNT = """
from great_expectations.expectations.registry import list_registered_expectation_implementations
names = list_registered_expectation_implementations()
print(sum(name in {types!r} for name in names))
"""


def run(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_importing_after_great_expectations_registers(tmp_path: Path) -> None:
    code = "import great_expectations\nimport synth_contracts.expectations"
    assert run(code + COUNT.format(types=sorted(EXPECTATIONS)), tmp_path) == str(len(EXPECTATIONS))


def test_importing_before_great_expectations_registers(tmp_path: Path) -> None:
    code = "import synth_contracts.expectations\nimport great_expectations"
    assert run(code + COUNT.format(types=sorted(EXPECTATIONS)), tmp_path) == str(len(EXPECTATIONS))


def test_importing_before_registers_costs_nothing_and_opens_no_socket(tmp_path: Path) -> None:
    code = """
import sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith("socket.") else None)
import synth_contracts.expectations as sce
early = "great_expectations" in sys.modules
kind = sce.ExpectColumnKsToBeAtMost
import great_expectations
assert not early, "great_expectations was imported with ours"
assert kind.expectation_type == "expect_column_ks_to_be_at_most"
assert not [e for e in seen if e != "socket.gethostname"], seen
"""
    assert run(code + COUNT.format(types=sorted(EXPECTATIONS)), tmp_path) == str(len(EXPECTATIONS))


def test_some_of_the_expectations_come_with_all(tmp_path: Path) -> None:
    code = "from synth_contracts.expectations.privacy import ExpectTableKAnonymityToBeAtLeast"
    assert run(code + COUNT.format(types=sorted(EXPECTATIONS)), tmp_path) == str(len(EXPECTATIONS))


def test_the_package_offers_every_class() -> None:
    classes = {kind.__name__: kind for kind in EXPECTATIONS.values()}
    assert {name: getattr(sce, name) for name in classes} == classes
    assert set(classes) < set(dir(sce))
    with pytest.raises(AttributeError, match="ExpectNothing"):
        sce.ExpectNothing  # noqa: B018
    assert all(get_expectation_impl(name) is kind for name, kind in EXPECTATIONS.items())


@pytest.fixture
def project(tmp_path: Path) -> Any:
    """A file project with a stored checkpoint: one expectation holds, one is broken, one cannot be measured."""
    tables = {
        "real": pd.DataFrame({"amount": [1.0, 2.0, 3.0, 4.0]}),
        "made": pd.DataFrame({"amount": [1.0, 2.0, 3.0, 9.0]}),
    }
    context = gx.get_context(mode="file", project_root_dir=tmp_path)
    source = context.data_sources.add_pandas("shop")
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        asset = source.add_csv_asset(name, filepath_or_buffer=tmp_path / f"{name}.csv")
        asset.add_batch_definition("whole")
    reference = {**ASSET, "asset": "real"}
    suite = context.suites.add(gx.ExpectationSuite(name="synthetic"))
    ks: dict[str, Any] = {"column": "amount", "reference": reference}
    suite.add_expectation(sce.ExpectColumnKsToBeAtMost(max_value=0.25, seed=3, **ks))
    suite.add_expectation(sce.ExpectColumnKsToBeAtMost(max_value=0.1, judged="value", **ks))
    suite.add_expectation(
        sce.ExpectTableIdenticalMatchToBeAtMost(max_value=0.1, reference=reference)
    )
    batch = source.get_asset("made").get_batch_definition("whole")
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="made", data=batch, suite=suite)
    )
    context.checkpoints.add(gx.Checkpoint(name="made", validation_definitions=[definition]))
    return context


def test_a_stored_checkpoint_runs_in_another_process(project: Any, tmp_path: Path) -> None:
    code = f"""
import synth_contracts.expectations
import great_expectations as gx, json
context = gx.get_context(mode="file", project_root_dir={str(tmp_path)!r})
(result,) = context.checkpoints.get("made").run().run_results.values()
print(json.dumps([[r.success, r.result["observed_value"]] for r in result.results]))
"""
    found = json.loads(run(code, tmp_path))
    assert sorted(found, key=str) == [[False, 0.25], [False, None], [True, 0.25]]
    kept = json.loads((tmp_path / "gx" / "expectations" / "synthetic.json").read_text())
    assert [item["kwargs"].get("seed") for item in kept["expectations"]] == [3, None, None]
    assert [item["kwargs"].get("judged") for item in kept["expectations"]] == [None, "value", None]


def test_data_docs_say_what_was_expected_and_found(project: Any, tmp_path: Path) -> None:
    project.checkpoints.get("made").run()
    project.build_data_docs()
    pages = tmp_path / "gx" / "uncommitted" / "data_docs" / "local_site"
    (page,) = (pages / "validations").rglob("*.html")
    shown = page.read_text(encoding="utf-8")
    for sentence in (
        "ks of amount is at most 0.25, reference shop/real/whole",
        "the lower 95 % bound of identical_match is at most 0.10, reference shop/real/whole",
        "not measured: it needs a holdout",
        ", holds",
        ", broken",
    ):
        assert sentence in shown, sentence
    (suite,) = (pages / "expectations").rglob("*.html")
    assert "ks of amount is at most 0.10" in suite.read_text(encoding="utf-8")


def test_the_sentence_of_great_expectations_cloud_is_the_same(project: Any) -> None:
    (result,) = project.checkpoints.get("made").run().run_results.values()
    for item in result.results:
        item.render()
    said = [
        item.expectation_config.rendered_content or item.rendered_content for item in result.results
    ]
    texts = json.dumps([part.to_json_dict() for parts in said for part in parts])
    assert "ks of amount is at most 0.25, reference shop/real/whole" in texts
