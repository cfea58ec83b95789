"""What a section of the battery found, and when it counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

#: No more findings than this are written out; they are all counted.
_WRITTEN = 20


class ControlFailed(Exception):
    """The case without any attack does not pass, so that nothing can be said of the attacks."""


@dataclass
class Outcome:
    """Counts of one section. An attack is refused, or it is a violation.

    ``controls`` counts the unattacked cases that passed. An error, or a control that failed, makes
    the section NOT_EVALUATED: neither a pass nor a block.
    """

    #: what counts as a violation, in one sentence
    counted: str
    attacks: int = 0
    refused: int = 0
    violations: int = 0
    controls: int = 0
    findings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    details: dict[str, int] = field(default_factory=dict)
    #: sentences for the report: what was not attacked, and why
    notes: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """``VIOLATED``, ``NOT_EVALUATED`` or ``held``."""
        if self.violations:
            return "VIOLATED"
        if self.errors or not self.attacks or self.controls < 2:
            return "NOT_EVALUATED"
        return "held"

    def attack(self, name: str, fault: str | None) -> None:
        """Count one attack; ``fault`` says how it got through, None that it was refused."""
        self.attacks += 1
        if fault is None:
            self.refused += 1
            return
        self.violations += 1
        if len(self.findings) < _WRITTEN:
            self.findings.append(f"{name}: {fault}")

    def control(self, passed: bool, what: str) -> None:
        """Count one unattacked case. Raises ControlFailed when it does not pass."""
        if not passed:
            raise ControlFailed(what)
        self.controls += 1

    def count(self, name: str, by: int = 1) -> None:
        """Add to a figure of the report."""
        self.details[name] = self.details.get(name, 0) + by

    @contextmanager
    def running(self) -> Iterator[Outcome]:
        """Whatever is raised inside is an error of the section, never a refusal."""
        try:
            yield self
        except Exception as error:  # noqa: BLE001 - whatever it is, the section was not evaluated
            self.errors.append(f"{type(error).__name__}: {error}")

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "status": self.status}
