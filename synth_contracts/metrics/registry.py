"""All metrics, listed by hand: a missing import cannot silently take one away."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from synth_contracts.contract.model import Family
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.fidelity import (
    autocorrelation,
    calendar_correlation,
    detection,
    entity_profile,
    forecast_utility,
    hour_profile,
    ks,
    ks_max,
    ks_mean,
    missingness,
    pair_association,
    total_variation,
    weekday_profile,
)
from synth_contracts.metrics.measurement import Measurement, NotMeasured, Result
from synth_contracts.metrics.privacy import (
    attribute_disclosure,
    empirical_epsilon,
    entity_membership_inference,
    identical_match,
    k_anonymity,
    l_diversity,
    linkability,
    membership_inference,
    nearest_neighbor_distance,
    outlier_membership_inference,
    recognized_entities,
    replicated_uniques,
    singling_out,
    t_closeness,
)
from synth_contracts.metrics.results import CannotMeasure
from synth_contracts.metrics.validity import constraint_violations

Measure = Callable[[Comparison, str | None, Mapping[str, Any]], Measurement]


@dataclass(frozen=True)
class Metric:
    """One metric. ``measure`` may raise CannotMeasure; :func:`measure` turns it into a result.

    ``scope`` "either": of one column, or of the worst when no column is named. ``options`` are the
    names of the options that it takes.
    """

    id: str
    family: Family
    scope: Literal["table", "column", "either"]
    measure: Measure
    title: str
    meaning: str
    unit: str
    options: tuple[str, ...] = ()


METRICS: Mapping[str, Metric] = {
    metric.id: metric
    for metric in (
        Metric(
            membership_inference.ID, "privacy", "table", membership_inference.measure,
            "Membership inference",
            "Can someone who knows a record tell that it was used in training? 0 is a coin flip, "
            "1 is every confident guess right.",
            "2 PPV - 1",
        ),
        Metric(
            recognized_entities.ID, "privacy", "table", recognized_entities.measure,
            "Entities recognised for certain",
            "How many trained entities the most confident guesses find beyond chance. A single "
            "copied row is enough to be found.",
            "entities",
        ),
        Metric(
            entity_membership_inference.ID, "privacy", "table",
            entity_membership_inference.measure,
            "Membership inference of whole entities",
            "Can someone who knows all records of an entity tell that it was used in training? 0 "
            "is a coin flip, 1 is every confident guess right.",
            "2 PPV - 1",
        ),
        Metric(
            outlier_membership_inference.ID, "privacy", "table",
            outlier_membership_inference.measure,
            "Membership inference of the most unusual",
            "Are the most isolated entities told apart by whether they were used in training? 0 is "
            "a coin flip, 1 is all of them.",
            "2 AUC - 1",
        ),
        Metric(
            identical_match.ID, "privacy", "table", identical_match.measure,
            "Exact copies of real rows",
            "Share of synthetic rows equal to a trained row in every column but keys, beyond what "
            "unseen real rows reach by chance.",
            "share of synthetic rows",
        ),
        Metric(
            nearest_neighbor_distance.ID, "privacy", "table", nearest_neighbor_distance.measure,
            "Nearer to trained rows than to unseen ones",
            "Share of synthetic rows whose nearest real row was used in training. One half is "
            "what chance gives.",
            "share of synthetic rows",
        ),
        Metric(
            k_anonymity.ID, "privacy", "table", k_anonymity.measure,
            "Smallest group on the quasi-identifiers",
            "Fewest units of the released table that share one combination of the columns that "
            "an outsider may know.",
            "entities",
        ),
        Metric(
            replicated_uniques.ID, "privacy", "table", replicated_uniques.measure,
            "Unique people who stay unique",
            "Share of trained units that are unique on the quasi-identifiers and have one "
            "look-alike among the made units, beyond what unseen units have.",
            "share of real entities",
        ),
        Metric(
            attribute_disclosure.ID, "privacy", "table", attribute_disclosure.measure,
            "Sensitive values given away",
            "Share of trained units whose look-alikes all point to one sensitive value, "
            "rightly, beyond what happens to units that were not in training.",
            "share of real entities",
        ),
        Metric(
            singling_out.ID, "privacy", "table", singling_out.measure,
            "Singling out",
            "How much better guesses at combinations that single out one unit succeed among "
            "trained units than among unseen ones.",
            "share of guesses",
            options=("attacks", "aux_columns"),
        ),
        Metric(
            linkability.ID, "privacy", "table", linkability.measure,
            "Linkability",
            "How much better the table joins two sets of columns of one unit when it was "
            "trained on than when it was not.",
            "share of guesses",
            options=("attacks", "aux_columns"),
        ),
        Metric(
            l_diversity.ID, "privacy", "table", l_diversity.measure,
            "Fewest sensitive values in a group",
            "Fewest different sensitive values among units that share one combination of the "
            "quasi-identifiers.",
            "values",
        ),
        Metric(
            t_closeness.ID, "privacy", "table", t_closeness.measure,
            "Most unusual group",
            "Largest distance between the spread of sensitive values in a group and in the "
            "whole table.",
            "share of units",
        ),
        Metric(
            empirical_epsilon.ID, "privacy", "table", empirical_epsilon.measure,
            "Audit of a privacy claim",
            "The least epsilon that the success of the most confident guesses allows; it "
            "refutes claims and proves none.",
            "epsilon",
            options=("canaries",),
        ),
        Metric(
            ks.ID, "fidelity", "column", ks.measure,
            "Distribution of a column",
            "Largest gap between the cumulative shares of a column, synthetic and unseen real.",
            "share of rows",
        ),
        Metric(
            ks_mean.ID, "fidelity", "table", ks_mean.measure,
            "Distributions of numbers, on average",
            "Mean over numeric columns of the largest gap between cumulative shares.",
            "share of rows",
        ),
        Metric(
            ks_max.ID, "fidelity", "table", ks_max.measure,
            "Distributions of numbers, worst column",
            "Largest gap between cumulative shares over all numeric columns.",
            "share of rows",
        ),
        Metric(
            total_variation.ID, "fidelity", "either", total_variation.measure,
            "Shares of categories",
            "Share of rows that would have to change category, of one column or of the worst; "
            "both tables with small groups merged.",
            "share of rows",
        ),
        Metric(
            missingness.ID, "fidelity", "table", missingness.measure,
            "Missing values, worst column",
            "Largest difference of a column's share of missing values.",
            "share of rows",
        ),
        Metric(
            autocorrelation.ID, "fidelity", "table", autocorrelation.measure,
            "Rhythm over days or hours",
            "Largest difference in how strongly the series repeats itself after each lag.",
            "correlation",
            options=("aggregate", "column", "frequency", "lags"),
        ),
        Metric(
            calendar_correlation.ID, "fidelity", "table", calendar_correlation.measure,
            "The real busy days",
            "How closely busy and quiet days fall on the real ones; the ceiling is what unseen "
            "real rows reach.",
            "correlation",
            options=("aggregate", "column", "frequency"),
        ),
        Metric(
            hour_profile.ID, "fidelity", "table", hour_profile.measure,
            "Hours of the day",
            "Share of rows that would have to move to another hour.",
            "share of rows",
        ),
        Metric(
            weekday_profile.ID, "fidelity", "table", weekday_profile.measure,
            "Days of the week",
            "Share of rows that would have to move to another weekday.",
            "share of rows",
        ),
        Metric(
            pair_association.ID, "fidelity", "table", pair_association.measure,
            "Pairs of columns",
            "Share of rows that would have to move, on average over pairs of columns, for both "
            "to be spread together as in unseen real rows.",
            "share of rows",
        ),
        Metric(
            entity_profile.ID, "fidelity", "table", entity_profile.measure,
            "Rows per entity",
            "Largest gap between the cumulative shares of entities by their number of rows.",
            "share of entities",
        ),
        Metric(
            forecast_utility.ID, "fidelity", "table", forecast_utility.measure,
            "Forecasts learned from the table",
            "Error on the real future of a forecast learned from synthetic rows, over that of "
            "one learned from real rows.",
            "ratio of errors",
            options=("aggregate", "column", "frequency", "horizon"),
        ),
        Metric(
            detection.ID, "fidelity", "table", detection.measure,
            "Told from real rows by a classifier",
            "How often a trained classifier ranks a synthetic row as more synthetic than an "
            "unseen real one. One half is a coin flip.",
            "AUC",
        ),
        Metric(
            constraint_violations.ID, "validity", "table", constraint_violations.measure,
            "Declared constraints",
            "Cells that break what the contract declares of its columns.",
            "cells",
        ),
    )
}  # fmt: skip


def measure(
    metric_id: str,
    comparison: Comparison,
    *,
    column: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Result:
    """The result of one metric; bad data give NotMeasured with the reason, never NaN.

    Args:
        metric_id: an id of METRICS.
        comparison: the three tables.
        column: the column of a metric of scope "column" or "either"; None for the table.
        options: the metric's options, those that its ``Metric.options`` names.

    Raises:
        ValueError: an unknown metric, or a column or options it does not take.
    """
    metric = METRICS.get(metric_id)
    if metric is None:
        raise ValueError(f"there is no metric {metric_id!r}; there are: {', '.join(METRICS)}")
    if metric.scope != "either" and (metric.scope == "column") != (column is not None):
        raise ValueError(f"{metric_id} is a {metric.scope} metric, and column is {column!r}")
    unknown = sorted(set(options or {}) - set(metric.options))
    if unknown:
        takes = f"the options {', '.join(metric.options)}" if metric.options else "no options"
        raise ValueError(f"{metric_id} takes {takes}, and got {unknown}")
    try:
        found = metric.measure(comparison, column, options or {})
    except CannotMeasure as reason:
        return NotMeasured(metric_id, str(reason), column)
    if not math.isfinite(found.value):
        return NotMeasured(metric_id, f"the value came out as {found.value}", column)
    return found
