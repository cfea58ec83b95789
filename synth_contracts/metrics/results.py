"""How metrics say what they could not measure, and common checks of what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synth_contracts.metrics.intervals import Interval

if TYPE_CHECKING:
    from synth_contracts.metrics.comparison import Comparison


#: Entities on either side below which an attack has no verdict.
FEWEST_ENTITIES = 200


class CannotMeasure(Exception):
    """The data do not allow this metric; becomes NotMeasured with this reason."""


def need_rows(comparison: Comparison, *names: str) -> None:
    """Raises CannotMeasure when one of the named tables (train, holdout, synthetic) is empty."""
    for name in names:
        if len(getattr(comparison, name)) == 0:
            raise CannotMeasure(f"the {name} table has no rows")


def need_features(comparison: Comparison) -> None:
    """Raises CannotMeasure when there is no column but keys."""
    if not comparison.schema.features:
        raise CannotMeasure("the table has no column but keys")


def need_split(comparison: Comparison) -> None:
    """Raises CannotMeasure when train and holdout share entities."""
    if comparison.shared_entities:
        raise CannotMeasure(
            f"{comparison.shared_entities} entities stand in train and in holdout: "
            "the split must be by entity"
        )


def need_entities(comparison: Comparison) -> None:
    """Raises CannotMeasure when train or holdout has too few entities for an attack's verdict."""
    for name, side in (("holdout", comparison.holdout_side), ("train", comparison.train_side)):
        if side.entities < FEWEST_ENTITIES:
            raise CannotMeasure(
                f"{side.entities} entities in {name}, and the attack needs {FEWEST_ENTITIES}"
            )


def limits(interval: Interval | None) -> dict[str, Any]:
    """The interval as arguments of Measurement; nothing without one."""
    if interval is None:
        return {}
    return {
        "lower": interval.lower,
        "upper": interval.upper,
        "bound_lower": interval.bound_lower,
        "bound_upper": interval.bound_upper,
    }
