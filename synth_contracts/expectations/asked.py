"""What an expectation says of its tables: where they are, and what their columns mean.

Plain mappings, since a suite is stored as JSON. Everything here is checked as the expectation is
made, so that a slip of the pen is told at once and never at the end of a validation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from synth_contracts.contract.document import suggest
from synth_contracts.contract.model import Roles
from synth_contracts.contract.rules import OptionSpec, RuleSpec

_BATCH = ("data_source", "asset", "batch_definition")
_PARAMETERS = "batch_parameters"
#: as contracts spell them -> as the package does
ROLES: Mapping[str, str] = {
    "entityKey": "entity_key",
    "timeIndex": "time_index",
    "timezone": "timezone",
    "quasiIdentifiers": "quasi_identifiers",
    "sensitive": "sensitive",
    "exclude": "exclude",
}
_SINGLE = {"entityKey", "timeIndex", "timezone"}


def check_table(value: Mapping[str, Any], field: str) -> dict[str, Any]:
    """A reference or a holdout as it will be stored.

    Args:
        value: ``{"bound": name}``, or data_source, asset and batch_definition by their names, with
            batch_parameters where the batch definition takes some.
        field: what the expectation calls it.

    Raises:
        ValueError: it is neither; the message names the key.
    """
    known = ("bound", *_BATCH, _PARAMETERS)
    for key in value:
        if key not in known:
            raise ValueError(f"{field} has no key `{key}`; {suggest(key, known)}")
    if "bound" in value:
        if set(value) != {"bound"} or not _is_name(value["bound"]):
            raise ValueError(f'a bound {field} is {{"bound": "<name>"}} and nothing else')
        return dict(value)
    for key in _BATCH:
        if not _is_name(value.get(key)):
            raise ValueError(
                f"{field} needs a name as `{key}`: "
                '{"data_source": …, "asset": …, "batch_definition": …}, or {"bound": "<name>"}'
            )
    parameters = value.get(_PARAMETERS)
    if parameters is not None:
        try:
            json.dumps(parameters, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(
                f"{field}.{_PARAMETERS} cannot be stored as JSON; a table in memory is referred to "
                'by {"bound": "<name>"} and bound while the suite runs'
            ) from None
        if not isinstance(parameters, Mapping):
            raise ValueError(f"{field}.{_PARAMETERS} is a mapping")
    return dict(value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def check_roles(value: Mapping[str, Any]) -> dict[str, Any]:
    """Roles as they will be stored, spelled as in a contract.

    Raises:
        ValueError: an unknown role or time zone, a role that is no name (or list of names), or a
            column in two roles that exclude each other.
    """
    for key, named in value.items():
        if key not in ROLES:
            raise ValueError(f"there is no role `{key}`; {suggest(key, ROLES)}")
        if key in _SINGLE and not _is_name(named):
            raise ValueError(f"roles.{key} is one name")
        if key not in _SINGLE and not (
            isinstance(named, (list, tuple)) and all(_is_name(item) for item in named)
        ):
            raise ValueError(f"roles.{key} is a list of names of columns")
    zone = value.get("timezone")
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"`{zone[:80]}` is no time zone, for example Europe/Vienna") from None
    used = {name: role for role, name in named_columns(value) if role != "exclude"}
    for name in value.get("exclude", ()):
        if name in used:
            raise ValueError(f"roles.{used[name]} names `{name}`, which roles.exclude takes out")
    entity = value.get("entityKey")
    for role, name in named_columns(value):
        if name == entity and role != "entityKey":
            raise ValueError(f"roles.{role} names the entity key `{name}`, which is not compared")
    return {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}


def named_columns(roles: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(role, name of a column) for every column that ``roles`` names."""
    found = []
    for role, named in roles.items():
        if role != "timezone":
            found += [(role, name) for name in ([named] if role in _SINGLE else named)]
    return found


def roles_of(value: Mapping[str, Any]) -> Roles:
    """Checked roles as the package holds them."""
    fields: dict[str, Any] = {
        ROLES[key]: item if key in _SINGLE else tuple(item) for key, item in value.items()
    }
    return Roles(**fields)


def check_limit(limit: float, spec: RuleSpec) -> None:
    """Raises ValueError for a limit that no table could break, or that is no number."""
    if not math.isfinite(limit) or not spec.lowest <= limit < spec.below:
        raise ValueError(
            f"{spec.id} takes limits from {spec.lowest:g} to below {spec.below:g}, and got {limit}"
        )


def check_option(name: str, value: Any, spec: OptionSpec) -> None:
    """Raises ValueError for a value that the option does not take."""
    if spec.kind == "choice" and value not in spec.choices:
        raise ValueError(f"`{name}` is one of {', '.join(spec.choices)}, and got {value!r}")
    if spec.kind == "count" and not spec.least <= value <= spec.most:
        raise ValueError(f"`{name}` is a whole number from {spec.least} to {spec.most}")
