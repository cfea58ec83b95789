"""Figures of the card as inline SVG, drawn from the aggregates of figures.py and nothing else.

Colours stand in presentation attributes, so that PDF renderers which ignore the page's style sheet
draw them too; the classes let the page swap them in the dark. Every figure has a title and a
description. Nothing is told by colour alone: lines differ by dash, differences carry a sign.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from markupsafe import Markup, escape

from synth_contracts.report.figures import WEEKDAYS

INK, MUTED, GRID = "#1f2328", "#59636e", "#d1d9e0"
REAL, SYNTHETIC = "#3b4252", "#b4530a"
TOO_MANY, TOO_FEW, BROKEN = "#b4530a", "#1f5fae", "#a4161a"

Numbers = Sequence[float | None]


def figure(
    name: str, width: int, height: int, title: str, description: str, parts: Sequence[str]
) -> Markup:
    """An SVG element; ``name`` makes its ids, ``title`` and ``description`` are escaped here."""
    return Markup(  # noqa: S704 - parts are built below from numbers and escaped text
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t {name}-d" '
        f'font-family="system-ui,sans-serif" font-size="10">'
        f'<title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def _hidden(name: str, x: float, y: float, width: float, height: float) -> str:
    """A hatched rectangle: suppressed. The pattern is that of ``_pattern(name)``."""
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" '
        f'fill="url(#{name}-p)"/>'
    )


def _pattern(name: str) -> str:
    return (
        f'<pattern id="{name}-p" width="4" height="4" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path class="xs" d="M0 0V4" stroke="{MUTED}" '
        'stroke-width="1.6" stroke-opacity=".7"/></pattern>'
    )


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return (
        f'<text class="m" x="{_n(x)}" y="{_n(y)}" fill="{MUTED}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")


# The ruler of one rule


def ruler(name: str, scale: Mapping[str, Any], words: str) -> Markup:
    """Limit as a tick, the forbidden side shaded, interval a bar, value a dot, floor a triangle.

    Args:
        name: unique in the page.
        scale: positions from 0 to 1 (rules.py).
        words: the same in a sentence, for those who hear the page.
    """
    width, left, right = 132, 6, 126

    def x(place: float) -> float:
        return left + place * (right - left)

    limit = x(scale["limit"])
    first, last = (limit, right) if scale["allowed"] == "left" else (left, limit)
    parts = [
        f'<path class="g" d="M{left} 10H{right}" stroke="{GRID}" stroke-width="1"/>',
        f'<rect class="b" x="{_n(first)}" y="6.5" width="{_n(last - first)}" height="7" '
        f'fill="{BROKEN}" fill-opacity=".2"/>',
        f'<path class="bs" d="M{_n(limit)} 2V18" stroke="{BROKEN}" stroke-width="2"/>',
    ]
    if scale["lower"] is not None:
        parts.append(
            f'<path class="is" d="M{_n(x(scale["lower"]))} 10H{_n(x(scale["upper"]))}" '
            f'stroke="{INK}" stroke-width="3" stroke-opacity=".45"/>'
        )
    if scale["number"] is not None:
        at = x(scale["number"])
        parts.append(
            f'<path class="is" d="M{_n(at)} 5l3.5 5-3.5 5-3.5-5z" fill="none" stroke="{INK}" '
            'stroke-width="1.2"/>'
        )
    if scale["floor"] is not None:
        at = x(scale["floor"])
        parts.append(f'<path class="m" d="M{_n(at)} 14l3.5 5h-7z" fill="{MUTED}"/>')
    value = x(scale["value"])
    if scale["cut"]:
        tip = 4 if scale["value"] > 0.5 else -4
        parts.append(f'<path class="i" d="M{_n(value + tip)} 10l{-2 * tip} -4.5v9z" fill="{INK}"/>')
    else:
        parts.append(f'<circle class="i" cx="{_n(value)}" cy="10" r="3.4" fill="{INK}"/>')
    return figure(name, width, 20, "Value against limit", words, parts)


# Weekday x hour


def heat_map(name: str, title: str, cells: Sequence[Numbers], darkest: float) -> Markup:
    """Seven rows of 24 shares in per cent; ``darkest`` is drawn full; None is hatched."""
    parts = _frame(name)
    for day, row in enumerate(cells):
        for hour, share in enumerate(row):
            if share is None:
                continue
            strength = min(1.0, share / darkest) if darkest > 0 else 0.0
            hint = f"{WEEKDAYS[day]} {hour:02d} h: {share:g} %"
            parts.append(_cell(day, hour, "h", REAL, strength, hint))
    return figure(name, 304, 128, title, _hatch_words(cells, "Shares of rows"), [*parts, *_ends()])


def difference_map(name: str, title: str, cells: Sequence[Numbers], darkest: float) -> Markup:
    """Differences in points; blue with a minus is too few, orange with a plus is too many."""
    parts = _frame(name)
    signs = []
    for day, row in enumerate(cells):
        for hour, points in enumerate(row):
            if points is None:
                continue
            strength = min(1.0, abs(points) / darkest) if darkest > 0 else 0.0
            more = points > 0
            hint = f"{WEEKDAYS[day]} {hour:02d} h: {points:+g} points"
            color = TOO_MANY if more else TOO_FEW
            parts.append(_cell(day, hour, "p" if more else "f", color, strength, hint))
            if strength >= 0.4:
                x, y = 28 + hour * 11.5 + 5.75, 2 + day * 15 + 10.6
                signs.append(f'<text x="{_n(x)}" y="{_n(y)}">{"+" if more else "−"}</text>')
    if signs:
        parts.append(f'<g class="s" fill="{INK}" text-anchor="middle">{"".join(signs)}</g>')
    words = _hatch_words(cells, "Points too many (+) or too few (−)")
    return figure(name, 304, 128, title, words, [*parts, *_ends()])


def _frame(name: str) -> list[str]:
    return [_pattern(name), _hidden(name, 28, 2, 276, 105)]


def _cell(day: int, hour: int, kind: str, color: str, strength: float, hint: str) -> str:
    x, y = 28 + hour * 11.5, 2 + day * 15
    alpha = round(0.04 + 0.92 * strength, 2)
    return (
        f'<g><title>{escape(hint)}</title><rect class="c" x="{_n(x)}" y="{y}" width="11.5" '
        f'height="15" fill="#fff"/><rect class="{kind}" x="{_n(x)}" y="{y}" width="11" '
        f'height="14.5" fill="{color}" fill-opacity="{alpha:g}"/></g>'
    )


def _ends() -> list[str]:
    days = [_text(24, 12.5 + 15 * place, name, "end") for place, name in enumerate(WEEKDAYS)]
    hours = [_text(28 + 11.5 * hour, 120, f"{hour:02d}") for hour in range(0, 24, 3)]
    return [*days, *hours]


def _hatch_words(cells: Sequence[Numbers], what: str) -> str:
    hidden = sum(cell is None for row in cells for cell in row)
    return f"{what}, seven weekdays by 24 hours. {hidden} of 168 cells suppressed."


# Lines


def daily_lines(name: str, title: str, daily: Mapping[str, Any]) -> Markup:
    """Rows a day over time; suppressed days are a grey band and a gap in every line."""
    synthetic: Numbers = daily["synthetic"]
    real: Numbers | None = daily.get("real")
    width, height, left, right, top, bottom = 940, 190, 44, 932, 10, 162
    shown = [v for v in [*synthetic, *(real or [])] if v is not None]
    peak, step = _axis(max([*shown, 1.0]))
    size = max(1, len(synthetic) - 1)

    def x(place: float) -> float:
        return left + place / size * (right - left)

    def y(value: float) -> float:
        return bottom - value / peak * (bottom - top)

    parts = [_pattern(name)]
    for tick in range(round(peak / step) + 1):
        parts.append(_grid(left, right, y(tick * step), f"{tick * step:,.0f}"))
    for place, value in enumerate(synthetic):
        if value is None:
            parts.append(_hidden(name, x(place - 0.5), top, (right - left) / size, bottom - top))
    parts += _months(daily["start"], daily["step_days"], len(synthetic), x, bottom + 15)
    if real is not None:
        parts.append(_line(real, x, y, "r", REAL, ""))
    parts.append(_line(synthetic, x, y, "y", SYNTHETIC, "4 2"))
    words = f"{len(synthetic)} points from {daily['start']}; {daily['suppressed']} days suppressed."
    return figure(name, width, height, title, words, parts)


# The positive control

#: Marker and dash of each kind of leak, in this order; colour is not needed to tell them apart.
_MARKS = ("circle", "square", "triangle", "diamond")
_DASHES = ("", "5 2", "2 2", "8 3 2 3")


def power_lines(name: str, title: str, kinds: Sequence[Mapping[str, Any]], goal: float) -> Markup:
    """Share of runs that would have blocked a leak, over its size in entities (log scale).

    Args:
        name: unique in the page.
        title: of the figure.
        kinds: each with ``title`` and ``curve`` (entities, power from 0 to 1); at most four.
        goal: the power asked for, from 0 to 1.
    """
    width, height, left, right, top, bottom = 460, 216, 40, 448, 10, 150
    sizes = sorted({p["entities"] for kind in kinds for p in kind["curve"] if p["entities"] > 0})
    if not sizes:
        return Markup("")
    low, high = math.log(sizes[0]), math.log(max(sizes[-1], sizes[0] + 1))

    def x(entities: float) -> float:
        return left + 14 + (math.log(entities) - low) / (high - low) * (right - left - 22)

    def y(power: float) -> float:
        return bottom - power * (bottom - top)

    parts = [_grid(left, right, y(tick / 4), f"{25 * tick} %") for tick in range(5)]
    parts.append(
        f'<path class="bs" d="M{left} {_n(y(goal))}H{right}" stroke="{BROKEN}" stroke-width="1" '
        'stroke-dasharray="3 3"/>'
    )
    last = -99.0
    for size in sizes:
        if x(size) - last >= 26:
            last = x(size)
            parts.append(_text(last, bottom + 14, f"{size:,}", "middle"))
    for place, kind in enumerate(kinds[: len(_MARKS)]):
        points = [(x(p["entities"]), y(p["power"])) for p in kind["curve"] if p["entities"] > 0]
        path = "L".join(f"{_n(a)} {_n(b)}" for a, b in points)
        dash = f' stroke-dasharray="{_DASHES[place]}"' if _DASHES[place] else ""
        parts.append(
            f'<path class="is" d="M{path}" fill="none" stroke="{INK}" stroke-width="1.2"{dash}/>'
        )
        parts += [_mark(place, a, b) for a, b in points]
        at, line = (left + 4, bottom + 34) if place < 2 else (left + 204, bottom + 34)
        line += 16 * (place % 2)
        parts.append(
            f'<path class="is" d="M{at} {line}h24" stroke="{INK}" stroke-width="1.2"{dash}/>'
        )
        parts += [_mark(place, at + 12, line), _text(at + 30, line + 3.5, kind["title"])]
    words = "; ".join(
        f"{kind['title']}: "
        + ", ".join(f"{p['entities']:,} gives {p['power']:.0%}" for p in kind["curve"])
        for kind in kinds
    )
    return figure(name, width, height, title, words, parts)


def _mark(place: int, x: float, y: float) -> str:
    kind, a, b = _MARKS[place], _n(x), _n(y)
    if kind == "circle":
        return f'<circle class="i" cx="{a}" cy="{b}" r="2.8" fill="{INK}"/>'
    path = {
        "square": f"M{_n(x - 2.5)} {_n(y - 2.5)}h5v5h-5z",
        "triangle": f"M{a} {_n(y - 3.4)}l3.4 6h-6.8z",
        "diamond": f"M{a} {_n(y - 3.6)}l3.4 3.6-3.4 3.6-3.4-3.6z",
    }[kind]
    return f'<path class="i" d="{path}" fill="{INK}"/>'


def _months(start: str, step: int, size: int, x: Any, y: float) -> list[str]:
    first = date.fromisoformat(start)
    ticks = []
    for place in range(size):
        day = first + timedelta(days=place * step)
        before = day - timedelta(days=step)
        if place == 0 or (day.year, day.month) != (before.year, before.month):
            ticks.append((place, day))
    every = max(1, -(-len(ticks) // 12))
    parts: list[str] = []
    last = -99.0
    for place, day in ticks[::every]:
        at = x(place)
        if at - last < 45 or at > 915:
            continue
        last = at
        parts.append(_text(at, y, f"{day:%b %Y}" if not parts or day.month == 1 else f"{day:%b}"))
    return parts


def lags_lines(name: str, title: str, acf: Mapping[str, Any]) -> Markup:
    """Autocorrelation by lag; real with its 95 % band (dots), synthetic dashed (squares)."""
    width, height, left, right, top, bottom = 460, 200, 40, 452, 10, 172
    synthetic: Numbers = acf["synthetic"]
    real: Numbers | None = acf.get("real")
    band: Sequence[Numbers] = acf.get("band") or []
    every = [v for row in (synthetic, real or [], *band) for v in row if v is not None]
    reach = max(0.2, *every) - min(-0.2, *every)
    step = 0.2 if reach <= 1.2 else 0.5
    low = step * math.floor(min(-0.2, *every) / step)
    high = step * math.ceil(max(0.2, *every) / step)

    def x(place: float) -> float:
        return left + place / (len(synthetic) - 1) * (right - left)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    parts = []
    ticks = range(round(low / step), round(high / step) + 1)
    for tick in ticks:
        parts.append(_grid(left, right, y(tick * step), f"{tick * step:.1f}".replace("-", "−")))
    for lag in (1, 7, 14, 21, 28):
        parts.append(_text(x(lag - 1), bottom + 15, str(lag), "middle"))
    if band:
        there = [(x(i), y(v or 0.0)) for i, v in enumerate(band[1])]
        back = [(x(i), y(v or 0.0)) for i, v in enumerate(band[0])][::-1]
        path = "L".join(f"{_n(a)} {_n(b)}" for a, b in [*there, *back])
        parts.append(f'<path class="n" d="M{path}z" fill="{MUTED}" fill-opacity=".25"/>')
    if real is not None:
        parts.append(_line(real, x, y, "r", REAL, ""))
        dots = "".join(
            f'<circle cx="{_n(x(i))}" cy="{_n(y(v))}" r="2"/>'
            for i, v in enumerate(real)
            if v is not None
        )
        parts.append(f'<g class="rf" fill="{REAL}">{dots}</g>')
    parts.append(_line(synthetic, x, y, "y", SYNTHETIC, "4 2"))
    squares = "".join(
        f'<path d="M{_n(x(i) - 2)} {_n(y(v) - 2)}h4v4h-4z"/>'
        for i, v in enumerate(synthetic)
        if v is not None
    )
    parts.append(f'<g class="yf" fill="{SYNTHETIC}">{squares}</g>')
    words = "Lags from 1 to 28 days; the figures stand in the JSON of this card."
    return figure(name, width, height, title, words, parts)


def marginal_steps(name: str, title: str, marginal: Mapping[str, Any]) -> Markup:
    """Histogram outlines in per cent; the last bin holds everything beyond and is labelled so."""
    width, height, left, right, top, bottom = 460, 200, 40, 452, 10, 172
    synthetic: Numbers = marginal["synthetic"]
    real: Numbers | None = marginal.get("real")
    edges: Sequence[float] = marginal["edges"]
    peak, step = _axis(max([v for v in [*synthetic, *(real or [])] if v is not None] or [1.0]))
    size = len(synthetic)

    def x(place: float) -> float:
        return left + place / size * (right - left)

    def y(value: float) -> float:
        return bottom - value / peak * (bottom - top)

    parts = [_pattern(name)]
    for tick in range(round(peak / step) + 1):
        parts.append(_grid(left, right, y(tick * step), f"{tick * step:g} %"))
    for place, value in enumerate(synthetic):
        if value is None:
            parts.append(_hidden(name, x(place), top, x(1) - x(0), bottom - top))
    every = max(1, size // 6)
    for place in range(0, size - every // 2 - 1, every):
        parts.append(_text(x(place), bottom + 15, f"{edges[place]:,g}".replace("-", "−"), "middle"))
    last = f"{edges[-2]:,g}+".replace("-", "−")
    parts.append(_text(x(size), bottom + 15, last, "end"))
    if real is not None:
        parts.append(_steps(real, x, y, "r", REAL, ""))
    parts.append(_steps(synthetic, x, y, "y", SYNTHETIC, "4 2"))
    words = (
        f"{size} bins of {marginal['column']}, the last one {last}; "
        f"{marginal['suppressed']} bins suppressed."
    )
    return figure(name, width, height, title, words, parts)


def _steps(values: Numbers, x: Any, y: Any, kind: str, color: str, dash: str) -> str:
    path, pen = [], False
    for place, value in enumerate(values):
        if value is None:
            pen = False
            continue
        level = _n(y(value))
        path.append(f"V{level}" if pen else f"M{_n(x(place))} {level}")
        path.append(f"H{_n(x(place + 1))}")
        pen = True
    return _path("".join(path), kind, color, dash)


def _line(values: Numbers, x: Any, y: Any, kind: str, color: str, dash: str) -> str:
    path, pen = [], False
    for place, value in enumerate(values):
        if value is None:
            pen = False
            continue
        path.append(f"{'L' if pen else 'M'}{_n(x(place))} {_n(y(value))}")
        pen = True
    return _path("".join(path), kind, color, dash)


def _path(path: str, kind: str, color: str, dash: str) -> str:
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path class="{kind}" d="{path}" fill="none" stroke="{color}" stroke-width="1.4" '
        f'stroke-linejoin="round"{style}/>'
    )


def _grid(left: float, right: float, y: float, label: str) -> str:
    return (
        f'<path class="g" d="M{left} {_n(y)}H{right}" stroke="{GRID}" stroke-width=".7"/>'
        + _text(left - 5, y + 3.5, label, "end")
    )


def _axis(peak: float) -> tuple[float, float]:
    """Top of the axis and distance of its ticks, at plain numbers."""
    for power in range(-6, 16):
        for factor in (1, 2, 2.5, 5):
            step = factor * 10.0**power
            if peak / step <= 4:
                return step * -(-peak // step), step
    return peak, peak
