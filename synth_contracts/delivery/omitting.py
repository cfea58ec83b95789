"""What one export leaves out of the pool that was released, and what it still has to hold.

The set depends on the key, the release and the token's id alone: the same token has the same rows.
No value is changed. Before a byte is written, classes on the quasi-identifiers are counted anew in
the very rows that would be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synth_contracts.errors import Refused
from synth_contracts.omission import Cells, assign, digits, identity, weight
from synth_contracts.release.verify import signed_fingerprint
from synth_contracts.tables import rows_digest_of_batches

if TYPE_CHECKING:
    from synth_contracts.release import Release
    from synth_contracts.signing import KeyFolder
    from synth_contracts.warehouse import StoredRows

_SORTED = 262_144


class SmallClass(Refused):
    """A class of the quasi-identifiers is too small without what an export omits."""


class OmittedRows:
    """Rows of a release but those that one export leaves out, batch by batch as they are stored.

    ``weight`` is what totals are multiplied with to stand for the pool's, ``told`` what the signed
    statement says of the subsets that were evaluated.
    """

    def __init__(
        self, rows: StoredRows, kept: npt.NDArray[np.bool_], told: Mapping[str, Any]
    ) -> None:
        self._rows, self._kept, self.told = rows, kept, told
        self.schema = rows.schema
        self.num_rows = int(kept.sum())
        self.weight = weight(rows.num_rows, self.num_rows)

    def batches(self, places: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows that are kept, of all columns or of those at ``places``."""
        first = 0
        for batch in self._rows.batches(places):
            kept = self._kept[first : first + batch.num_rows]
            first += batch.num_rows
            if kept.all():
                yield batch
            elif kept.any():
                yield batch.filter(pa.array(kept))

    def digest(self) -> str:
        """SHA-256 of the rows (``rows_digest``), of which a part at a time is in memory."""
        return rows_digest_of_batches(self.schema, self.num_rows, self.batches, size=_SORTED)


def omit(release: Release, rows: StoredRows, keys: KeyFolder, jti: str) -> OmittedRows:
    """The rows that the export of token ``jti`` holds.

    Raises:
        Refused: the key is missing or another one, or nothing is left.
        SmallClass: a class of the quasi-identifiers would hold fewer entities than a rule of the
            contract asks.
    """
    key = fingerprint_key(release, keys)
    cells = cells_of(release, rows, key)
    kept = cells.kept(digits(key, release.id, [jti], cells.groups)[0])
    if not kept.any():
        raise Refused(
            "the release is so small that this export would hold no row", where=release.table
        )
    _check_classes(release, rows, cells, kept)
    return OmittedRows(rows, kept, signed_fingerprint(release, keys.public_keys()))


def fingerprint_key(release: Release, keys: KeyFolder) -> bytes:
    """The key that the release was built with.

    Raises:
        Refused: there is none, or it is another one.
    """
    key = keys.fingerprint_key(create=False)
    if signed_fingerprint(release, keys.public_keys()).get("key") != identity(key, release.id):
        raise Refused(
            f"the key of fingerprints is not the one that release {release.id} was built with",
            where=release.table,
            mend="put back the key folder of that time, or build again with --full-refresh",
        )
    return key


def cells_of(release: Release, rows: StoredRows, key: bytes) -> Cells:
    """The cells of a release's pool."""
    roles = _roles(release)
    return assign(
        rows.schema,
        rows.batches,
        entity_key=roles.get("entityKey"),
        quasi_identifiers=roles.get("quasiIdentifiers") or (),
        key=key,
        release=release.id,
    )


def _roles(release: Release) -> Mapping[str, Any]:
    found: Mapping[str, Any] = release.contract_expanded["synthetic"]["roles"]
    return found


def _check_classes(
    release: Release, rows: StoredRows, cells: Cells, kept: npt.NDArray[np.bool_]
) -> None:
    """Count the smallest class in the rows that are kept; values count as they are stored."""
    asked = [
        float(rule["threshold"])
        for rule in release.contract_expanded["rules"]
        if rule["metric"] == "k_anonymity" and rule["severity"] == "error"
    ]
    if not asked:
        return
    least = smallest_class(rows, _roles(release).get("quasiIdentifiers") or (), cells, kept)
    if least < max(asked):
        raise SmallClass(
            f"without the rows that this export omits, a class of the quasi-identifiers holds "
            f"{least:,} entities, and the contract asks for {max(asked):g}",
            where=release.table,
            mend="export again: another token omits others; if that is refused too, build with a "
            "larger k",
        )


def smallest_class(
    rows: StoredRows, quasi: Sequence[str], cells: Cells, kept: npt.NDArray[np.bool_]
) -> int:
    """Fewest units among the kept rows that share one combination of quasi-identifiers."""
    folded = {name.casefold(): place for place, name in enumerate(rows.schema.names)}
    held = np.zeros(int(kept.sum()), dtype=np.int64)
    for name in quasi:
        place = folded.get(name.casefold())
        if place is None:
            continue
        column = pa.chunked_array(
            [batch.column(0) for batch in rows.batches([place])], rows.schema.field(place).type
        )
        encoded = column.dictionary_encode("encode").unify_dictionaries().combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.chunk(0)
        value = np.asarray(encoded.indices)[kept].astype(np.int64)
        held = np.unique(held * (len(encoded.dictionary) + 1) + value, return_inverse=True)[1]
    units = len(cells.group)
    pairs = np.unique(held * units + cells.unit[kept])
    return int(np.bincount(pairs // units).min())
