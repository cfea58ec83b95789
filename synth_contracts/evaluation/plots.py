"""Static SVG plots of the Data Docs: one scale per rule, and dot plots of what a metric lists.

Only numbers of the measurement are drawn, which are aggregates. Names are printed where they are
columns of the table or attacks of ours; any other text of the details is left out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.words import limit_text, number_text, value_text

#: Attacks and other parts of a metric whose names may be printed.
_PARTS = {
    "distance": "distance",
    "distance_hole": "distance, hole",
    "calibrated": "calibrated",
    "calibrated_hole": "calibrated, hole",
    "link": "link",
    "closest": "closest row",
    "hole": "hole",
    "aggregate": "aggregate tracing",
}
#: Details that hold one number (or a record with ``value``) per name.
_LISTS = ("attacks", "columns", "sums")
_MOST = 24
_WIDTH, _LEFT, _RIGHT = 520, 14, 506

Point = tuple[str, float, float | None, float | None, float | None]


def rule_plot(name: str, measured: Measurement, meta: Mapping[str, Any]) -> Markup:
    """Value, interval, limit and what real rows read on one scale; empty when there is no limit.

    Args:
        name: unique in the page.
        measured: with a finite value.
        meta: of the expectation: operator, limit, judged.
    """
    limit = _finite(meta.get("limit"))
    if limit is None:
        return Markup("")
    higher = measured.direction == "higher_is_better"
    base = measured.ceiling if measured.floor is None and higher else measured.floor
    at = _limit_on_values(measured, limit, str(meta.get("judged", "value")))
    if at is None:
        return Markup("")
    ends = [measured.lower, measured.upper, base, measured.value, at]
    number = measured.number(meta.get("judged", "value"))
    bound = _finite(number) if meta.get("judged") in ("lower", "bound") else None
    x = _scale([*ends, bound])
    below = meta.get("operator") != ">="
    first, last = (x(at), _RIGHT) if below else (_LEFT, x(at))
    parts = [
        f'<path class="grid" d="M{_LEFT} 34H{_RIGHT}"/>',
        f'<rect class="out" x="{first:.1f}" y="28" width="{max(0.0, last - first):.1f}" '
        'height="12"/>',
        f'<path class="limit" d="M{x(at):.1f} 20V48"/>',
        _label(x(at), 14, f"limit {limit_text(_digits(at))}", "bad"),
    ]
    if measured.lower is not None and measured.upper is not None:
        parts.append(
            f'<path class="range" d="M{x(measured.lower):.1f} 34H{x(measured.upper):.1f}"/>'
        )
    if base is not None:
        parts.append(f'<path class="base" d="M{x(base):.1f} 41l5 8h-10z"/>')
    if bound is not None:
        parts.append(f'<path class="bound" d="M{x(bound):.1f} 27l5 7-5 7-5-7z"/>')
    parts.append(f'<circle class="dot" cx="{x(measured.value):.1f}" cy="34" r="4.5"/>')
    parts.append(_label(x(measured.value), 62, value_text(measured.metric, measured.value), "ink"))
    said = [f"value {number_text(measured.value)}", f"limit {limit_text(_digits(at))}"]
    if base is not None:
        word = "unseen real rows read" if measured.floor is not None else "unseen real rows reach"
        said.append(f"{word} {number_text(base)}")
    return _svg(name, 68, "Value against limit", ", ".join(said), parts)


def list_plot(name: str, measured: Measurement, columns: Collection[str]) -> Markup:
    """A dot per attack or column, largest first; empty when the details list nothing."""
    title, points = _points(measured, columns)
    if not points:
        return Markup("")
    points = sorted(points, key=lambda point: (-point[1], point[0]))[:_MOST]
    left, height = 190, 18 * len(points) + 26
    ends = [number for point in points for number in point[1:]]
    x = _scale([*ends, 0.0], left)
    parts = [f'<path class="grid" d="M{x(0.0):.1f} 6V{height - 20}"/>']
    for place, (words, value, lower, upper, floor) in enumerate(points):
        y = 14 + 18 * place
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(words)}</text>')
        if lower is not None and upper is not None:
            parts.append(f'<path class="range" d="M{x(lower):.1f} {y}H{x(upper):.1f}"/>')
        if floor is not None:
            parts.append(f'<path class="base" d="M{x(floor):.1f} {y + 2}l4 6h-8z"/>')
        parts.append(f'<circle class="dot" cx="{x(value):.1f}" cy="{y}" r="3.5"/>')
        # beside the dot, on the side where the line is free
        parts.append(_label(x(value) + 8, y - 3, number_text(value), "soft", "start"))
    parts.append(_label(x(0.0), height - 6, "0", "soft"))
    said = ", ".join(f"{words} {number_text(value)}" for words, value, *_ in points)
    return _svg(name, height, title, said, parts)


def _points(measured: Measurement, columns: Collection[str]) -> tuple[str, list[Point]]:
    for key in _LISTS:
        found = measured.details.get(key)
        if not isinstance(found, Mapping):
            continue
        points: list[Point] = []
        for name, record in found.items():
            words = _PARTS.get(name) if key == "attacks" else name if name in columns else None
            part = record if isinstance(record, Mapping) else {"value": record}
            value = _finite(part.get("value"))
            if words is None or value is None:
                continue
            lower, upper, floor = (_finite(part.get(end)) for end in ("lower", "upper", "floor"))
            points.append((words, value, lower, upper, floor))
        if points:
            return ("By attack" if key == "attacks" else "By column"), points
    return "", []


def _limit_on_values(measured: Measurement, limit: float, judged: str) -> float | None:
    if judged == "over_floor":
        return None if measured.floor is None else measured.floor + limit
    if judged == "ceiling_share":
        return None if measured.ceiling is None else measured.ceiling * limit
    return limit


def _digits(number: float) -> float:
    return float(f"{number:.3g}")


def _scale(ends: Sequence[float | None], left: int = _LEFT) -> Any:
    numbers = [number for number in ends if number is not None]
    low, high = min(numbers), max(numbers)
    room = (high - low) or max(abs(high), 1.0)
    low, high = low - 0.1 * room, high + 0.1 * room

    def x(number: float) -> float:
        return left + 8 + (number - low) / (high - low) * (_RIGHT - left - 16)

    return x


def _label(x: float, y: float, words: str, kind: str, anchor: str | None = None) -> str:
    # words at the rim would be cut off
    side = anchor or ("start" if x < 60 else "end" if x > _WIDTH - 60 else "middle")
    return f'<text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{side}">{escape(words)}</text>'


def _svg(name: str, height: int, title: str, words: str, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 - parts are built above from numbers and escaped text
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(words)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _finite(number: Any) -> float | None:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    return number if math.isfinite(number) else None
