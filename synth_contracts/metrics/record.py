"""Results and evaluations as finite JSON, and back; the published schema of that JSON.

The schema is shipped as ``schema/evaluation-v1.schema.json``. A change that a reader of v1 could
not take gets a new version, and the old file stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, fields
from functools import cache
from importlib.resources import files
from typing import Any

from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured, Result

#: What a published evaluation says of itself under ``format``.
FORMAT = "synth-contracts/evaluation/v1"
SCHEMA_FILE = "evaluation-v1.schema.json"


def result_to_json(result: Result) -> dict[str, Any]:
    """A result as a JSON object; ``kind`` tells measurements from what was not measured."""
    kind = "measurement" if isinstance(result, Measurement) else "not_measured"
    return {"kind": kind, **asdict(result)}


def result_from_json(record: Mapping[str, Any]) -> Result:
    """The inverse of :func:`result_to_json`.

    Raises:
        ValueError: the record is no result.
    """
    values = {key: value for key, value in record.items() if key != "kind"}
    try:
        if record.get("kind") == "measurement":
            return Measurement(**values)
        if record.get("kind") == "not_measured":
            return NotMeasured(**values)
    except TypeError as error:
        raise ValueError(f"not a result: {error}") from error
    raise ValueError(f"not a result: kind {record.get('kind')!r}")


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """``evaluation`` as a JSON object: what a seal is taken over, without :data:`FORMAT`.

    Raises:
        ValueError: it holds a number that is not finite, or what JSON has no type for.
    """
    record = {field.name: getattr(evaluation, field.name) for field in fields(Evaluation)}
    for name in ("results", "reported"):
        record[name] = {key: result_to_json(value) for key, value in record[name].items()}
    return _finite(record, "evaluation")


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


def published(evaluation: Evaluation) -> dict[str, Any]:
    """``evaluation`` as JSON that :func:`evaluation_schema` describes.

    Raises:
        ValueError: it holds a number that is not finite, or what JSON has no type for.
    """
    return {"format": FORMAT, **evaluation_to_json(evaluation)}


def from_published(record: Mapping[str, Any]) -> Evaluation:
    """The inverse of :func:`published`.

    Raises:
        ValueError: another format, or a field is missing, unknown, or no result.
    """
    if not isinstance(record, Mapping) or record.get("format") != FORMAT:
        said = record.get("format") if isinstance(record, Mapping) else type(record).__name__
        raise ValueError(f"not an evaluation: the format is {said!r}, not {FORMAT!r}")
    return evaluation_from_json({key: value for key, value in record.items() if key != "format"})


def published_result(result: Result) -> dict[str, Any]:
    """One result as JSON: ``#/$defs/result`` of :func:`evaluation_schema`.

    Raises:
        ValueError: it holds a number that is not finite, or what JSON has no type for.
    """
    return _finite(result_to_json(result), "result")


def _finite(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    try:
        copy: dict[str, Any] = json.loads(json.dumps(record, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the {name} is not finite JSON: {error}") from error
    return copy


def evaluation_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of ``Evaluation.to_json()``, a copy of your own."""
    return deepcopy(_schema())


@cache
def _schema() -> dict[str, Any]:
    text = files("synth_contracts.metrics").joinpath("schema", SCHEMA_FILE).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
