"""Great Expectations expectations, one per metric, for use in any project of Great Expectations.

Importing this package registers them: at once where Great Expectations is imported already, else as
soon as it is. So it costs nothing by itself (Great Expectations takes 3.6 s), and a stored suite
never loads without them. The classes are attributes of the package. Listed in ``catalog``;
docs/standalone.md shows how to use them without a contract.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from synth_contracts.expectations import registering
from synth_contracts.expectations.binding import bound as bound
from synth_contracts.expectations.offline import import_urllib3

if TYPE_CHECKING:
    from synth_contracts.expectations.fidelity import *  # noqa: F403
    from synth_contracts.expectations.privacy import *  # noqa: F403

_CATALOG = f"{__name__}.catalog"

registering.when_imported("great_expectations", _CATALOG, before=import_urllib3)


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return ["bound", *_classes()]
    if name.startswith("Expect") and name in (classes := _classes()):
        return classes[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*vars(sys.modules[__name__]), *_classes()})


def _classes() -> dict[str, Any]:
    return {kind.__name__: kind for kind in import_module(_CATALOG).EXPECTATIONS.values()}
