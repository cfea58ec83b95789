"""Whatever the tables hold: a value or NotMeasured with its reason; no exception, and no pass.

The clean tables pass all rules of the contract. A case spoils them; what the door says of it stands
beside it. A reason names tables, columns and types, never a value.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import synth_contracts as sc
from synth_contracts.evaluation.inputs import read
from synth_contracts.expectations.measured import Measuring
from synth_contracts.metrics import METRICS, Comparison
from synth_contracts.tables import NUMERIC

Tables = dict[str, Any]
FAR = dt.datetime(9999, 12, 31)  # noqa: DTZ001 - a time without a zone is what the column holds
TOWN = 'the "town"'
CONTRACT = """
apiVersion: v3.2.0
kind: DataContract
id: visits
version: 1.0.0
schema:
  - name: visits
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          preset: standard
          disable: [k_anonymity, calendar_correlation, autocorrelation, hour_profile]
          codes: {codes}
          roles: {roles}
"""
ROLES = "{entityKey: person, timeIndex: at, quasiIdentifiers: [shop], sensitive: [spent]}"


def load(folder: Path, *, roles: str = ROLES, codes: str = "[shop]") -> sc.Contract:
    path = folder / "visits.odcs.yaml"
    path.write_text(CONTRACT.format(roles=roles, codes=codes), encoding="utf-8")
    return sc.load_contract(path)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> sc.Contract:
    return load(tmp_path_factory.mktemp("contracts"))


def visits(seed: int, people: int = 220) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = 2 * people
    # every day of twelve weeks alike, so that no weekday stands out by chance
    days = pd.to_timedelta(rng.permutation(rows) % 84, unit="D")
    minutes = pd.to_timedelta(rng.integers(0, 1440, rows), unit="min")
    return pd.DataFrame(
        {
            "person": 100_000 * seed + np.repeat(np.arange(people), 2),
            "at": pd.Timestamp("2024-01-01") + days + minutes,
            "shop": rng.integers(1, 4, rows),
            "spent": np.round(rng.lognormal(3, 1, rows), 1),
            TOWN: rng.choice(["Ulm", "Köln", "O'Hara"], rows),
            "flag": rng.random(rows) < 0.4,
        }
    )


CLEAN = {"train": visits(1), "holdout": visits(2), "synthetic": visits(3)}


def spoil(change: Callable[[pd.DataFrame], Any], *names: str) -> Callable[[], Tables]:
    """The clean tables with ``change`` done to those named, or to all."""
    chosen = names or tuple(CLEAN)
    return lambda: {n: change(t.copy()) if n in chosen else t for n, t in CLEAN.items()}


def put(column: Any, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """``column`` set to ``value``, or to what it makes of the frame."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = value(frame) if callable(value) else [value] * len(frame)
        return frame

    return change


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    frame["more"] = 1
    return frame.set_axis([*frame.columns[:-1], "spent"], axis=1)


def mixed_zones(frame: pd.DataFrame) -> pd.Series:
    stamps = [t.tz_localize("UTC") if i % 2 else t for i, t in enumerate(frame["at"])]
    return pd.Series(stamps, dtype=object)


CANNOT = "the {} table cannot be read in the column {!r}: it holds {}"
#: (tables, what every rule says). Nothing is measured of them.
UNFIT: dict[str, tuple[Callable[[], Tables], str]] = {
    "lacking": (
        spoil(lambda t: t.drop(columns=["spent", "flag"]), "holdout"),
        "the holdout table lacks columns that train has: 'spent' (double), 'flag' (bool)",
    ),
    "renamed": (
        spoil(lambda t: t.rename(columns={"flag": "Flag"}), "synthetic"),
        "the synthetic table lacks columns that train has: 'flag' (bool); "
        "the synthetic table has columns that train lacks: 'Flag'",
    ),
    "foreign": (
        spoil(put("email", "x"), "synthetic"),
        "the synthetic table has columns that train lacks: 'email'",
    ),
    "text-for-number": (
        spoil(put("spent", lambda t: t["spent"].astype(str)), "synthetic"),
        "the column 'spent' is string in the synthetic table and double in train",
    ),
    "number-for-text": (
        spoil(put(TOWN, 1), "holdout"),
        f"the column {TOWN!r} is int64 in the holdout table and string in train",
    ),
    "number-for-boolean": (
        spoil(put("flag", 1), "synthetic"),
        "the column 'flag' is int64 in the synthetic table and bool in train",
    ),
    # "1" and 1 are no one twice: the split would look clean
    "text-for-key": (
        spoil(put("person", lambda t: t["person"].astype(str)), "holdout"),
        "the column 'person' is string in the holdout table and int64 in train",
    ),
    "zone-on-one-side": (
        spoil(put("at", lambda t: t["at"].dt.tz_localize("UTC")), "synthetic"),
        "the column 'at' is timestamp[ns, tz=UTC] in the synthetic table and timestamp[ns] in train",
    ),
    "zone-on-some-rows": (
        spoil(put("at", mixed_zones), "synthetic"),
        "the synthetic table mixes times with a zone and times without a zone in the column 'at'",
    ),
    "dates-among-times": (
        spoil(put("at", lambda t: pd.Series([t["at"][0].date(), *t["at"][1:]], dtype=object))),
        "the train table mixes dates and times without a zone in the column 'at'",
    ),
    "far-future": (
        spoil(put("at", FAR), "synthetic"),
        "the column 'at' of the synthetic table holds timestamp[us] values that cannot be read as "
        "timestamp (TIMESTAMP in train)",
    ),
    "infinite-code": (
        spoil(put("shop", math.inf), "synthetic"),
        "the column 'shop' of the synthetic table holds double values that cannot be read as code "
        "(BIGINT in train)",
    ),
    "mixed": (
        spoil(put(TOWN, lambda t: [1, "x"] * (len(t) // 2)), "synthetic"),
        CANNOT.format("synthetic", TOWN, "int, str"),
    ),
    "arrays-among-numbers": (
        spoil(put("spent", lambda t: [np.ones(2), 1.0] * (len(t) // 2)), "synthetic"),
        CANNOT.format("synthetic", "spent", "float, ndarray"),
    ),
    "too-large": (
        spoil(put("shop", lambda t: pd.Series([2**70] * len(t), dtype=object)), "synthetic"),
        CANNOT.format("synthetic", "shop", "int"),
    ),
    "surrogate": (spoil(put(TOWN, "\ud800"), "train"), CANNOT.format("train", TOWN, "str")),
    "complex": (spoil(put("z", 1j)), CANNOT.format("train", "z", "complex128")),
    "timedelta": (
        spoil(put("wait", pd.Timedelta(1, "h"))),
        "the train table does not fit the contract: wait: type duration[ns] cannot be used",
    ),
    "bytes": (
        spoil(put("raw", b"x")),
        "the train table does not fit the contract: raw: type binary cannot be used",
    ),
    "list": (
        spoil(put("many", [1])),
        "the train table does not fit the contract: many: type list<item: int64> cannot be used",
    ),
    "twice": (spoil(twice, "synthetic"), "the synthetic table has several columns named 'spent'"),
    "twice-in-arrow": (
        spoil(lambda t: pa.table([[1], [2]], names=["spent", "spent"]), "train"),
        "the train table has several columns named 'spent'",
    ),
    "case-alone": (
        spoil(put("SPENT", 1.0)),
        "the train table does not fit the contract: visits.SPENT: columns 'spent' and 'SPENT' "
        "differ only by case",
    ),
    "null-time-index": (
        spoil(put("at", None), "train"),
        "the train table does not fit the contract: visits.at: roles.timeIndex is a VARCHAR, not a "
        "date",
    ),
    "no-columns": (
        spoil(lambda t: t[[]]),
        "the train table does not fit the contract: visits.person: roles.entityKey names the column "
        "'person', which the source does not hold",
    ),
    "no-train": (spoil(lambda t: None, "train"), "there is no train table"),
    "no-synthetic": (spoil(lambda t: None, "synthetic"), "there is no synthetic table"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_tables_that_cannot_be_compared_say_why_and_never_pass(
    contract: sc.Contract, case: str
) -> None:
    make, reason = UNFIT[case]
    found = sc.evaluate(contract, **make(), seed=1)
    assert list(found.results) == [rule.id for rule in contract.rules]
    assert list(found.reported) == list(contract.report_only)
    for rule in contract.rules:
        result = found.results[rule.id]
        assert result == sc.NotMeasured(rule.metric, reason, rule.column)
    verdict = sc.judge(contract, found)
    assert verdict.outcome is sc.Outcome.NOT_EVALUATED
    assert {state.status for state in verdict.states} <= {"not_measured", "not_asked"}
    # no rows are bound to it, so no promotion can find its rows in it
    assert (found.rows_digest, found.train_digest, found.holdout_digest) == ("", "", "")
    assert sc.Evaluation.from_json(found.to_json()) == found


def test_many_faults_are_told_at_once_and_not_endlessly(contract: sc.Contract) -> None:
    wide = {f"c{i}": 1.0 for i in range(12)}
    tables = {**spoil(lambda t: t.assign(**wide))(), "synthetic": CLEAN["synthetic"]}
    tables["synthetic"] = tables["synthetic"].assign(**dict.fromkeys(wide, "x"))
    [reason] = {r.reason for r in sc.evaluate(contract, **tables, seed=1).results.values()}
    assert "the column 'c0' is string in the synthetic table and double in train; " in reason
    assert reason.endswith("; and 4 more")


def test_a_reason_names_no_value(contract: sc.Contract) -> None:
    secret = 4_711_000_815
    for column, value in (("shop", secret + 0.5), (TOWN, secret), ("at", f"{secret}")):
        tables = spoil(put(column, lambda t, c=column, v=value: [v, *t[c][1:]]), "synthetic")()
        found = sc.evaluate(contract, **tables, seed=1, controls=False)
        assert not any(str(secret) in str(r) for r in found.measurements)


def test_a_column_that_the_contract_excludes_is_not_measured_along(tmp_path: Path) -> None:
    hiding = load(tmp_path, roles=ROLES.replace("{", "{exclude: [email], ", 1))
    tables = spoil(put("email", "a"), "train", "holdout")()
    measured = sc.evaluate(hiding, **tables, seed=1, controls=False)
    assert not isinstance(measured.results["identical_match"], sc.NotMeasured)
    tables["synthetic"] = tables["synthetic"].assign(email="a")
    [reason] = {r.reason for r in sc.evaluate(hiding, **tables, seed=1).results.values()}
    assert reason == "the synthetic table has columns that the contract excludes: 'email'"


# Tables that can be compared: every registered metric has a value or a reason, and no fault.


def backed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.convert_dtypes(dtype_backend="pyarrow")


def odd_index(frame: pd.DataFrame) -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays([[0] * len(frame), frame["person"]], names=["spent", None])
    return frame.set_index(index)


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(at=frame["at"][0], shop=1, spent=5.0, flag=True)


def nothing(frame: pd.DataFrame) -> pd.DataFrame:
    size = len(frame)
    shop = pd.Series([pd.NA] * size, dtype="Int64")
    return frame.assign(at=pd.NaT, shop=shop, spent=np.nan, flag=None).assign(
        at=lambda t: t["at"].astype("datetime64[ns]")
    )


def wild(frame: pd.DataFrame) -> pd.DataFrame:
    third = np.arange(len(frame)) % 4
    spent = np.select([third == 0, third == 1, third == 2], [np.inf, -np.inf, -1.7e308], 1e308)
    return frame.assign(spent=spent)


def names(frame: pd.DataFrame) -> pd.DataFrame:
    for name in ("a b", "qu\"o'te", "é", "", "<b>", "x" * 300, 5):
        frame[name] = frame["shop"]
    return frame


def many_levels(frame: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(len(frame))
    frame[TOWN] = [f"v{i}" for i in rng.integers(0, 10_000, len(frame))]
    return frame


MEASURED: dict[str, Callable[[], Tables]] = {
    "no-holdout": spoil(lambda t: None, "holdout"),
    "empty-holdout": spoil(lambda t: t.iloc[:0], "holdout"),
    "empty-train": spoil(lambda t: t.iloc[:0], "train"),
    "empty-synthetic": spoil(lambda t: t.iloc[:0], "synthetic"),
    "all-empty": spoil(lambda t: t.iloc[:0]),
    "one-row": spoil(lambda t: t.iloc[:1]),
    "one-synthetic-row": spoil(lambda t: t.iloc[:1], "synthetic"),
    "one-train-row": spoil(lambda t: t.iloc[:1], "train"),
    "constant": spoil(flat),
    "constant-synthetic": spoil(flat, "synthetic"),
    "all-null": spoil(nothing),
    "all-null-synthetic": spoil(nothing, "synthetic"),
    "all-null-train": spoil(nothing, "train"),
    "null-keys": spoil(put("person", lambda t: pd.Series([pd.NA] * len(t), dtype="Int64"))),
    "one-entity": spoil(put("person", 1)),
    "wild-numbers": spoil(wild),
    "wild-synthetic": spoil(wild, "synthetic"),
    "wild-train": spoil(wild, "train"),
    "many-levels": spoil(many_levels),
    "odd-names": spoil(names),
    "shared-entities": lambda: {**CLEAN, "holdout": CLEAN["train"]},
}
#: Spoiled on all sides alike: fresh rows of such a source may pass when every rule was measured.
HONEST = {"wild-numbers", "many-levels", "odd-names"}
#: Other ways to hold the same values: the numbers must be the same.
ALIKE: dict[str, Callable[[], Tables]] = {
    "nullable": spoil(lambda t: t.convert_dtypes()),
    "pyarrow": spoil(backed),
    "pyarrow-synthetic": spoil(backed, "synthetic"),
    "arrow": spoil(lambda t: pa.Table.from_pandas(t, preserve_index=False)),
    "category": spoil(put(TOWN, lambda t: t[TOWN].astype("category"))),
    "category-synthetic": spoil(put(TOWN, lambda t: t[TOWN].astype("category")), "synthetic"),
    "object": spoil(lambda t: t.astype(object)),
    "decimal": spoil(put("spent", lambda t: [Decimal(str(v)) for v in t["spent"]]), "synthetic"),
    "float-key": spoil(put("person", lambda t: t["person"].astype(float)), "holdout"),
    "odd-index": spoil(odd_index),
    "columns-turned": spoil(lambda t: t[t.columns[::-1]], "synthetic"),
    "unknown-column-of-holdout": spoil(put("many", [1]), "holdout"),
}


def others(contract: sc.Contract, tables: Mapping[str, Any]) -> dict[str, Any]:
    """The results of the registered metrics, and of columns, that the contract does not ask for."""
    inputs = read(contract, **tables)
    comparison = Comparison(**inputs.frames, schema=inputs.schema, k=contract.k, seed=1)
    measuring = Measuring(comparison)
    asked = {rule.metric for rule in contract.rules} | set(contract.report_only)
    found = {m: measuring.measure(m) for m in METRICS if m not in asked and m != "ks"}
    for field in inputs.schema.features:
        metric = "ks" if field.kind in NUMERIC else "total_variation"
        found[f"{metric} of {field.name}"] = measuring.measure(metric, field.name)
    return found


def holds(found: Mapping[str, Any]) -> None:
    for name, result in found.items():
        if isinstance(result, sc.NotMeasured):
            assert result.reason, name
            assert not result.error, f"{name}: {result.reason}"
        else:
            assert math.isfinite(result.value), name


@pytest.mark.parametrize("case", MEASURED)
def test_every_metric_has_a_value_or_a_reason_and_no_table_passes(
    contract: sc.Contract, case: str
) -> None:
    tables = MEASURED[case]()
    found = sc.evaluate(contract, **tables, seed=1, controls=False)
    holds(others(contract, tables) | found.results | found.reported)
    if sc.judge(contract, found).outcome is sc.Outcome.PASSED:
        assert case in HONEST
        assert all(isinstance(r, sc.Measurement) for r in found.results.values())
    assert sc.Evaluation.from_json(found.to_json()) == found


def test_numbers_near_the_largest_blind_no_attack(contract: sc.Contract) -> None:
    """Their differences overflow; distances of NaN would hide every copy."""
    tables = spoil(wild)()
    found = sc.evaluate(
        contract, **{**tables, "synthetic": tables["train"]}, seed=1, controls=False
    )
    attack = found.results["membership_inference"]
    assert isinstance(attack, sc.Measurement)
    assert attack.value > 0.9
    # each of the attacks, whichever of them is the best
    assert {name: read["value"] > 0.9 for name, read in attack.details["attacks"].items()} == {
        "distance": True, "calibrated": True, "agreement": True,
        "distance_hole": False, "calibrated_hole": False, "agreement_hole": False,
    }  # fmt: skip


def test_copies_held_as_decimals_are_equal_to_the_real_rows(contract: sc.Contract) -> None:
    copies = put("spent", lambda t: [Decimal(str(v)) for v in t["spent"]])(CLEAN["train"].copy())
    tables = {**CLEAN, "synthetic": copies}
    found = sc.evaluate(contract, **tables, seed=1, controls=False).results["identical_match"]
    assert isinstance(found, sc.Measurement)
    assert found.value == 1.0


@pytest.fixture(scope="module")
def clean(contract: sc.Contract) -> sc.Evaluation:
    return sc.evaluate(contract, **CLEAN, seed=1, controls=False)


def test_the_clean_tables_pass(contract: sc.Contract, clean: sc.Evaluation) -> None:
    verdict = sc.judge(contract, clean)
    assert verdict.outcome is sc.Outcome.PASSED, [r.text for r in verdict.reasons]


@pytest.mark.parametrize("case", ALIKE)
def test_the_same_values_held_otherwise_read_the_same(
    contract: sc.Contract, clean: sc.Evaluation, case: str
) -> None:
    found = sc.evaluate(contract, **ALIKE[case](), seed=1, controls=False)
    assert {k: getattr(v, "value", v) for k, v in found.results.items()} == {
        k: getattr(v, "value", v) for k, v in clean.results.items()
    }


def test_without_any_role_a_row_is_an_entity(tmp_path: Path) -> None:
    bare = load(tmp_path, roles="{}", codes="[]")
    found = sc.evaluate(bare, **CLEAN, seed=1, controls=False)
    assert found.entities_train == len(CLEAN["train"])
    assert not any(getattr(r, "error", False) for r in found.measurements)
    one = sc.evaluate(bare, **MEASURED["one-row"](), seed=1)
    assert sc.judge(bare, one).outcome is not sc.Outcome.PASSED


SPOILERS: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "flat": flat, "nothing": nothing, "wild": wild, "none": lambda t: t,
    "one": lambda t: t.iloc[:1], "empty": lambda t: t.iloc[:0], "alike": lambda t: t.iloc[[0] * 9],
    "keyless": put("person", lambda t: pd.Series([pd.NA] * len(t), dtype="Int64")),
    "old": put("at", pd.Timestamp("1700-01-01")), "townless": put(TOWN, None),
    "long": put(TOWN, lambda t: [f"{v} {i}" * 40 for i, v in enumerate(t[TOWN])]),
    "backed": backed,
}  # fmt: skip


@settings(
    max_examples=12, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.fixed_dictionaries({name: st.lists(st.sampled_from(sorted(SPOILERS)), max_size=2) for name in CLEAN}))  # fmt: skip
def test_faults_in_any_combination(contract: sc.Contract, chosen: dict[str, list[str]]) -> None:
    tables = {name: frame.iloc[:120] for name, frame in CLEAN.items()}
    for name, kinds in chosen.items():
        for kind in kinds:
            if len(tables[name]):
                tables[name] = SPOILERS[kind](tables[name].copy().reset_index(drop=True))
    found = sc.evaluate(contract, **tables, seed=1, controls=False)
    holds(found.results | found.reported)
    # 60 entities a side are too few for any attack
    assert sc.judge(contract, found).outcome is not sc.Outcome.PASSED


def test_a_call_that_cannot_be_meant_raises(contract: sc.Contract) -> None:
    with pytest.raises(TypeError, match="contract is a str"):
        sc.evaluate("visits", **CLEAN, seed=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="train is a list"):
        sc.evaluate(contract, **{**CLEAN, "train": [1]}, seed=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed is -1"):
        sc.evaluate(contract, **CLEAN, seed=-1)
    with pytest.raises(TypeError):
        sc.evaluate(contract, **CLEAN, seed=None)  # type: ignore[arg-type]
