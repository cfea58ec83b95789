"""The positive control of a run: how small a leak would this very run have blocked?

Leaks of known kind and size are planted into copies of the candidate, and every copy is read by the
run's own privacy rules at their own limits. The answer belongs to this candidate, this split and
these limits: an attack that finds nothing is worth what it finds when there is something.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from synth_contracts.contract.model import Rule
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.controls.bookkeeping import Bookkeeping
from synth_contracts.metrics.controls.growing import Growing
from synth_contracts.metrics.controls.null import null
from synth_contracts.metrics.controls.plants import AMONG, KINDS, Among, Leak, Train
from synth_contracts.metrics.controls.probes import PROBES, Probe
from synth_contracts.metrics.controls.reach import Targets
from synth_contracts.metrics.measurement import Measurement, Result
from synth_contracts.metrics.threads import alone

#: A leak counts as blocked where this share of plantings is.
POWER = 0.8
REPLICATES = 20
#: Doses that may be tried, in entities. The first replicate tries every third one until it is
#: blocked, then those left out before it.
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
        even ``largest_tried`` was; ``blocked_by``, the rules that did it; ``curve``, of nothing and
        of each dose that was decided: ``entities``, ``plantings`` (copies that it took), ``rows``,
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
    grown = partial(Growing, Train(comparison), targets, replicates=REPLICATES)
    first = grown(KINDS[0], AMONG[0])
    # planted with nothing, a copy is the same of every kind
    nothing = Point(first, rules, probes, 0, frozenset())
    nothing.read()

    def one(kind: Leak, among: Among) -> dict[str, Any]:
        if kind == "whole_entities" and comparison.schema.roles.entity_key is None:
            reason = "the contract names no entity key: a row is an entity, see exact"
            return _record(kind, among, reason=reason)
        progress(f"planting leaks: {kind.replace('_', ' ')}, {among}")
        with alone():
            growing = first if (kind, among) == (KINDS[0], AMONG[0]) else grown(kind, among)
            return _search(growing, kind, among, rules, probes, nothing)

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
    nothing: Point,
) -> dict[str, Any]:
    """The smallest dose of which enough plantings are blocked, and what was read on the way.

    A copy of one replicate is dear and says nearly all: the first replicate alone finds about where
    it is, and only the doses about there are read until they are decided. ``nothing`` is the dose
    of 0, which has been read.
    """
    point = partial(Point, growing, rules, probes)
    own = frozenset(nothing.broken[0])
    doses = [point(dose, own) for dose in DOSES if dose <= growing.largest]
    place = _about(doses)
    smallest: Point | None = None
    if doses and doses[place].decide():
        # down to the first that is not blocked often enough
        while place and doses[place - 1].decide():
            place -= 1
        smallest = doses[place]
    else:
        smallest = next((dose for dose in doses[place + 1 :] if dose.decide()), None)
    decided = [nothing, *(dose for dose in doses if dose.decided)]
    note = None
    by = frozenset() if smallest is None else frozenset(_named(smallest.broken))
    if own:
        by = own
        note = "the candidate is blocked as it is; the curve ends where a rule that held breaks too"
    return _record(
        kind,
        among,
        smallest=0 if own else None if smallest is None else smallest.dose,
        largest_tried=decided[-1].dose,
        blocked_by=[rule.id for rule in rules if rule.id in by],
        curve=[dose.told() for dose in decided],
        note=note,
    )


def _about(doses: Sequence[Point]) -> int:
    """The place of the first dose of which the first replicate's copy is blocked, else the last."""
    # counted from the end, so that the largest is among them
    for place in range((len(doses) - 1) % _STRIDE, len(doses), _STRIDE):
        if doses[place].read():
            before = range(max(place - _STRIDE + 1, 0), place)
            return next((less for less in before if doses[less].read()), place)
    return len(doses) - 1


def _named(broken: Sequence[set[str]]) -> set[str]:
    """Rules that broke in half of the copies or more; else the one that broke most often."""
    counts = Counter(name for names in broken for name in names)
    often = {name for name, count in counts.items() if 2 * count >= len(broken)}
    return often or {name for name, _ in counts.most_common(1)}


def _needed() -> int:
    """How many of REPLICATES plantings must be blocked; the rounding is of .8 * 20 alone."""
    return math.ceil(POWER * REPLICATES - 1e-9)


class Point:
    """One dose: its copies, read one after the other, and which rules each of them breaks.

    Args:
        growing: makes the copies.
        rules: that may be broken.
        probes: metric id -> how it is read.
        dose: in entities.
        own: rules that the candidate breaks as it is; a copy is blocked by others alone.
    """

    def __init__(
        self,
        growing: Growing,
        rules: Sequence[Rule],
        probes: Mapping[str, Probe],
        dose: int,
        own: frozenset[str],
    ) -> None:
        self.dose, self.broken = dose, list[set[str]]()
        self._copies, self._rules, self._probes = growing.copies(dose), rules, probes
        self._own, self._rows = own, list[int]()
        self._values: dict[str, list[float]] = {metric: [] for metric in probes}
        self._judged = {rule.metric: rule for rule in reversed(rules)}

    def read(self) -> bool:
        """Read one more copy; whether it is blocked."""
        copy = next(self._copies)
        self._rows.append(len(copy.rows))
        readings = {metric: probe.read(copy) for metric, probe in self._probes.items()}
        for metric, reading in readings.items():
            self._values[metric].append(reading.number(self._judged[metric]))
        broken = {rule.id for rule in self._rules if readings[rule.metric].breaks(rule)}
        self.broken.append(broken)
        return bool(broken - self._own)

    @property
    def _blocked(self) -> int:
        return sum(bool(names - self._own) for names in self.broken)

    @property
    def decided(self) -> bool:
        """Whether enough copies are blocked, or too few can be."""
        needed = _needed()
        return self._blocked >= needed or len(self.broken) - self._blocked > REPLICATES - needed

    def decide(self) -> bool:
        """Read copies until it is decided; whether enough are blocked.

        The decision is that of all REPLICATES (curtailed sampling: Wald, Sequential Analysis,
        1947).
        """
        while not self.decided:
            self.read()
        return self._blocked >= _needed()

    def told(self) -> dict[str, Any]:
        """As a point of the curve."""
        return {
            "entities": self.dose,
            "plantings": len(self.broken),
            "rows": round(float(np.mean(self._rows))),
            "readings": {name: float(np.mean(found)) for name, found in self._values.items()},
            "power": float(np.mean([bool(names) for names in self.broken])),
        }
