"""A fitted generator as bytes and back. Read bytes only after they were authenticated.

Unpickling runs what the bytes say, so nothing may call ``thaw`` on bytes that are not known to
be written by this project. Progress and spending are no part of a model: they are left out, and a
thawed generator with a guarantee has nobody to pay for another fit.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Private, Progress
from synth_contracts.generate.chunks import Learned, Produced

_PROGRESS, _SPEND = "progress", "spend"


def freeze(learned: Learned, progress: Progress) -> bytes:
    """``learned`` as bytes; ``progress`` is the one that it was fitted with.

    Raises:
        GenerationError: the generator holds what cannot be written.
    """
    spend = learned.generator.spend if isinstance(learned.generator, Private) else None

    class Pickler(pickle.Pickler):
        def persistent_id(self, item: Any) -> str | None:
            if item is progress:
                return _PROGRESS
            return _SPEND if spend is not None and item is spend else None

    buffer = io.BytesIO()
    try:
        Pickler(buffer, protocol=5).dump(learned)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
        raise GenerationError(
            f"the fitted {learned.contract.generator.type} cannot be kept: {error}",
            where="generator.saveModel",
            mend="take it out",
        ) from error
    return buffer.getvalue()


def thaw(content: bytes, progress: Progress) -> Learned:
    """What ``freeze`` was given. ``content`` must be authenticated: it is unpickled."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, name: str) -> Any:
            return {_PROGRESS: progress, _SPEND: None}[name]

    learned = Unpickler(io.BytesIO(content)).load()
    if not isinstance(learned, Learned):
        raise GenerationError("a kept model holds something else than a model")
    return learned


def produce_again(learned: Learned, rows: int | None, progress: Progress) -> Produced:
    """A candidate of ``rows`` rows, or of the released number, from a fitted generator.

    Raises:
        GenerationError: no number is given and none was released, or as ``generate``.
    """
    if rows is None:
        if not isinstance(learned.generator, Private):
            raise GenerationError("no number of rows is given", where="generator.rows")
        rows = learned.generator.released_rows()
    return Produced(learned, rows, progress)
