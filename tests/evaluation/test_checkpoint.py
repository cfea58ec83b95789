"""The checkpoint: the same numbers as evaluate(), computed once, and never a pass by default."""

from __future__ import annotations

import copy
import json
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from synth_contracts import metrics
from synth_contracts.contract.model import Contract
from synth_contracts.errors import NotEvaluatedError
from synth_contracts.evaluation import Digests, evaluation_to_json, sealed
from synth_contracts.evaluation import checkpoint as module
from synth_contracts.evaluation.checkpoint import open_project, read_back, run_checkpoint
from synth_contracts.evaluation.docs_site import BLOCKED, NOT_EVALUATED, PASSED
from synth_contracts.expectations import measured, reading
from synth_contracts.expectations.catalog import EXPECTATIONS
from synth_contracts.gate import Outcome, judge
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured

SECRET = b"a secret of at least sixteen bytes"
ROOT = Path(__file__).resolve().parents[2]
HEADLINES = {
    Outcome.PASSED: PASSED, Outcome.FAILED: BLOCKED, Outcome.NOT_EVALUATED: NOT_EVALUATED,
}  # fmt: skip


def page(gx_root: Path, evaluation: Evaluation) -> str:
    assert evaluation.validation is not None
    return (gx_root / evaluation.validation["docs"]).read_text(encoding="utf-8")


def first_heading(html: str) -> str:
    found = re.search(r"<h1[^>]*>([^<]+)</h1>", html)
    assert found is not None
    return found.group(1)


def test_both_doors_give_the_same_numbers(direct: Evaluation, checked: Evaluation) -> None:
    assert checked.results == direct.results
    assert list(checked.results) == list(direct.results)
    same = ("contract_digest", "rows_digest", "train_digest", "holdout_digest", "seed", "n_train",
            "n_holdout", "n_synthetic", "entities_train", "entities_holdout", "reported")  # fmt: skip
    assert all(getattr(checked, name) == getattr(direct, name) for name in same)


def test_the_evaluation_is_sealed_and_names_its_validation(
    contract: Contract, checked: Evaluation, gx_root: Path
) -> None:
    assert sealed(checked, SECRET)
    assert checked.validation is not None
    assert checked.validation["suite"] == contract.table
    assert checked.validation["run_id"] == "first"
    assert checked.validation["evaluated"] == len(contract.rules)
    stored = list((gx_root / "uncommitted" / "validations").rglob("*.json"))
    assert len(json.loads(stored[0].read_text())["results"]) == len(contract.rules)


def test_the_page_says_what_the_gate_says_and_opens_offline(
    contract: Contract, checked: Evaluation, gx_root: Path
) -> None:
    verdict = judge(contract, checked)
    assert first_heading(page(gx_root, checked)) == HEADLINES[verdict.outcome]
    pages = list((gx_root / "uncommitted" / "data_docs").rglob("*.*"))
    assert {p.suffix for p in pages if p.is_file()} == {".html"}
    assert len(pages) >= 3
    for path in (p for p in pages if p.is_file()):
        html = path.read_text(encoding="utf-8")
        assert not re.search(r"<(script|img|link|iframe)\b", html), path
        assert "http://" not in html.replace('http-equiv="', ""), path
        assert "https://" not in html, path
        for link in re.findall(r'href="([^"]+)"', html):
            assert (path.parent / link.replace("%20", " ")).exists(), (path, link)
    body = page(gx_root, checked)
    assert '<th scope="col">Severity</th>' in body
    assert all(rule.metric in body for rule in contract.rules)


def test_heavy_work_is_done_once_and_each_metric_once(
    contract: Contract,
    comparison: metrics.Comparison,
    digests: Digests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    one = Measurement("m", 0.1, 1, "rows", "lower_is_better", "m", "holdout")

    def measure(metric: str, given: Any, *, column: Any = None, options: Any = None) -> Measurement:
        assert given is comparison
        seen.append(metric)
        way = "higher_is_better" if metric == "k_anonymity" else "lower_is_better"
        return replace(one, metric=metric, column=column, direction=way)

    lookups: list[str] = []
    found = reading.lookup
    monkeypatch.setattr(metrics, "measure", measure)
    monkeypatch.setattr(reading, "lookup", lambda name: (lookups.append(name), found(name))[1])
    lines: list[str] = []
    run_checkpoint(
        contract, comparison, digests=digests, gx_root=tmp_path / "gx", secret=SECRET,
        run_name="count", progress=lines.append,
    )  # fmt: skip
    asked = [*(rule.metric for rule in contract.rules), *contract.report_only]
    assert sorted(seen) == sorted(asked)
    assert lookups == ["comparison"]
    begun = [line for line in lines if line.startswith("measuring ")]
    assert len(begun) == len(asked)


def test_a_checkpoint_that_measures_two_metrics_at_a_time_finds_the_same(
    contract: Contract,
    comparison: metrics.Comparison,
    digests: Digests,
    checked: Evaluation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: set[str] = set()
    real = metrics.measure

    def measure(*args: Any, **options: Any) -> Any:
        threads.add(threading.current_thread().name)
        return real(*args, **options)

    monkeypatch.setattr(measured, "_MANY_ROWS", 0)
    monkeypatch.setattr(metrics, "measure", measure)
    found = run_checkpoint(
        contract, comparison, digests=digests, gx_root=tmp_path / "gx", secret=SECRET,
        run_name="first",
    )  # fmt: skip
    assert len(threads) == 2
    assert threading.current_thread().name not in threads
    told, before = evaluation_to_json(found), evaluation_to_json(checked)
    for record in (told, before):
        record["controls"].pop("seconds", None)
    for part in ("results", "reported", "controls"):
        assert told[part] == before[part]


def test_a_metric_that_raises_ends_not_evaluated_with_one_message(
    contract: Contract,
    comparison: metrics.Comparison,
    digests: Digests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = metrics.measure
    calls: list[str] = []

    def measure(metric: str, *args: Any, **options: Any) -> Any:
        if metric != "membership_inference":
            return NotMeasured(metric, "not in this test", options.get("column"))
        calls.append(metric)
        raise RuntimeError("a bug")

    assert callable(real)
    monkeypatch.setattr(metrics, "measure", measure)
    with caplog.at_level(logging.WARNING):
        found = run_checkpoint(
            contract, comparison, digests=digests, gx_root=tmp_path / "gx", secret=SECRET,
            run_name="raises",
        )  # fmt: skip
    assert calls == ["membership_inference"]
    assert [r.getMessage() for r in caplog.records] == ["membership_inference raised"]
    verdict = judge(contract, found)
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert "error: RuntimeError in membership_inference" in verdict.reasons[0].text
    assert first_heading(page(tmp_path / "gx", found)) == NOT_EVALUATED


def test_a_blocked_run_replaces_the_suite_and_says_so_first(
    contract: Contract,
    thirds: Mapping[str, pd.DataFrame],
    digests: Digests,
    checked: Evaluation,
    gx_root: Path,
    comparison: metrics.Comparison,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = (gx_root / "great_expectations.yml").read_bytes()
    leak = {rule.id: checked.results[rule.id] for rule in contract.rules}

    def measure(metric: str, _: Any, *, column: Any = None, options: Any = None) -> Any:
        found = next(r for r in leak.values() if (r.metric, r.column) == (metric, column))
        return replace(found, value=0.31) if metric == "membership_inference" else found

    monkeypatch.setattr(metrics, "measure", measure)
    fewer = replace(contract, rules=contract.rules[:3])
    found = run_checkpoint(
        fewer, comparison, digests=vars(digests), gx_root=gx_root, secret=SECRET, run_name="second"
    )
    assert judge(fewer, found).outcome is Outcome.FAILED
    assert first_heading(page(gx_root, found)) == BLOCKED
    suite = json.loads((gx_root / "expectations" / "transactions.json").read_text())
    assert len(suite["expectations"]) == 3
    index = (gx_root / "uncommitted/data_docs/local_site/index.html").read_text()
    assert index.count("validations/transactions/") == 2
    assert (gx_root / "great_expectations.yml").read_bytes() == before


def test_an_empty_suite_is_a_success_for_great_expectations_and_not_for_the_gate(
    contract: Contract, checked: Evaluation, gx_root: Path, tmp_path: Path
) -> None:
    """In a process that never imported our expectations the stored suite loads empty."""
    code = f"""
import great_expectations as gx, pandas as pd, json, sys
context = gx.get_context(mode="file", context_root_dir={str(gx_root)!r})
suite = context.suites.get("transactions")
batch = context.data_sources.get("staging").get_asset("synthetic").get_batch_definition("candidate")
batch = batch.get_batch(batch_parameters={{"dataframe": pd.DataFrame({{"a": [1]}})}})
result = batch.validate(suite)
assert not any(name.startswith("synth_contracts.expectations.catalog") for name in sys.modules)
print(json.dumps([len(suite.expectations), result.success, len(result.results)]))
"""
    # the site builder of the project file belongs to this package; only the catalog registers
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, True, 0]

    class Empty:
        results: tuple[Any, ...] = ()
        success = True

    results = read_back(contract, Empty())
    assert list(results) == [rule.id for rule in contract.rules]
    assert all(isinstance(r, NotMeasured) and r.error for r in results.values())
    verdict = judge(contract, replace(checked, results=results))
    assert verdict.outcome is Outcome.NOT_EVALUATED


@pytest.fixture
def validation(
    contract: Contract,
    comparison: metrics.Comparison,
    checked: Evaluation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """A validation result of all rules, with the measurements of ``checked``."""

    def measure(metric: str, _: Any, *, column: Any = None, options: Any = None) -> Any:
        found = checked.results.values()
        return next(r for r in found if (r.metric, r.column) == (metric, column))

    monkeypatch.setattr(metrics, "measure", measure)
    measuring = module.Measuring(comparison)
    _, result = module._validate(open_project(tmp_path / "gx"), contract, measuring, "tampered")
    assert read_back(contract, result) == checked.results
    return result


@pytest.mark.parametrize(
    "tamper",
    ["drop", "twice", "limit", "type", "meta", "judged", "exception", "no details", "kind"],
)
def test_read_back_takes_nothing_but_sound_results_of_the_rule(
    contract: Contract, validation: Any, tamper: str
) -> None:
    item = validation.results[0]
    config = item.expectation_config
    rule_id = config.meta["rule"]
    if tamper == "drop":
        validation.results.pop(0)
    elif tamper == "twice":
        validation.results.append(copy.deepcopy(item))
    elif tamper == "limit":
        config.kwargs["max_value"] = 0.9
    elif tamper == "type":
        config._type = "expect_table_ks_mean_to_be_at_most"
    elif tamper == "meta":
        config.meta = {**config.meta, "severity": "warning"}
    elif tamper == "judged":
        config.kwargs["judged"] = "lower"
    elif tamper == "exception":
        item.exception_info = {"m": {"raised_exception": True, "exception_message": "boom"}}
    elif tamper == "no details":
        item.result = {"observed_value": 0.0}
    else:
        item.result["details"]["result"]["kind"] = "passed"
    found = read_back(contract, validation)[rule_id]
    assert isinstance(found, NotMeasured)
    assert found.error


def test_results_of_no_rule_are_shown_to_the_gate(
    contract: Contract, validation: Any, checked: Evaluation
) -> None:
    fewer = replace(contract, rules=contract.rules[1:])
    found = replace(checked, results=read_back(fewer, validation))
    assert judge(fewer, found).outcome is not Outcome.PASSED
    assert contract.rules[0].id in found.results


def test_a_class_of_the_same_name_is_noticed(
    contract: Contract,
    comparison: metrics.Comparison,
    digests: Digests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from great_expectations.expectations import registry

    name = "expect_table_membership_inference_to_be_at_most"
    other = EXPECTATIONS["expect_table_ks_mean_to_be_at_most"]
    monkeypatch.setitem(registry._registered_expectations, name, other)
    with pytest.raises(NotEvaluatedError, match=name):
        run_checkpoint(
            contract, comparison, digests=digests, gx_root=tmp_path / "gx", secret=SECRET,
            run_name="replaced",
        )  # fmt: skip


def test_another_batch_than_the_bound_candidate_is_not_measured(
    contract: Contract,
    comparison: metrics.Comparison,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pd.DataFrame, "equals", lambda *_: False)
    measuring = module.Measuring(comparison)
    _, result = module._validate(open_project(tmp_path / "gx"), contract, measuring, "other")
    found = read_back(contract, result)
    assert all(isinstance(r, NotMeasured) and r.error for r in found.values())
    assert not measuring.timings


def test_a_run_opens_no_socket(
    contract: Contract,
    comparison: metrics.Comparison,
    digests: Digests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[Any] = []

    def connect(_: socket.socket, address: Any) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(
        metrics, "measure", lambda m, *_, column=None, **__: NotMeasured(m, "not here", column)
    )
    run_checkpoint(
        contract, comparison, digests=digests, gx_root=tmp_path / "gx", secret=SECRET,
        run_name="offline",
    )  # fmt: skip
    assert tried == []


def test_a_damaged_project_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "great_expectations.yml").write_text("config_version: 4.0\n", encoding="utf-8")
    with pytest.raises(NotEvaluatedError) as caught:
        open_project(tmp_path)
    assert str(tmp_path / "great_expectations.yml") in str(caught.value)


def test_the_committed_project_is_the_packages_template() -> None:
    template = ROOT / "synth_contracts/evaluation/templates/great_expectations.yml"
    assert (ROOT / "gx/great_expectations.yml").read_bytes() == template.read_bytes()


def test_no_value_of_a_real_row_is_stored(
    contract: Contract,
    thirds: Mapping[str, pd.DataFrame],
    digests: Digests,
    compare: Callable[[Contract, Mapping[str, pd.DataFrame]], metrics.Comparison],
    tmp_path: Path,
) -> None:
    """Planted values of train and holdout stand in no file of the project."""
    planted = {name: frame.copy() for name, frame in thirds.items()}
    for name, amount in (("train", 98765.4321), ("holdout", 87654.3219)):
        planted[name].loc[0, ["amount", "age"]] = [amount, f"canary-{name}"]
    canaries = ["98765.4", "87654.3", "canary-"]
    run_checkpoint(
        contract, compare(contract, planted), digests=digests, gx_root=tmp_path / "gx", secret=SECRET,
        run_name="canary",
    )  # fmt: skip
    files = [p for p in (tmp_path / "gx").rglob("*") if p.is_file()]
    text = "\n".join(p.read_text(encoding="utf-8") for p in files)
    assert "membership_inference" in text
    assert [c for c in canaries if c in text] == []
