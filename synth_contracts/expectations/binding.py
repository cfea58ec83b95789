"""References by name: ``{"bound": "train"}`` in an expectation finds what the runner holds.

A suite is stored as JSON and cannot hold frames. The runner binds a name to the measuring of its
three tables for as long as the validation runs; outside of it the name finds nothing, and the
expectation fails with an exception, never with a pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from synth_contracts.expectations.measured import Measuring

_BOUND: ContextVar[Mapping[str, Measuring]] = ContextVar("bound", default=MappingProxyType({}))


@contextmanager
def bound(name: str, measuring: Measuring) -> Iterator[None]:
    """Let ``{"bound": name}`` mean ``measuring`` inside the ``with`` block."""
    token = _BOUND.set(MappingProxyType({**_BOUND.get(), name: measuring}))
    try:
        yield
    finally:
        _BOUND.reset(token)


def lookup(name: str) -> Measuring:
    """What ``name`` is bound to.

    Raises:
        LookupError: nothing is bound to that name here.
    """
    try:
        return _BOUND.get()[name]
    except KeyError:
        raise LookupError(
            f"no reference tables are bound to {name!r}: run the suite through run_checkpoint, "
            "or inside `with bound(...)`"
        ) from None
