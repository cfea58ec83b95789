"""What every expectation of this package shares: the limit, the reference, one shared comparison.

An expectation compares one number of one metric with its limit. The measuring itself is done by
``metrics``; here it is only asked for, through Great Expectations' metric graph, which computes
equal requests once per validation.
"""

# No `from __future__ import annotations`: pydantic v1 reads the annotations of the fields.

from typing import Any, ClassVar, Literal

from great_expectations.compatibility import pydantic
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnAggregateExpectation,
)
from great_expectations.expectations.metrics.metric_provider import MetricProvider, metric_value
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

from synth_contracts.expectations.binding import lookup
from synth_contracts.expectations.measured import Measuring, result_to_json
from synth_contracts.metrics.measurement import Measurement, Result

COMPARISON = "synth_contracts.comparison"
MEASUREMENT = "synth_contracts.measurement"

#: a number, or Great Expectations' suite parameter: ``{"$PARAMETER": name}``
Limit = float | dict[str, Any]
JudgedNumber = Literal["value", "bound", "lower", "over_floor", "ceiling_share"]
#: ``holds``, ``broken`` or ``not measured``: what the expectation says of its own result.
State = Literal["holds", "broken", "not measured"]


class ComparisonProvider(MetricProvider):
    """The three tables and what metrics share of them, made once per validation.

    The domain has no column and no reference, so that every expectation asks for the same one.
    """

    metric_name = COMPARISON
    domain_keys = ("batch_id",)
    value_keys = ("reference",)

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 - Great Expectations calls it with the class
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],  # noqa: ARG002 - the signature is Great Expectations'
        runtime_configuration: dict[str, Any],  # noqa: ARG002 - as above
    ) -> Measuring:
        frame, _, _ = execution_engine.get_compute_domain(
            domain_kwargs=metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE
        )
        measuring = lookup(metric_value_kwargs["reference"]["bound"])
        if not frame.equals(measuring.comparison.synthetic):
            raise ValueError(
                "the batch is not the candidate that the reference tables are bound to"
            )
        return measuring


class MeasurementProvider(MetricProvider):
    """One metric of the comparison: a Measurement or NotMeasured, never an exception.

    (A provider that raises is run three times by Great Expectations.)
    """

    metric_name = MEASUREMENT
    domain_keys = ("batch_id",)
    value_keys = ("metric", "column", "options", "reference")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 - pydantic and GX pass the class
        execution_engine: PandasExecutionEngine,  # noqa: ARG002 - as above
        metric_domain_kwargs: dict[str, Any],  # noqa: ARG002 - as above
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],  # noqa: ARG002 - as above
    ) -> Result:
        measuring: Measuring = metrics[COMPARISON]
        return measuring.measure(
            metric_value_kwargs["metric"],
            metric_value_kwargs["column"],
            metric_value_kwargs["options"],
        )

    @classmethod
    def _get_evaluation_dependencies(
        cls,
        metric: MetricConfiguration,
        configuration: Any = None,  # noqa: ARG003 - as above
        execution_engine: Any = None,  # noqa: ARG003 - as above
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG003 - as above
    ) -> dict[str, MetricConfiguration]:
        return {
            COMPARISON: MetricConfiguration(
                metric_name=COMPARISON,
                metric_domain_kwargs=metric.metric_domain_kwargs,
                metric_value_kwargs={"reference": metric.metric_value_kwargs["reference"]},
            )
        }


class _Limited(BatchExpectation):
    """Asks for one measurement and compares one number of it with the limit.

    All fields that decide are required: a field that is equal to its default vanishes from the
    stored suite.
    """

    metric: ClassVar[str]
    operator: ClassVar[Literal["<=", ">="]]
    option_keys: ClassVar[tuple[str, ...]] = ()

    judged: JudgedNumber = pydantic.Field(description="Which number of the measurement is judged.")
    reference: dict[str, str] = pydantic.Field(
        description='The reference tables: {"bound": name}, filled by the runner.'
    )

    @pydantic.validator("reference")
    def _reference_is_bound(cls, reference: dict[str, str]) -> dict[str, str]:  # noqa: N805 - pydantic and GX pass the class
        if set(reference) != {"bound"} or not reference["bound"]:
            raise ValueError('a reference is {"bound": "<name>"}')
        return reference

    def get_validation_dependencies(
        self,
        execution_engine: Any = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> ValidationDependencies:
        dependencies = super().get_validation_dependencies(execution_engine, runtime_configuration)
        options = {
            key: getattr(self, key) for key in self.option_keys if getattr(self, key) is not None
        }
        dependencies.set_metric_configuration(
            metric_name=MEASUREMENT,
            metric_configuration=MetricConfiguration(
                metric_name=MEASUREMENT,
                metric_domain_kwargs={"batch_id": self.batch_id} if self.batch_id else {},
                metric_value_kwargs={
                    "metric": self.metric,
                    "column": self._measured_column(),
                    "options": options,
                    "reference": dict(self.reference),
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
        state, number = self._decide(result)
        return {
            "success": state == "holds",
            "result": {
                "observed_value": number,
                "details": {"state": state, "result": result_to_json(result)},
            },
        }

    def _decide(self, result: Result) -> tuple[State, float | None]:
        if not isinstance(result, Measurement):
            return "not measured", None
        number = result.number(self.judged)
        if number is None:
            return "not measured", None
        if self._within(number):
            return "holds", number
        if self.judged == "bound" and self._within(result.value):
            return "not measured", number
        return "broken", number

    def _within(self, number: float) -> bool:
        # written so that NaN is outside
        limit: Any = self.max_value if self.operator == "<=" else self.min_value  # type: ignore[attr-defined] # made per class
        return bool(number <= limit if self.operator == "<=" else number >= limit)


class TableAtMost(_Limited):
    """A number of the whole table with an upper limit."""

    operator = "<="
    max_value: Limit = pydantic.Field(description="The limit, inclusive.")
    success_keys: ClassVar[tuple[str, ...]] = ("max_value", "judged", "reference")


class TableAtLeast(_Limited):
    """A number of the whole table with a lower limit."""

    operator = ">="
    min_value: Limit = pydantic.Field(description="The limit, inclusive.")
    success_keys: ClassVar[tuple[str, ...]] = ("min_value", "judged", "reference")


class ColumnAtMost(_Limited, ColumnAggregateExpectation):
    """A number of one column with an upper limit."""

    operator = "<="
    max_value: Limit = pydantic.Field(description="The limit, inclusive.")
    success_keys: ClassVar[tuple[str, ...]] = ("max_value", "judged", "reference")

    def _measured_column(self) -> str | None:
        return self.column
