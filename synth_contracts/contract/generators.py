"""The generators that exist and their parameters, as data (contract/ imports no registry)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ParameterSpec:
    """A parameter: a whole number of a range, or one of ``choices``."""

    default: int | str
    minimum: int = 0
    maximum: int = 0
    meaning: str = ""
    multiple_of: int = 1
    choices: tuple[str, ...] = ()

    def fault(self, value: object) -> str:
        """What is wrong with a value of it, to be read after its name; nothing when it is right."""
        if self.choices:
            return "" if value in self.choices else f"must be one of {', '.join(self.choices)}"
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be a whole number"
        if not self.minimum <= value <= self.maximum:
            return f"must lie from {self.minimum:,} to {self.maximum:,}"
        if value % self.multiple_of:
            return f"must be a multiple of {self.multiple_of}"
        return ""


@dataclass(frozen=True)
class GeneratorType:
    """One ``generator.type`` and its parameters.

    ``reject``: rows too near a real outlier are drawn again. ``fit_rows``: it can be fitted on a
    part of the rows.
    """

    name: str
    parameters: Mapping[str, ParameterSpec]
    reject: bool = False
    fit_rows: bool = True


_MANY = 1_000_000
_NETWORK = {
    "epochs": ParameterSpec(300, 1, 100_000, "passes over the rows"),
    "batch_size": ParameterSpec(500, 10, _MANY, "rows of one step", multiple_of=10),
}
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
            reject=True,
            fit_rows=False,
        ),
        GeneratorType(
            "gaussian_copula",
            {
                "distribution": ParameterSpec(
                    "beta",
                    choices=("beta", "gamma", "norm", "truncnorm", "uniform"),
                    meaning="the shape of every column",
                ),
            },
        ),
        GeneratorType("ctgan", _NETWORK),
        GeneratorType("tvae", _NETWORK),
    )
}
#: ``generator.type`` values that are planned; their use is answered with "not available yet".
PLANNED = ("copula_gan", "par", "dp_marginals")
