"""Expectations over Spark batches. `make spark` runs these in an environment with pyspark and Java."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
import pytest

import synth_contracts.expectations as sce
from synth_contracts.expectations.reading import ROWS_VARIABLE

pytest.importorskip("pyspark", reason="pyspark is not installed; `make spark` runs these")

KS: dict[str, Any] = {"column": "amount", "max_value": 0.25}
#: 4 amounts, of which the made table holds three below 9
REAL = pd.DataFrame({"who": [1, 2, 3, 4], "amount": [1.0, 2.0, 3.0, 4.0]})
MADE = pd.DataFrame({"who": [5, 6, 7, 8], "amount": [1.0, 2.0, 3.0, 9.0]})


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    yield session
    session.stop()


def place(source: str, asset: str) -> dict[str, str]:
    return {"data_source": source, "asset": asset, "batch_definition": "whole"}


class Lake:
    """One folder of parquet files, read by Spark and by pandas."""

    def __init__(self, root: Path, **tables: pd.DataFrame) -> None:
        self.context = gx.get_context(mode="ephemeral")
        self.spark = self.context.data_sources.add_spark_filesystem("lake", base_directory=root)
        self.pandas = self.context.data_sources.add_pandas_filesystem("local", base_directory=root)
        for name, table in tables.items():
            # Spark reads no nanoseconds
            stamps = {c: "datetime64[us]" for c in table if table[c].dtype.kind == "M"}
            table.astype(stamps).to_parquet(root / f"{name}.parquet")
            for source in (self.spark, self.pandas):
                asset = source.add_parquet_asset(name)
                asset.add_batch_definition_path("whole", path=f"{name}.parquet")

    def batch(self, engine: str, name: str = "made") -> Any:
        asset = getattr(self, engine).get_asset(name)
        return asset.get_batch_definition("whole").get_batch()


@pytest.mark.parametrize("source", ["lake", "local"])
def test_a_distance_by_hand(source: str, spark: Any, tmp_path: Path) -> None:
    lake = Lake(tmp_path, real=REAL, made=MADE)
    expected = sce.ExpectColumnKsToBeAtMost(**KS, reference=place(source, "real"))
    found = lake.batch("spark").validate(expected)
    assert found.exception_info["raised_exception"] is False
    assert (found.success, found.result["observed_value"]) == (True, 0.25)


def test_frames_of_spark_can_be_bound(spark: Any) -> None:
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_spark("live").add_dataframe_asset("any")
    definition = asset.add_batch_definition_whole_dataframe("whole")
    batch = definition.get_batch(batch_parameters={"dataframe": spark.createDataFrame(MADE)})
    expected = sce.ExpectColumnKsToBeAtMost(**KS, reference={"bound": "train"})
    with sce.bound("train", spark.createDataFrame(REAL)):
        found = batch.validate(expected)
    assert (found.success, found.result["observed_value"]) == (True, 0.25)


def test_more_rows_than_are_collected_are_not_measured(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path, real=REAL, made=MADE)
    expected = sce.ExpectColumnKsToBeAtMost(**KS, reference=place("local", "real"))
    monkeypatch.setenv(ROWS_VARIABLE, "3")
    found = lake.batch("spark").validate(expected)
    details = found.result["details"]
    assert (found.success, details["state"]) == (False, "not measured")
    assert "the batch holds more than 3 rows" in details["reason"]
    assert ROWS_VARIABLE in details["reason"]
    monkeypatch.setenv(ROWS_VARIABLE, "4")
    assert lake.batch("spark").validate(expected).success


def test_an_empty_table_is_not_measured(spark: Any, tmp_path: Path) -> None:
    lake = Lake(tmp_path, real=REAL, made=MADE.iloc[:0])
    expected = sce.ExpectColumnKsToBeAtMost(**KS, reference=place("lake", "real"))
    found = lake.batch("spark").validate(expected)
    assert found.exception_info["raised_exception"] is False
    assert found.result["details"]["reason"] == "the batch has no rows"


def test_spark_and_pandas_read_the_same_figures(spark: Any, tmp_path: Path) -> None:
    """Attacks, distances, series and classes, with missing values, to the last bit."""
    rng = np.random.default_rng(5)
    tables = {}
    for i, name in enumerate(("real", "unseen", "made")):
        who = np.repeat(np.arange(220) + 1000 * i, 3)
        hours = pd.to_timedelta(rng.integers(0, 90 * 24, len(who)), unit="h")
        amount = rng.gamma(2.0, 10.0, len(who)).round(2)
        tables[name] = pd.DataFrame(
            {
                "who": who,
                "at": pd.Timestamp("2024-01-01") + hours,
                "amount": np.where(rng.random(len(who)) < 0.1, np.nan, amount),
                "items": pd.array(rng.integers(1, 5, len(who)), dtype="Int64"),
                "city": rng.choice(["a", "b", "c", None], len(who)),
            }
        )
    lake = Lake(tmp_path, **tables)
    roles = {"entityKey": "who", "timeIndex": "at", "quasiIdentifiers": ["city"]}
    figures = {}
    for engine, source in (("spark", "lake"), ("pandas", "local")):
        shared: dict[str, Any] = {
            "reference": place(source, "real"), "holdout": place(source, "unseen"), "roles": roles,
        }  # fmt: skip
        suite = gx.ExpectationSuite(name=engine)
        for kind in (
            sce.ExpectTableMembershipInferenceToBeAtMost,
            sce.ExpectTableNearestNeighborDistanceToBeAtMost,
            sce.ExpectTableKsMeanToBeAtMost,
            sce.ExpectTableTotalVariationToBeAtMost,
            sce.ExpectTableMissingnessToBeAtMost,
            sce.ExpectTableHourProfileToBeAtMost,
            sce.ExpectTableDetectionToBeAtMost,
        ):
            suite.add_expectation(kind(max_value=0.9, **shared))
        suite.add_expectation(sce.ExpectTableKAnonymityToBeAtLeast(min_value=2, **shared))
        results = lake.batch(engine).validate(suite).results
        figures[engine] = {
            item.expectation_config.type: item.result["details"]["result"] for item in results
        }
        assert all(item.result["observed_value"] is not None for item in results)
    assert len(figures["spark"]) == 8
    assert figures["spark"] == figures["pandas"]
