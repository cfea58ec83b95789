"""ODCS quality rules as rules: every one that is written is run, listed, or refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from synth_contracts.contract.document import Map, Place, Problems, suggest
from synth_contracts.contract.model import Column, NotAsked, Rule, Severity
from synth_contracts.contract.rules import EXPECTATIONS, RULES, OptionSpec, RuleSpec

_ENGINES = {"greatExpectations", "great-expectations"}
_NUMERIC = {"integer", "number"}
_NAMED = {"string", "boolean"}


@dataclass
class Quality:
    """The rules that a contract writes itself. ``places`` says where each id stands."""

    rules: list[Rule] = field(default_factory=list)
    text_only: list[NotAsked] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)


def read_quality(
    table: Map, columns: tuple[Column, ...], preset: str | None, problems: Problems
) -> Quality:
    """Rules of the table, then those of its columns in order; faults are recorded."""
    found = Quality()
    by_name = {column.name: column for column in columns}
    for item in table.get("quality") or ():
        _read(item, None, preset, found, problems)
    for prop in table.get("properties") or ():
        column = by_name.get(prop.get("name"))
        for item in prop.get("quality") or ():
            if column is not None:
                _read(item, column, preset, found, problems)
    return found


def _read(
    item: Map,
    column: Column | None,
    preset: str | None,
    found: Quality,
    problems: Problems,
) -> None:
    kind = item.get("type", "library")
    if kind == "text":
        name = item.get("id") or item.get("name") or f"text-{len(found.text_only) + 1}"
        found.text_only.append(NotAsked(name, "text only"))
        return
    if kind != "custom":
        what = (
            f"the metric `{item.get('metric')}`" if kind == "library" else f"a rule of type {kind}"
        )
        problems.add(
            item.values_at.get("type", item.at),
            f"{what} cannot be run yet, and a rule that is not run must not look as if it were",
            "take it out, or write it as `type: text`; required, unique, enum and limits of a "
            "column are checked by constraint_violations",
        )
        return
    rule_id = _id(item, found, problems)
    engine = item.get("engine")
    if engine not in _ENGINES:
        problems.add(
            item.values_at.get("engine", item.at),
            f"rules of the engine `{str(engine)[:80]}` cannot be run",
            "write `engine: greatExpectations`",
        )
        return
    spec = _spec(item, column, problems)
    if spec is None:
        return
    rule = _rule(item, rule_id, spec, column, preset, problems)
    if rule is not None and rule_id:
        found.rules.append(rule)
        found.places[rule_id] = item.values_at["id"]


def _id(item: Map, found: Quality, problems: Problems) -> str:
    rule_id = item.get("id")
    if rule_id is None:
        problems.add(
            item.at, "a quality rule lacks `id`", "give it one: it names the rule for ever"
        )
        return ""
    if rule_id in found.places:
        problems.add(
            item.values_at["id"],
            f"the rule id `{rule_id}` is used twice",
            f"see line {found.places[rule_id][0]}",
        )
        return ""
    return str(rule_id)


def _spec(item: Map, column: Column | None, problems: Problems) -> RuleSpec | None:
    implementation = item.get("implementation")
    if not isinstance(implementation, Map):
        problems.add(
            item.values_at.get("implementation", item.at),
            "`implementation` must be a mapping of type and kwargs",
        )
        return None
    for key in implementation:
        if key not in {"type", "kwargs"}:
            problems.add(
                implementation.keys_at[key],
                f"unknown key `{key[:80]}` in `implementation`",
                suggest(key, ["type", "kwargs"]),
            )
    kind = implementation.get("type")
    spec = EXPECTATIONS.get(kind) if isinstance(kind, str) else None
    at = implementation.values_at.get("type", implementation.at)
    if spec is None:
        what = (
            f"unknown expectation `{str(kind)[:120]}`"
            if kind is not None
            else "no expectation type"
        )
        problems.add(at, what, suggest(str(kind), EXPECTATIONS))
        return None
    of_column = str(kind).startswith("expect_column_")
    if of_column != (column is not None):
        where = "a column's own `quality`" if of_column else "the table's `quality`"
        problems.add(at, f"`{kind}` stands in the wrong place", f"move it to {where}")
        return None
    return spec


def _rule(
    item: Map,
    rule_id: str,
    spec: RuleSpec,
    column: Column | None,
    preset: str | None,
    problems: Problems,
) -> Rule | None:
    if rule_id in RULES and rule_id != spec.id:
        problems.add(
            item.values_at["id"],
            f"`{rule_id}` is the id of another rule",
            f"give this rule the id `{spec.id}`",
        )
    if column is not None and rule_id == spec.id and spec.scope == "either":
        problems.add(
            item.values_at["id"],
            f"`{rule_id}` is the id of the rule about the whole table",
            f"give this rule an id of its own, such as `{rule_id}-{column.name}`",
        )
    severity = item.get("severity", "error")
    if severity not in {"error", "warning"}:
        problems.add(
            item.values_at["severity"],
            f"severity `{severity[:80]}` is not known",
            suggest(severity, ["error", "warning"]),
        )
        return None
    implementation = item["implementation"]
    kwargs = implementation.get("kwargs")
    if not isinstance(kwargs, Map):
        at = implementation.values_at.get("kwargs", implementation.at)
        problems.add(at, f"`kwargs` must hold `{spec.limit_kwarg}`")
        return None
    threshold = _threshold(kwargs, spec, problems)
    options = _options(kwargs, spec, problems)
    if threshold is None:
        return None
    return Rule(
        id=rule_id,
        metric=spec.id,
        expectation=implementation["type"],
        column=column.name if column else None,
        operator=spec.operator,
        threshold=threshold,
        judged=spec.judged_under(preset),
        severity=cast("Severity", severity),
        family=spec.family,
        options=options,
        origin="contract",
    )


def _threshold(kwargs: Map, spec: RuleSpec, problems: Problems) -> float | None:
    name = spec.limit_kwarg
    value = kwargs.get(name)
    at = kwargs.values_at.get(name, kwargs.at)
    if name not in kwargs:
        problems.add(at, f"`kwargs` lacks `{name}`")
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        mend = "write it without quotes" if isinstance(value, str) else ""
        problems.add(at, f"`{name}` must be a number, not `{str(value)[:80]}`", mend)
        return None
    number = float(value)
    if not spec.lowest <= number < spec.below:
        mend = f"{spec.id} takes limits from {spec.lowest:g} to below {spec.below:g}"
        problems.add(at, f"no {spec.id} can be judged by `{name}: {value}`", mend)
        return None
    return number


def _options(kwargs: Map, spec: RuleSpec, problems: Problems) -> dict[str, Any]:
    found = spec.default_options
    known = [spec.limit_kwarg, *spec.options]
    for name, value in kwargs.items():
        if name == spec.limit_kwarg:
            continue
        option = spec.options.get(name)
        if option is None:
            problems.add(
                kwargs.keys_at[name],
                f"`{spec.expectation}` has no argument `{name[:80]}`",
                suggest(name, [one for one in known if one not in kwargs] or known),
            )
        elif value is not None:
            fault = _option_fault(option, value)
            if fault:
                problems.add(kwargs.values_at[name], f"`{name}` {fault}")
            else:
                found[name] = list(value) if isinstance(value, list) else value
    if found.get("aggregate") == "sum" and "column" not in found:
        problems.add(kwargs.values_at["aggregate"], "`aggregate: sum` needs `column`")
    if found.get("aggregate") == "count" and "column" in found:
        problems.add(kwargs.values_at["column"], "`column` needs `aggregate: sum`")
    return found


def _option_fault(option: OptionSpec, value: Any) -> str:
    if option.kind == "choice":
        if not isinstance(value, str) or value not in option.choices:
            return f"must be {' or '.join(option.choices)}, not `{str(value)[:80]}`"
    elif option.kind == "column":
        if not isinstance(value, str):
            return "must be the name of a column"
    elif option.kind == "columns":
        names = value if isinstance(value, list) else []
        if not names or not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
            return "must be a list of different names of columns"
    elif option.kind == "count":
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not option.least <= value <= option.most:
            return f"must be a whole number from {option.least} to {option.most}"
    elif (
        not isinstance(value, list)
        or not value
        or not all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= 366 for n in value)
        or len(set(value)) != len(value)
    ):
        return "must be a list of different whole numbers from 1 to 366"
    return ""


def check_columns(
    quality: Quality,
    columns: tuple[Column, ...],
    compared: dict[str, str],
    codes: tuple[str, ...],
    problems: Problems,
) -> None:
    """Record rules about a column whose values their metric cannot compare.

    Args:
        quality: the contract's own rules.
        columns: the declared columns.
        compared: casefolded names of columns that are not compared, with the reason.
        codes: integer columns that are categories.
        problems: where faults go.
    """
    kinds = {column.name.casefold(): column.logical_type for column in columns}
    categories = {name.casefold() for name in codes}
    for rule in quality.rules:
        if not rule.id:
            continue
        for known in rule.options.get("aux_columns", ()):
            if known.casefold() in compared:
                reason = compared[known.casefold()]
                text = f"the rule `{rule.id}` is about `{known}`, {reason}"
                problems.add(quality.places[rule.id], text)
        name = rule.column or rule.options.get("column")
        if name is None:
            continue
        folded, at = name.casefold(), quality.places[rule.id]
        kind = kinds.get(folded)
        if folded in compared:
            problems.add(at, f"the rule `{rule.id}` is about `{name}`, {compared[folded]}")
        elif rule.column is not None and RULES[rule.metric].about == "categories":
            if kind is not None and kind not in _NAMED and folded not in categories:
                mend = "list it in `codes` if its integers are categories"
                text = f"the rule `{rule.id}` needs categories, and `{name}` is a {kind}"
                problems.add(at, text, mend if kind == "integer" else "")
        elif folded in categories:
            problems.add(at, f"the rule `{rule.id}` is about `{name}`, whose integers are codes")
        elif kind is not None and kind not in _NUMERIC:
            problems.add(at, f"the rule `{rule.id}` needs numbers, and `{name}` is a {kind}")
