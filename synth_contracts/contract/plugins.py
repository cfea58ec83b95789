"""Generators of other distributions, found by entry point (group ``synth_contracts.generators``).

A plugin is loaded only when a contract names it: its parameters are then known to ``lint``, and its
distribution and version are bound by the contract's digest.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from synth_contracts.contract.generators import GENERATORS, GeneratorType
from synth_contracts.contract.parameters import ParameterSpec

GROUP = "synth_contracts.generators"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class PluginFault(Exception):
    """An entry point that cannot serve as a generator; ``mend`` says what helps."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.message, self.mend = message, mend


@dataclass(frozen=True)
class Plugin:
    """A generator of another distribution.

    Args:
        spec: its name and parameters.
        make: the class; called with parameters and a progress function.
        rows: whether it models single rows (``draw``), to be put into the frame of calendar and
            entities; else whole tables (``sample``).
        distribution: name of the distribution that brings it.
        version: that distribution's version.
    """

    spec: GeneratorType
    make: type[Any]
    rows: bool
    distribution: str
    version: str


def plugin_names() -> tuple[str, ...]:
    """Names of all installed plugins, sorted."""
    return tuple(sorted({entry.name for entry in _entries(tuple(sys.path))}))


def find_plugin(name: str) -> Plugin | None:
    """The plugin of that name; None where no distribution offers one.

    Raises:
        PluginFault: it has the name of a built-in generator, two distributions offer the name, it
            cannot be loaded, or what it names is no generator.
    """
    found = [entry for entry in _entries(tuple(sys.path)) if entry.name == name]
    if not found:
        return None
    entry, said = found[0], ", ".join(sorted({_origin(entry) for entry in found}))
    if name in GENERATORS:
        raise PluginFault(
            f"the generator `{name}` of {said} has the name of a built-in one",
            "uninstall that distribution, or give its entry point another name",
        )
    if len(found) > 1:
        raise PluginFault(
            f"several entry points offer the generator `{name}`: {said}",
            "uninstall all but one",
        )
    if not _NAME.fullmatch(name):
        raise PluginFault(
            f"`{name[:80]}` of {said} cannot name a generator",
            "use a-z, 0-9 and _, a letter first, at most 63 characters",
        )
    try:
        made = entry.load()
    except Exception as error:
        raise PluginFault(
            f"the generator `{name}` of {said} cannot be loaded: {type(error).__name__}: {error}",
            f"repair or reinstall the distribution; its entry point is {entry.value}",
        ) from error
    return describe(name, made, *_of(entry))


def describe(name: str, made: object, distribution: str = "", version: str = "") -> Plugin:
    """What a class offers as the generator ``name``.

    Raises:
        PluginFault: it is no generator, or declares its parameters wrongly.
    """

    def fault(what: str, mend: str) -> PluginFault:
        return PluginFault(f"the generator `{name}` of {distribution or 'a class'} {what}", mend)

    if not isinstance(made, type):
        raise fault("is no class", "let the entry point name a class")
    ways = [way for way in ("draw", "sample") if callable(getattr(made, way, None))]
    if not callable(getattr(made, "fit", None)) or len(ways) != 1:
        raise fault(
            "does not have `fit` and either `draw` or `sample`",
            "models of rows have `draw`, models of whole tables `sample`",
        )
    parameters = getattr(made, "parameters", {})
    if not isinstance(parameters, Mapping):
        raise fault("declares no mapping of parameters", "name: ParameterSpec(...)")
    for one, spec in parameters.items():
        if not isinstance(one, str) or not one.isidentifier():
            raise fault(f"has a parameter called {one!r}", "give it a plain name")
        if not isinstance(spec, ParameterSpec):
            raise fault(f"declares `{one}` by no ParameterSpec", "from synth_contracts.contract")
        if wrong := spec.fault(spec.default):
            raise fault(f"has a default of `{one}` that {wrong}", "mend default or range")
    spec = GeneratorType(
        name,
        {one: parameters[one] for one in sorted(parameters)},
        reject_framed=ways == ["draw"],
        fit_rows=False,
        entities=bool(getattr(made, "entities", False)),
    )
    return Plugin(spec, made, ways == ["draw"], distribution, version)


@lru_cache(maxsize=8)
def _entries(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Entry points of the group; read once for each ``sys.path``."""
    return tuple(entry_points(group=GROUP))


def _of(entry: EntryPoint) -> tuple[str, str]:
    return ("", "") if entry.dist is None else (entry.dist.name, entry.dist.version)


def _origin(entry: EntryPoint) -> str:
    return " ".join(_of(entry)) or entry.value
