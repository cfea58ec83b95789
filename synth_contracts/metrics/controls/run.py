"""The positive control of a run: how small a leak would this very run have blocked?

Leaks of known kind and size are planted into copies of the candidate, and every copy is read by the
run's own privacy rules at their own limits. The answer belongs to this candidate, this split and
these limits: an attack that finds nothing is worth what it finds when there is something.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np

from synth_contracts.contract.model import Rule
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.controls.bookkeeping import Bookkeeping, Copy
from synth_contracts.metrics.controls.growing import Growing
from synth_contracts.metrics.controls.null import null
from synth_contracts.metrics.controls.plants import AMONG, KINDS, Among, Leak
from synth_contracts.metrics.controls.probes import PROBES, Probe
from synth_contracts.metrics.controls.reach import Targets
from synth_contracts.metrics.measurement import Measurement, Result
from synth_contracts.metrics.threads import alone

#: A leak counts as blocked where this share of plantings is.
POWER = 0.8
REPLICATES = 20
#: Doses that may be tried, in entities: every third one until enough are blocked, then those left
#: out before it.
DOSES = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500)
_STRIDE = 3
#: Real rows from which two kinds of leaks are planted at a time.
_MANY_ROWS = 100_000

Progress = Callable[[str], None]


def control(
    comparison: Comparison,
    rules: Sequence[Rule],
    results: Mapping[str, Result],
    reported: Sequence[str] = (),
    progress: Progress = lambda _: None,
    fresh: Future[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Positive control and null of one run, as JSON.

    Args:
        comparison: the three tables; what the metrics have computed on it is used again.
        rules: of the contract. Those of severity error whose metric has a probe (PROBES) decide
            whether a planted copy is blocked.
        results: rule id -> what was measured. A rule that was not measured blocks nothing here.
        reported: metric ids that are measured without a rule.
        progress: called with one line as each kind of leak is begun.
        fresh: the null, where its reading has been begun already.

    Returns:
        ``power``, ``replicates``, ``rules`` (rule id -> judged, operator, threshold), ``kinds``,
        ``null`` and ``seconds``. Each of ``kinds`` has ``kind``, ``among``, ``unit``; ``smallest``,
        the smallest dose of which at least ``power`` of the plantings were blocked, None where not
        even ``largest_tried`` was; ``blocked_by``, the rules that did it; ``curve``, a list of
        ``entities``, ``plantings`` (how many copies were read until it was decided), ``rows``,
        ``readings`` (metric -> the number that is blocked by: the lower bound where the rule judges
        it, else the value; mean over those copies) and ``power`` (share of them that is blocked); a
        ``reason`` where this kind could not be planted, and a ``note``. Where nothing could be
        planted there is a ``reason`` instead of ``kinds``. No value of a real row is in it.
    """
    started = time.perf_counter()
    record: dict[str, Any] = {"power": POWER, "replicates": REPLICATES, "rules": {}}
    asked = [r for r in rules if r.metric in PROBES and r.severity == "error"]
    judges = [r for r in asked if isinstance(results.get(r.id), Measurement)]
    _planted(record, comparison, asked, judges, progress)
    if fresh is not None or comparison.holdout_side.rows:
        progress("reading the null: real entities in the place of synthetic ones")
        # of few rows its steps are so short that a thread beside the plantings costs as it gains
        record["null"] = fresh.result() if fresh else null(comparison, rules, reported)
    record["seconds"] = round(time.perf_counter() - started, 3)
    return record


def null_beside(
    comparison: Comparison, rules: Sequence[Rule], reported: Sequence[str]
) -> dict[str, Any]:
    """The null, read in a thread beside other work."""
    with alone():
        return null(comparison, rules, reported)


def _planted(
    record: dict[str, Any],
    comparison: Comparison,
    asked: Sequence[Rule],
    judges: Sequence[Rule],
    progress: Progress,
) -> None:
    if judges:
        record["rules"] = {
            r.id: {"judged": r.judged, "operator": r.operator, "threshold": r.threshold}
            for r in judges
        }
        record["kinds"] = _kinds(comparison, judges, progress)
    elif asked:
        record["reason"] = "none of the rules that could block a leak was measured"
    else:
        record["reason"] = "the contract has no rule of severity error that could block a leak"


def _kinds(
    comparison: Comparison, rules: Sequence[Rule], progress: Progress
) -> list[dict[str, Any]]:
    books = Bookkeeping(comparison)
    probes = {metric: PROBES[metric](books) for metric in dict.fromkeys(r.metric for r in rules)}
    targets = Targets(comparison.real, comparison.nearby.near)

    def one(kind: Leak, among: Among) -> dict[str, Any]:
        if kind == "whole_entities" and comparison.schema.roles.entity_key is None:
            reason = "the contract names no entity key: a row is an entity, see exact"
            return _record(kind, among, reason=reason)
        progress(f"planting leaks: {kind.replace('_', ' ')}, {among}")
        with alone():
            growing = Growing(comparison, targets, kind, among, REPLICATES)
            return _search(growing, kind, among, rules, probes)

    # each search has streams of its own, so that neither order nor company changes a bit; on small
    # tables the steps are so short that two threads wait for each other (11 % more CPU at 10,000)
    many = comparison.train_side.rows + comparison.holdout_side.rows >= _MANY_ROWS
    with ThreadPoolExecutor(max_workers=2 if many else 1) as both:
        # whole entities are the most rows: begun last, they would be waited for alone
        begun = {
            (kind, among): both.submit(one, kind, among)
            for kind in reversed(KINDS)
            for among in AMONG
        }
        return [begun[kind, among].result() for kind in KINDS for among in AMONG]


def _record(kind: Leak, among: Among, **parts: Any) -> dict[str, Any]:
    blank: dict[str, Any] = {
        "kind": kind, "among": among, "unit": "entities", "smallest": None, "largest_tried": 0,
        "blocked_by": [], "curve": [], "reason": None, "note": None,
    }  # fmt: skip
    return {**blank, **parts}


def _search(
    growing: Growing,
    kind: Leak,
    among: Among,
    rules: Sequence[Rule],
    probes: Mapping[str, Probe],
) -> dict[str, Any]:
    """Doses from nothing upwards until enough plantings are blocked."""
    point, broken = _read(islice(growing.copies(0), 1), 0, rules, probes, frozenset())
    own = frozenset().union(*broken)
    curve, smallest, by = [point], None, own

    def seen(dose: int) -> bool:
        nonlocal smallest, by
        point, broken = _read(growing.copies(dose), dose, rules, probes, own)
        curve.append(point)
        # of a candidate that is blocked as it is: where a rule that held breaks too
        enough = sum(bool(names - own) for names in broken) >= _needed()
        if enough:
            smallest, by = dose, frozenset(_named(broken))
        return enough

    doses = [dose for dose in DOSES if dose <= growing.largest]
    # counted from the end, so that the largest is among them
    for place in range((len(doses) - 1) % _STRIDE, len(doses), _STRIDE):
        if seen(doses[place]):
            any(seen(dose) for dose in doses[max(place - _STRIDE + 1, 0) : place])
            break
    curve.sort(key=lambda point: int(point["entities"]))
    note = None
    if own:
        smallest, by = 0, own
        note = "the candidate is blocked as it is; the curve ends where a rule that held breaks too"
    return _record(
        kind,
        among,
        smallest=smallest,
        largest_tried=curve[-1]["entities"],
        blocked_by=[rule.id for rule in rules if rule.id in by],
        curve=curve,
        note=note,
    )


def _named(broken: Sequence[set[str]]) -> set[str]:
    """Rules that broke in half of the copies or more; else the one that broke most often."""
    counts = Counter(name for names in broken for name in names)
    often = {name for name, count in counts.items() if 2 * count >= len(broken)}
    return often or {name for name, _ in counts.most_common(1)}


def _needed() -> int:
    """How many of REPLICATES plantings must be blocked; the rounding is of .8 * 20 alone."""
    return math.ceil(POWER * REPLICATES - 1e-9)


def _read(
    copies: Iterable[Copy],
    dose: int,
    rules: Sequence[Rule],
    probes: Mapping[str, Probe],
    own: frozenset[str],
) -> tuple[dict[str, Any], list[set[str]]]:
    """One point of the curve, and the rules that each copy breaks.

    Copies are read until enough of them break a rule that is not in ``own``, or too few can: the
    decision is that of all REPLICATES (curtailed sampling: Wald, Sequential Analysis, 1947).
    """
    values: dict[str, list[float]] = {metric: [] for metric in probes}
    first = {rule.metric: rule for rule in reversed(rules)}
    broken: list[set[str]] = []
    rows = []
    blocked, needed = 0, _needed()
    for copy in copies:
        rows.append(len(copy.rows))
        readings = {metric: probe.read(copy) for metric, probe in probes.items()}
        for metric, reading in readings.items():
            values[metric].append(reading.number(first[metric]))
        broken.append({rule.id for rule in rules if readings[rule.metric].breaks(rule)})
        blocked += bool(broken[-1] - own)
        if blocked == needed or len(broken) - blocked > REPLICATES - needed:
            break
    point = {
        "entities": dose,
        "plantings": len(broken),
        "rows": round(float(np.mean(rows))),
        "readings": {metric: float(np.mean(found)) for metric, found in values.items()},
        "power": float(np.mean([bool(names) for names in broken])),
    }
    return point, broken
