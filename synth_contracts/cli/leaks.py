"""What `trace` says of a file that was made from an export: for people, as JSON or as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synth_contracts.cli.exports import as_csv, as_table, rows_of
from synth_contracts.cli.wording import hanging

if TYPE_CHECKING:
    from synth_contracts.delivery import LeakTrace, Suspect


def told_of_leak(found: LeakTrace, statuses: Mapping[str, str], form: str) -> str:
    """The named exports, and what the file tells, in the ``form`` that ``--format`` asks for.

    The CSV lists the named exports alone, as any other list of exports.
    """
    rows = rows_of([one.export for one in found.named], statuses)
    if form == "csv":
        return as_csv(rows)
    if form == "json":
        return json.dumps(_json(found, rows), indent=2)
    lines = [as_table(rows)] if rows else []
    lines += [hanging("", _words(one)) for one in found.named]
    lines.append(hanging("", found.says))
    if found.named:
        name = found.release
        lines.append(f"release {name} is {statuses.get(name, 'unknown')}")
    return "\n".join(lines)


def _words(one: Suspect) -> str:
    beside = "" if one.beside is None else f", in company of token {one.beside}"
    return (
        f"token {one.export.jti}: omits {one.omitted:,} of what the file holds, where an innocent "
        f"one omits about {one.expected:,.0f}{beside}; bound {max(one.bound, 1e-300):.1e}"
    )


def _json(found: LeakTrace, rows: list[dict[str, Any]]) -> dict[str, Any]:
    named = [{**row, **_evidence(one)} for row, one in zip(rows, found.named, strict=True)]
    closest = found.closest
    return {
        "file": str(found.path),
        "table": found.table,
        "release": found.release,
        "release_columns": list(found.columns),
        "file_rows": found.rows,
        "rows_told": found.told,
        "found": found.found,
        "scored": found.scored,
        "named": named,
        "closest_bound": None if closest is None else closest.bound,
        "rows_needed": found.rows_needed,
        "says": found.says,
    }


def _evidence(one: Suspect) -> dict[str, Any]:
    return {
        "omitted": one.omitted,
        "expected": one.expected,
        "bound": one.bound,
        "beside": one.beside,
    }
