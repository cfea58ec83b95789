"""An Evaluation as finite JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from synth_contracts.expectations.measured import result_from_json, result_to_json
from synth_contracts.metrics.measurement import Evaluation


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """``evaluation`` as a JSON object.

    Raises:
        ValueError: it holds a number that is not finite, or what JSON has no type for.
    """
    record = {field.name: getattr(evaluation, field.name) for field in fields(Evaluation)}
    for name in ("results", "reported"):
        record[name] = {key: result_to_json(value) for key, value in record[name].items()}
    try:
        copy: dict[str, Any] = json.loads(json.dumps(record, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the evaluation is not finite JSON: {error}") from error
    return copy


def evaluation_from_json(record: Mapping[str, Any]) -> Evaluation:
    """The inverse of :func:`evaluation_to_json`.

    Raises:
        ValueError: a field is missing, unknown, or no result.
    """
    values = dict(record)
    try:
        for name in ("results", "reported"):
            values[name] = {key: result_from_json(item) for key, item in values[name].items()}
        return Evaluation(**values)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not an evaluation: {error}") from error


def canonical_json(record: Mapping[str, Any]) -> bytes:
    """One spelling of a JSON object: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
