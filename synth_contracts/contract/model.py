"""The typed contract: what a loaded and expanded ODCS document says, and nothing else.

Every record is frozen. Names follow the ODCS v3.2 standard where it has one; the vendor sections
(``synthetic``, ``export``) are spelled in snake case here and in camel case in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from synth_contracts.contract.guarantee import Guarantee
from synth_contracts.contract.retention import Retention

Severity = Literal["error", "warning"]
Family = Literal["privacy", "fidelity", "validity"]
#: Which number of a measurement a rule judges (RULES: "judged").
Judged = Literal["value", "bound", "lower", "over_floor", "ceiling_share"]


@dataclass(frozen=True)
class Column:
    """A declared ODCS property. ``None`` means that the contract does not say."""

    name: str
    logical_type: str | None = None
    physical_type: str | None = None
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    enum: tuple[Any, ...] | None = None
    minimum: Any = None
    maximum: Any = None
    exclusive_minimum: Any = None
    exclusive_maximum: Any = None
    pattern: str | None = None
    classification: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Constraint:
    """A condition that every row must keep (``synthetic.constraints``): never false.

    ``check`` is SQL over the columns of one row (conditions.py); null makes it unknown, and an
    unknown condition is kept, as in SQL. ``columns`` are those that it names.
    """

    id: str
    check: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Roles:
    """What columns mean. ``entity_key`` is the unit of privacy; without one a row is its own."""

    entity_key: str | None = None
    time_index: str | None = None
    timezone: str | None = None
    quasi_identifiers: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calendar:
    """``synthetic.generator.calendar``; ``enabled`` is False for ``calendar: false``."""

    enabled: bool = True
    holidays: str | None = None
    volume: Literal["model", "replay"] = "model"
    #: scale of the noise on each day's replayed total, in rows
    volume_noise: float = 10.0


@dataclass(frozen=True)
class Outliers:
    """``synthetic.generator.outliers``: protections fitted on train alone."""

    rare_category: bool = True
    top_code: bool = True
    reject: bool = True
    #: column name -> the value that stands for a grouped rare code; -1 where not given.
    other_value: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Period:
    """``synthetic.generator.period``: the days that rows are made for, both ends included.

    ``start`` is None for the source's first day, or, with ``days``, for the day after its last;
    ``end`` is None where ``days`` says how many.
    """

    start: date | None = None
    end: date | None = None
    days: int | None = None

    def between(self, first: date, last: date) -> tuple[date, date]:
        """First and last day, for a source from ``first`` to ``last``."""
        start = self.start
        if start is None:
            start = first if self.days is None else last + timedelta(days=1)
        if self.days is not None:
            return start, start + timedelta(days=self.days - 1)
        return start, self.end if self.end is not None else last


@dataclass(frozen=True)
class GeneratorSpec:
    """``synthetic.generator``.

    ``rows`` and ``period`` are None for the source's; with a ``guarantee`` ``rows`` is None for
    ``rows: noisy``.
    """

    type: str = "calendar_cart"
    rows: int | None = None
    fit_rows: int | None = None
    seed: int = 0
    #: the fitted model is kept, encrypted, so that more rows can be sampled
    save_model: bool = False
    calendar: Calendar = Calendar()
    outliers: Outliers = Outliers()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    period: Period | None = None
    #: differential privacy: of ``dp_marginals`` alone
    guarantee: Guarantee | None = None
    #: (distribution, version) of a generator that is not built in
    plugin: tuple[str, str] | None = None

    @property
    def claim(self) -> float | None:
        """The epsilon that is claimed; None without a guarantee."""
        return self.guarantee.epsilon if self.guarantee else None


@dataclass(frozen=True)
class Rule:
    """One limit on one number of one metric. ``column`` is None for table rules.

    ``options`` are the expectation's kwargs other than the limit (aggregate, frequency, lags).
    ``loosened`` is set when a contract's rule is weaker than its preset's rule of the same id.
    """

    id: str
    metric: str
    expectation: str
    column: str | None
    operator: Literal["<=", ">="]
    threshold: float
    judged: Judged
    severity: Severity
    family: Family
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: Literal["preset", "contract"] = "preset"
    loosened: bool = False


@dataclass(frozen=True)
class NotAsked:
    """A rule of the preset that this contract does not ask, and why (``no time index``)."""

    id: str
    reason: str
    #: True when the contract took the rule out with ``disable``; reads LOOSENED on the card.
    disabled: bool = False


@dataclass(frozen=True)
class ExportPolicy:
    """Top-level ``export`` section. ``token_ttl`` in seconds, ``max_bytes`` in bytes."""

    formats: tuple[str, ...] = ("parquet", "csv")
    ticket_pattern: str = r"^[A-Z][A-Z0-9]+-[0-9]+$"
    token_ttl: int = 900
    roles: tuple[str, ...] = ()
    max_rows: int | None = None
    max_bytes: int | None = None
    max_exports_per_ticket_per_day: int = 50
    max_attempts: int = 5
    #: each export leaves out another tenth of the pool (docs/fingerprint.md)
    fingerprint: bool = False


@dataclass(frozen=True)
class SourceRef:
    """``servers`` entry and ``physicalName``: where the real table stands."""

    server: str
    type: str
    database: str
    schema: str
    table: str


@dataclass(frozen=True)
class Contract:
    """A loaded, validated, preset-expanded contract for one table.

    ``digest`` is the SHA-256 (hex) of the canonical JSON of ``expanded``; it is what releases,
    statements and tokens bind. ``text`` is the file as it was read.
    """

    path: Path
    text: str
    id: str
    table: str
    version: str
    description: Mapping[str, str]
    source: SourceRef | None
    columns: tuple[Column, ...]
    preset: str | None
    k: int
    roles: Roles
    codes: tuple[str, ...]
    holdout: float
    generator: GeneratorSpec
    rules: tuple[Rule, ...]
    not_asked: tuple[NotAsked, ...]
    #: metric ids that are measured and printed but not judged ("report" in RULES)
    report_only: tuple[str, ...]
    export: ExportPolicy
    expanded: Mapping[str, Any]
    digest: str
    #: the smallest planted leak, in entities, that a run may fail to see; None: not asked
    blind_above: int | None = None
    #: conditions over several columns, checked on the source and on the synthetic table
    constraints: tuple[Constraint, ...] = ()
    #: how long after its promotion a release may be exported; None: for ever
    retention: Retention | None = None

    @property
    def loosened(self) -> tuple[str, ...]:
        """Ids of rules that are weaker than the preset's, or disabled."""
        weaker = [rule.id for rule in self.rules if rule.loosened]
        return (*weaker, *(item.id for item in self.not_asked if item.disabled))

    def column(self, name: str) -> Column | None:
        """The declared column of that name (case-insensitive, as DuckDB compares), or None."""
        folded = name.casefold()
        return next((c for c in self.columns if c.name.casefold() == folded), None)
