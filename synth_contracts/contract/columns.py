"""ODCS properties as columns: names, types, domains."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from synth_contracts.contract.document import Map, Place, Problems, suggest
from synth_contracts.contract.model import Column

_NOT_RELEASABLE = {"object", "array", "map", "vector", "time"}
_RANGE = {
    "minimum": "minimum", "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum", "exclusiveMaximum": "exclusive_maximum",
}  # fmt: skip
_TEMPORAL = {"date", "timestamp"}


def plain_name(name: str) -> bool:
    """Whether a name of the outside world can be used: not empty, no control characters."""
    return bool(name.strip()) and not any(unicodedata.category(c) in {"Cc", "Cs"} for c in name)


def read_columns(properties: list[Any], problems: Problems) -> tuple[Column, ...]:
    """The declared columns, in the contract's order; faulty ones are recorded and left out."""
    seen: dict[str, tuple[str, Place]] = {}
    columns = []
    for item in properties:
        name = item.get("name") if isinstance(item, Map) else None
        if name is None:
            continue  # the schema has said that the name is missing
        at = item.values_at["name"]
        if not plain_name(name):
            problems.add(at, "a column's name is empty or holds control characters")
            continue
        twin = seen.get(name.casefold())
        if twin is not None:
            how = "twice" if twin[0] == name else f"also as `{twin[0]}`, which differs only by case"
            problems.add(at, f"column `{name}` is declared {how}", f"see line {twin[1][0]}")
            continue
        seen[name.casefold()] = (name, at)
        columns.append(_column(item, name, problems))
    return tuple(columns)


def _column(item: Map, name: str, problems: Problems) -> Column:
    kind = item.get("logicalType")
    if kind is None and not problems:
        problems.warn(
            item.at,
            f"column `{name}` has no logicalType",
            "the public ODCS v3.2.0 schema asks for one; ours takes it from the source",
        )
    for key, inert in (("physicalName", name), ("semanticType", "column")):
        if item.get(key, inert) != inert:
            problems.add(
                item.values_at[key],
                f"`{key}: {item[key]}` of column `{name}` is not available yet",
                "rename the column in a view of the source" if key == "physicalName" else "",
            )
    options = item.get("logicalTypeOptions") or {}
    return Column(
        name=name,
        logical_type=kind,
        physical_type=item.get("physicalType"),
        required=item.get("required", False),
        unique=item.get("unique", False),
        primary_key=item.get("primaryKey", False),
        enum=_enum(item, name, kind, problems),
        pattern=_pattern(options, name, problems),
        classification=item.get("classification"),
        tags=tuple(item.get("tags") or ()),
        **_range(options, name, kind, problems),
    )


def _enum(item: Map, name: str, kind: str | None, problems: Problems) -> tuple[Any, ...] | None:
    if "enum" not in item:
        return None
    values = []
    for entry in item["enum"]:
        value = entry.get("value")
        if not _fits(value, kind):
            at = entry.values_at.get("value", entry.at)
            problems.add(at, f"the enum of `{name}` holds {value!r}, which is not of type {kind}")
        values.append(value)
    return tuple(values)


def _fits(value: Any, kind: str | None) -> bool:
    if value is None:
        return False
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in {"integer", "number"}:
        kinds: tuple[type, ...] = (int,) if kind == "integer" else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    if kind in _TEMPORAL:
        return isinstance(value, str) and _moment(value) is not None
    return isinstance(value, str) or kind is None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=None)


def _range(
    options: Mapping[str, Any], name: str, kind: str | None, problems: Problems
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, attribute in _RANGE.items():
        if key not in options:
            continue
        value = options[key]
        wanted = kind or ("date" if isinstance(value, str) else "number")
        # an integer column may have the limit 0.5
        if not _fits(value, "number" if wanted == "integer" else wanted):
            at = options.values_at[key] if isinstance(options, Map) else (1, 1)
            mend = "write it as 2017-01-31 or 2017-01-31T08:00:00" if wanted in _TEMPORAL else ""
            problems.add(at, f"`{key}` of `{name}` is {value!r}, not of type {wanted}", mend)
            continue
        found[attribute] = value
    if isinstance(options, Map) and _empty(found):
        problems.add(options.at, f"no value of `{name}` can lie within its limits")
    if isinstance(options, Map):
        for key in ("minLength", "maxLength", "multipleOf", "format"):
            if key in options:
                problems.warn(options.keys_at[key], f"`{key}` of `{name}` is not checked yet")
    return found


def _empty(limits: Mapping[str, Any]) -> bool:
    """Whether a lower and an upper limit leave nothing, or are of different types."""
    low = limits.get("minimum", limits.get("exclusive_minimum"))
    high = limits.get("maximum", limits.get("exclusive_maximum"))
    if low is None or high is None:
        return False
    if isinstance(low, str) or isinstance(high, str):
        first, last = _moment(str(low)), _moment(str(high))
        return first is None or last is None or first > last
    return bool(low > high)


def _pattern(options: Mapping[str, Any], name: str, problems: Problems) -> str | None:
    pattern: str | None = options.get("pattern")
    if pattern is None:
        return None
    fault = regex_fault(pattern)
    if fault and isinstance(options, Map):
        problems.add(options.values_at["pattern"], f"the pattern of `{name}` {fault}")
        return None
    return pattern


def regex_fault(pattern: str) -> str:
    """Why ``pattern`` is no regular expression; empty when it is one."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return ""


def check_releasable(
    columns: tuple[Column, ...], excluded: set[str], properties: list[Any], problems: Problems
) -> None:
    """Record columns of a type that can be neither generated nor released, unless excluded."""
    places = {p["name"]: p for p in properties if isinstance(p, Map) and "name" in p}
    for column in columns:
        if column.logical_type in _NOT_RELEASABLE and column.name.casefold() not in excluded:
            problems.add(
                places[column.name].values_at["logicalType"],
                f"column `{column.name}` of type {column.logical_type} cannot be generated",
                "name it in roles.exclude",
            )


def near_miss(name: str, columns: tuple[Column, ...]) -> str:
    """A declared column that ``name`` may have meant, as a mend; empty when it is declared."""
    names = [column.name for column in columns]
    if not names or name.casefold() in {n.casefold() for n in names}:
        return ""
    mend = suggest(name, names)
    return mend if mend.startswith("did you mean") else ""
