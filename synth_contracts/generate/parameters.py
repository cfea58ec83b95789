"""``generator.parameters``: whole numbers with a default and a smallest value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.errors import GenerationError

#: generator type -> parameter -> (default, smallest value). Leaves smaller than these memorise.
PARAMETERS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "calendar_cart": {"leaf_rows": (100, 100), "leaf_entities": (10, 10), "entity_leaf": (20, 20)},
    "ctgan": {"epochs": (300, 1), "batch_size": (500, 10)},
}


def read_parameters(generator: str, given: Mapping[str, Any]) -> dict[str, int]:
    """The parameters of ``generator`` with defaults filled in.

    Raises:
        GenerationError: an unknown name, or a value that is no whole number or too small.
    """
    known = PARAMETERS[generator]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise GenerationError(
            f"unknown parameter of {generator}: {', '.join(unknown)}",
            where="generator.parameters",
            mend=f"known are {', '.join(known)}",
        )
    out = {}
    for name, (default, least) in known.items():
        value = given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise GenerationError(
                f"{name} is {value!r}, and must be a whole number of at least {least}",
                where=f"generator.parameters.{name}",
            )
        out[name] = value
    return out
