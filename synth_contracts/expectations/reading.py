"""Batches of Great Expectations as tables that the metrics read.

Metrics need whole tables in memory. A pandas batch is there already; a Spark batch is collected
through Arrow, up to a number of rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.data_context.data_context.context_factory import project_manager
from great_expectations.execution_engine.execution_engine import ExecutionEngine

from synth_contracts.expectations.binding import Bound, lookup
from synth_contracts.expectations.measured import Measuring
from synth_contracts.expectations.standalone import Unusable

#: the most rows of a Spark batch that are collected
ROWS_VARIABLE = "SYNTH_CONTRACTS_SPARK_ROWS"
MOST_SPARK_ROWS = 5_000_000


def read_reference(said: Mapping[str, Any], name: str, engine: ExecutionEngine[Any]) -> Bound:
    """What a reference or holdout refers to: a table, or the Measuring of a runner.

    Args:
        said: the checked field of an expectation.
        name: what it is called in sentences.
        engine: of the batch under validation.

    Raises:
        Unusable: it cannot be found or read.
    """
    if "bound" in said:
        try:
            held = lookup(said["bound"])
        except LookupError as error:
            raise Unusable(str(error)) from error
        return held if isinstance(held, Measuring) else table_of(held, name)
    sources = project_manager.get_datasources()
    # asking a data source for its engine would start Spark; the batch's own is there already
    if not any(getattr(one, "_execution_engine", None) is engine for one in sources.values()):
        raise Unusable(
            f"the batch is not of the current project, in which the {name} would be looked up: "
            "make the batch's own context the current one by "
            "great_expectations.data_context.set_context"
        )
    place = "/".join(said[key] for key in ("data_source", "asset", "batch_definition"))
    try:
        asset = sources[said["data_source"]].get_asset(said["asset"])
        definition = asset.get_batch_definition(said["batch_definition"])
    except Exception as error:  # Great Expectations raises KeyError, LookupError and its own
        raise Unusable(
            f"the {name} {place} is not in the current project ({type(error).__name__}); its data "
            f"sources are: {', '.join(sorted(sources)) or 'none'}"
        ) from error
    try:
        batch = definition.get_batch(batch_parameters=said.get("batch_parameters"))
        frame = batch.data.dataframe
    except Exception as error:  # whatever the reader of the asset raises; it may quote values
        raise Unusable(
            f"the {name} {place} cannot be read: {type(error).__name__}; the log has the trace"
        ) from error
    return table_of(frame, name)


def read_batch(engine: ExecutionEngine[Any], domain: Mapping[str, Any]) -> Any:
    """The batch under validation, as its engine holds it.

    Raises:
        Unusable: its engine is neither pandas nor Spark.
    """
    if not hasattr(engine, "dataframe"):
        raise Unusable(
            f"a batch of {type(engine).__name__} is not read: load the table as a pandas or Spark "
            "asset"
        )
    frame, _, _ = engine.get_compute_domain(
        domain_kwargs=dict(domain), domain_type=MetricDomainTypes.TABLE
    )
    return frame


def table_of(frame: Any, name: str) -> pd.DataFrame | pa.Table:
    """A pandas DataFrame or Arrow table as it is, a Spark DataFrame collected.

    Raises:
        Unusable: it is something else, or Spark holds more rows than are collected.
    """
    if isinstance(frame, (pd.DataFrame, pa.Table)):
        return frame
    if not hasattr(frame, "toArrow"):
        raise Unusable(f"the {name} is a {type(frame).__name__}, not a table")
    most = _most_rows()
    # one more than allowed tells enough: a table of any size need not be counted
    if frame.limit(most + 1).count() > most:
        raise Unusable(
            f"the {name} holds more than {most} rows, and a Spark batch is collected into memory; "
            f"sample whole entities, or set {ROWS_VARIABLE}"
        )
    collected: pd.DataFrame | pa.Table = frame.toArrow()
    return collected


def _most_rows() -> int:
    said = os.environ.get(ROWS_VARIABLE, "")
    if not said:
        return MOST_SPARK_ROWS
    if not said.isdigit():
        raise Unusable(f"{ROWS_VARIABLE} is a whole number of rows")
    return int(said)
