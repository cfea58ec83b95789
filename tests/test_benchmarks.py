"""The benchmark's own arithmetic: whole process trees are counted, medians and ratios are right."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page():
    sys.path.insert(0, str(FOLDER))
    try:
        return load("page")
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def measured():
    return load("timing").measured


BUSY = "import time; end = time.process_time() + {0}\nwhile time.process_time() < end: pass"


def test_children_count_even_when_nobody_waits_for_them(measured):
    child = BUSY.format(0.6)
    parent = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); "
        "time.sleep(3)"
    )
    cost = measured([sys.executable, "-c", parent], limit=60)
    assert cost.exit == 0
    assert 0.5 < cost.cpu < 3
    assert cost.wall > 2.9
    assert cost.mib > 5


def test_what_does_not_end_is_stopped_at_the_limit(measured):
    for code in ("import time; time.sleep(60)", "while True: pass"):
        cost = measured([sys.executable, "-c", code], limit=1)
        assert cost.exit is None
        assert cost.wall < 40
    assert measured([sys.executable, "-c", "raise SystemExit(3)"], limit=30).exit == 3


def test_short_commands_are_looked_at_often_and_long_ones_seldom():
    pause = load("timing").pause
    assert pause(0.0) == 0.05
    assert pause(1.0) < 0.1
    assert pause(3600.0) == 0.5


def run(tool: str, work: str, cpu: float, repeat: int = 1, *, ended: bool = True, data="cost-2000"):
    return {
        "data": data, "tool": tool, "work": work, "repeat": repeat, "limit": 300, "cpu": cpu,
        "exit": 0 if ended else None, "wall": cpu, "mib": 100, "found": None, "commit": "abc",
        "command": f"python benchmarks/jobs/{tool}.py {work} {data}", "error": None,
    }  # fmt: skip


VERSIONS = {"python": "3.11", "cores": 2, "sdmetrics": "0.32.0"}


def test_medians_and_ratios(page):
    results = [run("synth-contracts", "card", cpu, i) for i, cpu in enumerate((2.0, 4.0, 90.0), 1)]
    results += [run("synth-contracts", "metrics", 1.0)]
    results += [run(tool, work, 8.0) for tool, work in page.TOGETHER]
    text = page.written(results, VERSIONS)
    assert (
        "| synth-contracts | whole card with positive control and null | 4.0 (4.0, 100), 3 |"
        in text
    )
    with_control, without = text.split("Over our ")[1:]
    assert with_control.startswith("whole card with positive control and null")
    assert without.startswith("whole card without them")
    # six parts of 8 seconds each over 4 and over 1
    assert re.search(r"\*\*sum\*\*.* \| 12\.0 \|", with_control)
    assert re.search(r"\*\*sum\*\*.* \| 48\.0 \|", without)
    assert "| part: anonymeter, three attacks | 2.0 |" in with_control
    assert "| part: pycanon, k, l and t together | 6.0 |" in with_control
    assert "| pycanon, t-closeness | 2.0 |" in with_control


def test_a_peer_that_was_stopped_is_a_lower_limit_and_a_failure_is_no_figure(page):
    results = [run("synth-contracts", "card", 10.0), run("sdmetrics", "dcr", 300.0, ended=False)]
    results += [{**run("pycanon", "t", 5.0), "exit": 1}]
    text = page.written(results, VERSIONS)
    assert "| sdmetrics | DCR overfitting protection | stopped at 300 CPU s |" in text
    assert "| part: sdmetrics, DCR overfitting protection | > 30.0 |" in text
    assert "| pycanon | t-closeness | failed |" in text
    assert "| pycanon, t-closeness | – |" in text
    assert "| part: pycanon, k, l and t together | – |" in text
    assert re.search(r"\*\*sum\*\*.* \| – \|", text)


def test_what_was_stopped_on_fewer_rows_is_a_lower_limit_on_more(page):
    results = [run("sdmetrics", "dcr", 300.0, ended=False, data="cost-10000")]
    results += [run("synth-contracts", "card", cpu, data=f"cost-{rows}")
                for rows, cpu in ((2000, 1.0), (10000, 10.0), (50000, 100.0))]  # fmt: skip
    text = page.written(results, VERSIONS)
    told = "stopped at 300 CPU s"
    line = f"| not run | {told} | not run: {told} on 10,000 |"
    assert f"| sdmetrics | DCR overfitting protection {line}" in text
    assert "| part: sdmetrics, DCR overfitting protection | – | > 30.0 | > 3.0 |" in text


def test_the_newest_of_equal_results_counts(page):
    results = [run("synth-contracts", "card", 10.0), run("synth-contracts", "card", 5.0)]
    assert "| 5.0 (5.0, 100), 1 |" in page.written(results, VERSIONS)


def test_what_a_tool_blocks_is_counted_apart_from_what_did_not_end(page):
    def seen(seed, *, ended=True, **found):
        one = run("sdmetrics", "dcr", 1.0, data=f"detect-exact-5-{seed}", ended=ended)
        return {**one, "found": found}

    results = [seen(1, score=1.0), seen(2, score=0.98), seen(3, ended=False)]
    text = page.written(results, VERSIONS)
    line = next(line for line in text.splitlines() if line.startswith("| exact 5 %"))
    assert "1 of 2 (1.000), 1 did not end" in line


def test_jobs_are_chosen_by_data_tool_and_work(page):
    sys.path.insert(0, str(FOLDER))
    try:
        chosen = load("run")._chosen
    finally:
        sys.path.remove(str(FOLDER))
    job = ("cost-10000", "sdmetrics", "dcr", 1)
    for word in ("", "cost", "cost-10000/sdmetrics/dcr", "*/sdm", "*/*/dcr"):
        assert chosen(job, [word]), word
    for word in ("detect", "cost/anonymeter", "cost/sdmetrics/quality", "*/*/k"):
        assert not chosen(job, [word]), word
    assert chosen(job, ["detect", "cost"])
    assert not chosen(job, [])


def test_what_is_committed_counts_until_it_is_measured_again(tmp_path):
    kept, local, file = load("kept"), tmp_path / "results.jsonl", tmp_path / "page.json"

    def read():
        return kept.lines(file, local, lambda one: one["data"])

    assert read() == []
    failed = {"data": "b", "exit": None, "cpu": 1.0, "error": "File /home/someone/x.py"}
    told = {"data": "c", "state": "no_entity", "reason": "the table has no entities"}
    kept.keep(file, [{"data": "a", "exit": 0, "cpu": 2.0}, failed, told], {"peer": "1.0"})
    assert "someone" not in file.read_text()
    local.write_text('{"data": "a", "exit": 0, "cpu": 3.0}\n{"data": "d", "cpu": 4.0}\n')
    assert {one["data"]: one.get("cpu") for one in read()} == {
        "a": 3.0,
        "b": 1.0,
        "c": None,
        "d": 4.0,
    }
    assert told in read()
    assert kept.versions(file, {"peer": "not installed", "other": "2.0"}) == {
        "peer": "1.0", "other": "2.0",
    }  # fmt: skip
    assert kept.versions(file, {"peer": "1.1"}) == {"peer": "1.1"}
