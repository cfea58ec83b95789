"""Importing a module as soon as another one is imported.

Great Expectations loads a stored suite without the expectations that nobody registered, and calls
an empty suite a success. So ``import synth_contracts.expectations`` has to register them whichever
of the two is imported first, and without paying for Great Expectations where nobody needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def when_imported(name: str, then: str, *, before: Callable[[], None]) -> None:
    """Import ``then`` now if ``name`` is imported already, else right after its import.

    ``before`` is called right before that import.
    """
    if name in sys.modules:
        import_module(then)
    else:
        sys.meta_path.insert(0, _Finder(name, then, before))


class _Finder(MetaPathFinder):
    """Finds one module by the other finders, once, and has its loader import another after it."""

    def __init__(self, name: str, then: str, before: Callable[[], None]) -> None:
        self._name, self._then, self._before = name, then, before

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the signature is Python's
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> ModuleSpec | None:
        if fullname != self._name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._then, self._before)
        return spec


class _Loader(Loader):
    """Another loader, with a call before and an import after it."""

    def __init__(self, loader: Loader, then: str, before: Callable[[], None]) -> None:
        self._loader, self._then, self._before = loader, then, before

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._before()
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        if not _being_imported(self._then.rpartition(".")[0]):
            import_module(self._then)


def _being_imported(package: str) -> bool:
    """Whether a module of the package waits for this import, half defined."""
    return any(
        name.startswith(f"{package}.")
        and getattr(getattr(module, "__spec__", None), "_initializing", False)
        for name, module in list(sys.modules.items())
    )
