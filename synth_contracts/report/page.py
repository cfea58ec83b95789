"""The HTML page of a card: facts in, one self-contained file out, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from synth_contracts.report import svg
from synth_contracts.report.numbers import MINUS, limit_text, percent, text
from synth_contracts.report.rules import GLYPHS

_OUTCOME_GLYPHS = {"PASSED": "✓", "FAILED": "✕", "NOT_EVALUATED": "?"}
_OUTCOME_KINDS = {"PASSED": "holds", "FAILED": "broken", "NOT_EVALUATED": "unmeasured"}
_FIGURES = (
    "hours_real", "hours_synthetic", "hours_difference", "daily", "autocorrelation", "marginal",
)  # fmt: skip
#: What the limit is set on, where that is not the value itself.
_LIMIT_WORDS = {
    "value": "",
    "lower": "lower bound",
    "bound": "bound",
    "over_floor": "over real",
    "ceiling_share": "share of real",
}
_OPERATORS = {"<=": "≤", ">=": "≥"}


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("synth_contracts.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=text,
        percent=percent,
        limit=limit_text,
        margin=_margin,
        interval=_interval,
        when=when,
    )
    environment.globals.update(glyphs=GLYPHS, operators=_OPERATORS, limit_words=_LIMIT_WORDS)
    return environment.get_template("card.html")


def render(facts: Mapping[str, Any], json_digest: str) -> str:
    """The page of ``facts`` (card.py); ``json_digest`` is printed under provenance."""
    outcome = facts["verdict"]["outcome"]
    page = _template().render(
        **facts,
        by_id={row["rule"]: row for row in facts["rules"]},
        json_digest=json_digest,
        outcome_glyph=_OUTCOME_GLYPHS[outcome],
        outcome_kind=_OUTCOME_KINDS[outcome],
        rulers={row["rule"]: _ruler(place, row) for place, row in enumerate(facts["rules"])},
        drawn=_drawn(facts["figures"]),
        attack_groups=_grouped(facts["attacks"]),
        power=_power(facts["controls"]),
        one=facts["noun"][0],
        many=facts["noun"][1],
    )
    return page.lstrip()


def _ruler(place: int, row: Mapping[str, Any]) -> Markup:
    if not row["scale"]:
        return Markup("")
    words = (
        f"{row['state']}: value {text(row['value'])}, limit {row['operator']} "
        f"{limit_text(row['limit'])}, interval {_interval(row['interval'])}"
    )
    return svg.ruler(f"r{place}", row["scale"], words)


def _drawn(figures: Mapping[str, Any]) -> dict[str, Markup]:
    """Every figure by name, empty where it cannot be drawn."""
    out = dict.fromkeys(_FIGURES, Markup(""))
    hours = figures.get("hours") or {"missing": ""}
    if "missing" not in hours:
        sides = [side for side in ("real", "synthetic") if side in hours]
        darkest = max(
            (cell for side in sides for row in hours[side] for cell in row if cell is not None),
            default=0.0,
        )
        for side in sides:
            title = f"{side.capitalize()} table, weekday by hour"
            out[f"hours_{side}"] = svg.heat_map(f"h-{side}", title, hours[side], darkest)
        if "difference" in hours:
            points = [abs(c) for row in hours["difference"] for c in row if c is not None]
            scale = max([0.25 * darkest, *points])
            out["hours_difference"] = svg.difference_map(
                "h-diff", "Synthetic minus real, weekday by hour", hours["difference"], scale
            )
    for name, draw, title in (
        ("daily", svg.daily_lines, "Rows a day"),
        ("autocorrelation", svg.lags_lines, "Autocorrelation by lag in days"),
        ("marginal", svg.marginal_steps, "Distribution of one column"),
    ):
        part = figures.get(name) or {"missing": ""}
        if "missing" not in part:
            out[name] = draw(f"f-{name}", title, part)
    return out


def _grouped(attacks: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Attacks by the title of the metric that reads them, in the order of the facts."""
    out: dict[str, list[Mapping[str, Any]]] = {}
    for attack in attacks:
        out.setdefault(attack["title"], []).append(attack)
    return out


def _power(controls: Mapping[str, Any] | None) -> dict[str, Markup]:
    """Curves of the positive control by where the leak was taken from."""
    out: dict[str, Markup] = {}
    for among in ("random", "isolated"):
        kinds = [
            kind
            for kind in (controls or {}).get("kinds", ())
            if kind["among"] == among and kind["curve"]
        ]
        if controls and kinds:
            title = f"Share of runs that would have blocked the leak, {kinds[0]['among_words']}"
            goal = controls["power_percent"] / 100
            out[kinds[0]["among_words"]] = svg.power_lines(f"c-{among}", title, kinds, goal)
    return out


def _margin(percent: int | None) -> str:
    if percent is None:
        return "–"
    if percent <= -1000:
        return f"below {MINUS}999 %"
    sign = MINUS if percent < 0 else "+" if percent else ""
    return f"{sign}{abs(percent)} %"


def _interval(pair: list[float] | None) -> str:
    return "not estimated" if pair is None else f"{text(pair[0])} to {text(pair[1])}"


def when(at: Any) -> str:
    """``23 Nov 2026 15:04 UTC`` of an ISO 8601 time; other text as it is."""
    try:
        moment = datetime.fromisoformat(str(at))
    except ValueError:
        return str(at or "")
    zone = " UTC" if moment.utcoffset() is not None and not moment.utcoffset() else ""
    return f"{moment.day} {moment:%b %Y %H:%M}{zone}"
