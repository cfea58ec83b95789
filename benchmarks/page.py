"""docs/benchmarks.md from the results: costs, ratios and what each tool would have blocked."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import datasets
import defects

_OURS = "synth-contracts"
#: (tool, work) -> what it is, in the order of the tables
WORKS = {
    (_OURS, "card"): "whole card with positive control and null",
    (_OURS, "metrics"): "whole card without them",
    ("sdmetrics", "quality"): "quality report",
    ("sdmetrics", "dcr"): "DCR overfitting protection",
    ("anonymeter", "attacks"): "singling out, linkability, inference, 500 attacks each",
    ("mostlyai-qa", "report"): "report",
    ("pycanon", "k"): "k-anonymity",
    ("pycanon", "l"): "l-diversity",
    ("pycanon", "t"): "t-closeness",
}
PYCANON = [("pycanon", "k"), ("pycanon", "l"), ("pycanon", "t")]
#: The peers that together tell about as much as one card.
TOGETHER = [("sdmetrics", "quality"), ("sdmetrics", "dcr"), ("anonymeter", "attacks"), *PYCANON]
#: What stands in the table of ratios: words, parts whose seconds are added.
PARTS: list[tuple[str, list[tuple[str, str]]]] = [
    (
        "**sum**: sdmetrics (quality, DCR) + anonymeter (three attacks) + pycanon (k, l, t)",
        TOGETHER,
    ),
    ("part: sdmetrics, quality report", TOGETHER[:1]),
    ("part: sdmetrics, DCR overfitting protection", TOGETHER[1:2]),
    ("part: anonymeter, three attacks", TOGETHER[2:3]),
    ("part: pycanon, k, l and t together", PYCANON),
    ("pycanon, k-anonymity", PYCANON[:1]),
    ("pycanon, l-diversity", PYCANON[1:2]),
    ("pycanon, t-closeness", PYCANON[2:]),
    ("not in the sum: mostlyai-qa, report", [("mostlyai-qa", "report")]),
]

Found = Mapping[str, Any]


def _ours(found: Found) -> tuple[str, bool]:
    privacy = [name for name in found["blocked"] if name in _PRIVACY]
    value = found["values"].get("membership_inference")
    return ("–" if value is None else f"{value:.2f}"), bool(privacy)


_PRIVACY = {
    "membership_inference", "recognized_entities", "entity_membership_inference",
    "outlier_membership_inference", "identical_match", "nearest_neighbor_distance",
    "replicated_uniques", "attribute_disclosure",
}  # fmt: skip
#: tool -> (figure, blocked) of one answer, and the threshold in words
RULES: dict[str, tuple[Callable[[Found], tuple[str, bool]], str]] = {
    _OURS: (
        _ours,
        "blocked by a privacy rule of the preset `standard`; the figure is membership_inference",
    ),
    "sdmetrics": (
        lambda f: (f"{f['score']:.3f}", f["score"] < 1.0),
        "DCR overfitting protection; its documentation names 1.0 as best and no threshold, so any "
        "score below 1.0 counts as blocked",
    ),
    "anonymeter": (
        lambda f: (f"{f['worst']:.3f}", f["worst"] > 0.09),
        "largest of its three risks; it names no threshold, so .09 is taken, the figure of EMA "
        "Policy 0070 for re-identification",
    ),
    "mostlyai-qa": (
        lambda f: (f"{f['distances']['dcr_share']:.3f}", _dcr_blocked(f)),
        "share of synthetic rows nearer to training than to holdout, which by its documentation is not to "
        "be significantly larger than 50 %: more than two standard errors above counts as blocked",
    ),
}


def _dcr_blocked(found: Found) -> bool:
    share = found["distances"]["dcr_share"]
    return bool(share > 0.5 + 2 * (0.25 / datasets.DETECTED) ** 0.5)


def written(results: Sequence[Mapping[str, Any]], versions: Mapping[str, Any]) -> str:
    """The page; of results with the same key the newest counts."""
    newest = {(one["data"], one["tool"], one["work"], one["repeat"]): one for one in results}
    found = list(newest.values())
    return "\n".join(
        [
            *_head(versions, found),
            *_costs(found),
            *_detection(found),
            *_defects(found),
            *_commands(found),
        ]
    )


def _head(versions: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> list[str]:
    ours = sorted({one["commit"] for one in found if one["commit"]})
    peers = ", ".join(
        f"{tool} {versions[tool]}" for tool in versions if tool not in {"python", "cores"}
    )
    return [
        "# Benchmarks",
        "",
        "Written by `make benchmarks` from its results; not by hand. Each figure is the median of cold",
        "processes with all their children; tools took turns on the same machine, so ratios hold where",
        "seconds do not. OpenMP and BLAS have one thread in every tool: threads that wait on a busy",
        "machine would count as work. Flights out of New York, ten columns, the aeroplane as entity; half",
        "of the aeroplanes trained on, the other half the holdout. Peers run their documented defaults on",
        "the same files, in environments of their own.",
        "",
        f"Python {versions['python']}, {versions['cores']} cores; {peers}; this package at "
        f"{', '.join(ours) or 'no commit yet'}.",
        "",
    ]


def _costs(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "## Cost",
        "",
        "Rows of train, holdout and synthetic table each. CPU seconds (wall seconds, MiB), number of",
        "runs. The synthetic table comes from `calendar_cart` with the settings of the contract. What was",
        "stopped at its limit is not run again, nor on more rows.",
        "",
    ]
    sizes = [size for size in datasets.SIZES if any(_of(found, size, key) for key in WORKS)]
    lines += ["| tool | work | " + " | ".join(f"{size:,}" for size in sizes) + " |",
              "|---|---|" + "---|" * len(sizes)]  # fmt: skip
    for key, words in WORKS.items():
        cells = [_cell(_of(found, size, key), _stopped(found, size, key)) for size in sizes]
        lines.append(f"| {key[0]} | {words} | " + " | ".join(cells) + " |")
    lines += ["", "### Ratios", "",
              "CPU seconds of the peers over those of ours. The sum has six parts, of three tools: the",
              "quality report and the DCR overfitting protection of sdmetrics, the three attacks of",
              "anonymeter, and k, l and t of pycanon; each part alone stands below it. `>`: a peer was",
              "stopped at the limit, on this table or on fewer rows, and the seconds until then count.", ""]  # fmt: skip
    for ours in ("card", "metrics"):
        lines += [f"Over our {WORKS[_OURS, ours]}:", "",
                  "| peers | " + " | ".join(f"{size:,}" for size in sizes) + " |",
                  "|---|" + "---|" * len(sizes)]  # fmt: skip
        for words, keys in PARTS:
            cells = [_ratio(found, size, keys, (_OURS, ours)) for size in sizes]
            lines.append(f"| {words} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def _of(
    found: Sequence[Mapping[str, Any]], size: int, key: tuple[str, str]
) -> list[Mapping[str, Any]]:
    return [
        one for one in found
        if one["data"] == f"cost-{size}" and (one["tool"], one["work"]) == key
    ]  # fmt: skip


def _stopped(
    found: Sequence[Mapping[str, Any]], size: int, key: tuple[str, str]
) -> Mapping[str, Any] | None:
    """The run of the same work on fewer rows that was stopped at the limit, if there is one."""
    for rows in datasets.SIZES:
        if rows >= size:
            break
        for one in _of(found, rows, key):
            if one["exit"] is None:
                return one
    return None


def _cell(runs: list[Mapping[str, Any]], before: Mapping[str, Any] | None = None) -> str:
    if not runs and before is not None:
        return f"not run: stopped at {before['limit']:g} CPU s on {_rows(before)}"
    if not runs:
        return "not run"
    stopped = [one for one in runs if one["exit"] is None]
    if stopped:
        return f"stopped at {stopped[0]['limit']:g} CPU s"
    if any(one["exit"] for one in runs):
        return "failed"
    cpu, wall, mib = (
        statistics.median(one[part] for one in runs) for part in ("cpu", "wall", "mib")
    )
    return f"{cpu:.1f} ({wall:.1f}, {mib:.0f}), {len(runs)}"


def _rows(one: Mapping[str, Any]) -> str:
    return f"{int(one['data'].removeprefix('cost-')):,}"


def _ratio(
    found: Sequence[Mapping[str, Any]],
    size: int,
    keys: Sequence[tuple[str, str]],
    ours: tuple[str, str],
) -> str:
    own = [one["cpu"] for one in _of(found, size, ours) if one["exit"] == 0]
    total, more = 0.0, False
    for key in keys:
        runs = _of(found, size, key)
        ended = [one["cpu"] for one in runs if one["exit"] == 0]
        stopped = [one["cpu"] for one in runs if one["exit"] is None]
        before = _stopped(found, size, key)
        if not runs and before is not None:  # more rows cost no less
            stopped = [before["cpu"]]
        if not ended and not stopped:
            return "–"
        total += statistics.median(ended or stopped)
        more = more or not ended
    if not own:
        return "–"
    return f"{'> ' if more else ''}{total / statistics.median(own):.1f}"


def _detection(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "## What each tool would have blocked",
        "",
        f"Fresh real rows, {datasets.DETECTED:,} a side, in which a leak is planted (the kinds of",
        "[calibration.md](calibration.md), with the shares of rows given here): runs that are blocked of",
        "those made, and the median figure. The null is to pass, the others are to be blocked. pycanon",
        "looks at no training table and cannot tell copies.",
        "",
    ]
    for tool, (_, words) in RULES.items():
        lines.append(f"- **{tool}**: {words}.")
    lines += ["", "| kind | " + " | ".join(RULES) + " |", "|---|" + "---|" * len(RULES)]
    for kind in datasets.KINDS:
        cells = []
        for tool, (read, _) in RULES.items():
            runs = [
                one for one in found
                if one["data"].rsplit("-", 1)[0] == f"detect-{kind}" and one["tool"] == tool
            ]  # fmt: skip
            ended = [read(one["found"]) for one in runs if one["exit"] == 0]
            if not ended:
                cells.append("not run" if not runs else "did not end")
                continue
            figure = sorted(ended)[len(ended) // 2][0]
            lost = len(runs) - len(ended)
            blocked = sum(blocked for _, blocked in ended)
            cells.append(
                f"{blocked} of {len(ended)} ({figure})" + (f", {lost} did not end" if lost else "")
            )
        lines.append(f"| {_words(kind)} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _defects(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "## Peers' defects, live",
        "",
        f"Small made-up tables ({defects.ROWS:,} rows a side where nothing else is said) on which a tool",
        "reads wrongly, and what this package reads of the same rows; tests hold it to that",
        "(tests/metrics/test_peers_defects.py). SDMetrics' score is best at 1; nearest_neighbor_distance",
        "is clean at .5, membership_inference, linkability and attribute_disclosure at 0. NeMo's grade is",
        "best at 10: it rounds the precision of each attack to one digit and averages over thresholds.",
        "synthcity's k-anonymity is the smallest of its KMeans clusters, not the smallest class. A subsample",
        "of SDMetrics and the attacks of anonymeter are not seeded: their figures differ from run to run.",
        "",
        "| table | tool | its figures | ours |",
        "|---|---|---|---|",
    ]
    of = {(one["data"], one["tool"]): one for one in found if one["work"] == "defects"}
    for peer, names in defects.PEERS.items():
        for name in names:
            cells = [_figures(of.get((f"defects-{name}", tool))) for tool in (peer, _OURS)]
            lines.append(f"| {defects.WORDS[name]} | {peer} | {cells[0]} | {cells[1]} |")
    return [*lines, ""]


def _figures(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "not run"
    if one["exit"] is None:
        return f"stopped after {one['cpu']:.0f} CPU seconds"
    if one["exit"]:
        return "failed"
    told = (
        f"{label} {value:.3f}" if isinstance(value, int | float) else f"{label}: {value}"
        for label, value in one["found"]["figures"].items()
    )
    return "; ".join(told).replace("|", "/")


def _words(kind: str) -> str:
    name, _, share = kind.partition("-")
    return f"{name} {share} %" if share else name


def _commands(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "## Command lines",
        "",
        "Run in the tool's own environment, from a cold start.",
        "",
        "```text",
    ]
    seen = dict.fromkeys(one["command"].rsplit(" ", 1)[0] + " DATA" for one in found)
    return [*lines, *seen, "```", ""]
