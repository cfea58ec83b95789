"""synth-contracts: synthetic tables released only when they passed their contract's tests.

The public names are those of :mod:`synth_contracts.api`. Each is imported on first use, from the
room that it belongs to: ``import synth_contracts`` costs nothing, and whoever evaluates does not
pay for the imports of registry and export.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from synth_contracts.importing import uncollected

if TYPE_CHECKING:
    from synth_contracts.api import (
        Bundle,
        Contract,
        Evaluation,
        Measurement,
        NotMeasured,
        Outcome,
        Release,
        ReleaseBlocked,
        SynthContractsError,
        Verdict,
        VerifiedBundle,
        build,
        evaluate,
        evaluation_schema,
        export,
        judge,
        load_contract,
        verify,
    )

__all__ = [
    "Bundle",
    "Contract",
    "Evaluation",
    "Measurement",
    "NotMeasured",
    "Outcome",
    "Release",
    "ReleaseBlocked",
    "SynthContractsError",
    "Verdict",
    "VerifiedBundle",
    "build",
    "evaluate",
    "evaluation_schema",
    "export",
    "judge",
    "load_contract",
    "verify",
]


#: Names that do without the rest of ``api``, and their rooms.
_ROOMS = {
    "Contract": "contract",
    "Evaluation": "metrics",
    "Measurement": "metrics",
    "NotMeasured": "metrics",
    "Outcome": "gate",
    "ReleaseBlocked": "errors",
    "SynthContractsError": "errors",
    "Verdict": "gate",
    "evaluate": "evaluation",
    "evaluation_schema": "metrics.record",
    "judge": "gate",
    "load_contract": "contract",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        with uncollected():
            room = import_module(f"{__name__}.{_ROOMS.get(name, 'api')}")
        return getattr(room, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
