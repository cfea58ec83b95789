"""`explain()`: what an export would be allowed, and why, without writing anything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_contracts.delivery.conditions import Condition, Question, walk
from synth_contracts.delivery.recovery import as_settled
from synth_contracts.delivery.tracker import Answer

if TYPE_CHECKING:
    from synth_contracts.release import Registry
    from synth_contracts.signing import KeyFolder


@dataclass(frozen=True)
class Explanation:
    """How each condition of an export stands. ``allowed`` when none is refused."""

    table: str
    ticket: str
    conditions: tuple[Condition, ...]

    @property
    def allowed(self) -> bool:
        """Whether the export would be written, as far as that is known before the writing."""
        return all(condition.state != "refused" for condition in self.conditions)

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``--json``."""
        return {
            "table": self.table,
            "ticket": self.ticket,
            "allowed": self.allowed,
            "conditions": [condition.to_json() for condition in self.conditions],
        }


def _utc_now() -> datetime:
    return datetime.now(UTC)


def explain(
    registry: Registry,
    table: str,
    ticket: str,
    *,
    keys: KeyFolder,
    output: Path | None = None,
    format: str | None = None,  # noqa: A002 - as export() calls it
    subject: str | None = None,
    answer: Answer | None = None,
    now: Callable[[], datetime] = _utc_now,
) -> Explanation:
    """Walk the conditions of :func:`export` and write nothing; a read-only registry will do.

    Raises:
        UsageError: there is no such table (exit code 2).
        WarehouseError: published.duckdb cannot be read (exit code 3).
    """
    with registry.exclusive(), ExitStack() as held:
        question = Question(
            registry,
            table,
            ticket,
            format,
            subject,
            output,
            keys,
            as_settled(registry),
            now(),
            held,
            answer,
        )
        return Explanation(table, ticket, tuple(walk(question)))
