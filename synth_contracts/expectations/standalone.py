"""Measuring a batch against a reference without a contract.

The reference is the real table that the generator saw, the holdout real entities that it never saw.
Without a holdout nothing is said of privacy that needs one: how near synthetic rows stand to the
rows of the generator means nothing without knowing how near unseen rows stand. What compares
distributions takes the reference in its place and says so; floors and ceilings stay empty, since
both are read off a holdout. Great Expectations is not imported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synth_contracts import metrics
from synth_contracts.contract.document import suggest
from synth_contracts.contract.model import Contract, ExportPolicy, GeneratorSpec, Roles
from synth_contracts.contract.rules import DEFAULT_K
from synth_contracts.errors import SourceError
from synth_contracts.expectations.asked import named_columns, roles_of
from synth_contracts.expectations.measured import Measuring
from synth_contracts.metrics.cells import Side
from synth_contracts.metrics.measurement import Measurement, NotMeasured, Result
from synth_contracts.tables import (
    NUMERIC,
    TEMPORAL,
    Kind,
    TableSchema,
    canonical,
    duckdb_types,
    resolve,
    to_arrow,
)

logger = logging.getLogger(__name__)

#: Properties of the released table itself: neither reference nor holdout enters the number.
ALONE = frozenset({"k_anonymity", "l_diversity", "t_closeness", "constraint_violations"})
#: Where the reference may stand in for a holdout. Everything else needs a real one.
STANDS_IN = frozenset(
    {
        "ks", "ks_mean", "ks_max", "total_variation", "missingness", "pair_association",
        "autocorrelation", "calendar_correlation", "hour_profile", "weekday_profile",
        "entity_profile", "detection",
    }
)  # fmt: skip
#: Words of details that a stand-in makes meaningless.
_OF_A_HOLDOUT = ("floor", "ceiling", "train", "holdout")
#: A column with at least this share of distinct rows holds them all by no accident.
_DISTINCT = 0.5

NEEDS_HOLDOUT = (
    "it needs a holdout: name a batch of entities that the generator never saw as `holdout`"
)


class Unusable(Exception):
    """Tables that nothing can be measured on; the message says why and holds no value of a row."""


@dataclass(frozen=True)
class Meaning:
    """What the columns mean, of an expectation without a contract.

    Args:
        roles: checked by :func:`~synth_contracts.expectations.asked.check_roles`.
        codes: integer columns that name categories.
        k: reported beside k-anonymity.
        seed: >= 0, seeds every sample that a metric draws.
    """

    roles: Mapping[str, Any] = field(default_factory=dict)
    codes: Sequence[str] = ()
    k: int = DEFAULT_K
    seed: int = 0


class Standalone:
    """Measures one batch against its reference; made by :func:`compare`."""

    def __init__(self, measuring: Measuring, *, holdout: bool, copies: str | None) -> None:
        self._measuring = measuring
        self._holdout = holdout
        self._copies = copies

    def measure(
        self, metric: str, column: str | None = None, options: Mapping[str, Any] | None = None
    ) -> Result:
        """The result of one metric; never raises."""
        if metric in ALONE:
            found = self._measuring.measure(metric, column, options)
            if metric == "constraint_violations" and isinstance(found, Measurement) and not found.n:
                return NotMeasured(
                    metric,
                    "no column is declared and none holds whole numbers: nothing was checked; "
                    "Great Expectations' own expectations check ranges, keys and patterns",
                    column,
                )
            if not self._holdout and isinstance(found, Measurement):
                return replace(
                    found, floor=None, ceiling=None, details=_without_holdout(found.details)
                )
            return found
        if self._copies is not None:
            return NotMeasured(metric, self._copies, column)
        if self._holdout:
            return self._measuring.measure(metric, column, options)
        if metric not in STANDS_IN:
            return NotMeasured(metric, NEEDS_HOLDOUT, column)
        found = self._measuring.measure(metric, column, options)
        return _against_reference(found) if isinstance(found, Measurement) else found


class _Seen(metrics.Comparison):
    """A comparison in which train stands for the holdout too: their entities are the same ones."""

    shared_entities = 0  # no split was claimed, so none can leak


def _against_reference(found: Measurement) -> Measurement:
    return replace(
        found,
        floor=None,
        ceiling=None,
        compared_with="the reference, which the generator saw; there is no holdout",
        details=_without_holdout(found.details),
    )


def _without_holdout(details: Any) -> Any:
    if not isinstance(details, Mapping):
        return details
    return {
        key: _without_holdout(item)
        for key, item in details.items()
        if not any(word in key for word in _OF_A_HOLDOUT)
    }


def compare(
    candidate: pd.DataFrame | pa.Table,
    reference: pd.DataFrame | pa.Table,
    holdout: pd.DataFrame | pa.Table | None = None,
    meaning: Meaning | None = None,
) -> Standalone:
    """Bring the tables together, by the types of the reference.

    Args:
        candidate: the synthetic table.
        reference: what the generator saw.
        holdout: entities that it never saw.
        meaning: roles of the columns.

    Raises:
        Unusable: a table is empty, or its columns or types differ from the reference's; a role
            names no column; the holdout is no holdout.
    """
    meaning = meaning or Meaning()
    given = {"batch": candidate, "reference": reference}
    if holdout is not None:
        given["holdout"] = holdout
    arrow = {name: _arrow(name, table) for name, table in given.items()}
    excluded = {name.casefold() for name in meaning.roles.get("exclude", ())}
    _check_roles(meaning, arrow["reference"].column_names)
    kept = {
        name: table.select([n for n in table.column_names if n.casefold() not in excluded])
        for name, table in arrow.items()
    }
    schema = _schema(kept["reference"], meaning)
    for name, table in kept.items():
        if name != "reference":
            _check_columns(name, table, kept["reference"], schema)
    frames = {name: _canonical(name, table, schema) for name, table in kept.items()}
    kind = metrics.Comparison if holdout is not None else _Seen
    comparison = kind(
        train=frames["reference"],
        holdout=frames.get("holdout", frames["reference"]),
        synthetic=frames["batch"],
        schema=schema,
        k=meaning.k,
        seed=meaning.seed,
    )
    if holdout is not None:
        _check_split(comparison)
    return Standalone(
        Measuring(comparison), holdout=holdout is not None, copies=_copies(comparison)
    )


def _arrow(name: str, table: pd.DataFrame | pa.Table) -> pa.Table:
    names = [str(n) for n in (table.columns if isinstance(table, pd.DataFrame) else
                              table.column_names)]  # fmt: skip
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise Unusable(f"the {name} holds columns twice: {', '.join(twice)}")
    try:
        found = to_arrow(table)
    except SourceError as error:  # its message may quote a value
        raise Unusable(f"{error.where} of the {name} cannot be read: it mixes types") from error
    if not found.num_rows:
        raise Unusable(f"the {name} has no rows")
    return found


def _check_roles(meaning: Meaning, columns: Sequence[str]) -> None:
    named = [(f"roles.{role}", name) for role, name in named_columns(meaning.roles)]
    held = {name.casefold() for name in columns}
    for role, name in [*named, *(("codes", name) for name in meaning.codes)]:
        if name.casefold() not in held and role != "roles.exclude":
            raise Unusable(
                f"{role} names `{name}`, which the reference does not hold; "
                + suggest(name, columns, "it holds")
            )


def _schema(reference: pa.Table, meaning: Meaning) -> TableSchema:
    roles = replace(roles_of(meaning.roles), exclude=())
    types = _types("reference", reference)
    if roles.time_index is not None:
        kinds = {name.casefold(): physical for name, physical in types}
        if not kinds[roles.time_index.casefold()].startswith(("TIMESTAMP", "DATE")):
            raise Unusable(
                f"roles.timeIndex names `{roles.time_index}`, which the reference holds as "
                f"{kinds[roles.time_index.casefold()]}, not as a time; a CSV asset reads times "
                "where `parse_dates` says so"
            )
    try:
        return resolve(_bare(roles, tuple(meaning.codes)), types)
    except SourceError as error:  # speaks of names and types alone
        raise Unusable(f"the reference cannot be used: {error.where}: {error.message}") from error


def _bare(roles: Roles, codes: tuple[str, ...]) -> Contract:
    """A contract that says nothing but roles: what ``resolve`` reads types with."""
    return Contract(
        path=Path(), text="", id="", table="reference", version="", description={}, source=None,
        columns=(), preset=None, k=DEFAULT_K, roles=roles, codes=codes, holdout=0.0,
        generator=GeneratorSpec(), rules=(), not_asked=(), report_only=(), export=ExportPolicy(),
        expanded={}, digest="",
    )  # fmt: skip


def _types(name: str, table: pa.Table) -> list[tuple[str, str]]:
    try:
        return duckdb_types(table)
    except SourceError as error:
        raise Unusable(
            f"{error.where} of the {name}: {error.message}; cast it, or name it in roles.exclude"
        ) from error


def _check_columns(name: str, table: pa.Table, reference: pa.Table, schema: TableSchema) -> None:
    theirs, ours = table.column_names, reference.column_names
    for what, columns in (
        (f"the {name} lacks columns of the reference", set(ours) - set(theirs)),
        (f"the {name} holds columns that the reference lacks", set(theirs) - set(ours)),
    ):
        if columns:
            raise Unusable(
                f"{what}: {', '.join(sorted(columns))}; roles.exclude leaves columns out"
            )
    types = dict(_types(name, table))
    for item in schema.fields:
        column = table.column(item.name)
        if column.null_count == len(column):
            continue
        had = reference.column(item.name)
        if had.null_count == len(had):
            raise Unusable(f"{item.name} has values in the {name} and none in the reference")
        if _family(types[item.name]) != _family(item.physical_type):
            raise Unusable(
                f"{item.name} is {types[item.name]} in the {name} and {item.physical_type} in the "
                "reference"
            )


def _family(physical: str) -> str:
    """Types that can be compared with each other share a word."""
    field = resolve(_bare(Roles(), ()), [("x", physical)]).fields[0]
    if field.kind in NUMERIC:
        return "numbers"
    if field.kind in TEMPORAL:
        # an hour with a zone and one without are not the same hour
        return "zoned times" if "TIME ZONE" in physical else "times"
    return str(Kind(field.kind))


def _canonical(name: str, table: pa.Table, schema: TableSchema) -> pd.DataFrame:
    try:
        return canonical(table, schema)
    except SourceError as error:  # its message may quote a value
        raise Unusable(
            f"{error.where.split('.', 1)[-1]} of the {name} holds values that do not fit the "
            "reference's type"
        ) from error


def _check_split(comparison: metrics.Comparison) -> None:
    shared = comparison.shared_entities
    if shared:
        raise Unusable(
            f"{shared} entities stand in the reference and in the holdout: a holdout is of "
            "entities that the generator never saw"
        )
    train, holdout = comparison.train_side, comparison.holdout_side
    if train.columns and _contains(train, holdout):
        raise Unusable(
            "every row of the holdout stands in the reference too: a holdout is of entities that "
            "the generator never saw"
        )


def _contains(whole: Side, part: Side) -> bool:
    """Whether all rows of ``part`` stand in ``whole``, by no accident of few categories."""
    values, counts = np.unique(part.rows_hash, return_counts=True)
    if len(values) < _DISTINCT * part.rows:
        return len(whole.rows_hash) == len(part.rows_hash) and _same(whole, part)
    known, held = np.unique(whole.rows_hash, return_counts=True)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return bool(np.all((known[at] == values) & (held[at] >= counts)))


def _same(one: Side, other: Side) -> bool:
    """Whether two tables hold the same rows, and the same entities."""
    return (
        one.rows == other.rows
        and one.keys == other.keys
        and bool(np.array_equal(np.sort(one.rows_hash), np.sort(other.rows_hash)))
    )


def _copies(comparison: metrics.Comparison) -> str | None:
    """Why the batch is no candidate: it is one of the real tables itself."""
    synthetic = comparison.synthetic_side
    sides = {"reference": comparison.train_side, "holdout": comparison.holdout_side}
    for name, side in sides.items():
        if _same(side, synthetic):
            return (
                f"the batch holds the same rows as the {name}: it is compared with itself, "
                f"or the generator gave back its input; name another batch as the {name}"
            )
    return None
