"""docs/generators-benchmark.md from the results: medians of what was measured, and who is beaten."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import sides

Line = Mapping[str, Any]
#: metric -> heading; the numbers are those that the preset judges, so that a limit stands beside each
FIDELITY = {
    "pair_association": "pairs", "ks_mean": "KS mean", "total_variation": "categories",
    "autocorrelation": "autocorrelation", "hour_profile": "hours", "weekday_profile": "weekdays",
    "entity_profile": "rows per entity", "detection": "detection",
}  # fmt: skip
PRIVACY = {
    "membership_inference": "membership", "recognized_entities": "recognised",
    "outlier_membership_inference": "outliers", "identical_match": "identical",
    "nearest_neighbor_distance": "nearer to train", "k_anonymity": "k",
}  # fmt: skip
#: What one is better by: less of both.
QUALITY = "pair_association"


def newest(lines: Sequence[Line]) -> list[Line]:
    """Of results with the same key the newest."""
    return list({(one["table"], one["model"], one["seed"]): one for one in lines}.values())


def hopeless(lines: Sequence[Line], table: str, model: str) -> bool:
    """Whether the model was stopped at the limit on this table before, with another seed."""
    return any(
        (one["table"], one["model"], one["state"]) == (table, model, "stopped")
        for one in newest(lines)
    )


def of(lines: Sequence[Line], table: str, model: str) -> list[Line]:
    return [one for one in lines if (one["table"], one["model"]) == (table, model)]


def ended(lines: Sequence[Line]) -> list[Line]:
    return [one for one in lines if one["state"] == "done"]


def numbers(lines: Sequence[Line], metric: str) -> list[float]:
    """The numbers judged of a metric, of all runs that measured it."""
    return [
        rule["number"]
        for one in ended(lines)
        for rule in one["judged"]["rules"]
        if rule["metric"] == metric and rule["number"] is not None
    ]


def median(lines: Sequence[Line], metric: str) -> float | None:
    found = numbers(lines, metric)
    return statistics.median(found) if found else None


def cost(lines: Sequence[Line]) -> float | None:
    """Median CPU seconds of the runs that ended."""
    found = [one["cpu"] for one in ended(lines)]
    return statistics.median(found) if found else None


def broken(lines: Sequence[Line], family: str) -> str:
    """Rules of a family that did not hold, of those asked; the range over the runs."""
    counts, asked = [], 0
    for one in ended(lines):
        rules = [
            r
            for r in one["judged"]["rules"]
            if r["family"] == family and r["severity"] != "warning"
        ]
        counts.append(sum(rule["status"] != "passed" for rule in rules))
        asked = max(asked, len(rules))
    if not counts:
        return "–"
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} of {asked}"


def front(lines: Sequence[Line], table: str) -> list[str]:
    """Models that no other beats on both CPU seconds and pairs of columns, cheapest first."""
    at = {}
    for model in models(lines):
        own = of(lines, table, model)
        spent, quality = cost(own), median(own, QUALITY)
        if spent is not None and quality is not None:
            at[model] = (spent, quality)
    kept = [
        model for model, (spent, quality) in at.items()
        if not any(
            other[0] <= spent and other[1] <= quality and other != (spent, quality)
            for other in at.values()
        )
    ]  # fmt: skip
    return sorted(kept, key=lambda model: at[model])


def models(lines: Sequence[Line]) -> list[str]:
    """Names in the order in which they were first measured."""
    return list(dict.fromkeys(one["model"] for one in lines))


def written(lines: Sequence[Line], versions: Mapping[str, str]) -> str:
    """The page, from the newest lines."""
    limits = sorted({one["limit"] for one in lines})
    told = ", ".join(f"{limit:g}" for limit in limits) or "none yet"
    own = sorted({one["commit"] for one in lines if "commit" in one})
    parts = [
        "# Generators side by side",
        "",
        "Written by `python benchmarks/generators/run.py` from its results; not by hand. "
        f"{sides.ROWS:,} rows of half of",
        "the entities are learned (rows drawn at random from all of them), as many made, and judged by",
        f"`evaluate()` against {sides.ROWS:,} rows of the other half. Seeds draw the split and seed the model.",
        "Each fit with its sample is one cold process on one thread, imports included; a run of more",
        f"than the limit (CPU seconds: {told}) is stopped and not tried again. Figures are medians.",
        "",
        "Peers run with their documented defaults, on rows without keys; entities are dealt afterwards.",
        "`par` learns sequences by entity. `calendar_cart` runs with the settings of the contract, all",
        "protections on, and recodes to k; no peer does, so k-anonymity is theirs to fail.",
        "",
        f"sdv {versions.get('sdv', '?')}, mostlyai-engine {versions.get('mostlyai-engine', '?')} "
        f"(`tabular_argn`); this package at {', '.join(own) or 'no commit yet'}.",
        "",
        "![Fidelity against cost, one panel a table](images/generators-benchmark.svg)",
        "",
        f"Nearer to the lower left is better. Cost is on a logarithmic scale; fidelity is {QUALITY}:",
        "half the summed differences of the shares of joint bins, mean over pairs of columns.",
        "",
    ]
    for table in sides.TABLES:
        if of_table := [one for one in lines if one["table"] == table]:
            parts += _table(of_table, table)
    return "\n".join(parts)


def _table(lines: Sequence[Line], table: str) -> list[str]:
    parts = [f"## {table}", ""]
    asked = [m for m in FIDELITY if numbers(lines, m)]
    head = ["generator", "CPU s", "MiB", "runs", *(FIDELITY[m] for m in asked), "rules broken"]
    parts += ["Fidelity.", "", _row(head), _rule(head)]
    for model in models(lines):
        own = of(lines, table, model)
        done = ended(own)
        if not done:
            parts.append(_row([model, _why(own), *[""] * (len(head) - 2)]))
            continue
        mib = statistics.median(one["mib"] for one in done)
        values = [_number(median(own, m)) for m in asked]
        parts.append(
            _row([model, f"{cost(own):.1f}", f"{mib:.0f}", str(len(done)), *values,
                  broken(own, "fidelity")])
        )  # fmt: skip
    asked = [m for m in PRIVACY if numbers(lines, m)]
    head = ["generator", *(PRIVACY[m] for m in asked), "rules broken"]
    parts += ["", "Privacy.", "", _row(head), _rule(head)]
    for model in models(lines):
        own = of(lines, table, model)
        if ended(own):
            values = [_number(median(own, m)) for m in asked]
            parts.append(_row([model, *values, broken(own, "privacy")]))
    best = front(lines, table)
    named = ", ".join(f"`{model}`" for model in best) or "none"
    parts += ["", f"Not beaten on both CPU seconds and pairs of columns: {named}.", ""]
    return parts


def _why(own: Sequence[Line]) -> str:
    states = {one["state"]: one for one in own}
    if "stopped" in states:
        return f"stopped at {states['stopped']['limit']:g}"
    if "no_entity" in states:
        return "no entities"
    return "failed"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.3f}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(cells: Sequence[str]) -> str:
    return "|" + "---|" * len(cells)
