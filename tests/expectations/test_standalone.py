"""Expectations in a Great Expectations project of its own: no contract, another batch as reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from great_expectations.compatibility import pydantic
from great_expectations.data_context import set_context

import synth_contracts.expectations as sce
from synth_contracts.contract.rules import RULES
from synth_contracts.expectations import base
from synth_contracts.expectations.catalog import EXPECTATIONS
from synth_contracts.expectations.measured import result_from_json
from synth_contracts.expectations.standalone import ALONE, STANDS_IN, Meaning, Unusable, compare

#: what the generator saw, what it never saw, and what it made: four people, one row each
REAL = pd.DataFrame(
    {"who": [1, 2, 3, 4], "amount": [1.0, 2.0, 3.0, 4.0], "city": ["a", "a", "b", "b"]}
)
UNSEEN = pd.DataFrame(
    {"who": [5, 6, 7, 8], "amount": [1.5, 2.5, 3.5, 4.5], "city": ["a", "b", "a", "b"]}
)
MADE = pd.DataFrame(
    {"who": [1, 2, 3, 4], "amount": [1.0, 2.0, 3.0, 9.0], "city": ["a", "a", "a", "b"]}
)
ROLES = {"entityKey": "who"}


def place(asset: str) -> dict[str, str]:
    return {"data_source": "shop", "asset": asset, "batch_definition": "whole"}


class Shop:
    """A project with one file asset per table."""

    def __init__(self, root: Path, **tables: pd.DataFrame) -> None:
        self.root = root
        self.context = gx.get_context(mode="ephemeral")
        self.source = self.context.data_sources.add_pandas("shop")
        for name, table in tables.items():
            self.add(name, table)

    def add(self, name: str, table: pd.DataFrame) -> None:
        table.to_parquet(self.root / f"{name}.parquet")
        asset = self.source.add_parquet_asset(name, path=self.root / f"{name}.parquet")
        asset.add_batch_definition("whole")

    def batch(self, name: str = "made") -> Any:
        return self.source.get_asset(name).get_batch_definition("whole").get_batch()

    def expect(self, kind: str, batch: str = "made", **fields: Any) -> Any:
        fields = {"reference": place("real"), **fields}
        return self.batch(batch).validate(getattr(sce, kind)(**fields))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, real=REAL, unseen=UNSEEN, made=MADE)


def said(result: Any) -> tuple[bool, str, str]:
    """Success, state and reason of a result that raised nothing."""
    assert result.exception_info["raised_exception"] is False
    details = result.result["details"]
    return result.success, details["state"], details.get("reason", "")


def test_a_distance_by_hand(shop: Shop) -> None:
    """Below 9 the reference holds all four amounts, the batch three of them."""
    holds = shop.expect("ExpectColumnKsToBeAtMost", column="amount", max_value=0.25)
    assert said(holds) == (True, "holds", "")
    assert holds.result["observed_value"] == 0.25
    measured = result_from_json(holds.result["details"]["result"])
    assert "the reference" in measured.compared_with
    assert (measured.floor, measured.ceiling) == (None, None)
    broken = shop.expect("ExpectColumnKsToBeAtMost", column="amount", max_value=0.24)
    assert said(broken) == (False, "broken", "")


def test_with_a_holdout_a_distance_is_taken_from_it(shop: Shop) -> None:
    """Cities: the batch 3 a to 1 b, the holdout 2 to 2, so one of four rows would have to move."""
    fields = {"max_value": 0.25, "holdout": place("unseen"), "roles": ROLES}
    found = shop.expect("ExpectTableTotalVariationToBeAtMost", **fields)
    assert said(found) == (True, "holds", "")
    assert found.result["details"]["judged"] == "over_floor"
    measured = result_from_json(found.result["details"]["result"])
    assert (measured.value, measured.floor, measured.compared_with) == (0.25, 0.0, "holdout")


def test_classes_are_counted_in_the_batch_alone(shop: Shop) -> None:
    roles = {**ROLES, "quasiIdentifiers": ["city"]}
    found = shop.expect("ExpectTableKAnonymityToBeAtLeast", min_value=2, roles=roles)
    assert (found.success, found.result["observed_value"]) == (False, 1.0)


def loosest(kind: Any) -> dict[str, Any]:
    """The limit that is easiest to keep, and a column where one is needed."""
    rule = RULES[kind.metric]
    limit = rule.lowest if rule.operator == ">=" else np.nextafter(min(rule.below, 1e6), 0)
    column = {"column": "amount" if rule.id == "ks" else "city"}
    return {
        rule.limit_kwarg: float(limit),
        **(column if "_column_" in kind.expectation_type else {}),
    }


@pytest.fixture
def larger(tmp_path: Path) -> Shop:
    """600 people with three days each; 250 are enough for every attack."""
    rng = np.random.default_rng(3)
    tables = {}
    for i, name in enumerate(("real", "unseen", "made")):
        who = np.repeat(np.arange(220) + 1000 * i, 3)
        tables[name] = pd.DataFrame(
            {
                "who": who,
                "at": pd.Timestamp("2024-01-01")
                + pd.to_timedelta(rng.integers(0, 90 * 24, len(who)), unit="h"),
                "amount": rng.gamma(2.0, 10.0, len(who)).round(2),
                "city": rng.choice(["a", "b", "c"], len(who)),
            }
        )
    return Shop(tmp_path, **tables)


FULL = {"entityKey": "who", "timeIndex": "at", "quasiIdentifiers": ["city"], "sensitive": ["city"]}


def test_without_a_holdout_nothing_that_needs_one_succeeds(larger: Shop) -> None:
    """Under limits that hardly anything breaks."""
    suite = gx.ExpectationSuite(name="all")
    for kind in EXPECTATIONS.values():
        suite.add_expectation(kind(reference=place("real"), roles=FULL, **loosest(kind)))
    results = larger.batch().validate(suite).results
    assert len(results) == len(EXPECTATIONS)
    for result in results:
        metric = EXPECTATIONS[result.expectation_config.type].metric
        success, state, reason = said(result)
        if metric not in ALONE | STANDS_IN:
            assert (success, state) == (False, "not measured"), metric
            assert "`holdout`" in reason, metric
        elif RULES[metric].judged in {"over_floor", "ceiling_share"}:
            assert (success, state) == (False, "not measured"), metric
            assert "`holdout`" in reason, metric
            assert 'judged: "value"' in reason, metric
        elif metric in STANDS_IN:
            assert success, (metric, reason)
        kept = result.result["details"]["result"].get("details") or {}
        if metric in STANDS_IN:
            assert not any("floor" in key or "holdout" in key for key in kept), metric


def test_with_a_holdout_attacks_are_measured(larger: Shop) -> None:
    fields = {"max_value": 0.5, "holdout": place("unseen"), "roles": {"entityKey": "who"}}
    found = larger.expect("ExpectTableMembershipInferenceToBeAtMost", **fields)
    assert said(found) == (True, "holds", "")
    copied = (
        larger.source.get_asset("real").get_batch_definition("whole").get_batch().data.dataframe
    )
    larger.add("copied", copied.assign(who=copied["who"] + 5000, amount=copied["amount"] + 0.001))
    leaked = larger.expect("ExpectTableMembershipInferenceToBeAtMost", batch="copied", **fields)
    assert said(leaked) == (False, "broken", "")
    assert leaked.result["observed_value"] > 0.9


def test_each_table_is_read_once_and_each_comparison_made_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(name: str, function: Callable[..., Any]) -> None:
        def count(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return function(*args, **kwargs)

        monkeypatch.setattr(base, name, count)

    counted("read_reference", base.read_reference)
    counted("compare", base.compare)
    suite = gx.ExpectationSuite(name="two")
    fields: dict[str, Any] = {"reference": place("real"), "holdout": place("unseen")}
    suite.add_expectation(sce.ExpectTableKsMeanToBeAtMost(max_value=0.9, **fields))
    suite.add_expectation(sce.ExpectColumnKsToBeAtMost(column="amount", max_value=0.9, **fields))
    suite.add_expectation(sce.ExpectTableKsMaxToBeAtMost(max_value=0.9, roles=ROLES, **fields))
    assert shop.batch().validate(suite).success
    # other roles are another comparison of the same tables
    assert sorted(calls) == ["compare", "compare", "read_reference", "read_reference"]


@pytest.mark.parametrize("how", ["frames", "csv", "arrow"])
def test_other_assets_read_the_same(how: str, tmp_path: Path) -> None:
    context = gx.get_context(mode="ephemeral")
    source = context.data_sources.add_pandas("shop")
    expectation: dict[str, Any] = {"column": "amount", "max_value": 0.25}
    if how == "csv":
        for name, table in (("real", REAL), ("made", MADE)):
            table.to_csv(tmp_path / f"{name}.csv", index=False)
            source.add_csv_asset(name, filepath_or_buffer=tmp_path / f"{name}.csv")
            source.get_asset(name).add_batch_definition("whole")
        expected = sce.ExpectColumnKsToBeAtMost(reference=place("real"), **expectation)
        batch = source.get_asset("made").get_batch_definition("whole").get_batch()
        found = batch.validate(expected)
    else:
        asset = source.add_dataframe_asset("any")
        definition = asset.add_batch_definition_whole_dataframe("whole")
        expected = sce.ExpectColumnKsToBeAtMost(reference={"bound": "train"}, **expectation)
        batch = definition.get_batch(batch_parameters={"dataframe": MADE})
        with sce.bound("train", pa.Table.from_pandas(REAL) if how == "arrow" else REAL):
            found = batch.validate(expected)
        unbound = batch.validate(expected)
        assert said(unbound)[:2] == (False, "not measured")
        assert "bound to 'train'" in said(unbound)[2]
    assert found.result["observed_value"] == 0.25


def test_a_batch_definition_takes_parameters(tmp_path: Path) -> None:
    context = gx.get_context(mode="ephemeral")
    for name, table in (("2023", REAL), ("2024", MADE)):
        table.to_parquet(tmp_path / f"sales_{name}.parquet")
    source = context.data_sources.add_pandas_filesystem("files", base_directory=tmp_path)
    asset = source.add_parquet_asset("sales")
    definition = asset.add_batch_definition_yearly(
        "yearly", regex=r"sales_(?P<year>\d{4})\.parquet"
    )
    reference = {
        "data_source": "files", "asset": "sales", "batch_definition": "yearly",
        "batch_parameters": {"year": 2023},
    }  # fmt: skip
    batch = definition.get_batch(batch_parameters={"year": 2024})
    found = batch.validate(
        sce.ExpectColumnKsToBeAtMost(column="amount", max_value=0.25, reference=reference)
    )
    assert said(found) == (True, "holds", "")
    assert found.result["observed_value"] == 0.25


def test_another_project_is_never_asked_for_the_reference(shop: Shop, tmp_path: Path) -> None:
    """The other project holds a reference of the same name, the batch itself."""
    batch = shop.batch()
    (tmp_path / "other").mkdir()
    Shop(tmp_path / "other", real=MADE.assign(amount=[1.0, 2.0, 3.0, 8.0]), made=MADE)
    expected = sce.ExpectColumnKsToBeAtMost(**KS, reference=place("real"))
    found = said(batch.validate(expected))
    assert found[:2] == (False, "not measured")
    assert "data_context.set_context" in found[2]
    set_context(shop.context)
    assert batch.validate(expected).success


def test_a_limit_can_be_a_parameter_of_the_suite(shop: Shop) -> None:
    expected = sce.ExpectColumnKsToBeAtMost(
        column="amount", max_value={"$PARAMETER": "most"}, reference=place("real")
    )
    assert shop.batch().validate(expected, expectation_parameters={"most": 0.25}).success
    assert not shop.batch().validate(expected, expectation_parameters={"most": 0.2}).success
    with pytest.raises(pydantic.ValidationError, match="limits from 0 to below 1"):
        shop.batch().validate(expected, expectation_parameters={"most": 1.0})


# --- bad input: a reason, never an exception, never a success ---

KS: dict[str, Any] = {"column": "amount", "max_value": 0.99}


@pytest.mark.parametrize(
    ("real", "made", "reason"),
    [
        (REAL, MADE.drop(columns="city"), "the batch lacks columns of the reference: city"),
        (REAL.drop(columns="city"), MADE, "the batch holds columns that the reference lacks: city"),
        (REAL, MADE.assign(amount=["x", "y", "z", "w"]), "amount is VARCHAR in the batch and DOUBLE"),
        (REAL, MADE.iloc[:0], "the batch has no rows"),
        (REAL.iloc[:0], MADE, "the reference has no rows"),
        (REAL.assign(amount=np.nan), MADE, "amount has values in the batch and none in the reference"),
        (REAL, REAL, "the batch holds the same rows as the reference"),
        (REAL, REAL.sample(frac=1, random_state=1), "the batch holds the same rows as the reference"),
        (
            REAL.assign(at=pd.Timestamp("2024-01-01", tz="UTC")),
            MADE.assign(at=pd.Timestamp("2024-01-01")),
            "at is TIMESTAMP in the batch and TIMESTAMP WITH TIME ZONE in the reference",
        ),
        (REAL.assign(x=[[1], [2], [3], [4]]), MADE.assign(x=[[1], [2], [3], [4]]), "x of the reference"),
    ],
    ids=["lacks", "more", "type", "empty", "nothing", "null", "itself", "shuffled", "zone", "nested"],
)  # fmt: skip
def test_tables_that_do_not_fit_are_not_measured(
    real: pd.DataFrame, made: pd.DataFrame, reason: str, tmp_path: Path
) -> None:
    shop = Shop(tmp_path, real=real, made=made)
    found = said(shop.expect("ExpectColumnKsToBeAtMost", **KS))
    assert found[:2] == (False, "not measured")
    assert reason in found[2]


@pytest.mark.parametrize(
    ("unseen", "roles", "reason"),
    [
        (UNSEEN.assign(who=[4, 5, 6, 7]), ROLES, "1 entities stand in the reference and in the"),
        (REAL.iloc[:3], {"exclude": ["who"]}, "every row of the holdout stands in the reference"),
        (REAL.iloc[::-1].assign(who=[5, 6, 7, 8]), ROLES, "every row of the holdout stands in the"),
        (UNSEEN.iloc[:0], ROLES, "the holdout has no rows"),
        (UNSEEN.drop(columns="city"), ROLES, "the holdout lacks columns of the reference: city"),
        (UNSEEN.assign(who=list("efgh")), ROLES, "who is VARCHAR in the holdout and BIGINT"),
        (MADE.assign(who=[5, 6, 7, 8]), {"exclude": ["who"]}, "same rows as the holdout"),
    ],
    ids=["entities", "rows", "renumbered", "empty", "lacks", "keys", "candidate"],
)
def test_a_holdout_that_is_none_is_not_measured_with(
    unseen: pd.DataFrame, roles: dict[str, Any], reason: str, shop: Shop
) -> None:
    shop.add("other", unseen)
    found = said(shop.expect("ExpectColumnKsToBeAtMost", **KS, roles=roles, holdout=place("other")))
    assert found[:2] == (False, "not measured")
    assert reason in found[2]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"roles": {"entityKey": "whom"}},
            "roles.entityKey names `whom`, which the reference does",
        ),
        ({"roles": {"entityKey": "whom"}}, "did you mean `who`?"),
        ({"roles": {"quasiIdentifiers": ["town"]}}, "roles.quasiIdentifiers names `town`"),
        ({"codes": ["zip"]}, "codes names `zip`"),
        ({"codes": ["city"]}, "codes are integers"),
        ({"roles": {"timeIndex": "city"}}, "not as a time; a CSV asset reads times"),
        ({"reference": place("reel")}, "shop/reel/whole is not in the current project"),
        ({"reference": {**place("real"), "data_source": "x"}}, "its data sources are: shop"),
        ({"reference": place("gone")}, "the reference shop/gone/whole cannot be read"),
        ({"column": "amuont"}, "'amuont' is no column that is compared"),
    ],
)
def test_names_that_lead_nowhere_are_told(fields: dict[str, Any], reason: str, shop: Shop) -> None:
    shop.add("gone", REAL)
    (shop.root / "gone.parquet").unlink()
    found = said(shop.expect("ExpectColumnKsToBeAtMost", **{**KS, **fields}))
    assert found[:2] == (False, "not measured")
    assert reason in found[2]


def test_what_is_excluded_is_compared_nowhere(shop: Shop) -> None:
    shop.add("less", MADE.drop(columns="city"))
    shop.add("more", MADE.assign(tags=[[1], [2], [3], [4]]))
    roles = {**ROLES, "exclude": ["city", "tags"]}
    for batch in ("made", "less", "more"):
        found = shop.expect("ExpectColumnKsToBeAtMost", batch=batch, roles=roles, **KS)
        assert found.result["observed_value"] == 0.25
    city = {"column": "city", "max_value": 0.9, "judged": "value"}
    found = shop.expect("ExpectColumnTotalVariationToBeAtMost", roles=roles, **city)
    assert said(found)[:2] == (False, "not measured")


def test_reasons_and_results_quote_no_value_of_a_row() -> None:
    mixed = REAL.assign(city=["a", "CANARY", 3, 4.5])
    with pytest.raises(Unusable, match="city of the reference cannot be read") as first:
        compare(MADE, mixed)
    coded = REAL.assign(amount=[1, 2, 3, 4])
    with pytest.raises(Unusable, match="amount of the batch holds values") as second:
        compare(
            MADE.assign(amount=[1.0, 2.0, 3.0, 77.125]), coded, meaning=Meaning(codes=["amount"])
        )
    assert "CANARY" not in str(first.value)
    assert "77.125" not in str(second.value)


def test_a_fault_while_reading_is_not_measured(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def broken(*_: Any, **__: Any) -> Any:
        calls.append(1)
        raise RuntimeError("CANARY")

    monkeypatch.setattr(base, "compare", broken)
    found = said(shop.expect("ExpectColumnKsToBeAtMost", **KS))
    assert found[:2] == (False, "not measured")
    assert "error: RuntimeError" in found[2]
    assert "CANARY" not in found[2]
    assert calls == [1]


def test_roles_beside_the_tables_of_a_contract_are_refused(shop: Shop) -> None:
    measuring = compare(MADE, REAL)._measuring
    with sce.bound("comparison", measuring):
        found = said(
            shop.expect(
                "ExpectColumnKsToBeAtMost", **{**KS, "reference": {"bound": "comparison"}, "k": 5}
            )
        )
    assert found[:2] == (False, "not measured")
    assert "k come from the contract" in found[2]


def test_constraints_that_nobody_declared_are_not_kept(shop: Shop) -> None:
    roles = {"exclude": ["who"]}
    found = said(shop.expect("ExpectTableConstraintViolationsToBeAtMost", max_value=0, roles=roles))
    assert found[:2] == (False, "not measured")
    assert "nothing was checked" in found[2]


# --- slips of the pen are told as the expectation is made ---


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"refrence": place("real")}, "did you mean `reference`"),
        ({"max_valeu": 1}, "did you mean `max_value`"),
        ({"reference": {}}, "data_source"),
        ({"reference": {"bound": ""}}, "bound"),
        ({"reference": {"bound": "a", "asset": "b"}}, "nothing else"),
        ({"reference": {"data_sorce": "a"}}, "did you mean `data_source`"),
        ({"reference": {**place("real"), "batch_definition": 3}}, "batch_definition"),
        ({"reference": {**place("real"), "batch_parameters": {"dataframe": REAL}}}, "bound"),
        ({"holdout": place("real")}, "the same batch"),
        ({"roles": {"entity_key": "who"}}, "did you mean `entityKey`"),
        ({"roles": {"entityKey": ["who"]}}, "roles.entityKey is one name"),
        ({"roles": {"quasiIdentifiers": "city"}}, "a list of names"),
        ({"roles": {"entityKey": "who", "exclude": ["who"]}}, "roles.exclude takes out"),
        ({"roles": {"entityKey": "who", "sensitive": ["who"]}}, "names the entity key"),
        ({"roles": {"timezone": "Mars/Olympus"}}, "is no time zone"),
        ({"judged": "valeu"}, "judged"),
        ({"seed": -1}, "seed"),
        ({"k": 1}, "k"),
        ({"row_condition": "amount > 1", "condition_parser": "pandas"}, "whole tables"),
        ({"max_value": {"most": 1}}, "PARAMETER"),
        ({"max_value": 1.0}, "limits from 0 to below 1"),
        ({"max_value": float("nan")}, "limits from 0 to below 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        sce.ExpectColumnKsToBeAtMost(**{**KS, "reference": place("real"), **fields})


@pytest.mark.parametrize(
    ("options", "message"),
    [({"aggregate": "mean"}, "count, sum"), ({"frequency": "year"}, "day, hour")],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        sce.ExpectTableAutocorrelationToBeAtMost(max_value=0.1, reference=place("real"), **options)
