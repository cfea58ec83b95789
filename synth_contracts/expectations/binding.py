"""References by name: ``{"bound": "train"}`` in an expectation finds what the runner holds.

A suite is stored as JSON and cannot hold frames. The runner binds a name to the measuring of its
three tables, or to one table, for as long as the validation runs; outside of it the name finds
nothing, and the expectation fails, never with a pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from synth_contracts.expectations.measured import Measuring

#: a Measuring, or a table: a pandas or Spark DataFrame, or an Arrow table
Bound = Measuring | Any

_BOUND: ContextVar[Mapping[str, Bound]] = ContextVar("bound", default=MappingProxyType({}))


@contextmanager
def bound(name: str, held: Bound) -> Iterator[None]:
    """Let ``{"bound": name}`` mean ``held`` inside the ``with`` block.

    Args:
        name: what references say.
        held: a table (pandas or Spark DataFrame, Arrow table), or a Measuring with all three.
    """
    token = _BOUND.set(MappingProxyType({**_BOUND.get(), name: held}))
    try:
        yield
    finally:
        _BOUND.reset(token)


def lookup(name: str) -> Bound:
    """What ``name`` is bound to.

    Raises:
        LookupError: nothing is bound to that name here.
    """
    try:
        return _BOUND.get()[name]
    except KeyError:
        raise LookupError(
            f"no reference tables are bound to {name!r}: run the suite inside "
            "`with bound(name, table):`, or through run_checkpoint"
        ) from None
