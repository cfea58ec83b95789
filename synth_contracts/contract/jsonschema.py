"""The JSON schema of a contract: ODCS v3.2.0 with this package's vendor sections typed in.

``schema/odcs-synth-v3.2.0.json`` is ``build_schema`` of the standard's own schema, committed and
shipped, so that editors complete and check contracts offline. ``check`` validates a document
against it and says every fault in words, with its place.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from synth_contracts.contract.document import Map, Problems, Seq, locate, suggest
from synth_contracts.contract.generators import GENERATORS
from synth_contracts.contract.rules import DEFAULT_K, PRESETS

VENDOR = "synth-contracts"
SCHEMA_FILE = "odcs-synth-v3.2.0.json"
_MAX_INT64 = 2**63 - 1


def _object(meaning: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": meaning,
        "properties": properties,
        "additionalProperties": False,
    }


def _bool(meaning: str, default: bool = True) -> dict[str, Any]:
    return {"type": "boolean", "default": default, "description": meaning}


def _count(meaning: str, default: int | None = None, **limits: Any) -> dict[str, Any]:
    found = {"type": "integer", "description": meaning, "minimum": 1, "maximum": 10**12, **limits}
    return found if default is None else {**found, "default": default}


def _names(meaning: str) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "uniqueItems": True,
        "default": [],
        "description": meaning,
    }


def _name(meaning: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": meaning}


def synthetic_section() -> dict[str, Any]:
    """The schema of the ``synthetic`` section; property order is the order of the docs."""
    roles = _object(
        "What columns mean.",
        entityKey=_name("The column that names a person or unit: the unit of privacy."),
        timeIndex=_name("The date or timestamp column that calendars are read from."),
        timezone=_name("IANA time zone of the time index, for example America/New_York."),
        quasiIdentifiers=_names("Columns that could single out a person when combined."),
        sensitive=_names("Columns whose disclosure would harm."),
        exclude=_names("Columns that are neither generated nor released."),
    )
    calendar = {
        **_object(
            "The calendar model; false to fit rows bare.",
            holidays={
                "type": ["string", "null"],
                "pattern": "^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
                "description": "Country, or country and subdivision, whose holidays are modelled.",
            },
            volume={
                "type": "string",
                "enum": ["model", "replay"],
                "default": "model",
                "description": "How daily volumes are made. `replay` is not available yet.",
            },
        ),
        "type": ["boolean", "object"],
        "default": True,
    }
    outliers = {
        **_object(
            "Protections fitted on the training part alone; false for none.",
            rareCategory=_bool("Group categories that fewer than k entities hold."),
            topCode=_bool("Code numeric tails to the k-th most extreme entity."),
            reject=_bool("Draw rows again that come too near a real outlier."),
            otherValue={
                "type": "object",
                "additionalProperties": {
                    "type": "integer",
                    "minimum": -_MAX_INT64,
                    "maximum": _MAX_INT64,
                },
                "description": "The value that stands for grouped codes of a column; -1 if absent.",
            },
        ),
        "type": ["boolean", "object"],
        "default": True,
    }
    generator = _object(
        "How rows are made.",
        type={
            "type": "string",
            "default": "calendar_cart",
            "examples": list(GENERATORS),
            "description": "The generator.",
        },
        rows={
            "if": {"type": "string"},
            "then": {"const": "source"},
            "else": {"type": "integer", "minimum": 1, "maximum": 10**9},
            "default": "source",
            "description": "How many rows are made; `source` for as many as the source has.",
        },
        fitRows=_count("Fit on at most so many rows of the training part.", maximum=10**9),
        seed={
            "type": "integer",
            "minimum": 0,
            "maximum": _MAX_INT64,
            "default": 0,
            "description": "Names a stream of the secret key; never enough to repeat a run alone.",
        },
        calendar=calendar,
        outliers=outliers,
        entity={
            "type": ["boolean", "null"],
            "description": "The entity model: on where there is an entityKey. false: not yet.",
        },
        parameters={"type": "object", "description": "Parameters of the generator."},
        epsilon={"type": ["number", "null"], "description": "Not available yet: null only."},
        delta={"type": ["number", "null"], "description": "Not available yet: null only."},
    )
    return _object(
        "How a synthetic copy is made and by which preset it is judged.",
        preset={"type": "string", "enum": list(PRESETS), "description": "A named set of rules."},
        k=_count(
            "The smallest group, everywhere: recoding, k_anonymity, rare categories, figures.",
            DEFAULT_K, minimum=2, maximum=10**6,
        ),
        codes=_names("Integer columns that are categories."),
        disable=_names("Rules of the preset that are not asked; reads LOOSENED."),
        roles=roles,
        split=_object(
            "How the source is split.",
            holdout={
                "type": "number",
                "minimum": 0.1,
                "maximum": 0.9,
                "default": 0.3,
                "description": "Share of entities that no generator sees.",
            },
        ),
        generator=generator,
        blindAbove={"type": ["number", "null"], "description": "Not available yet: null only."},
        relationships={"type": ["array", "null"], "description": "Not available yet: empty only."},
    )  # fmt: skip


def export_section() -> dict[str, Any]:
    """The schema of the ``export`` section."""
    return _object(
        "Who may take a released table out, and how much of it.",
        formats={
            "type": "array",
            "items": {"type": "string", "enum": ["parquet", "csv"]},
            "minItems": 1,
            "uniqueItems": True,
            "default": ["parquet", "csv"],
            "description": "File formats of a bundle.",
        },
        ticketPattern={
            "type": "string",
            "minLength": 3,
            "maxLength": 200,
            "default": "^[A-Z][A-Z0-9]+-[0-9]+$",
            "description": "Regular expression that a whole ticket must match.",
        },
        tokenTtl={
            "type": ["string", "integer"],
            "default": "15m",
            "description": "Life of an export token: 900, 900s, 15m or 1h; at most 24h.",
        },
        roles=_names("Roles that may export."),
        maxRows=_count("Rows of one export at most; null for no limit.", type=["integer", "null"]),
        maxBytes={
            "type": ["string", "integer", "null"],
            "description": "Bytes of one export's data at most: 500000000, 500MB, 2GiB.",
        },
        maxExportsPerTicketPerDay=_count("Exports of one ticket in a day at most.", 50),
        maxAttempts=_count("Blocked builds since the last promotion at most.", 5),
        fingerprint={
            "type": ["boolean", "object", "null"],
            "default": False,
            "description": "Not available yet: false only.",
        },
    )


def build_schema(odcs: Mapping[str, Any]) -> dict[str, Any]:
    """The ODCS schema with the vendor sections typed in, by if/then on property and vendor.

    Args:
        odcs: the standard's JSON schema, v3.2.0. It is not changed.

    One fault of the standard's schema is mended: its conditions on ``logicalType`` hold also where
    there is no logicalType, so that a property without one is asked for a ``map``.
    """
    schema = deepcopy(dict(odcs))
    definitions = schema["$defs"]
    schema["$comment"] = (
        "Open Data Contract Standard v3.2.0 (Bitol, Linux Foundation; Apache-2.0) with the vendor "
        "sections of synth-contracts. Built by synth_contracts/contract/jsonschema.py."
    )
    schema["title"] = "Open Data Contract Standard (ODCS) with synth-contracts sections"
    for branch in definitions["SchemaBaseProperty"]["allOf"]:
        if "if" in branch:
            branch["if"]["required"] = ["logicalType"]
    definitions["SynthSynthetic"] = synthetic_section()
    definitions["SynthExport"] = export_section()
    definitions["CustomProperty"]["allOf"] = [
        {
            # v3.1 documents have no vendor, and then the property's name decides
            "if": {
                "properties": {"property": {"const": name}, "vendor": {"const": VENDOR}},
                "required": ["property"],
            },
            "then": {"properties": {"value": {"$ref": f"#/$defs/{definition}"}}},
        }
        for name, definition in (("synthetic", "SynthSynthetic"), ("export", "SynthExport"))
    ]
    return schema


@cache
def load_schema() -> dict[str, Any]:
    """The shipped schema. Do not change what is returned."""
    text = files("synth_contracts.contract").joinpath("schema", SCHEMA_FILE).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def check(root: Map, problems: Problems) -> None:
    """Record every fault of ``root`` against the schema, then take the faulty parts out of it.

    What is left has the types that the schema gives, so that its meaning can be read and all
    faults of a file come at once.
    """
    errors = list(_validator().iter_errors(root))
    for error in errors:
        _say(root, error, problems)
    places: set[tuple[Any, ...]] = set()
    for error in errors:
        path = tuple(error.absolute_path)
        if error.validator in {"additionalProperties", "unevaluatedProperties"}:
            places |= {(*path, name) for name in _unknown(error)}
        elif error.validator != "required":
            places.add(path)
    # last first, so that the indices of what is still to go stay right
    for path in sorted(places, key=lambda p: [(isinstance(s, str), s) for s in p], reverse=True):
        _take_out(root, path)


def _take_out(root: Map, path: tuple[Any, ...]) -> None:
    node: Any = root
    for step in path[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(node, Map) and path:
        node.pop(path[-1], None)
    elif isinstance(node, Seq) and path and path[-1] < len(node):
        del node[path[-1]]
        del node.items_at[path[-1]]


@cache
def _validator() -> Any:
    # imported here: `--help` must not pay for it
    from jsonschema import Draft201909Validator, TypeChecker
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def unevaluated(
        validator: Any, wanted: Any, instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        # jsonschema's own keyword validates each child again to know whether it was evaluated:
        # 15 of the 21 ms of a contract of 15 columns. All of the standard's uses say false.
        if wanted is not False or not isinstance(instance, dict):
            return
        known = evaluated(validator, instance, schema)
        unknown = [name for name in instance if name not in known]
        if unknown:
            yield ValidationError(json.dumps(unknown))

    def evaluated(validator: Any, instance: Any, schema: Any) -> set[str]:
        names = set(schema.get("properties", ()))
        if "$ref" in schema:
            names |= evaluated(validator, instance, _target(schema["$ref"]))
        branches = list(schema.get("allOf", ()))
        branches += [
            branch
            for keyword in ("anyOf", "oneOf")
            for branch in schema.get(keyword, ())
            if validator.evolve(schema=branch).is_valid(instance)
        ]
        if "if" in schema:
            holds = validator.evolve(schema=schema["if"]).is_valid(instance)
            branches += [schema["if"]] if holds else []
            branches.append(schema.get("then" if holds else "else", {}))
        for branch in branches:
            names |= evaluated(validator, instance, branch)
        return names

    checker: TypeChecker = Draft201909Validator.TYPE_CHECKER.redefine(
        # 1.0 is not a whole number in a contract
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool),
    )  # fmt: skip
    strict = extend(
        Draft201909Validator, {"unevaluatedProperties": unevaluated}, type_checker=checker
    )
    return strict(load_schema())


def _target(ref: str) -> Any:
    node: Any = load_schema()
    for step in ref.removeprefix("#/").split("/"):
        node = node[step]
    return node


def _known(schema: Mapping[str, Any]) -> list[str]:
    """All property names that an object under ``schema`` could have."""
    names = list(schema.get("properties", ()))
    if "$ref" in schema:
        names += _known(_target(schema["$ref"]))
    for keyword in ("allOf", "anyOf", "oneOf"):
        for branch in schema.get(keyword, ()):
            names += _known(branch)
    for keyword in ("then", "else"):
        names += _known(schema.get(keyword, {}))
    return list(dict.fromkeys(names))


def _unknown(error: Any) -> list[str]:
    if error.validator == "unevaluatedProperties":
        found: list[str] = json.loads(error.message)
        return found
    return [name for name in error.instance if name not in error.schema.get("properties", {})]


_TYPES = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "a mapping", "array": "a list", "null": "null",
}  # fmt: skip


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    for kind, name in ((bool, "true or false"), (int, "a whole number"), (float, "a number")):
        if isinstance(value, kind):
            return f"{name} ({_short(value)})" if kind is not bool else str(value).lower()
    if isinstance(value, str):
        return f"text ({_short(value)})"
    return "a mapping" if isinstance(value, dict) else "a list"


def _short(value: Any) -> str:
    text = f"`{value}`"
    return text if len(text) < 80 else f"{text[:77]}...`"


def _say(root: Map, error: Any, problems: Problems) -> None:
    """One fault of the schema in words."""
    path = list(error.absolute_path)
    at = locate(root, path)
    name = next((str(step) for step in reversed(path) if isinstance(step, str)), "the contract")
    item = path and isinstance(path[-1], int)
    subject = f"an item of `{name}`" if item else f"`{name}`" if path else name
    keyword, wanted, value = error.validator, error.validator_value, error.instance
    if keyword in {"additionalProperties", "unevaluatedProperties"}:
        known = [one for one in _known(error.schema) if one not in error.instance]
        for unknown in _unknown(error):
            place = locate(root, [*path, unknown], key=True)
            inside = f" in {subject}" if path else ""
            problems.add(place, f"unknown key {_short(unknown)}{inside}", suggest(unknown, known))
    elif keyword == "type":
        kinds = " or ".join(_TYPES[t] for t in ([wanted] if isinstance(wanted, str) else wanted))
        mend = _type_mend(wanted, value)
        problems.add(at, f"{subject} must be {kinds}, not {_kind(value)}", mend)
    elif keyword in {"enum", "const"}:
        allowed = [str(one) for one in (wanted if keyword == "enum" else [wanted])]
        problems.add(at, f"{subject} cannot be {_short(value)}", suggest(str(value), allowed))
    elif keyword == "required":
        missing = [one for one in wanted if one not in value]
        problems.add(at, f"{subject} lacks {', '.join(f'`{one}`' for one in missing)}")
    elif keyword == "oneOf" and "mustBe" in str(wanted)[:200]:
        problems.add(at, f"{subject} needs exactly one of mustBe, mustBeBetween and their kin")
    else:
        problems.add(at, f"{subject} {_LIMITS.get(keyword, _LIMITS['']).format(wanted)}")


_LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be above {}",
    "exclusiveMaximum": "must be below {}",
    "pattern": "must match {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "uniqueItems": "must not hold the same item twice",
    "": "does not have the form that the Open Data Contract Standard gives it",
}


def _type_mend(wanted: Any, value: Any) -> str:
    kinds = {wanted} if isinstance(wanted, str) else set(wanted)
    if (
        "boolean" in kinds
        and isinstance(value, str)
        and value.casefold() in {"on", "off", "yes", "no"}
    ):
        word = "true" if value.casefold() in {"on", "yes"} else "false"
        return f"write {word}: in YAML 1.2 `{value}` is text"
    if "string" in kinds and not isinstance(value, (dict, list)) and value is not None:
        return "put it in quotes"
    if kinds & {"integer", "number"} and isinstance(value, str):
        return "write a plain number, without quotes"
    return ""


def main(arguments: Sequence[str]) -> None:
    """Write the shipped schema from the standard's: ``python -m ... SCHEMA.json``."""
    odcs = json.loads(Path(arguments[0]).read_text("utf-8"))
    target = Path(__file__).parent / "schema" / SCHEMA_FILE
    target.write_text(as_text(build_schema(odcs)), encoding="utf-8")


def as_text(schema: Mapping[str, Any]) -> str:
    """The schema as it is committed."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
