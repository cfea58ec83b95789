"""`trace_leak()`: from a file that came to light to the export that it was made from.

The file may be shuffled, cut, edited, and lack columns: its rows are matched against the pool of
every release that was built with a fingerprint (matching.py), and every export of these is scored
(accusing.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth_contracts.delivery.accusing import ALLOWED, Scores, cells_needed, score
from synth_contracts.delivery.journal import REFUSED, ExportRecord, exports
from synth_contracts.delivery.leakfile import read_leak, shared_codes
from synth_contracts.delivery.matching import match
from synth_contracts.delivery.omitting import cells_of, fingerprint_key
from synth_contracts.errors import Refused, UsageError
from synth_contracts.omission import ONE_OF, codes, digits
from synth_contracts.omission.codes import Codes

if TYPE_CHECKING:
    import pyarrow as pa

    from synth_contracts.release import Registry, Release

#: Where a release is built anew with a fingerprint, its exports can be traced.
_NO_FINGERPRINT = "write `fingerprint: true` under export and build: later exports can be traced"


@dataclass(frozen=True)
class Suspect:
    """An export and what speaks against it.

    ``omitted`` of the entities (or blocks) found in the file are ones that it omits, where an
    innocent export would omit ``expected``; ``bound`` is the chance, over all exports that were
    scored, that any innocent one looks as guilty. ``beside`` is the id of the token in whose
    company it was found.
    """

    export: ExportRecord
    omitted: int
    expected: float
    bound: float
    beside: str | None = None


@dataclass(frozen=True)
class LeakTrace:
    """What a file tells of where it came from.

    ``rows`` are the file's, ``told`` those that told an entity (or block) of the release for
    sure, ``found`` how many of these there are. ``scored`` counts exports. ``named`` is empty where
    no bound is below ``ALLOWED``; then ``closest`` is the export that the file fits best, which
    accuses nobody, and ``rows_needed`` an estimate of how many such rows would do, None where none
    would.
    """

    path: Path
    table: str
    release: str
    columns: tuple[str, ...]
    rows: int
    told: int
    found: int
    scored: int
    named: tuple[Suspect, ...]
    closest: Suspect | None
    rows_needed: int | None

    @property
    def says(self) -> str:
        """The result in a sentence."""
        head = (
            f"{self.told:,} of {self.rows:,} rows match release {self.release} on "
            f"{len(self.columns)} columns and tell {self.found:,} of its entities or blocks; "
            f"{self.scored:,} export{'' if self.scored == 1 else 's'} scored"
        )
        if self.named:
            worst = max(one.bound for one in self.named)
            return (
                f"{head}: the chance of naming any innocent one is below {max(worst, 1e-300):.1e}"
            )
        return f"{head}: no export can be named below {ALLOWED:g}. {self._needed()}"

    def _needed(self) -> str:
        if not self.scored:
            return "Nothing of this release was ever exported."
        if self.rows_needed is None:
            return (
                "More rows would not do: no export fits the file better than chance."
                if self.found
                else "No row matches the release for sure."
            )
        return f"About {self.rows_needed:,} such rows would be needed."


def trace_leak(registry: Registry, path: Path) -> LeakTrace:
    """Say which export ``path`` was made from, or that it cannot be said.

    Args:
        registry: the open registry (read-only will do).
        path: a CSV or Parquet file.

    Raises:
        UsageError: (exit 2) the file cannot be read or is empty, no release has a column of it, or
            those that have were built without a fingerprint.
        Refused: (exit 5) the key of fingerprints is lost or another one, or a release's rows were
            edited.
    """
    table = read_leak(path)
    known = [release for release in registry.releases() if _shares(registry, release, table)]
    if not known:
        columns = ", ".join(table.column_names[:8])
        raise UsageError(
            f"no release has a column of this file ({columns}): it cannot be traced",
            where=str(path),
            mend="name its columns as the release's are, or trace by ticket, token or bundle",
        )
    marked = [release for release in known if _has_fingerprint(release)]
    if not marked:
        raise UsageError(
            "this file is no exact copy of an exported file, and an edited copy cannot be traced: "
            f"{', '.join(release.id for release in known[:3])} was built without a fingerprint",
            where=str(path),
            mend=f"trace by ticket, token or bundle; {_NO_FINGERPRINT}",
        )
    records = list(exports(registry).values())
    refused = [entry.body["release_id"] for entry in registry.entries(REFUSED)]
    ids = {release.id for release in marked}
    family = sum(r.release in ids for r in records) + sum(name in ids for name in refused)
    found: list[LeakTrace] = []
    lost: list[Refused] = []
    for release in marked:
        mine = [record for record in records if record.release == release.id]
        try:
            found.append(_trace_in(registry, release, table, path, mine, family))
        except Refused as error:
            lost.append(error)
    if not found:
        raise lost[0]
    best = max(found, key=lambda one: (bool(one.named), one.told))
    if lost and not best.named:
        raise lost[0]  # the file may be of the release that cannot be read
    return best


def _shares(registry: Registry, release: Release, table: pa.Table) -> bool:
    with registry.stored(release) as rows:
        ours = {name.casefold() for name in rows.schema.names}
    return any(name.strip().casefold() in ours for name in table.column_names)


def _has_fingerprint(release: Release) -> bool:
    return release.contract_expanded["export"].get("fingerprint") is True


def _trace_in(
    registry: Registry,
    release: Release,
    table: pa.Table,
    path: Path,
    records: list[ExportRecord],
    family: int,
) -> LeakTrace:
    key = fingerprint_key(release, registry.keys)
    with registry.kept(release) as rows:
        cells = cells_of(release, rows, key)
        leak = shared_codes(table, rows.schema)
        parts: dict[str, list[Codes]] = {name: [] for name in leak}
        for batch in rows.batches([rows.schema.get_field_index(name) for name in leak]):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                parts[name].append(codes(column))
    pool = {name: np.concatenate(found) for name, found in parts.items()}
    matched = match(pool, cells.unit, leak, _keys(release))
    present = np.zeros((cells.groups, ONE_OF), dtype=bool)
    present[cells.group[matched.units], cells.digit[matched.units]] = True
    left_out = digits(key, release.id, [record.jti for record in records], cells.groups)
    scores = score(present, left_out, max(family, len(records)))
    said = LeakTrace(
        path=path,
        table=release.table,
        release=release.id,
        columns=tuple(leak),
        rows=table.num_rows,
        told=matched.rows,
        found=len(matched.units),
        scored=scores.family,
        named=tuple(_suspect(records, scores, int(i)) for i in scores.named),
        closest=None,
        rows_needed=None,
    )
    if said.named or not records:
        return said
    closest = int(np.lexsort((scores.omitted, scores.bound))[0])
    cells_told = cells_needed(scores.family, scores.present, int(scores.omitted[closest]))
    each = table.num_rows / scores.present if scores.present else math.nan
    needed = None if cells_told is None or math.isnan(each) else math.ceil(cells_told * each)
    return replace(said, closest=_suspect(records, scores, closest), rows_needed=needed)


def _keys(release: Release) -> frozenset[str]:
    """Names of the columns whose values are made afresh, as the release has them."""
    expanded: Any = release.contract_expanded
    found = {column["name"] for column in expanded["columns"] if column.get("primaryKey")}
    entity = expanded["synthetic"]["roles"].get("entityKey")
    return frozenset(found | ({entity} if entity else set()))


def _suspect(records: list[ExportRecord], scores: Scores, index: int) -> Suspect:
    beside = int(scores.company[index])
    return Suspect(
        export=records[index],
        omitted=int(scores.omitted[index]),
        expected=round(scores.expected, 1),
        bound=float(scores.bound[index]),
        beside=records[beside].jti if beside >= 0 else None,
    )
