"""The tools behind `make calibrate`: leaks, statistics, resumability and the page."""

from __future__ import annotations

import json
from dataclasses import replace

import calibrate
import calibration_page as report
import leaks
import numpy as np
import pandas as pd
import pytest
import tables

KEYS = ["id", "who"]
CODES = ["code"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """240 entities of 1 to 9 rows; amounts and codes tell apart which row is which."""
    rng = np.random.default_rng(1)
    who = np.repeat(np.arange(240), rng.integers(1, 10, 240))
    n = len(who)
    return pd.DataFrame(
        {
            "id": np.arange(n) + 1000,
            "who": who,
            "at": pd.Timestamp("2021-03-01 12:00") + pd.to_timedelta(np.arange(n) * 3607, unit="s"),
            "amount": np.round(rng.lognormal(3, 1, n), 2),
            "items": rng.integers(1, 50, n),
            "code": rng.integers(0, 40, n),
            "word": rng.choice(["a", "b", "c"], n),
        }
    )


@pytest.fixture(scope="module")
def split(table: pd.DataFrame) -> leaks.Thirds:
    return leaks.thirds(table, "who", 3)


def rows_of(frame: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(frame.drop(columns=KEYS).itertuples(index=False, name=None))


def leaked(split: leaks.Thirds, synthetic: pd.DataFrame) -> pd.DataFrame:
    """Rows of a synthetic table that are no fresh rows."""
    return synthetic[~synthetic["at"].isin(split.fresh["at"])]


def test_thirds_hold_whole_entities_and_as_many_as_asked(table: pd.DataFrame) -> None:
    small = leaks.thirds(table, "who", 1, units=20)
    owners = [set(side["who"]) for side in (small.train, small.holdout, small.fresh)]
    assert [len(o) for o in owners] == [20, 20, 20]
    assert not owners[0] & owners[1] | owners[0] & owners[2] | owners[1] & owners[2]
    assert len(small.train) == table["who"].isin(owners[0]).sum()
    assert set(small.train["who"]) != set(leaks.thirds(table, "who", 2, units=20).train["who"])


def test_thirds_of_a_table_without_entities_are_rows(table: pd.DataFrame) -> None:
    small = leaks.thirds(table, None, 1, units=100)
    sides = [set(side["id"]) for side in (small.train, small.holdout, small.fresh)]
    assert [len(s) for s in sides] == [100, 100, 100]
    assert len(set.union(*sides)) == 300


@pytest.mark.parametrize("kind", ["exact", "isolated"])
def test_copies_are_train_rows_under_fresh_keys(split: leaks.Thirds, kind: str) -> None:
    made = getattr(leaks, kind)(split, KEYS, 1, share=0.05)
    pd.testing.assert_frame_equal(made[KEYS], split.fresh[KEYS])
    copies = leaked(split, made)
    assert len(copies) == round(0.05 * len(split.fresh))
    assert rows_of(copies) <= rows_of(split.train)


def test_noisy_copies_are_near_a_train_row_and_none_of_them(split: leaks.Thirds) -> None:
    made = leaks.noisy(split, KEYS, CODES, 1, share=0.2)
    pd.testing.assert_frame_equal(made[KEYS], split.fresh[KEYS])
    assert (made.dtypes == split.fresh.dtypes).all()
    copies = leaked(split, made)
    assert len(copies) > 0.15 * len(split.fresh)
    assert not rows_of(copies) & rows_of(split.train)
    # the source of a copy: one day and up to five minutes away
    gap = np.abs(copies["at"].to_numpy()[:, None] - split.train["at"].to_numpy()[None, :])
    minutes = np.timedelta64(300, "s")
    off = (gap <= minutes) | (np.abs(gap - np.timedelta64(1, "D")) <= minutes)
    amount = split.train["amount"].to_numpy()[None, :] / copies["amount"].to_numpy()[:, None]
    found = off & (np.abs(np.log(amount)) < 0.25)
    # all but those that the ends of the period hold back
    assert found.any(axis=1).mean() > 0.9
    source = found.argmax(axis=1)
    stayed = gap[np.arange(len(copies)), source] <= minutes
    assert 0.2 < stayed.mean() < 0.5  # one of -1, 0 and 1 day
    same = split.train["code"].to_numpy()[source] == copies["code"].to_numpy()
    assert 0.25 < same.mean() < 0.8  # the widest category is drawn anew in half of them
    words = split.train["word"].to_numpy()[source] == copies["word"].to_numpy()
    assert words.mean() > 0.9


def test_shifted_copies_have_all_left_their_day(split: leaks.Thirds) -> None:
    copies = leaked(split, leaks.noisy(split, KEYS, CODES, 1, share=0.2, days=(-1, 1)))
    gap = np.abs(copies["at"].to_numpy()[:, None] - split.train["at"].to_numpy()[None, :])
    amount = split.train["amount"].to_numpy()[None, :] / copies["amount"].to_numpy()[:, None]
    near = (gap <= np.timedelta64(300, "s")) & (np.abs(np.log(amount)) < 0.25)
    assert near.any(axis=1).mean() < 0.2  # by coincidence


def test_noise_on_dates_keeps_them_dates(split: leaks.Thirds) -> None:
    days = leaks.Thirds(
        *(side.assign(at=side["at"].dt.normalize()) for side in vars(split).values())
    )
    made = leaks.noisy(days, KEYS, CODES, 1, share=0.5)
    assert (made["at"] == made["at"].dt.normalize()).all()
    assert made["at"].between(days.train["at"].min(), days.train["at"].max()).mean() > 0.99


def test_interpolated_rows_lie_between_two_entities_of_train() -> None:
    train = pd.DataFrame({"who": [1, 1, 2], "x": [0.0, 1.0, 100.0], "word": ["a", "a", "b"]})
    fresh = pd.DataFrame({"who": [7, 8, 9], "x": [-5.0, -5.0, -5.0], "word": ["z", "z", "z"]})
    split = leaks.Thirds(train, train, fresh)
    made = leaks.interpolated(split, ["who"], [], "who", 1, share=1.0)
    assert made["who"].tolist() == [7, 8, 9]
    assert made["x"].between(0, 100).all()
    assert not made["x"].isin(train["x"]).any()  # the own neighbour of entity 1 is passed over
    assert set(made["word"]) <= {"a", "b"}


def test_whole_entities_are_the_largest_under_new_keys(split: leaks.Thirds) -> None:
    made = leaks.whole(split, "who", KEYS, 1, share=0.05)
    assert set(made["who"]) == set(split.fresh["who"])
    assert made["id"].is_unique
    assert not set(made["id"]) & set(split.train["id"])
    copies = leaked(split, made)
    sizes = split.train["who"].value_counts()
    count = round(0.05 * split.fresh["who"].nunique())
    assert sorted(copies["who"].value_counts()) == sorted(sizes.head(count))
    assert rows_of(copies) <= rows_of(split.train)


def test_a_leak_is_the_same_for_the_same_seed(split: leaks.Thirds) -> None:
    one, two, three = (leaks.noisy(split, KEYS, CODES, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(three)


def test_clopper_pearson_by_hand() -> None:
    # no hit in n: (1 - upper)^n = .025; all hits: lower^n = .025
    assert report.clopper_pearson(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert report.clopper_pearson(10, 10) == (pytest.approx(0.025**0.1), 1.0)
    # 2 of 10, from the tables of Clopper and Pearson
    assert report.clopper_pearson(2, 10) == pytest.approx((0.0252, 0.5561), abs=1e-4)
    assert report.clopper_pearson(0, 0) == (0.0, 1.0)


def test_design_effect_by_hand() -> None:
    # two clusters of 10 with 4 and 0 hits: share .2, between 2 * (4 + 4) / 400, binomial .16 / 20
    assert report.design_effect([(4, 10), (0, 10)]) == pytest.approx(0.04 / 0.008)
    assert report.design_effect([(2, 10), (2, 10)]) == 1.0
    assert report.design_effect([(0, 10), (0, 10)]) == 1.0
    wide = report.clustered_limits([(4, 10), (0, 10)])
    # Student's .975 quantiles at 19 and at 1 degrees of freedom
    size = 20 / 5 * (2.0930 / 12.7062) ** 2
    assert wide == pytest.approx(report.clopper_pearson(0.2 * size, size), abs=1e-4)
    plain = report.clopper_pearson(4, 20)
    assert wide[0] < plain[0] < plain[1] < wide[1]


def test_the_plan_holds_three_hundred_nulls_and_fifty_of_each_leak() -> None:
    for present in (dict(tables.TABLES), {n: t for n, t in tables.TABLES.items() if n != "adult"}):
        jobs = calibrate.plan(present)
        assert len({job.key for job in jobs}) == len(jobs)
        for kind in calibrate.KINDS:
            counted = [job for job in jobs if job.kind == kind and job.demanded]
            if kind in {"shifted", "interpolated", "near"}:
                assert not counted
                continue
            assert len(counted) >= (300 if kind == "null" else 50), kind
            assert len(counted) < (305 if kind == "null" else 55), kind
        whole = {job.table for job in jobs if job.kind == "whole"}
        assert whole == {"baskets", "cdnow", "flights"}
        assert all(job.demanded == (job.table != "flights") for job in jobs if job.kind == "whole")


def test_every_table_has_a_contract_with_its_roles() -> None:
    for name in tables.TABLES:
        contract = calibrate.contract_of(name)
        assert contract.preset == "standard"
        assert contract.roles.sensitive, name
    assert {n for n in tables.TABLES if calibrate.contract_of(n).roles.entity_key} == {
        "baskets", "cdnow", "flights",
    }  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Baskets of a few households."""
    few = replace(tables.TABLES["baskets"], units=12)
    monkeypatch.setitem(tables.TABLES, "baskets", few)
    monkeypatch.setattr(calibrate, "data_digest", lambda table: f"data of {table}")
    frame = pd.read_parquet(tables.BASKETS)
    return frame[frame["household_id"] < 120]


def test_what_is_there_is_not_measured_again(small, tmp_path, monkeypatch) -> None:
    mean, worst = '["ks_mean", null, {}]', '["ks_max", null, {}]'
    two = {mean: ("ks_mean", None, {}), worst: ("ks_max", None, {})}
    monkeypatch.setattr(calibrate, "asked", lambda *_, **__: two)
    job = calibrate.Job("baskets", "null", 1, demanded=True)
    assert calibrate.missing(calibrate.read(tmp_path).get(job.key), job) is None
    calibrate.write(tmp_path, calibrate.measure(job, small, {mean}))
    assert calibrate.missing(calibrate.read(tmp_path)[job.key], job) == {worst}
    calibrate.write(tmp_path, calibrate.measure(job, small, {worst}))
    with (tmp_path / "baskets.jsonl").open("a") as file:
        file.write('{"table": "bask')  # a line that a crash cut off
    found = calibrate.read(tmp_path)
    assert set(found[job.key]["results"]) == {mean, worst}
    assert calibrate.missing(found[job.key], job) == set()
    # code of one metric changes: it alone is missing
    codes = calibrate.metric_digests()
    monkeypatch.setattr(calibrate, "metric_digests", lambda: {**codes, "ks_mean": "new"})
    assert calibrate.missing(found[job.key], job) == {mean}
    # the leaks or the contract change: all of it
    monkeypatch.setattr(calibrate, "data_digest", lambda _: "new")
    assert calibrate.read(tmp_path) == {}


def test_a_digest_is_of_the_code_alone(tmp_path) -> None:
    def digest(text: str) -> str:
        file = tmp_path / "module.py"
        file.write_text(text)
        return calibrate._code(file)

    plain = digest("def f(x):\n    return x + 1\n")
    assert digest('"""Doc."""\ndef f(x):  # why\n    """Says."""\n    return (x + 1)\n') == plain
    assert digest("def f(x):\n    return x + 2\n") != plain


def result(metric: str, value: float, **more: float) -> dict[str, object]:
    return {
        "code": calibrate.metric_digests()[metric], "kind": "measurement", "metric": metric,
        "value": value, "n": 10, "unit": "rows", "column": None, "lower": None, "upper": None,
        "bound_lower": value, "bound_upper": value, "floor": 0.0, "ceiling": 1.0,
        "direction": "higher_is_better"
        if metric in ("k_anonymity", "calendar_correlation") else "lower_is_better", **more,
    }  # fmt: skip


def record(job: calibrate.Job, **values: float | None) -> dict[str, object]:
    """A record of a made-up run; every metric not named reads what passes, None is not measured."""
    kinds = [(name, "text") for name in ("a", "b")]
    found = {}
    for key, (metric, _, _) in calibrate.asked(job.table, tuple(kinds), all_rules=True).items():
        good = 1.0 if metric in ("k_anonymity", "calendar_correlation") else 0.0
        value = values.get(metric, good)
        found[key] = (
            result(metric, value)
            if value is not None
            else {
                "code": calibrate.metric_digests()[metric],
                "kind": "not_measured",
                "metric": metric,
                "reason": "none",
                "column": None,
                "error": False,
            }
        )
    return {
        "table": job.table, "kind": job.kind, "seed": job.seed, "kinds": [list(k) for k in kinds],
        "rows": dict.fromkeys(("train", "holdout", "synthetic"), 100),
        "entities": dict.fromkeys(("train", "holdout", "synthetic"), 50), "results": found,
        "timings": {}, "seconds": 1.0, "at": 1_700_000_000, "commit": "abc", "versions": {"a": "1"},
    }  # fmt: skip


def test_the_page_counts_outcomes_in_columns_of_their_own() -> None:
    jobs = [
        calibrate.Job("adult", kind, seed, demanded=True)
        for kind in ("null", "exact")
        for seed in (1, 2, 3)
    ]
    values = [
        {}, {"membership_inference": 0.9}, {"membership_inference": None},
        {"membership_inference": 0.9}, {"identical_match": 0.2, "membership_inference": None}, {},
    ]  # fmt: skip
    records = {j.key: record(j, **v) for j, v in zip(jobs, values, strict=True)}
    text = report.page([*jobs, calibrate.Job("cdnow", "null", 1, demanded=True)], records)
    lines = text.splitlines()
    assert "6 of 7 evaluations" in text
    assert "it is unfinished" in text
    # null: one passed (k_anonymity 1 breaks nothing here), one failed, one not evaluated
    alarms = next(line for line in lines if line.startswith("| standard | 3 | 1 | 1 | 1 | 33.3 %"))
    assert "0.8 to 90.6 %" in alarms  # 1 of 3
    assert "adult: 1 of 3" in alarms
    assert "| exact | adult | 3 | 1 | 2 | 0 | membership_inference 1, identical_match 1 |" in lines
    assert any(
        line.startswith("| exact |") and "2 of 3 | at least 3 of 3 | NOT held" in line
        for line in lines
    )
    assert any(line.startswith("| exact | adult | 2 | 2 of 3 |") for line in lines)  # unseen
    assert json.dumps(list(records.values()))  # records are plain JSON


def test_a_draft_takes_measurements_of_earlier_code_and_says_so(monkeypatch) -> None:
    job = calibrate.Job("adult", "null", 1, demanded=True)
    records = {job.key: record(job, membership_inference=0.9)}
    codes = calibrate.metric_digests()
    monkeypatch.setattr(report, "metric_digests", lambda: {**codes, "membership_inference": "new"})
    assert "0 of 1 evaluations" in report.page([job], records)
    draft = report.page([job], records, stale=True)
    assert "1 of 1 evaluations" in draft
    assert "A draft" in draft
    assert "| standard | 1 | 0 | 1 | 0 | 100.0 % |" in draft


def test_an_empty_page_says_that_nothing_was_run() -> None:
    text = report.page(calibrate.plan(dict(tables.TABLES)), {})
    assert "0 of " in text
    assert "it is unfinished" in text
    assert "PASSED" not in text
