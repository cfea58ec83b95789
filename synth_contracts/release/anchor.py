"""The newest ledger head, kept beside the keys, outside of published.duckdb.

Two heads are kept: ``committed``, and ``intended``, which is written before COMMIT. A file whose
head is ``committed`` is current. One whose head is ``intended`` was committed just before a crash:
the anchor follows it. Any other head means that an older copy was put back, that the ledger was
cut or rewritten, or that the file belongs to other keys.

    write intended -> COMMIT in published.duckdb -> write committed

Settling happens while the file is locked, so no writer is between these steps then.
"""

from __future__ import annotations

from synth_contracts.errors import Refused
from synth_contracts.signing.keys import KeyFolder


class Anchor:
    """The noted head of one registry."""

    def __init__(self, keys: KeyFolder, registry_id: str) -> None:
        self._keys = keys
        self._committed = registry_id
        self._intended = f"{registry_id}-intended"

    def begin(self, head: str) -> None:
        """Note the head of a registry that is about to be made."""
        self._keys.write_head(self._committed, head)

    def settle(self, head: str, entries: int, *, note: bool = True) -> None:
        """Accept the head of a file that was just opened, or refuse it.

        Args:
            head: hash of its newest entry.
            entries: how many it holds, for the message.
            note: whether what became of an intent is written down; else it is only judged.

        Raises:
            Refused: no head is noted for this registry, or another one.
        """
        committed = self._keys.read_head(self._committed)
        intended = self._keys.read_head(self._intended)
        if committed is None:
            raise Refused(
                "no ledger head of this registry is kept beside these keys",
                where=str(self._keys.path),
                mend="use the key folder with which this published.duckdb was made",
            )
        if head == committed:
            if note and intended not in {None, committed}:
                self._keys.write_head(self._intended, committed)  # that intent came to nothing
            return
        if head == intended:
            if note:
                self._keys.write_head(self._committed, head)
            return
        raise Refused(
            f"the ledger of {entries} entries does not end where the head kept beside the keys "
            "says: an older copy of published.duckdb was put back, or its ledger was cut or "
            "rewritten",
            mend="put back the newest copy of published.duckdb that this tool wrote",
        )

    def intend(self, head: str) -> None:
        """Note the head that is about to be committed."""
        self._keys.write_head(self._intended, head)

    def committed(self, head: str) -> None:
        """Note that the intended head was committed."""
        self._keys.write_head(self._committed, head)
