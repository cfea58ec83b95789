"""The plot of fidelity against cost as SVG: one panel a table, one mark a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

import sides
import summary

WIDTH, HEIGHT = 330, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 34, 46
COLOURS = ("#0969da", "#9a6700", "#1a7f37", "#8250df", "#cf222e", "#bf3989", "#57606a")


def drawn(lines: Sequence[Mapping[str, Any]]) -> str:
    """The picture of the newest lines. Runs stopped at the limit stand as triangles on the top edge."""
    names = summary.models(lines)
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    tables = [t for t in sides.TABLES if any(one["table"] == t for one in lines)]
    spent = [one["cpu"] for one in lines if one.get("cpu")]
    low, high = (min(spent) * 0.7, max(spent) * 1.4) if spent else (1.0, 10.0)
    qualities = summary.numbers(lines, summary.QUALITY)
    top = max([0.05, *qualities]) * 1.08
    whole = WIDTH * max(1, len(tables))
    legend = HEIGHT + 22
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {legend + 14}" '
        'font-family="system-ui, sans-serif" role="img" '
        'aria-label="Difference of pairs of columns against CPU seconds, by table and generator">',
        f'<rect width="{whole}" height="{legend + 14}" fill="#ffffff"/>',
    ]
    for place, table in enumerate(tables):
        own = [one for one in lines if one["table"] == table]
        parts += _panel(place * WIDTH, table, own, colour, (low, high, top))
    x = LEFT
    for name in names:
        parts.append(f'<circle cx="{x}" cy="{legend - 4}" r="4" fill="{colour[name]}"/>')
        parts.append(_text(x + 8, legend, name, anchor="start"))
        x += 26 + 7 * len(name)
    return "\n".join([*parts, "</svg>", ""])


def across(cpu: float, low: float, high: float) -> float:
    """Where ``cpu`` seconds stand in a panel, from its left edge; logarithmic."""
    share = (math.log(cpu) - math.log(low)) / (math.log(high) - math.log(low))
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def down(quality: float, top: float) -> float:
    """Where a difference stands in a panel, from its upper edge; 0 is the lower axis."""
    return HEIGHT - BOTTOM - quality / top * (HEIGHT - TOP - BOTTOM)


def _panel(
    left: int,
    table: str,
    lines: Sequence[Mapping[str, Any]],
    colour: Mapping[str, str],
    scales: tuple[float, float, float],
) -> list[str]:
    low, high, top = scales
    floor, end = HEIGHT - BOTTOM, left + WIDTH - RIGHT
    parts = [_text(left + LEFT, 20, table, size=14, anchor="start", weight=600)]
    for tick in _ticks(top):
        y = down(tick, top)
        parts.append(f'<path d="M{left + LEFT},{y:.1f} H{end}" stroke="#eaeef2"/>')
        parts.append(_text(left + LEFT - 6, y + 4, f"{tick:g}", anchor="end"))
    for tick in (1, 3, 10, 30, 100, 300, 1000):
        if low <= tick <= high:
            x = left + across(tick, low, high)
            parts.append(f'<path d="M{x:.1f},{TOP} V{floor}" stroke="#eaeef2"/>')
            parts.append(_text(x, floor + 16, f"{tick}"))
    parts.append(f'<path d="M{left + LEFT},{TOP} V{floor} H{end}" fill="none" stroke="#57606a"/>')
    parts.append(_text(left + (LEFT + WIDTH - RIGHT) / 2, floor + 34, "CPU seconds"))
    for one in lines:
        if one["state"] == "stopped":
            x, tint = left + across(one["cpu"], low, high), colour[one["model"]]
            parts.append(
                f'<path d="M{x - 5:.1f},{TOP + 9} h10 l-5,-9 z" fill="none" stroke="{tint}">'
                f"<title>{escape(one['model'])}: stopped</title></path>"
            )
            continue
        found = summary.numbers([one], summary.QUALITY)
        if found:
            x, y = left + across(one["cpu"], low, high), down(found[0], top)
            title = f"{one['model']}, seed {one['seed']}: {one['cpu']:.1f} s, {found[0]:.3f}"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour[one["model"]]}" '
                f'fill-opacity=".75"><title>{escape(title)}</title></circle>'
            )
    return parts


def _ticks(top: float) -> list[float]:
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if top / s <= 7 or s == 0.5)
    return [round(step * i, 6) for i in range(int(top / step) + 1)]


def _text(
    x: float, y: float, words: str, *, size: int = 11, anchor: str = "middle", weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="#1f2328">{escape(words)}</text>'
    )
