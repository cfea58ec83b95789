"""The record of an Evaluation in one spelling, as seals need it; see metrics/record.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from synth_contracts.metrics.record import evaluation_from_json, evaluation_to_json

__all__ = ["canonical_json", "evaluation_from_json", "evaluation_to_json"]


def canonical_json(record: Mapping[str, Any]) -> bytes:
    """One spelling of a JSON object: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
