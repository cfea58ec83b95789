"""The seal of a checkpoint run: HMAC-SHA256 over everything in an Evaluation but the seal.

It tells the evaluation of a checkpoint run from one that was put together by hand: only who holds
the project's secret can make it, and one changed number breaks it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from synth_contracts.evaluation.record import canonical_json, evaluation_to_json
from synth_contracts.metrics.measurement import Evaluation

_PURPOSE = b"synth-contracts evaluation v1\n"


def seal(evaluation: Evaluation, secret: bytes) -> str:
    """The seal (hex) of ``evaluation`` under ``secret``; a seal that it already has is ignored.

    Raises:
        ValueError: the secret is shorter than 16 bytes, or the evaluation is not finite JSON.
    """
    if len(secret) < 16:
        raise ValueError("the secret of a seal has at least 16 bytes")
    record = evaluation_to_json(replace(evaluation, seal=None))
    return hmac.new(secret, _PURPOSE + canonical_json(record), hashlib.sha256).hexdigest()


def sealed(evaluation: Evaluation, secret: bytes) -> bool:
    """Whether ``evaluation`` bears the seal that ``secret`` gives it. Never raises."""
    found = evaluation.seal
    if not isinstance(found, str) or not found.isascii():
        return False
    try:
        return hmac.compare_digest(found, seal(evaluation, secret))
    except (ValueError, TypeError, AttributeError):  # what cannot be written cannot be sealed
        return False
