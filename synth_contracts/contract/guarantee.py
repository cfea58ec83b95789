"""What a contract declares of a guarantee: the mechanism reads these records and no value else.

A bound, a list of categories or a period that were taken from the data would tell of the data and
be covered by no epsilon; so all of them stand in the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: The unit of privacy where the contract names no entity key.
ROW_UNIT = "row"
#: Bins of a numeric column where the contract says nothing.
DEFAULT_BINS = 32


@dataclass(frozen=True)
class Binned:
    """A number or a time between two bounds, in bins; what lies outside counts as the bound.

    ``scale`` log: bins of equal width in log(1 + x - low). ``points`` are single values with a bin
    of their own. ``decimals`` to which drawn numbers are rounded; None for as they are drawn.
    Bounds of times are ISO 8601 texts.
    """

    low: float | str
    high: float | str
    bins: int = DEFAULT_BINS
    scale: Literal["linear", "log"] = "linear"
    points: tuple[float, ...] = ()
    decimals: int | None = None


@dataclass(frozen=True)
class Listed:
    """Categories, as canonical text. What is not listed counts as ``other``, or as missing."""

    values: tuple[str, ...]
    other: str | None = None


Domain = Binned | Listed


@dataclass(frozen=True)
class DailySeries:
    """Rows per day from ``start`` to ``end`` (ISO 8601 dates, both counted), released by itself.

    Each day of an entity counts once; an entity of more than ``days_per_entity`` days counts with
    less weight, so that it moves the series by no more than the root of that number. ``share`` of
    the budget goes to it.
    """

    start: str
    end: str
    days_per_entity: int
    share: float = 0.4


@dataclass(frozen=True)
class Guarantee:
    """``generator.epsilon``, ``generator.delta`` and ``generator.dp``.

    The pair (epsilon, delta) holds of one fit and per unit: the entity named by ``unit``, or
    the row. ``lifetime_epsilon`` bounds the sum over all fits of the source.
    """

    epsilon: float
    delta: float
    lifetime_epsilon: float
    unit: str
    rows_per_entity: int = 1
    domains: Mapping[str, Domain] = field(default_factory=dict)
    pairs: tuple[tuple[str, str], ...] = ()
    days: DailySeries | None = None
    #: whether what was measured on real rows may leave the house with the release
    publish_results: bool = False

    def domain(self, name: str) -> Domain | None:
        """What is declared of the column of that name (case-insensitive)."""
        folded = name.casefold()
        return next((d for n, d in self.domains.items() if n.casefold() == folded), None)

    def expanded(self) -> dict[str, Any]:
        """The expanded form, keys as in the file."""
        days = self.days
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "lifetimeEpsilon": self.lifetime_epsilon,
            "unit": self.unit,
            "maxRowsPerEntity": self.rows_per_entity,
            "columns": {name: _expanded(domain) for name, domain in self.domains.items()},
            "pairs": [list(pair) for pair in self.pairs],
            "publishResults": self.publish_results,
            "days": None
            if days is None
            else {
                "start": days.start,
                "end": days.end,
                "daysPerEntity": days.days_per_entity,
                "share": days.share,
            },
        }


def _expanded(domain: Domain) -> dict[str, Any]:
    if isinstance(domain, Listed):
        return {"values": list(domain.values), "other": domain.other}
    return {
        "low": domain.low,
        "high": domain.high,
        "bins": domain.bins,
        "scale": domain.scale,
        "points": list(domain.points),
        "decimals": domain.decimals,
    }
