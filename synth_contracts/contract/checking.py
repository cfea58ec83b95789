"""Holding a document against the JSON schema, and saying its faults in words with their place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from synth_contracts.contract.document import Map, Problems, Seq, locate, suggest
from synth_contracts.contract.jsonschema import load_schema


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
    from jsonschema import Draft201909Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def unevaluated(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        # jsonschema's own keyword validates each child again to know whether it was evaluated:
        # 15 of the 21 ms of a contract of 15 columns. All of the standard's uses say false.
        if wanted is not False or not isinstance(instance, dict):
            return
        known = _evaluated(validator, instance, schema)
        unknown = [name for name in instance if name not in known]
        if unknown:
            yield ValidationError(json.dumps(unknown))

    def condition(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        branch = "then" if _holds(validator, wanted, instance) else "else"
        if branch in schema:
            yield from validator.descend(instance, schema[branch], schema_path=branch)

    checker = Draft201909Validator.TYPE_CHECKER.redefine(
        # 1.0 is not a whole number in a contract
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool),
    )  # fmt: skip
    keywords = {"unevaluatedProperties": unevaluated, "if": condition}
    return extend(Draft201909Validator, keywords, type_checker=checker)(load_schema())


def _holds(validator: Any, condition: Any, instance: Any) -> bool:
    """Whether ``instance`` is valid under an ``if``; the common form is compared at once."""
    if isinstance(instance, dict) and condition.keys() <= {"properties", "required"}:
        constants = condition.get("properties", {})
        if all(c.keys() == {"const"} and isinstance(c["const"], str) for c in constants.values()):
            return all(name in instance for name in condition.get("required", ())) and all(
                instance[name] == c["const"] for name, c in constants.items() if name in instance
            )
    return bool(validator.evolve(schema=condition).is_valid(instance))


def _evaluated(validator: Any, instance: Any, schema: Any) -> set[str]:
    """Names of ``instance`` that ``schema`` speaks of, whatever it says of their values."""
    names = set(schema.get("properties", ()))
    if "$ref" in schema:
        names |= _evaluated(validator, instance, _target(schema["$ref"]))
    branches = list(schema.get("allOf", ()))
    for keyword in ("anyOf", "oneOf"):
        branches += [b for b in schema.get(keyword, ()) if _holds(validator, b, instance)]
    if "if" in schema:
        holds = _holds(validator, schema["if"], instance)
        branches += [schema["if"]] if holds else []
        branches.append(schema.get("then" if holds else "else", {}))
    for branch in branches:
        names |= _evaluated(validator, instance, branch)
    return names


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
        names += _known(schema[keyword]) if keyword in schema else []
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
    if name == "value" and path[-1] == "value":
        name = _section_name(root, path)
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


def _section_name(root: Map, path: list[Any]) -> str:
    """The property whose ``value`` stands at ``path``."""
    node: Any = root
    for step in path[:-1]:
        node = node[step]
    return str(node.get("property", "value"))[:80]


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
