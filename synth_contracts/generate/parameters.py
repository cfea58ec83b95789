"""``generator.parameters`` as the generators read them: checked again, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.contract.document import suggest
from synth_contracts.contract.generators import GENERATORS, GeneratorType
from synth_contracts.contract.parameters import faults_together
from synth_contracts.errors import GenerationError


def read_parameters(generator: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a built-in ``generator`` with defaults filled in (see ``filled``)."""
    return filled(GENERATORS[generator], given)


def filled(generator: GeneratorType, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of ``generator`` with defaults filled in.

    A contract's were checked when it was loaded; one made in Python was not.

    Raises:
        GenerationError: an unknown name, or a value of the wrong type or out of range.
    """
    known = generator.parameters
    out: dict[str, Any] = {name: parameter.default for name, parameter in known.items()}
    for name, value in given.items():
        where = f"generator.parameters.{name}"
        if name not in known:
            raise GenerationError(
                f"unknown parameter of {generator.name}: {name}",
                where=where,
                mend=suggest(name, known),
            )
        fault = known[name].fault(value)
        if fault:
            raise GenerationError(f"{name} {fault}", where=where, mend=known[name].mend(value))
        out[name] = known[name].plain(value)
    for name, fault in faults_together(generator.together, out):
        raise GenerationError(f"{name} {fault}", where=f"generator.parameters.{name}")
    return out
