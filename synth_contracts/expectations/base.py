"""What every expectation of this package shares: the limit, the reference, one shared comparison.

An expectation compares one number of one metric with its limit. The measuring itself is done by
``metrics``; here it is only asked for, through Great Expectations' metric graph, which computes
equal requests once per validation. The tables come from a runner of this package, bound by name, or
from any project of Great Expectations (docs/standalone.md).
"""

# No `from __future__ import annotations`: pydantic v1 reads the annotations of the fields.

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from great_expectations.compatibility import pydantic
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnAggregateExpectation,
)
from great_expectations.expectations.metrics.metric_provider import MetricProvider, metric_value
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

from synth_contracts.contract.document import suggest
from synth_contracts.contract.model import Judged
from synth_contracts.contract.rules import DEFAULT_K, RULES
from synth_contracts.expectations import asked
from synth_contracts.expectations.measured import Measuring, result_to_json
from synth_contracts.expectations.reading import read_batch, read_reference, table_of
from synth_contracts.expectations.rendering import Rendered
from synth_contracts.expectations.standalone import Meaning, Standalone, Unusable, compare
from synth_contracts.metrics.measurement import Measurement, NotMeasured, Result

logger = logging.getLogger(__name__)

TABLE = "synth_contracts.table"
COMPARISON = "synth_contracts.comparison"
MEASUREMENT = "synth_contracts.measurement"

#: a number, or Great Expectations' suite parameter: ``{"$PARAMETER": name}``
Limit = float | dict[str, Any]
#: ``holds``, ``broken`` or ``not measured``: what the expectation says of its own result.
State = Literal["holds", "broken", "not measured"]

#: fields that say where the tables are and what they mean; equal ones share one comparison
_SHARED = ("reference", "holdout", "roles", "codes", "k", "seed")


def _guarded(made: Callable[[], Any]) -> Any:
    """What ``made`` makes, or why not: a provider that raises is run three times."""
    try:
        return made()
    except Unusable as reason:
        logger.info("the tables cannot be measured: %s", reason, exc_info=reason.__cause__)
        return reason
    except Exception as error:  # a fault here must end as "not measured", never as a pass
        logger.exception("reading the tables raised")
        return Unusable(f"error: {type(error).__name__} while reading; the log has the trace")


class TableProvider(MetricProvider):
    """One reference table, read once per validation; Unusable, never an exception.

    Its domain is empty: what a reference holds does not depend on the batch under validation.
    """

    metric_name = TABLE
    domain_keys = ()
    value_keys = ("table", "name")

    @metric_value(engine=ExecutionEngine)  # type: ignore[type-abstract] # GX asks for the base
    def _read(
        cls,  # noqa: N805 - Great Expectations calls it with the class
        execution_engine: ExecutionEngine[Any],
        metric_domain_kwargs: dict[str, Any],  # noqa: ARG002 - the signature is GX's
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],  # noqa: ARG002 - as above
        runtime_configuration: dict[str, Any],  # noqa: ARG002 - as above
    ) -> Any:
        said, name = metric_value_kwargs["table"], metric_value_kwargs["name"]
        return _guarded(lambda: read_reference(said, name, execution_engine))


class ComparisonProvider(MetricProvider):
    """The three tables and what metrics share of them, made once per validation.

    The domain has no column, so that every expectation of equal references asks for the same one.
    """

    metric_name = COMPARISON
    domain_keys = ("batch_id",)
    value_keys = _SHARED

    @metric_value(engine=ExecutionEngine)  # type: ignore[type-abstract] # GX asks for the base
    def _compare(
        cls,  # noqa: N805 - Great Expectations calls it with the class
        execution_engine: ExecutionEngine[Any],
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],  # noqa: ARG002 - the signature is GX's
    ) -> Measuring | Standalone | Unusable:
        def made() -> Measuring | Standalone:
            tables = {name: metrics.get(name) for name in ("reference", "holdout")}
            for table in tables.values():
                if isinstance(table, Unusable):
                    raise table
            frame = read_batch(execution_engine, metric_domain_kwargs)
            if isinstance(tables["reference"], Measuring):
                return _bound(tables["reference"], frame, metric_value_kwargs)
            if isinstance(tables["holdout"], Measuring):
                raise Unusable("the holdout is bound to three tables, and a holdout is one")
            return compare(
                table_of(frame, "batch"),
                tables["reference"],
                tables["holdout"],
                _meaning(metric_value_kwargs),
            )

        found: Measuring | Standalone | Unusable = _guarded(made)
        return found

    @classmethod
    def _get_evaluation_dependencies(
        cls,
        metric: MetricConfiguration,
        configuration: Any = None,  # noqa: ARG003 - as above
        execution_engine: Any = None,  # noqa: ARG003 - as above
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG003 - as above
    ) -> dict[str, MetricConfiguration]:
        return {
            name: MetricConfiguration(
                metric_name=TABLE,
                metric_domain_kwargs={},
                metric_value_kwargs={"table": metric.metric_value_kwargs[name], "name": name},
            )
            for name in ("reference", "holdout")
            if metric.metric_value_kwargs.get(name) is not None
        }


def _bound(measuring: Measuring, frame: Any, said: Mapping[str, Any]) -> Measuring:
    """The runner's own comparison, if the batch is its candidate and nothing contradicts it."""
    extra = [key for key in _SHARED[1:] if said.get(key) is not None]
    if extra:
        raise Unusable(
            f"{', '.join(extra)} come from the contract of the bound tables: leave them out"
        )
    if not measuring.comparison.synthetic.equals(frame):
        raise Unusable("the batch is not the candidate that the reference tables are bound to")
    return measuring


def _meaning(said: Mapping[str, Any]) -> Meaning:
    k, seed = said.get("k"), said.get("seed")
    return Meaning(
        roles=dict(said.get("roles") or {}),
        codes=tuple(said.get("codes") or ()),
        k=DEFAULT_K if k is None else k,
        seed=0 if seed is None else seed,
    )


class MeasurementProvider(MetricProvider):
    """One metric of the comparison: a Measurement or NotMeasured, never an exception.

    (A provider that raises is run three times by Great Expectations.)
    """

    metric_name = MEASUREMENT
    domain_keys = ("batch_id",)
    value_keys = ("metric", "column", "options", *_SHARED)

    @metric_value(engine=ExecutionEngine)  # type: ignore[type-abstract] # GX asks for the base
    def _measure(
        cls,  # noqa: N805 - pydantic and GX pass the class
        execution_engine: ExecutionEngine[Any],  # noqa: ARG002 - as above
        metric_domain_kwargs: dict[str, Any],  # noqa: ARG002 - as above
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],  # noqa: ARG002 - as above
    ) -> Result:
        metric, column = metric_value_kwargs["metric"], metric_value_kwargs["column"]
        measuring: Measuring | Standalone | Unusable = metrics[COMPARISON]
        if isinstance(measuring, Unusable):
            return NotMeasured(metric, str(measuring), column, error=True)
        return measuring.measure(metric, column, metric_value_kwargs["options"])

    @classmethod
    def _get_evaluation_dependencies(
        cls,
        metric: MetricConfiguration,
        configuration: Any = None,  # noqa: ARG003 - as above
        execution_engine: Any = None,  # noqa: ARG003 - as above
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG003 - as above
    ) -> dict[str, MetricConfiguration]:
        said = metric.metric_value_kwargs
        return {
            COMPARISON: MetricConfiguration(
                metric_name=COMPARISON,
                metric_domain_kwargs=metric.metric_domain_kwargs,
                metric_value_kwargs={key: said[key] for key in _SHARED if key in said},
            )
        }


class _Limited(Rendered, BatchExpectation):
    """Asks for one measurement and compares one number of it with the limit.

    A field that is equal to its default vanishes from the stored suite: limit and reference have
    none, and the defaults of the others stand for what the rules say (contract/rules.py), so that
    what a contract writes is always stored.
    """

    metric: ClassVar[str]
    operator: ClassVar[Literal["<=", ">="]]
    option_keys: ClassVar[tuple[str, ...]] = ()

    reference: dict[str, Any] = pydantic.Field(
        description="The real table that the generator saw: the names of its data_source, asset "
        'and batch_definition, or {"bound": name}, filled by the runner.'
    )
    judged: Judged | None = pydantic.Field(
        None, description="Which number of the measurement is judged; by default its rule's."
    )
    holdout: dict[str, Any] | None = pydantic.Field(
        None, description="Real entities that the generator never saw; spelled as the reference."
    )
    roles: dict[str, Any] | None = pydantic.Field(
        None,
        description="What columns mean: entityKey, timeIndex, timezone, quasiIdentifiers, "
        "sensitive, exclude.",
    )
    codes: list[str] | None = pydantic.Field(
        None, description="Integer columns that name categories."
    )
    k: int | None = pydantic.Field(None, ge=2, description="Reported beside k-anonymity; 10.")
    seed: int | None = pydantic.Field(None, ge=0, description="Of every sample that is drawn; 0.")

    @pydantic.root_validator(pre=True)
    def _spelled(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805 - pydantic and GX pass the class
        for key in values:
            if key not in cls.__fields__:
                known = [name for name in (*cls.success_keys, "column") if name in cls.__fields__]
                raise ValueError(f"there is no `{key}`; {suggest(key, known)}")
        if values.get("row_condition") is not None:
            raise ValueError("`row_condition` is not taken: whole tables are compared")
        return values

    @pydantic.validator("reference", "holdout")
    def _is_a_table(cls, said: Any, field: Any) -> Any:  # noqa: N805 - as above
        return None if said is None else asked.check_table(said, field.name)

    @pydantic.validator("roles")
    def _are_roles(cls, said: Any) -> Any:  # noqa: N805 - as above
        return None if said is None else asked.check_roles(said)

    @pydantic.root_validator
    def _makes_sense(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805 - as above
        rule = RULES[cls.metric]
        limit = values.get(rule.limit_kwarg)
        if isinstance(limit, (int, float)):
            asked.check_limit(limit, rule)
        elif isinstance(limit, dict) and set(limit) != {"$PARAMETER"}:
            raise ValueError(f'`{rule.limit_kwarg}` is a number or {{"$PARAMETER": name}}')
        for key in cls.option_keys:
            if values.get(key) is not None:
                asked.check_option(key, values[key], rule.options[key])
        reference, holdout = values.get("reference"), values.get("holdout")
        if reference is not None and reference == holdout:
            raise ValueError(
                "reference and holdout are the same batch: a holdout is of entities that the "
                "generator never saw"
            )
        return values

    @property
    def judged_number(self) -> Judged:
        """The number that is compared with the limit."""
        return self.judged or RULES[self.metric].judged

    def get_validation_dependencies(
        self,
        execution_engine: Any = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> ValidationDependencies:
        dependencies = super().get_validation_dependencies(execution_engine, runtime_configuration)
        options = {
            key: getattr(self, key) for key in self.option_keys if getattr(self, key) is not None
        }
        shared = {key: getattr(self, key) for key in _SHARED if getattr(self, key) is not None}
        dependencies.set_metric_configuration(
            metric_name=MEASUREMENT,
            metric_configuration=MetricConfiguration(
                metric_name=MEASUREMENT,
                metric_domain_kwargs={"batch_id": self.batch_id} if self.batch_id else {},
                metric_value_kwargs={
                    "metric": self.metric,
                    "column": self._measured_column(),
                    "options": options,
                    **shared,
                },
            ),
        )
        return dependencies

    def _measured_column(self) -> str | None:
        return None

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002 - as above
        execution_engine: Any = None,  # noqa: ARG002 - as above
    ) -> dict[str, Any]:
        result: Result = metrics[MEASUREMENT]
        state, number, reason = self._decide(result)
        details: dict[str, Any] = {
            "state": state,
            "judged": self.judged_number,
            "result": result_to_json(result),
        }
        if reason is not None:
            details["reason"] = reason
        return {
            "success": state == "holds",
            "result": {"observed_value": number, "details": details},
        }

    def _decide(self, result: Result) -> tuple[State, float | None, str | None]:
        """State, judged number, and why nothing was decided."""
        if not isinstance(result, Measurement):
            return "not measured", None, result.reason
        judged = self.judged_number
        number = result.number(judged)
        if number is None:
            return "not measured", None, _LACKS[judged]
        if self._within(number):
            return "holds", number, None
        if judged == "bound" and self._within(result.value):
            reason = "too few entities: the value is within the limit, its bound is not"
            return "not measured", number, reason
        return "broken", number, None

    def _within(self, number: float) -> bool:
        # written so that NaN is outside
        limit: Any = self.max_value if self.operator == "<=" else self.min_value  # type: ignore[attr-defined] # made per class
        return bool(number <= limit if self.operator == "<=" else number >= limit)


#: Why a measurement does not have the number that is judged.
_LACKS: Mapping[str, str] = {
    "value": "the measurement has no value",
    "bound": "the measurement has no one-sided bound, and the bound is judged",
    "lower": "the measurement has no lower bound, and the lower bound is judged",
    "over_floor": "the value over its floor is judged, and floors are read off a holdout: name a "
    'batch of unseen entities as `holdout`, or write `judged: "value"`',
    "ceiling_share": "the share of the ceiling is judged, and ceilings are read off a holdout: "
    'name a batch of unseen entities as `holdout`, or write `judged: "value"`',
}


class TableAtMost(_Limited):
    """A number of the whole table with an upper limit."""

    operator = "<="
    max_value: Limit = pydantic.Field(description="The limit, inclusive.")
    success_keys: ClassVar[tuple[str, ...]] = ("max_value", "judged", *_SHARED)


class TableAtLeast(_Limited):
    """A number of the whole table with a lower limit."""

    operator = ">="
    min_value: Limit = pydantic.Field(description="The limit, inclusive.")
    success_keys: ClassVar[tuple[str, ...]] = ("min_value", "judged", *_SHARED)


class ColumnAtMost(_Limited, ColumnAggregateExpectation):
    """A number of one column with an upper limit."""

    operator = "<="
    max_value: Limit = pydantic.Field(description="The limit, inclusive.")
    success_keys: ClassVar[tuple[str, ...]] = ("max_value", "judged", *_SHARED)

    def _measured_column(self) -> str | None:
        return self.column
