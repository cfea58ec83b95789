"""Gain of guesses about trained entities over the same guesses about unseen ones.

An attack that guesses from the synthetic table is right about anybody now and then. What it owes
to the training data is the gain over the control, the attack on entities that the generator never
saw: (rate - control) / (1 - control), Giomi, Boenisch, Wehmeyer, Tasnadi 2023, arXiv 2211.10459.
Here it is signed and never clamped, and its limits follow the entities, not the guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import Interval
from synth_contracts.tables import Field

#: Guesses where the contract names no budget.
ATTACKS = 2_000


@dataclass(frozen=True)
class Rate:
    """A share of right guesses in 0 .. 1 and its variance over the entities that were drawn."""

    share: float
    variance: float


@dataclass(frozen=True)
class Gain:
    """What train gives away beyond the control, its standard deviation and its limits."""

    value: float
    sd: float
    interval: Interval


def gain(train: Rate, control: Rate, *, reach: float = 1.0, attempt: int = 1) -> Gain:
    """(train - control) / (reach (1 - control)), its limits by the delta method.

    Args:
        train: right guesses about trained entities.
        control: right guesses about as many unseen entities.
        reach: in 0 .. 1, the share of all trained entities that were looked at. A guess that is
            true of one trained entity can be right only where that entity is looked at.
        attempt: the one-sided bounds hold at 1 - .05 / attempt.

    A control that is always right leaves nothing to gain: 0 +- what its variance allows.
    """
    room = max(1 - control.share, 1e-9)
    value = (train.share - control.share) / (reach * room)
    of_train = 1 / (reach * room)
    of_control = (1 - train.share) / (reach * room**2)
    sd = float(np.sqrt(of_train**2 * train.variance + of_control**2 * control.variance))

    def limit(level: float, sign: int) -> float:
        return float(np.clip(value + sign * -special.ndtri(level) * sd, -1e6, max(value, 1.0)))

    two, one = 0.025, 0.05 / attempt
    return Gain(value, sd, Interval(limit(two, -1), limit(two, 1), limit(one, -1), limit(one, 1)))


def budget(options: Mapping[str, Any]) -> int:
    """How many guesses the attacker has."""
    return int(options.get("attacks") or ATTACKS)


def known_columns(comparison: Comparison, options: Mapping[str, Any]) -> tuple[Field, ...]:
    """What the attacker knows, by name: ``aux_columns``, else the quasi-identifiers."""
    named = options.get("aux_columns") or comparison.schema.roles.quasi_identifiers
    chosen = [field for field in comparison.schema.features if field.name in set(named)]
    return tuple(sorted(chosen, key=lambda field: field.name))
