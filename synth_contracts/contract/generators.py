"""The generators that exist and their parameters, as data (contract/ imports no registry)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ParameterSpec:
    """An integer parameter and its range."""

    default: int
    minimum: int
    maximum: int
    meaning: str
    multiple_of: int = 1


@dataclass(frozen=True)
class GeneratorType:
    """One ``generator.type``, its parameters, and what stands around its rows.

    ``calendar``: the calendar model; ``reject``: rows too near a real outlier are drawn again.
    """

    name: str
    parameters: Mapping[str, ParameterSpec]
    calendar: bool
    reject: bool


_MANY = 1_000_000
GENERATORS: Mapping[str, GeneratorType] = {
    spec.name: spec
    for spec in (
        GeneratorType(
            "calendar_cart",
            {
                # smaller leaves memorise: 15 rows read a membership advantage of .42
                "leaf_rows": ParameterSpec(
                    100, 100, _MANY, "rows that a leaf of a tree holds at least"
                ),
                "leaf_entities": ParameterSpec(
                    10, 10, _MANY, "entity equivalents that a leaf holds at least"
                ),
                "entity_leaf": ParameterSpec(
                    20, 20, _MANY, "entities that a leaf of the entity model holds at least"
                ),
            },
            calendar=True,
            reject=True,
        ),
        GeneratorType(
            "ctgan",
            {
                "epochs": ParameterSpec(300, 1, 100_000, "passes over the rows"),
                "batch_size": ParameterSpec(500, 10, _MANY, "rows of one step", multiple_of=10),
            },
            calendar=False,
            reject=False,
        ),
    )
}
#: ``generator.type`` values that are planned; their use is answered with "not available yet".
PLANNED = ("gaussian_copula", "tvae", "copula_gan", "par", "dp_marginals")
