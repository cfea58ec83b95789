"""Large imports, without looking for garbage in what they make."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is collected until the block is left, if anything was.

    What an import makes it keeps: to look for garbage in it costs a tenth of the import and more.
    Nor is it looked through when the block is left: it counts as old from then on.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if not gc.get_freeze_count():  # what the caller froze stays frozen
                gc.freeze()
                gc.unfreeze()  # into the oldest generation, all at once
            gc.enable()
