"""``generator.epsilon``, ``delta``, ``dp``, read and checked: a guarantee knows what is declared.

A missing bound is a fault with its mend here, before any data is opened, because the alternative,
to look it up in the data, would void the guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import combinations
from typing import Any

from synth_contracts.contract.columns import near_miss
from synth_contracts.contract.document import Map, Place, Problems, suggest
from synth_contracts.contract.expand import not_compared
from synth_contracts.contract.guarantee import (
    DEFAULT_BINS,
    ROW_UNIT,
    Binned,
    DailySeries,
    Domain,
    Guarantee,
    Listed,
)
from synth_contracts.contract.model import Column, Roles

_NUMBERS, _TIMES = {"integer", "number"}, {"date", "timestamp"}
#: Cells of the largest clique of the model: above it a fit takes minutes and gigabytes.
MOST_CELLS = 2_000_000
_BINNED = {"low", "high", "bins", "scale", "points", "decimals"}
_LISTED = {"values", "other"}


def refuse_guarantee(raw: Map, kind: str, problems: Problems) -> None:
    """Record the keys of a guarantee that a generator without one was given."""
    for key in ("epsilon", "delta", "dp"):
        if raw.get(key) is not None:
            problems.add(
                raw.keys_at[key],
                f"{kind[:80]} gives no guarantee of differential privacy",
                f"take `{key}` out, or write `type: dp_marginals`",
            )
    if raw.get("rows") == "noisy":
        problems.add(
            raw.values_at["rows"],
            "`rows: noisy` is a released count, which only dp_marginals makes",
            "write a number or `source`",
        )


def read_guarantee(
    raw: Map,
    columns: tuple[Column, ...],
    roles: Roles,
    codes: Sequence[str],
    problems: Problems,
) -> Guarantee | None:
    """The guarantee that ``generator: {type: dp_marginals}`` declares; faults are recorded."""
    _refuse_what_reads_data(raw, problems)
    dp = raw.get("dp")
    at = raw.values_at.get("type", raw.at)
    missing = [key for key in ("epsilon", "delta", "dp") if raw.get(key) is None]
    if missing:
        problems.add(
            at,
            f"dp_marginals needs {', '.join(f'`{key}`' for key in missing)}",
            "for example epsilon: 1, delta: 1e-6, dp: {lifetimeEpsilon: 1, unit: ..., "
            "maxRowsPerEntity: ..., columns: {...}}",
        )
        return None
    if not isinstance(dp, Map):
        return None  # the schema has said what is wrong
    epsilon, delta = raw["epsilon"], raw["delta"]
    lifetime = dp.get("lifetimeEpsilon")
    if not _number(epsilon) or not _number(delta):
        return None
    if lifetime is None:
        problems.add(
            dp.at,
            "`dp` lacks `lifetimeEpsilon`",
            f"the sum of epsilon over all fits of this source, at least {epsilon:g}",
        )
    elif _number(lifetime) and lifetime < epsilon:
        problems.add(
            dp.values_at["lifetimeEpsilon"],
            f"lifetimeEpsilon {lifetime:g} is below epsilon {epsilon:g}: not one fit fits into it",
        )
    domains = _domains(dp, columns, roles, codes, problems)
    days = _days(dp, roles, problems)
    _cover(dp, domains, days, columns, roles, problems)
    pairs = _pairs(dp, domains, columns, problems)
    _check_size(dp, domains, pairs, problems)
    return Guarantee(
        epsilon=float(epsilon),
        delta=float(delta),
        lifetime_epsilon=float(epsilon if lifetime is None else lifetime),
        unit=_unit(dp, roles, problems),
        rows_per_entity=_rows_per_entity(dp, roles, problems),
        domains=domains,
        pairs=pairs,
        days=days,
        publish_results=dp.get("publishResults", False) is True,
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse_what_reads_data(raw: Map, problems: Problems) -> None:
    """Everything else that a generator may be asked for and that would read the source."""
    outliers = raw.get("outliers")
    if outliers is True:
        problems.add(
            raw.values_at["outliers"],
            "`outliers: true` reads the source beside the budget",
            "write `outliers: false`: bounds and `other` protect tails and rare values",
        )
    if isinstance(outliers, Map):
        for key in ("rareCategory", "topCode", "reject"):
            if outliers.get(key):
                problems.add(
                    outliers.values_at[key],
                    f"`{key}` reads the source beside the budget, and no epsilon covers it",
                    "take it out: bounds and `other` of dp.columns do its work; classes of the "
                    "synthetic table are recoded all the same",
                )
    if isinstance(raw.get("calendar"), Map) or raw.get("calendar") is True:
        problems.add(
            raw.values_at["calendar"],
            "the calendar model reads the source beside the budget",
            "take it out, and declare the period in dp.days",
        )
    if raw.get("period") is not None:
        problems.add(
            raw.keys_at["period"],
            "`period` counts from the first and last day of the source",
            "take it out, and declare the period in dp.days",
        )
    if raw.get("rows", "source") == "source":
        problems.add(
            raw.values_at.get("rows", raw.at),
            "`rows: source` tells the exact number of rows of the source",
            "write a number of your own, or `rows: noisy`",
        )


def _unit(dp: Map, roles: Roles, problems: Problems) -> str:
    wanted = roles.entity_key or ROW_UNIT
    unit = dp.get("unit")
    if unit is None:
        problems.add(dp.at, "`dp` lacks `unit`: whom the guarantee covers", f"write unit: {wanted}")
    elif str(unit).casefold() != wanted.casefold():
        problems.add(
            dp.values_at["unit"],
            f"the unit is `{str(unit)[:80]}`, and the contract's unit of privacy is `{wanted}`",
            f"write unit: {wanted}, or change roles.entityKey",
        )
    return wanted


def _rows_per_entity(dp: Map, roles: Roles, problems: Problems) -> int:
    count = dp.get("maxRowsPerEntity")
    if roles.entity_key is None:
        if count not in {None, 1}:
            problems.add(
                dp.values_at["maxRowsPerEntity"],
                "without an entity key a row is its own, so maxRowsPerEntity is 1",
                "name roles.entityKey, or take it out",
            )
        return 1
    if count is None:
        problems.add(
            dp.at,
            "`dp` lacks `maxRowsPerEntity`: noise is scaled to the rows that one entity may add",
            "a number that most entities stay below, for example 32",
        )
    return count if isinstance(count, int) and count >= 1 else 1


def _domains(
    dp: Map,
    columns: tuple[Column, ...],
    roles: Roles,
    codes: Sequence[str],
    problems: Problems,
) -> dict[str, Domain]:
    """Domains under ``dp.columns``, and those that the properties declare by range or enum."""
    given: Map = dp.get("columns") or Map()
    declared = {column.name.casefold(): column for column in columns}
    coded = {name.casefold() for name in codes}
    aside = not_compared(roles, columns)
    found: dict[str, Domain] = {}
    seen: set[str] = set()
    for name, value in given.items():
        at = given.keys_at[name]
        if name.casefold() in seen:
            problems.add(at, f"dp.columns names `{name[:80]}` twice")
            continue
        seen.add(name.casefold())
        if name.casefold() in aside:
            problems.add(at, f"dp.columns names `{name}`, {aside[name.casefold()]}", "take it out")
            continue
        mend = near_miss(name, columns)
        if mend:
            problems.warn(at, f"dp.columns names `{name[:80]}`, which is not declared", mend)
        if isinstance(value, Map):
            column = declared.get(name.casefold()) or Column(name)
            domain = _domain(value, column, name.casefold() in coded, problems)
            if domain is not None:
                found[column.name] = domain
    for column in columns:
        folded = column.name.casefold()
        if folded in seen or folded in aside or column.unique:
            continue
        domain = _of_property(column)
        if domain is not None:
            found[column.name] = domain
    return found


def _of_property(column: Column) -> Domain | None:
    """The domain that ``enum``, or both ``minimum`` and ``maximum``, declare already."""
    if column.enum is not None:
        return Listed(tuple(map(_text, column.enum)))
    if column.minimum is not None and column.maximum is not None:
        return Binned(column.minimum, column.maximum)
    return None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _domain(value: Map, column: Column, coded: bool, problems: Problems) -> Domain | None:
    name, kind = column.name, column.logical_type
    listed = bool(_LISTED & value.keys()) or (
        kind in {"string", "boolean"} or coded or (kind is None and column.enum is not None)
    )
    odd = sorted((_BINNED if listed else _LISTED) & value.keys())
    if odd:
        problems.add(
            value.keys_at[odd[0]],
            f"`{odd[0]}` of `{name}` does not go with "
            + ("a list of categories" if listed else "bounds of numbers"),
            "write either values and other, or low, high, bins, scale, points and decimals",
        )
        return None
    if listed and kind in _NUMBERS | _TIMES and not coded:
        problems.add(
            value.at,
            f"`{name}` is a {kind}, and dp.columns lists categories of it",
            "write low and high" + (", or name it in `codes`" if kind == "integer" else ""),
        )
        return None
    return _listed(value, column, problems) if listed else _binned(value, column, problems)


def _listed(value: Map, column: Column, problems: Problems) -> Listed | None:
    given = value.get("values", column.enum)
    if given is None:
        problems.add(
            value.at,
            f"dp.columns.{column.name} lacks `values`",
            "list the categories: those of the data may not be read",
        )
        return None
    texts = tuple(map(_text, given))
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        problems.add(value.at, f"`values` of `{column.name}` holds `{twice[0][:80]}` twice")
    other = value.get("other")
    other = None if other is None else _text(other)
    # `other` may be one of the listed values
    return Listed(tuple(dict.fromkeys(texts)), other)


def _binned(value: Map, column: Column, problems: Problems) -> Binned | None:
    low = value.get("low", column.minimum)
    high = value.get("high", column.maximum)
    for key, bound in (("low", low), ("high", high)):
        if bound is None:
            problems.add(
                value.at,
                f"dp.columns.{column.name} lacks `{key}`",
                "a bound of your own knowledge: the smallest and largest value of the data may "
                "not be read",
            )
    if low is None or high is None:
        return None
    times = column.logical_type in _TIMES or isinstance(low, str)
    low_at, high_at = _moment(low, times), _moment(high, times)
    if low_at is None or high_at is None:
        which = "low" if low_at is None else "high"
        problems.add(
            value.values_at.get(which, value.at),
            f"`{which}` of `{column.name}` is not a {'date' if times else 'number'}",
            "write it as 2017-01-31 or 2017-01-31T08:00:00" if times else "",
        )
        return None
    if not low_at < high_at:
        problems.add(value.at, f"`low` of `{column.name}` is not below `high`")
        return None
    scale = value.get("scale", "linear")
    if times and scale == "log":
        problems.add(value.values_at["scale"], f"`{column.name}` is a time: its scale is linear")
    points = tuple(float(point) for point in value.get("points") or ())
    if times and points:
        problems.add(value.keys_at["points"], f"`{column.name}` is a time and takes no `points`")
        return None
    for point in points:
        if not low_at <= point <= high_at:
            problems.add(
                value.values_at["points"],
                f"the point {point:g} of `{column.name}` lies outside its bounds",
            )
    bins = value.get("bins", DEFAULT_BINS)
    return Binned(low, high, bins, scale, tuple(sorted(set(points))), value.get("decimals"))


def _moment(bound: Any, times: bool) -> float | None:
    if not times:
        return float(bound) if _number(bound) else None
    try:
        return datetime.fromisoformat(str(bound)).replace(tzinfo=None).timestamp()
    except (ValueError, OverflowError):
        return None


def _days(dp: Map, roles: Roles, problems: Problems) -> DailySeries | None:
    section = dp.get("days")
    if not isinstance(section, Map):
        return None
    if roles.time_index is None:
        problems.add(
            dp.keys_at["days"],
            "`dp.days` releases the days of the time index, and there is none",
            "name roles.timeIndex, or take `days` out",
        )
        return None
    ends: dict[str, date] = {}
    for key in ("start", "end"):
        try:
            ends[key] = date.fromisoformat(str(section.get(key)))
        except ValueError:
            problems.add(
                section.values_at.get(key, section.at),
                f"`days.{key}` is no date",
                "a date of your own knowledge, as 2017-01-01: first and last day of the data may "
                "not be read",
            )
    if len(ends) == 2 and not ends["start"] < ends["end"]:
        problems.add(section.at, "`days.start` is not before `days.end`")
    count = section.get("daysPerEntity")
    if roles.entity_key is None and count is None:
        count = 1
    if count is None:
        problems.add(
            section.at,
            "`days` lacks `daysPerEntity`: noise is scaled to the days that one entity may add",
            "a number that most entities stay below, for example 64",
        )
    if len(ends) < 2 or not isinstance(count, int):
        return None
    share = section.get("share", DailySeries.share)
    return DailySeries(ends["start"].isoformat(), ends["end"].isoformat(), count, float(share))


def _cover(
    dp: Map,
    domains: Mapping[str, Domain],
    days: DailySeries | None,
    columns: tuple[Column, ...],
    roles: Roles,
    problems: Problems,
) -> None:
    """Record every declared column that is made and has no domain."""
    aside = not_compared(roles, columns)
    given: Map = dp.get("columns") or Map()
    tried = {name.casefold() for name in given} | {name.casefold() for name in domains}
    time = (roles.time_index or "").casefold()
    at = dp.values_at.get("columns", dp.at)
    for column in columns:
        folded = column.name.casefold()
        if folded in aside or folded in tried or column.unique:
            continue
        if folded == time and days is not None:
            continue
        if folded == time:
            what, mend = "no period", "declare dp.days: {start, end, daysPerEntity}"
        elif column.logical_type in _NUMBERS | _TIMES:
            what, mend = "no bounds", f"declare {column.name}: {{low: ..., high: ..., bins: 32}}"
        else:
            what = "no categories"
            mend = f"declare {column.name}: {{values: [...], other: other}}"
        problems.add(
            at,
            f"`{column.name}` has {what}, and none may be read from data",
            f"{mend}, or name it in roles.exclude",
        )


def _pairs(
    dp: Map, domains: Mapping[str, Domain], columns: tuple[Column, ...], problems: Problems
) -> tuple[tuple[str, str], ...]:
    spelled = {name.casefold(): name for name in domains}
    found: list[tuple[str, str]] = []
    given: Any = dp.get("pairs") or ()
    for index, pair in enumerate(given):
        at: Place = given.items_at[index]
        if not isinstance(pair, list) or len(pair) != 2:
            continue  # the schema has said what is wrong
        unknown = [n for n in pair if str(n).casefold() not in spelled]
        if unknown:
            problems.add(
                at,
                f"dp.pairs names `{str(unknown[0])[:80]}`, of which dp.columns declares nothing",
                suggest(str(unknown[0]), spelled.values()) or near_miss(str(unknown[0]), columns),
            )
            continue
        first, second = (spelled[str(n).casefold()] for n in pair)
        if first == second:
            problems.add(at, f"dp.pairs pairs `{first}` with itself")
        elif (first, second) in found or (second, first) in found:
            problems.add(at, f"dp.pairs holds {first} and {second} twice")
        else:
            found.append((first, second))
    return tuple(found)


def levels(domain: Domain) -> int:
    """How many levels a column may have at most, the one for missing values among them."""
    if isinstance(domain, Listed):
        extra = domain.other is not None and domain.other not in domain.values
        return len(domain.values) + extra + 1
    return domain.bins + len(domain.points) + 1


def _check_size(
    dp: Map,
    domains: Mapping[str, Domain],
    pairs: Sequence[tuple[str, str]],
    problems: Problems,
) -> None:
    """Refuse pairs whose model does not fit: rings of pairs join their columns into one clique."""
    size = {name: levels(domain) for name, domain in domains.items()}
    cells, clique = largest_clique(size, pairs)
    if cells > MOST_CELLS:
        problems.add(
            dp.values_at.get("pairs", dp.at),
            f"dp.pairs need a table of {cells:,} cells over {', '.join(clique)}; "
            f"{MOST_CELLS:,} are the most",
            "fewer bins, or take out a pair that closes a ring of pairs",
        )


def largest_clique(
    size: Mapping[str, int], pairs: Sequence[tuple[str, str]]
) -> tuple[int, tuple[str, ...]]:
    """Cells and columns of the largest clique once the graph of pairs is made chordal.

    Columns are eliminated by the smallest clique first (min-weight), a usual and good heuristic.
    """
    near: dict[str, set[str]] = {name: set() for name in size}
    for first, second in pairs:
        near[first].add(second)
        near[second].add(first)
    most: tuple[int, tuple[str, ...]] = (max(size.values(), default=0), ())
    left = set(size)

    def cells(name: str) -> int:
        product = size[name]
        for other in near[name]:
            product *= size[other]
        return product

    while left:
        name = min(sorted(left), key=cells)
        clique = tuple(sorted({name, *near[name]}))
        most = max(most, (cells(name), clique))
        for one, two in combinations(sorted(near[name]), 2):
            near[one].add(two)
            near[two].add(one)
        for other in near[name]:
            near[other].discard(name)
        left.discard(name)
    return most
