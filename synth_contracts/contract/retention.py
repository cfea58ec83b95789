"""How long a release may be exported: the standard's own ``slaProperties``, property retention.

ODCS leaves the units open ("d, day, days for days; y, yr, years for years, etc."). ``m`` alone is
refused: some read minutes, some months.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from synth_contracts.contract.document import Map, Problems

_NAME = "retention"
_SPELLINGS = {
    "h": ("h", "hr", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "wk", "week", "weeks"),
    "mo": ("mo", "month", "months"),
    "y": ("y", "yr", "year", "years"),
}
_UNITS = {word: unit for unit, words in _SPELLINGS.items() for word in words}
#: A hundred years each: longer than anything is kept, and no date overflows.
_MOST = {"h": 876_000, "d": 36_500, "w": 5_200, "mo": 1_200, "y": 100}


@dataclass(frozen=True)
class Retention:
    """``value`` (1 or more) of ``unit``: h, d, w, mo or y. Months and years are the calendar's."""

    value: int
    unit: str

    def ends(self, start: datetime) -> datetime:
        """The moment from which a release of ``start`` is expired.

        A month after 31 January is the last day of February.
        """
        if self.unit in {"mo", "y"}:
            months = start.month - 1 + self.value * (12 if self.unit == "y" else 1)
            year, month = start.year + months // 12, months % 12 + 1
            day = min(start.day, calendar.monthrange(year, month)[1])
            return start.replace(year=year, month=month, day=day)
        hours = {"h": 1, "d": 24, "w": 7 * 24}[self.unit]
        return start + timedelta(hours=hours * self.value)

    def expanded(self) -> dict[str, Any]:
        """As it stands in the expanded contract."""
        return {"value": self.value, "unit": self.unit}


def expiry(expanded: Mapping[str, Any], promoted_at: str) -> str | None:
    """When a release of this expanded contract expires (ISO 8601, UTC); None for never.

    Raises:
        ValueError: what it says of retention is not what ``Retention.expanded`` writes.
    """
    said = expanded.get(_NAME)
    if said is None:
        return None
    if not isinstance(said, Mapping) or set(said) != {"value", "unit"}:
        raise ValueError("the retention is malformed")
    value, unit = said["value"], said["unit"]
    if type(value) is not int or unit not in _MOST or not 1 <= value <= _MOST[unit]:
        raise ValueError("the retention is malformed")
    ends = Retention(value, unit).ends(datetime.fromisoformat(promoted_at))
    return ends.isoformat(timespec="milliseconds")


def read_retention(root: Map, table: Map, problems: Problems) -> Retention | None:
    """The retention that the document declares; faults are recorded. None where it has none."""
    found: Map | None = None
    for item in root.get("slaProperties") or ():
        name = item.get("property")
        if not isinstance(name, str):
            continue
        if name != _NAME:
            if get_close_matches(name.strip().casefold(), [_NAME], cutoff=0.8):
                at = item.values_at["property"]
                problems.add(at, f"`{name[:80]}` would not be acted on", f"write `{_NAME}`")
            continue
        if found is not None:
            problems.add(item.at, "the retention stands twice", f"see line {found.at[0]}")
            continue
        found = item
    return None if found is None else _read(found, table, problems)


def _read(item: Map, table: Map, problems: Problems) -> Retention | None:
    _check_element(item, table, problems)
    if item.get("valueExt") is not None:
        at = item.values_at["valueExt"]
        problems.add(at, "a retention has one value, and no `valueExt`", "take it out")
    raw, value = item.get("unit"), item.get("value")
    unit = _UNITS.get(raw.strip().casefold()) if isinstance(raw, str) else None
    if unit is None:
        said = "has no unit" if raw is None else f"cannot be counted in `{str(raw)[:80]}`"
        problems.add(
            item.values_at.get("unit", item.at),
            f"the retention {said}",
            "unit: h, d, w, mo or y (or hours, days, weeks, months, years)",
        )
    most = _MOST.get(unit or "", max(_MOST.values()))
    if type(value) is not int or not 1 <= value <= most:
        said = "has no value" if value is None else f"cannot be `{str(value)[:80]}`"
        if "value" in item or not problems:  # of a missing one the schema has told
            problems.add(
                item.values_at.get("value", item.at),
                f"the retention {said}",
                f"value: a whole number from 1 to {most:,}, without quotes",
            )
        return None
    return None if unit is None else Retention(value, unit)


def _check_element(item: Map, table: Map, problems: Problems) -> None:
    """A retention of another table would be taken for this one's."""
    said = item.get("element")
    if not isinstance(said, str):
        return
    known = {str(table.get(key)).casefold() for key in ("name", "physicalName") if table.get(key)}
    for part in said.split(","):
        if part.strip().split(".")[0].casefold() not in known:
            problems.add(
                item.values_at["element"],
                f"the retention is of `{part.strip()[:80]}`, which is not this contract's table",
                f"element: {table.get('name')}",
            )
