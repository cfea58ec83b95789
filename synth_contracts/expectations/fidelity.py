"""Expectations on fidelity and validity: whether the candidate behaves like the real table."""

from typing import ClassVar

from great_expectations.compatibility import pydantic

from synth_contracts.expectations.base import ColumnAtMost, TableAtLeast, TableAtMost


class ExpectColumnKsToBeAtMost(ColumnAtMost):
    """Expect a column's distribution to be near the holdout's (Kolmogorov-Smirnov)."""

    metric = "ks"


class ExpectTableKsMeanToBeAtMost(TableAtMost):
    """Expect the numeric columns' distributions to be near the holdout's on average."""

    metric = "ks_mean"


class ExpectTableKsMaxToBeAtMost(TableAtMost):
    """Expect the worst numeric column's distribution to be near the holdout's."""

    metric = "ks_max"


class ExpectTableTotalVariationToBeAtMost(TableAtMost):
    """Expect the shares of every column's categories to be near the holdout's."""

    metric = "total_variation"


class ExpectColumnTotalVariationToBeAtMost(ColumnAtMost):
    """Expect the shares of a column's categories to be near the holdout's."""

    metric = "total_variation"


class ExpectTableMissingnessToBeAtMost(TableAtMost):
    """Expect every column to miss as many values as in the holdout."""

    metric = "missingness"


class ExpectTablePairAssociationToBeAtMost(TableAtMost):
    """Expect pairs of columns to be distributed together as in the holdout."""

    metric = "pair_association"


class ExpectTableAutocorrelationToBeAtMost(TableAtMost):
    """Expect the detrended series to repeat itself at the same lags as the real one.

    ``None`` in aggregate, column, frequency or lags stands for the metric's own choice (daily
    count, lags 1 to 28).
    """

    metric = "autocorrelation"
    option_keys = ("aggregate", "column", "frequency", "lags")

    aggregate: str | None = pydantic.Field(None, description="count or sum")
    column: str | None = pydantic.Field(None, description="the column that is summed")
    frequency: str | None = pydantic.Field(None, description="day or hour")
    lags: list[int] | None = pydantic.Field(None, description="lags, in units of frequency")
    success_keys: ClassVar[tuple[str, ...]] = (*TableAtMost.success_keys, *option_keys)


class ExpectTableCalendarCorrelationToBeAtLeast(TableAtLeast):
    """Expect the detrended series to move with the real one over the same days."""

    metric = "calendar_correlation"
    option_keys = ("aggregate", "column", "frequency")

    aggregate: str | None = pydantic.Field(None, description="count or sum")
    column: str | None = pydantic.Field(None, description="the column that is summed")
    frequency: str | None = pydantic.Field(None, description="day or hour")
    success_keys: ClassVar[tuple[str, ...]] = (*TableAtLeast.success_keys, *option_keys)


class ExpectTableHourProfileToBeAtMost(TableAtMost):
    """Expect the hours of the day to hold the same shares of rows as in the real table."""

    metric = "hour_profile"


class ExpectTableWeekdayProfileToBeAtMost(TableAtMost):
    """Expect the days of the week to hold the same shares of rows as in the real table."""

    metric = "weekday_profile"


class ExpectTableEntityProfileToBeAtMost(TableAtMost):
    """Expect entities to hold as many rows as real ones do."""

    metric = "entity_profile"


class ExpectTableForecastUtilityToBeAtMost(TableAtMost):
    """Expect forecasts learned from the table to err hardly more than those learned from real."""

    metric = "forecast_utility"
    option_keys = ("aggregate", "column", "frequency", "horizon")

    aggregate: str | None = pydantic.Field(None, description="count or sum")
    column: str | None = pydantic.Field(None, description="the column that is summed")
    frequency: str | None = pydantic.Field(None, description="day or hour")
    horizon: int | None = pydantic.Field(None, description="steps ahead, in units of frequency")
    success_keys: ClassVar[tuple[str, ...]] = (*TableAtMost.success_keys, *option_keys)


class ExpectTableDetectionToBeAtMost(TableAtMost):
    """Expect a classifier to tell synthetic rows from unseen real ones hardly better than luck."""

    metric = "detection"


class ExpectTableConstraintViolationsToBeAtMost(TableAtMost):
    """Expect the declared types, keys and ranges to hold in the synthetic table."""

    metric = "constraint_violations"


# whoever imports some of the expectations gets all: a stored suite loads without the others
from synth_contracts.expectations import catalog as _catalog  # noqa: E402, F401
