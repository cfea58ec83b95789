"""The vendor section ``synthetic``: what a copy is made of, and by which preset it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from synth_contracts.contract.columns import near_miss, plain_name
from synth_contracts.contract.conditions import columns_of, parse
from synth_contracts.contract.document import Map, Place, Problems, locate, suggest
from synth_contracts.contract.dp import read_guarantee, refuse_guarantee
from synth_contracts.contract.expand import not_compared
from synth_contracts.contract.generators import GENERATORS, GeneratorType
from synth_contracts.contract.model import (
    Calendar,
    Column,
    Constraint,
    GeneratorSpec,
    Outliers,
    Period,
    Roles,
)
from synth_contracts.contract.parameters import faults_together
from synth_contracts.contract.plugins import Plugin, PluginFault, find_plugin, plugin_names
from synth_contracts.contract.rules import DEFAULT_K, SAME_DAYS, preset_rules

_ROLES = {
    "entityKey": "entity_key", "timeIndex": "time_index",
    "quasiIdentifiers": "quasi_identifiers", "sensitive": "sensitive", "exclude": "exclude",
}  # fmt: skip
_TEMPORAL = {"date", "timestamp"}


@dataclass(frozen=True)
class Synthetic:
    """The section, typed. ``disabled`` are ids of rules that the preset would ask."""

    preset: str | None = None
    k: int = DEFAULT_K
    codes: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    roles: Roles = field(default_factory=Roles)
    holdout: float = 0.3
    generator: GeneratorSpec = field(default_factory=GeneratorSpec)
    blind_above: int | None = None
    constraints: tuple[Constraint, ...] = ()


def read_synthetic(section: Map, columns: tuple[Column, ...], problems: Problems) -> Synthetic:
    """The section as it is meant; faults are recorded."""
    if section.get("relationships") not in (None, []):
        _not_yet(section, "relationships", problems)
    preset = section.get("preset")
    roles = _roles(section, columns, problems)
    codes = _codes(section, columns, roles, problems)
    split = section.get("split") or {}
    disabled = _disabled(section, preset, problems)
    _period_is_judged(section, preset, disabled, roles, problems)
    return Synthetic(
        preset=preset,
        k=section.get("k", DEFAULT_K),
        codes=codes,
        disabled=disabled,
        roles=roles,
        holdout=float(split.get("holdout", 0.3)),
        generator=_generator(section, columns, codes, roles, problems),
        blind_above=section.get("blindAbove"),
        constraints=_constraints(section, columns, roles, problems),
    )


def _constraints(
    section: Map, columns: tuple[Column, ...], roles: Roles, problems: Problems
) -> tuple[Constraint, ...]:
    aside = not_compared(roles, columns)
    found: dict[str, Constraint] = {}
    for index, item in enumerate(section.get("constraints") or ()):
        name, text = (item.get(key) if isinstance(item, Map) else None for key in ("id", "check"))
        if not isinstance(name, str) or not isinstance(text, str):
            continue  # the JSON schema has said what is wrong
        at = item.values_at["check"]
        if name in found:
            problems.add(locate(section, ["constraints", index, "id"]), f"`{name}` is used twice")
        try:
            parse(text)
        except ValueError as fault:
            problems.add(at, f"the constraint `{name}` {fault}")
            continue
        named = columns_of(text)
        for column in named:
            mend = near_miss(column, columns)
            if column.casefold() in aside:
                reason = aside[column.casefold()]
                problems.add(at, f"the constraint `{name}` is about `{column}`, {reason}")
            elif mend:
                problems.warn(at, f"`{name}` names `{column}`, which is not declared", mend)
        found[name] = Constraint(name, text, named)
    return tuple(found.values())


def _not_yet(section: Map, key: str, problems: Problems, mend: str = "") -> None:
    problems.add(
        section.values_at[key],
        f"`{key}: {str(section[key]).lower()[:80]}` is not available yet",
        mend or "take it out, or write null",
    )


def _disabled(section: Map, preset: str | None, problems: Problems) -> tuple[str, ...]:
    known = list(preset_rules(preset))
    found = []
    for index, name in enumerate(section.get("disable") or ()):
        if name in known:
            found.append(name)
            continue
        at = locate(section, ["disable", index])
        where = (
            f"the preset {preset} has no rule" if preset else "without a preset there is no rule"
        )
        problems.add(at, f"{where} `{name[:80]}` to disable", suggest(name, known))
    return tuple(found)


def _roles(section: Map, columns: tuple[Column, ...], problems: Problems) -> Roles:
    raw = section.get("roles")
    if not isinstance(raw, Map):
        return Roles()
    single = {"entityKey", "timeIndex"}
    named: dict[str, list[tuple[str, Place]]] = {}
    for key in _ROLES:
        value = raw.get(key)
        if value is None:
            named[key] = []
        elif key in single:
            named[key] = [(value, raw.values_at[key])]
        else:
            named[key] = [(v, value.items_at[i]) for i, v in enumerate(value)]
        named[key] = _named(named[key], f"roles.{key}", columns, problems)
    _conflicts(named, columns, problems)
    zone = raw.get("timezone")
    if zone is not None:
        _zone(zone, raw.values_at["timezone"], problems)
    values: dict[str, Any] = {
        attribute: next((name for name, _ in named[key]), None)
        if key in single
        else tuple(name for name, _ in named[key])
        for key, attribute in _ROLES.items()
    }
    return Roles(timezone=zone, **values)


def _named(
    names: list[tuple[str, Place]], role: str, columns: tuple[Column, ...], problems: Problems
) -> list[tuple[str, Place]]:
    """The names in the spelling of their columns; twice the same column is a fault."""
    declared = {column.name.casefold(): column.name for column in columns}
    found: list[tuple[str, Place]] = []
    seen: set[str] = set()
    for name, at in names:
        if not plain_name(name):
            problems.add(at, f"{role} names no column: empty or control characters")
        elif name.casefold() in seen:
            problems.add(at, f"{role} names `{name}` twice")
        else:
            mend = near_miss(name, columns)
            if mend:
                problems.warn(at, f"{role} names `{name}`, which the schema does not declare", mend)
            seen.add(name.casefold())
            found.append((declared.get(name.casefold(), name), at))
    return found


def _conflicts(
    named: dict[str, list[tuple[str, Place]]], columns: tuple[Column, ...], problems: Problems
) -> None:
    by_name = {column.name.casefold(): column for column in columns}
    excluded = {name.casefold() for name, _ in named["exclude"]}
    entity = {name.casefold() for name, _ in named["entityKey"]}
    for key, names in named.items():
        if key == "exclude":
            continue
        for name, at in names:
            column = by_name.get(name.casefold())
            if name.casefold() in excluded:
                problems.add(at, f"roles.{key} names `{name}`, which roles.exclude takes out")
            if key != "entityKey" and name.casefold() in entity:
                problems.add(at, f"roles.{key} names the entity key `{name}`, which is made afresh")
            elif key != "entityKey" and column and column.primary_key:
                problems.add(
                    at, f"roles.{key} names the primary key `{name}`, which is made afresh"
                )
            if key == "timeIndex" and column and column.logical_type not in {None, *_TEMPORAL}:
                problems.add(
                    at,
                    f"roles.timeIndex names `{name}`, a {column.logical_type}",
                    "name a date or timestamp column",
                )


def _zone(name: str, at: Place, problems: Problems) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from zoneinfo import available_timezones

        mend = suggest(name, sorted(available_timezones()))
        mend = mend if mend.startswith("did you mean") else "for example America/New_York"
        problems.add(at, f"`{name[:80]}` is no time zone", mend)


def _codes(
    section: Map, columns: tuple[Column, ...], roles: Roles, problems: Problems
) -> tuple[str, ...]:
    raw = section.get("codes")
    if not raw:
        return ()
    names = _named([(v, raw.items_at[i]) for i, v in enumerate(raw)], "codes", columns, problems)
    by_name = {column.name.casefold(): column for column in columns}
    for name, at in names:
        column = by_name.get(name.casefold())
        if column and column.logical_type not in {None, "integer"}:
            problems.add(
                at,
                f"`codes` names `{name}`, a {column.logical_type}, and codes are integers",
                "text columns are categories already",
            )
        if roles.time_index and name.casefold() == roles.time_index.casefold():
            problems.add(at, f"`codes` names the time index `{name}`")
    return tuple(name for name, _ in names)


def _generator(
    section: Map,
    columns: tuple[Column, ...],
    codes: tuple[str, ...],
    roles: Roles,
    problems: Problems,
) -> GeneratorSpec:
    raw: Map = section.get("generator") or Map()
    kind = raw.get("type", "calendar_cart")
    plugin = _plugin(raw, kind, problems)
    spec = plugin.spec if plugin else GENERATORS.get(kind)
    guarantee = None
    if spec is not None and spec.private:
        guarantee = read_guarantee(raw, columns, roles, codes, problems)
    else:
        refuse_guarantee(raw, kind, problems)
    if raw.get("entity") is False:
        _not_yet(raw, "entity", problems, "take it out: the model of entities follows entityKey")
    known = spec or GENERATORS["calendar_cart"]
    if raw.get("fitRows") is not None and not known.fit_rows:
        problems.add(
            raw.keys_at["fitRows"], f"{known.name} fits the whole training part", "take it out"
        )
    if raw.get("saveModel") and not known.keeps:
        can = ", ".join(name for name, item in GENERATORS.items() if item.keeps)
        problems.add(
            raw.keys_at["saveModel"],
            f"a fitted {known.name} cannot be kept",
            f"take it out, or use one of {can}",
        )
    if known.entities and roles.entity_key is None:
        problems.add(
            raw.values_at["type"],
            f"{known.name} models the rows of each entity together, and no entityKey is named",
            "name the role entityKey, or another generator",
        )
    rows = raw.get("rows", "source")
    outliers = _outliers(raw, known, codes, problems)
    whole = plugin is not None and not plugin.rows
    for key in ("calendar", "period"):
        if whole and raw.get(key) not in (None, False):
            problems.add(
                raw.keys_at[key],
                f"{known.name} makes whole tables: what it knows of the calendar is its own",
                "take it out",
            )
    return GeneratorSpec(
        type=kind,
        rows=None if rows in {"source", "noisy"} else rows,
        fit_rows=raw.get("fitRows"),
        seed=raw.get("seed", 0),
        save_model=raw.get("saveModel", False) is True,
        # with a guarantee nothing reads train but its mechanism
        calendar=Calendar(enabled=False) if known.private or whole else _calendar(raw, problems),
        outliers=Outliers(False, False, False) if known.private else outliers,
        parameters=_parameters(raw, spec, columns, problems),
        period=_period(raw, problems),
        guarantee=guarantee,
        plugin=(plugin.distribution, plugin.version) if plugin else None,
    )


def _period(raw: Map, problems: Problems) -> Period | None:
    """The days to make rows for; what it lacks or contradicts is recorded."""
    given = raw.get("period")
    if not isinstance(given, Map):
        return None
    at = raw.keys_at["period"]
    days: dict[str, date] = {}
    for key in ("start", "end"):
        if isinstance(given.get(key), str):
            try:
                days[key] = date.fromisoformat(given[key])
            except ValueError:
                problems.add(given.values_at[key], f"period.{key} is no day of the calendar")
    count = given.get("days")
    if not given:
        problems.add(at, "period says nothing", "give `days`, or `start` and `end`")
    if count is not None and "end" in given:
        problems.add(given.keys_at["days"], "period has both `end` and `days`", "take one out")
    if "start" in given and "end" not in given and count is None:
        problems.add(at, "period has a start and no end", "give `end` or `days`")
    if len(days) == 2 and days["end"] < days["start"]:
        problems.add(given.values_at["end"], "period ends before it starts")
    calendar = raw.get("calendar", True)
    if calendar is False:
        problems.add(at, "a period needs the calendar, which is off", "take `calendar: false` out")
    elif isinstance(calendar, Map) and calendar.get("volume") == "replay":
        problems.add(
            at, "`volume: replay` repeats train's own days and no others", "write `volume: model`"
        )
    count = count if isinstance(count, int) else None
    return Period(start=days.get("start"), end=days.get("end"), days=count)


def _period_is_judged(
    section: Map, preset: Any, disabled: Sequence[str], roles: Roles, problems: Problems
) -> None:
    """Say which rules a table of other days cannot keep."""
    generator = section.get("generator")
    if not isinstance(generator, Map) or not isinstance(generator.get("period"), Map):
        return
    at = generator.keys_at["period"]
    if roles.time_index is None:
        problems.add(at, "a period needs roles.timeIndex", "name the column, or take it out")
    asked = [
        name
        for name, limit in preset_rules(preset if isinstance(preset, str) else None).items()
        if name in SAME_DAYS and limit != "report" and name not in disabled
    ]
    if asked:
        problems.warn(
            at,
            f"{', '.join(asked)} compare{'s' * (len(asked) == 1)} the same days of train and of "
            "the synthetic table, and days beyond the source cannot keep or be asked them",
            f"write `disable: [{', '.join(asked)}]` where the period leaves the source",
        )


def _plugin(raw: Map, kind: str, problems: Problems) -> Plugin | None:
    """The plugin that ``type`` names; None for a built-in generator, and for none at all."""
    try:
        plugin = find_plugin(kind)
    except PluginFault as fault:
        problems.add(raw.values_at.get("type", raw.at), fault.message, fault.mend)
        return None
    if plugin is None and kind not in GENERATORS:
        problems.add(
            raw.values_at["type"],
            f"generator.type `{kind[:80]}` does not exist",
            suggest(kind, [*GENERATORS, *plugin_names()], "available"),
        )
    return plugin


def _calendar(raw: Map, problems: Problems) -> Calendar:
    value = raw.get("calendar", True)
    if not isinstance(value, Map):
        return Calendar(enabled=bool(value))
    volume = value.get("volume", "model")
    if volume == "replay":
        problems.warn(
            value.values_at["volume"],
            "`volume: replay` publishes train's daily totals up to noise, which the tracing attack "
            "finds; it may block the release",
            "write `volume: model`, which simulates them",
        )
    elif "volumeNoise" in value:
        problems.add(
            value.keys_at["volumeNoise"],
            "volumeNoise belongs to `volume: replay`",
            "take it out: a simulated volume has no noise to scale",
        )
    if isinstance(value.get("holidays"), str):
        _country(value["holidays"], value.values_at["holidays"], problems)
    return Calendar(
        holidays=value.get("holidays"),
        volume=volume,
        volume_noise=float(value.get("volumeNoise", Calendar.volume_noise)),
    )


def _country(name: str, at: Place, problems: Problems) -> None:
    """Whether the package ``holidays`` knows a country, and its subdivision."""
    import holidays
    from holidays.registry import EntityLoader

    # the package's own list imports every country: a tenth of a second
    known = list(EntityLoader.get_country_codes(include_aliases=True))
    code, _, part = name.partition("-")
    if code not in known:
        problems.add(
            at,
            f"no holidays are known for the country `{code[:80]}`",
            _near(code, known, "name an ISO country such as US, or US-NY"),
        )
    elif part and part not in (parts := getattr(holidays, code).subdivisions):
        problems.add(
            at,
            f"no holidays are known for the subdivision `{part[:80]}` of {code}",
            _near(part, parts, f"write {code} alone"),
        )


def _near(word: str, known: Sequence[str], otherwise: str) -> str:
    mend = suggest(word, known)
    return mend if mend.startswith("did you mean") else otherwise


def _outliers(
    raw: Map, spec: GeneratorType, codes: tuple[str, ...], problems: Problems
) -> Outliers:
    value = raw.get("outliers")
    if value is False:
        return Outliers(rare_category=False, top_code=False, reject=False)
    section = value if isinstance(value, Map) else Map()
    reject = section.get("reject", True if value is True else spec.reject)
    framed = spec.reject_framed and raw.get("calendar", True) is not False
    if reject and not (spec.reject or framed) and not spec.private:
        where = "a bare model" if spec.reject_framed else spec.name
        problems.add(
            section.values_at.get("reject", raw.values_at["outliers"]),
            f"rows of {where} near outliers cannot be drawn again",
            "write `outliers: {reject: false}`",
        )
    others = section.get("otherValue") or Map()
    spelled = {name.casefold(): name for name in codes}
    found = {}
    for name, other in others.items():
        if name.casefold() not in spelled:
            problems.add(
                others.keys_at[name],
                f"otherValue names `{name[:80]}`, which is not in `codes`",
                suggest(name, codes) or "list it in `codes`",
            )
        else:
            found[spelled[name.casefold()]] = other
    return Outliers(
        rare_category=section.get("rareCategory", True),
        top_code=section.get("topCode", True),
        reject=reject,
        other_value=found,
    )


def _parameters(
    raw: Map, spec: GeneratorType | None, columns: tuple[Column, ...], problems: Problems
) -> dict[str, Any]:
    given: Map = raw.get("parameters") or Map()
    if spec is None:
        return {}
    found = {name: parameter.default for name, parameter in spec.parameters.items()}
    for name, value in given.items():
        parameter = spec.parameters.get(name)
        if parameter is None:
            problems.add(
                given.keys_at[name],
                f"{spec.name} has no parameter `{name[:80]}`",
                suggest(name, spec.parameters),
            )
        elif fault := parameter.fault(value):
            at = given.values_at[name]
            problems.add(at, f"parameter `{name}` {fault}", parameter.mend(value))
        else:
            found[name] = parameter.plain(value)
            if isinstance(value, Map):
                _columns_named(name, value, columns, problems)
    for name, fault in faults_together(spec.together, found):
        at = given.values_at.get(name) or raw.values_at["parameters"]
        problems.add(at, f"parameter `{name}` {fault}")
    return found


def _columns_named(
    parameter: str, value: Map, columns: tuple[Column, ...], problems: Problems
) -> None:
    for column in value:
        mend = near_miss(column, columns)
        if mend:
            at = value.keys_at[column]
            problems.warn(
                at, f"parameter `{parameter}` names `{column}`, which is not declared", mend
            )
