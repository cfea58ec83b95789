"""The generators' benchmark: its halves share no entity, its medians and its front are right."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def rooms():
    """Its modules; their names are plain, so none of them stays behind for other tests."""
    where = [str(FOLDER / "generators" / "jobs"), str(FOLDER / "generators"), str(FOLDER)]
    names = ("sides", "summary", "picture", "given", "datasets")
    sys.path[:0] = where
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        for path in where:
            sys.path.remove(path)
        for name in names:
            sys.modules.pop(name, None)


def line(model, cpu, pairs=0.1, *, seed=1, table="flights", state="done", broken=False):
    one = {"table": table, "model": model, "seed": seed, "limit": 480.0, "state": state,
           "cpu": cpu, "wall": cpu, "mib": 100, "commit": "abc"}  # fmt: skip
    if state != "done":
        return one
    rules = [
        {"metric": "pair_association", "family": "fidelity", "value": pairs, "number": pairs,
         "status": "failed" if broken else "passed", "severity": "error"},
        {"metric": "membership_inference", "family": "privacy", "value": 0.02, "number": 0.02,
         "status": "passed", "severity": "error"},
        {"metric": "hour_profile", "family": "fidelity", "value": None, "number": None,
         "status": "not_measured", "severity": "error"},
    ]  # fmt: skip
    return one | {"judged": {"outcome": "PASSED", "rules": rules, "rows": 5000}}


def test_halves_share_no_entity_and_repeat(rooms):
    whole = pd.DataFrame({"who": [f"p{i % 90}" for i in range(3000)], "x": range(3000)})
    whole.loc[::7, "who"] = None
    one, other = rooms["sides"].halves(whole, "who", 800, 1)
    assert len(one) == len(other) == 800
    assert not set(one["who"]) & set(other["who"])
    assert one["who"].notna().all()
    assert one.equals(rooms["sides"].halves(whole, "who", 800, 1)[0])
    assert not one.equals(rooms["sides"].halves(whole, "who", 800, 2)[0])
    rows = pd.DataFrame({"x": range(100)})
    one, other = rooms["sides"].halves(rows, "", 50, 1)
    assert not set(one["x"]) & set(other["x"])


def test_keys_are_dealt_in_trains_proportion(rooms, tmp_path):
    train = pd.DataFrame(
        {"id": range(60), "who": np.repeat([f"a{i}" for i in range(20)], 3), "x": 1.0}
    )
    roles = {"primary": ["id"], "entity": "who", "time": "", "codes": []}
    made = rooms["given"].features(train, roles)
    assert list(made.columns) == ["x"]
    rooms["given"].write(tmp_path / "made.parquet", made.head(30), train, roles, 1)
    written = pd.read_parquet(tmp_path / "made.parquet")
    assert list(written.columns) == list(train.columns)
    assert written["who"].nunique() == 10
    assert written["id"].is_unique
    assert written["id"].dtype == train["id"].dtype


def test_medians_ranges_and_what_is_not_measured(rooms):
    summary = rooms["summary"]
    lines = [line("ours", cpu, pairs, seed=seed, broken=pairs > 0.2)
             for seed, (cpu, pairs) in enumerate([(2.0, 0.1), (4.0, 0.3), (9.0, 0.1)], 1)]  # fmt: skip
    lines += [line("gan", 480.0, state="stopped")]
    text = summary.written(lines, {"sdv": "2.0"})
    # a rule that was not measured is not held
    assert "| ours | 4.0 | 100 | 3 | 0.100 | 1 to 2 of 2 |" in text
    assert "| gan | stopped at 480 |" in text
    assert "| ours | 0.020 | 0 of 1 |" in text
    assert summary.hopeless(lines, "flights", "gan")
    assert not summary.hopeless(lines, "adult", "gan")
    again = [*lines, line("gan", 300.0, state="done")]
    assert not summary.hopeless(again, "flights", "gan")
    assert len(summary.newest(again)) == 4


def test_the_front_holds_whom_no_other_beats_on_both(rooms):
    front = rooms["summary"].front
    lines = [line("quick", 1.0, 0.4), line("good", 50.0, 0.02), line("between", 10.0, 0.1),
             line("dear", 60.0, 0.1), line("bad", 10.0, 0.5), line("never", 480.0, state="stopped")]  # fmt: skip
    assert front(lines, "flights") == ["quick", "between", "good"]
    assert front([*lines, line("best", 0.5, 0.01)], "flights") == ["best"]
    equal = [line("one", 1.0, 0.1), line("two", 1.0, 0.1)]
    assert front(equal, "flights") == ["one", "two"]


def test_the_picture_has_a_mark_for_each_run_in_its_place(rooms):
    picture = rooms["picture"]
    lines = [line("ours", 2.0, 0.05), line("ours", 4.0, 0.05, seed=2), line("slow", 200.0, 0.3),
             line("never", 480.0, state="stopped"), line("ours", 3.0, 0.2, table="adult")]  # fmt: skip
    root = ElementTree.fromstring(picture.drawn(lines))
    space = "{http://www.w3.org/2000/svg}"
    marks = {}
    for mark in root.iter(f"{space}circle"):
        title = mark.find(f"{space}title")
        if title is not None:
            marks[title.text] = (float(mark.get("cx")), float(mark.get("cy")))
    assert len(marks) == 4
    near, far = marks["ours, seed 1: 2.0 s, 0.050"], marks["slow, seed 1: 200.0 s, 0.300"]
    assert near[0] < marks["ours, seed 2: 4.0 s, 0.050"][0] < far[0]
    assert near[1] > far[1]  # less difference stands lower
    stopped = [p for p in root.iter(f"{space}path") if p.find(f"{space}title") is not None]
    assert len(stopped) == 1
    # a tenfold of the seconds is the same way everywhere
    place = [picture.across(s, 1.0, 1000.0) for s in (1.0, 10.0, 100.0)]
    assert place[1] - place[0] == pytest.approx(place[2] - place[1])
    assert picture.down(0.0, 0.5) - picture.down(0.25, 0.5) == pytest.approx(
        picture.down(0.25, 0.5) - picture.down(0.5, 0.5)
    )
