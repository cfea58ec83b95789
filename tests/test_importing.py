"""A large import pauses the collector and leaves it as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from synth_contracts.importing import uncollected


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.enable()


def test_it_is_paused_and_goes_on_whatever_happens() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), uncollected():
        raise ImportError
    assert gc.isenabled()


def test_what_was_paused_by_others_stays_so() -> None:
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_what_it_made_is_old_and_nothing_is_kept_from_the_collector() -> None:
    with uncollected():
        made: list[object] = []
    assert any(one is made for one in gc.get_objects(generation=2))
    assert gc.get_freeze_count() == 0


def test_what_others_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with uncollected():
            pass
        assert gc.get_freeze_count() == frozen
    finally:
        gc.unfreeze()
