"""synth-contracts: synthetic tables released only when they passed their contract's tests.

The public names live in :mod:`synth_contracts.api` and are imported on first use, so that
``import synth_contracts`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name in __all__:
        from synth_contracts import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
