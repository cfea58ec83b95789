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
