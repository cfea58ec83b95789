"""Measuring a candidate by its contract: directly (``evaluate``) or by a checkpoint.

``synth_contracts.evaluation.checkpoint`` imports Great Expectations (3.6 s); nothing here does.
"""

from synth_contracts.evaluation.evaluating import Digests, evaluate
from synth_contracts.evaluation.record import evaluation_from_json, evaluation_to_json
from synth_contracts.evaluation.seal import seal, sealed

__all__ = [
    "Digests",
    "evaluate",
    "evaluation_from_json",
    "evaluation_to_json",
    "seal",
    "sealed",
]
