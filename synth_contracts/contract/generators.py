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
    """One ``generator.type``. ``bare``: no calendar model and no protections around it."""

    name: str
    parameters: Mapping[str, ParameterSpec]
    bare: bool = False


GENERATORS: Mapping[str, GeneratorType] = {
    spec.name: spec
    for spec in (
        GeneratorType(
            "calendar_cart",
            {
                "leaf_rows": ParameterSpec(
                    100, 100, 1_000_000, "rows that a leaf of a tree holds at least"
                ),
                "leaf_entities": ParameterSpec(
                    10, 10, 1_000_000, "entity equivalents that a leaf holds at least"
                ),
            },
        ),
        GeneratorType(
            "ctgan",
            {
                "epochs": ParameterSpec(300, 1, 100_000, "passes over the rows"),
                "batch_size": ParameterSpec(500, 10, 1_000_000, "rows of one step", multiple_of=10),
            },
            bare=True,
        ),
    )
}
#: ``generator.type`` values that are planned; their use is answered with "not available yet".
PLANNED = ("gaussian_copula", "tvae", "copula_gan", "par", "dp_marginals")
