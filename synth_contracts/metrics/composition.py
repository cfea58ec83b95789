"""Composition: the candidate together with earlier releases of the same source.

Whoever holds two releases attacks with both. Each earlier release is searched as the candidate is,
and for every attack of attacks.py two more are made of what it believes of each release:

- ``union <attack>``: the largest of its scores, so that what one release gives away is not
  forgotten when the next one is made.
- ``joint <attack>``: the sum of its scores, so that weak evidence adds up: two noisy copies of one
  row, or one half of an entity's rows in each release.

They are a family of their own beside the attacks on the candidate alone, each family corrected for
its own number of readings. So an earlier release never makes a candidate look better than it looks
alone, and however many there are, chance alarms at most twice as often as with none.

Searches are made one release after the other, and of each only scores are kept: memory does not
grow with the number of releases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from synth_contracts.metrics import attacks, cells
from synth_contracts.metrics.attacks import Calendar, Nearby
from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.encoding import Encoder
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.neighbours import search
from synth_contracts.tables import Field, TableSchema

if TYPE_CHECKING:
    from synth_contracts.metrics.comparison import Comparison

UNION, JOINT = "union", "joint"
_DAY = "datetime64[D]"


@dataclass(frozen=True)
class Others:
    """Per attack the largest and the sum of its scores over the earlier releases alone."""

    most: dict[str, Floats]
    total: dict[str, Floats]

    def beside(
        self, own: Mapping[str, Floats], at: Ints | slice = slice(None)
    ) -> dict[str, Floats]:
        """``union`` and ``joint`` scores of a candidate whose own scores are ``own``.

        Args:
            own: per attack the scores of the rows or entities ``at``; attacks that no release
                allowed are left out.
            at: which rows or entities; all of them unless told.
        """
        names = [name for name in self.most if name in own]
        union = {f"{UNION} {name}": np.maximum(own[name], self.most[name][at]) for name in names}
        joint = {f"{JOINT} {name}": own[name] + self.total[name][at] for name in names}
        return union | joint


@dataclass(frozen=True)
class Together:
    """What attacks on the candidate and ``releases`` earlier releases believe.

    Attributes:
        releases: how many earlier releases were searched, 1 or more.
        rows: per attack the score of each real row, members first, shape (rows,) each.
        entities: per attack the score of each entity, members first, shape (entities,) each.
        other_rows: what the earlier releases give to ``rows``.
        other_entities: what they give to ``entities``.
    """

    releases: int
    rows: dict[str, Floats]
    entities: dict[str, Floats]
    other_rows: Others
    other_entities: Others


def comparable(frame: pd.DataFrame, schema: TableSchema) -> tuple[Field, ...]:
    """The features of ``schema`` that ``frame`` holds: what an earlier release is compared by.

    None where it has no rows: then there is nothing to compare.
    """
    if not len(frame):
        return ()
    return tuple(field for field in schema.features if field.name in frame.columns)


def together(comparison: Comparison) -> Together | None:
    """Scores over candidate and earlier releases; None where none of them can be compared."""
    rows, entities, count = Others({}, {}), Others({}, {}), 0
    for release, features in _releases(comparison):
        nearby = _observed(comparison, release, features)
        people = replace(comparison.candidates, synthetic=release.entity)
        _add(rows, attacks.row_scores(nearby))
        _add(entities, attacks.entity_scores(nearby, people, _calendar(comparison, release)))
        count += 1
    if not count:
        return None
    return Together(
        releases=count,
        rows=rows.beside(comparison.scores),
        entities=entities.beside(comparison.entity_scores),
        other_rows=rows,
        other_entities=entities,
    )


def _add(others: Others, found: Mapping[str, Floats]) -> None:
    """Count one more release; an attack that it does not allow adds nothing."""
    for name, score in found.items():
        known = name in others.most
        others.most[name] = np.maximum(others.most[name], score) if known else score
        others.total[name] = others.total[name] + score if known else score


def _releases(comparison: Comparison) -> Iterator[tuple[Side, tuple[Field, ...]]]:
    """Earlier releases as sides, one at a time, with the columns in common.

    They are coded apart from the three tables, so that these keep the order that they have alone.
    """
    found = [(frame, comparable(frame, comparison.schema)) for frame in comparison.earlier]
    found = [(frame, features) for frame, features in found if features]
    if len(found) > 2:
        # the order given must not matter, and a sum of three floats depends on theirs
        found.sort(key=lambda item: _order(_side(comparison, *item)))
    for frame, features in found:
        yield _side(comparison, frame, features), features


def _side(comparison: Comparison, frame: pd.DataFrame, features: tuple[Field, ...]) -> Side:
    key = comparison.schema.roles.entity_key
    (side,) = cells.sides((frame,), features, key if key in frame.columns else None)
    return side


def _order(side: Side) -> tuple[int, tuple[str, ...], int, int]:
    """Equal for equal releases alone, whatever the order of their rows and columns."""
    mixed = cells.mix(side.rows_hash)
    total = int(mixed.sum(dtype=np.uint64))
    return side.rows, side.columns, total, int(np.bitwise_xor.reduce(mixed))


def _observed(comparison: Comparison, release: Side, features: tuple[Field, ...]) -> Nearby:
    """What :func:`attacks.observe` finds with ``release`` in the place of the candidate."""
    encoder, names = comparison.encoder, {field.name for field in features}
    if len(names) == len(comparison.schema.features):
        own = comparison.nearby
        near, rows = search(comparison.real, encoder.encode(release.frame))
        found = Nearby(
            near=near[:, 0],
            synthetic_row=rows[:, 0],
            reference=own.reference,
            cut=own.cut,
            half=own.half,
            reference_rows=own.reference_rows,
            usual=own.usual,
        )
        marks = comparison.agreement.columns.mark(release.frame)
        return attacks.agreeing(found, comparison.candidates, comparison.agreement, marks)
    # fewer columns are another space: distances to the reference are other ones too, and agreement
    # is not looked for
    part = Encoder(tuple(item for item in encoder.parts if item[0] in names))
    train, holdout = comparison.train_side, comparison.holdout_side
    vectors = (
        part.encode(train.frame), part.encode(holdout.frame), part.encode(release.frame)
    )  # fmt: skip
    return attacks.observe(train, holdout, vectors, comparison.rng("reference halves"))


def _calendar(comparison: Comparison, release: Side) -> Calendar | None:
    """The real days with the daily totals that ``release`` published."""
    calendar, name = comparison.calendar, comparison.schema.roles.time_index
    if calendar is None or name not in release.columns:
        return None
    real = [side.frame[name] for side in (comparison.train_side, comparison.holdout_side)]
    first = min(column.min() for column in real if column.notna().any())
    stamps = release.frame[name].to_numpy(dtype="datetime64[ns]")
    day = stamps[~np.isnat(stamps)].astype(_DAY).view(np.int64)
    day = day - int(np.datetime64(first, "ns").astype(_DAY).view(np.int64))
    days = len(calendar.published)
    inside = day[(day >= 0) & (day < days)]
    return replace(calendar, published=np.bincount(inside, minlength=days).astype(np.float64))


def worse(
    alone: Measurement,
    beside: Measurement,
    releases: int,
    by: Literal["value", "bound_lower"] = "value",
) -> Measurement:
    """One measurement of both families of attacks: the one that reads worse, limits of both.

    ``details`` holds the attacks of both and, under ``alone`` and ``beside``, what each family
    read; ``beside`` counts the releases too.

    Args:
        alone: read by the attacks on the candidate alone, as without earlier releases.
        beside: read by the attacks of :class:`Together`.
        releases: how many earlier releases stood beside.
        by: which number tells the worse one.
    """

    def number(name: str, one: Measurement) -> float:
        found = getattr(one, name)
        return float("-inf") if found is None else float(found)

    worst = beside if number(by, beside) > number(by, alone) else alone
    reach: dict[str, Any] = {}
    for name in ("lower", "upper", "bound_lower", "bound_upper"):
        both = number(name, alone), number(name, beside)
        reach[name] = max(both) if min(both) > float("-inf") else None
    return replace(
        worst,
        **reach,
        method=f"{alone.method}; the same once more for attacks on this table together with "
        f"{_count(releases)}, and the worse of the two",
        compared_with=f"{alone.compared_with}; {_count(releases)} of the same source beside",
        details={
            **worst.details,
            "attacks": {**alone.details["attacks"], **beside.details["attacks"]},
            "alone": _told(alone),
            "beside": {**_told(beside), "releases": releases},
        },
    )


def _count(releases: int) -> str:
    return "1 earlier release" if releases == 1 else f"{releases} earlier releases"


def _told(one: Measurement) -> dict[str, Any]:
    return {
        "attack": one.details["attack"],
        "value": one.value,
        "bound_lower": one.bound_lower,
        "bound_upper": one.bound_upper,
    }
