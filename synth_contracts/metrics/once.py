"""A property that is computed once per object, also where several threads ask for it.

``functools.cached_property`` has one lock for all objects up to Python 3.11 and none after: there
two comparisons wait for each other, here two threads would do the dearest work twice.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar, cast, overload

Value = TypeVar("Value")
Owner = TypeVar("Owner")


class once(Generic[Owner, Value]):  # noqa: N801 - it reads as a decorator
    """Decorates a method without arguments; its value is kept in the object's ``__dict__``.

    A thread that asks while another computes waits for it. Properties may read each other as long
    as none comes back to itself.
    """

    def __init__(self, compute: Callable[[Owner], Value]) -> None:
        self._compute, self._name = compute, compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, owner: None, kind: type[Owner]) -> once[Owner, Value]: ...
    @overload
    def __get__(self, owner: Owner, kind: type[Owner]) -> Value: ...

    def __get__(self, owner: Owner | None, kind: type[Owner]) -> once[Owner, Value] | Value:
        if owner is None:
            return self
        # no data descriptor: what stands in __dict__ is found before this is called
        held: dict[str, Any] = owner.__dict__
        with held.setdefault(f"_lock of {self._name}", RLock()):
            if self._name not in held:
                held[self._name] = self._compute(owner)
        return cast(Value, held[self._name])
