"""What a generator's parameters may be: kind, range and default of each, as data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synth_contracts.contract.document import suggest

#: ``whole`` and ``number`` lie in a range; ``wholes`` is a list of whole numbers of that range;
#: ``switch`` is true or false; ``choice`` is one of ``choices``; ``choices`` names one of them for
#: each of some columns.
ParameterKind = Literal["whole", "number", "wholes", "switch", "choice", "choices"]
_LONGEST = 8


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of a generator.

    Args:
        default: what stands where the contract is silent; a tuple for ``wholes``.
        minimum: smallest value of a whole number or number.
        maximum: largest value.
        meaning: what it does, in a few words.
        multiple_of: whole numbers must be multiples of it.
        choices: the words that ``choice`` and ``choices`` may say.
        kind: what kind of value it takes.
        nullable: whether null may be written.
    """

    default: Any
    minimum: float = 0
    maximum: float = 0
    meaning: str = ""
    multiple_of: int = 1
    choices: tuple[str, ...] = ()
    kind: ParameterKind = "whole"
    nullable: bool = False

    def fault(self, value: object) -> str:
        """What is wrong with a value of it, to be read after its name; nothing when it is right."""
        if value is None:
            return "" if self.nullable else "must not be empty"
        return _FAULTS[self.kind](self, value)

    def mend(self, value: object) -> str:
        """The nearest word where one of several was meant; else nothing."""
        words = list(value.values()) if isinstance(value, Mapping) else [value]
        odd = [word for word in words if word not in self.choices]
        return suggest(str(odd[0]), self.choices) if self.choices and odd else ""

    def plain(self, value: object) -> Any:
        """A right value as plain data: lists as tuples, mappings as dictionaries."""
        if isinstance(value, Mapping):
            return {str(name): str(word) for name, word in value.items()}
        return tuple(value) if isinstance(value, list | tuple) else value

    def _beyond(self, value: float) -> str:
        if not self.minimum <= value <= self.maximum:
            return f"must lie from {self.minimum:,} to {self.maximum:,}"
        return ""


def _whole(spec: ParameterSpec, value: object) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        return "must be a whole number"
    if fault := spec._beyond(value):
        return fault
    return f"must be a multiple of {spec.multiple_of}" if value % spec.multiple_of else ""


def _number(spec: ParameterSpec, value: object) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return "must be a number"
    return spec._beyond(value)


def _wholes(spec: ParameterSpec, value: object) -> str:
    if not isinstance(value, list | tuple) or not value:
        return "must be a list of whole numbers"
    if len(value) > _LONGEST:
        return f"must have at most {_LONGEST} numbers"
    fault = next((fault for item in value if (fault := _whole(spec, item))), "")
    return f"holds a number that {fault}" if fault else ""


def _switch(_spec: ParameterSpec, value: object) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _choice(spec: ParameterSpec, value: object) -> str:
    known = isinstance(value, str) and value in spec.choices
    return "" if known else f"must be one of {', '.join(spec.choices)}"


def _choices(spec: ParameterSpec, value: object) -> str:
    if not isinstance(value, Mapping):
        return "must name columns, each with one of " + ", ".join(spec.choices)
    faults = (_choice(spec, word) for word in value.values())
    fault = next((fault for fault in faults if fault), "")
    return f"names a column whose value {fault}" if fault else ""


_FAULTS: Mapping[str, Callable[[ParameterSpec, object], str]] = {
    "whole": _whole,
    "number": _number,
    "wholes": _wholes,
    "switch": _switch,
    "choice": _choice,
    "choices": _choices,
}


@dataclass(frozen=True)
class Together:
    """A condition over two parameters: ``first`` must be a multiple of ``second``."""

    first: str
    second: str

    def fault(self, parameters: Mapping[str, Any]) -> str:
        """What is wrong, to be read after the name of ``first``; nothing when it is right."""
        if parameters[self.first] % parameters[self.second]:
            return f"must be a multiple of `{self.second}` ({parameters[self.second]})"
        return ""


def faults_together(
    conditions: Sequence[Together], parameters: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """(parameter, fault) for every condition that ``parameters``, defaults filled in, break."""
    return [(one.first, fault) for one in conditions if (fault := one.fault(parameters))]
