"""docs/calibration.md out of the records of `make calibrate`, and the statistics in it."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tables
from calibrate import KINDS, PRESETS, Job, asked, metric_digests, settled
from scipy import stats

#: A construction check on the released table, which real rows do not pass: no sign of a leak.
EXEMPT = frozenset({"k_anonymity"})
OUTCOMES = ("PASSED", "FAILED", "NOT_EVALUATED")
#: What the privacy rules of standard may at most block among fresh rows (point value).
ALLOWED = 0.05

Record = Mapping[str, Any]
Count = tuple[int, int]


def clopper_pearson(hits: float, size: float, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided limits of a binomial share (Clopper, Pearson 1934); sizes may be broken."""
    if size <= 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    lower = 0.0 if hits <= 0 else float(stats.beta.ppf(tail, hits, size - hits + 1))
    upper = 1.0 if hits >= size else float(stats.beta.ppf(1 - tail, hits + 1, size - hits))
    return lower, upper


def design_effect(counts: Sequence[Count]) -> float:
    """Variance of the pooled share between clusters over its binomial variance, at least 1.

    Args:
        counts: (hits, size) of each cluster. With no hit, nothing but hits, or one cluster there
            is no variance to see, and the effect is 1.
    """
    counts = [(hits, size) for hits, size in counts if size]
    total = sum(size for _, size in counts)
    share = sum(hits for hits, _ in counts) / total if total else 0.0
    if len(counts) < 2 or not 0 < share < 1:
        return 1.0
    between = sum((hits - share * size) ** 2 for hits, size in counts)
    variance = between * len(counts) / (len(counts) - 1) / total**2
    return max(1.0, variance / (share * (1 - share) / total))


def clustered_limits(counts: Sequence[Count]) -> tuple[float, float]:
    """Clopper-Pearson limits of the pooled share at its effective size (Korn, Graubard 1998).

    The size is divided by the design effect and by the square of the ratio of Student's quantiles
    at (clusters - 1) and at (size - 1) degrees of freedom.
    """
    counts = [(hits, size) for hits, size in counts if size]
    total = sum(size for _, size in counts)
    if not total:
        return 0.0, 1.0
    size = total / design_effect(counts)
    if len(counts) > 1:
        size *= (stats.t.ppf(0.975, total - 1) / stats.t.ppf(0.975, len(counts) - 1)) ** 2
    return clopper_pearson(size * sum(hits for hits, _ in counts) / total, size)


@dataclass(frozen=True)
class Judged:
    """A record under one preset."""

    record: Record
    preset: str
    stale: bool = False

    @cached_property
    def states(self) -> tuple[Any, ...]:
        """State of every rule that was asked and that this code can measure."""
        from synth_contracts.expectations.measured import result_from_json
        from synth_contracts.gate import judge
        from synth_contracts.metrics import METRICS, Evaluation

        record = self.record
        contract = settled(record["table"], self.preset, _kinds(record))
        current = metric_digests()
        results = {}
        for rule in contract.rules:
            stored = record["results"].get(_key(rule))
            if stored and (self.stale or stored["code"] == current.get(rule.metric)):
                results[rule.id] = result_from_json(_result(stored))
        evaluation = Evaluation(
            contract_digest=contract.digest,
            rows_digest="",
            train_digest="",
            holdout_digest="",
            seed=record["seed"],
            n_train=record["rows"]["train"],
            n_holdout=record["rows"]["holdout"],
            n_synthetic=record["rows"]["synthetic"],
            entities_train=record["entities"]["train"],
            entities_holdout=record["entities"]["holdout"],
            results=results,
            kinds=dict(_kinds(record)),
        )
        families = {rule.id: rule for rule in contract.rules}
        return tuple(
            (families[state.rule_id], state)
            for state in judge(contract, evaluation).states
            if state.rule_id in families
            and state.metric in METRICS
            and (state.rule_id in results or not self.stale)
        )

    def outcome(self, *, privacy: bool) -> str:
        """FAILED, NOT_EVALUATED or PASSED by the rules but k_anonymity, as the gate has it."""
        found = {
            state.status
            for rule, state in self.states
            if state.rule_id not in EXEMPT and (rule.family == "privacy" or not privacy)
        }
        if "failed" in found:
            return "FAILED"
        return "NOT_EVALUATED" if "not_measured" in found or not found else "PASSED"

    def broken(self) -> list[str]:
        """Ids of the privacy rules that a finite number broke."""
        return [
            state.rule_id
            for rule, state in self.states
            if rule.family == "privacy"
            and state.rule_id not in EXEMPT
            and state.status == "failed"
            and state.number is not None
        ]


def _kinds(record: Record) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind) for name, kind in record["kinds"])


def _key(rule: Any) -> str:
    from calibrate import rule_key

    return rule_key(rule.metric, rule.column, rule.options)


def _result(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored result with the words that were left out of it."""
    result = {name: value for name, value in stored.items() if name != "code"}
    return (
        {"method": "", "compared_with": "", **result} if result["kind"] == "measurement" else result
    )


class Page:
    """The page, section by section; ``done`` holds the records of the jobs of the plan.

    ``stale`` lets in measurements of earlier code, and records that lack some rules.
    """

    def __init__(
        self, jobs: Sequence[Job], records: Mapping[Any, Record], *, stale: bool = False
    ) -> None:
        current = metric_digests()
        self.stale = stale

        def whole(job: Job) -> bool:
            record = records.get(job.key)
            return record is not None and (
                stale
                or all(
                    record["results"].get(key, {}).get("code") == current[metric]
                    for key, (metric, _, _) in asked(
                        job.table, _kinds(record), all_rules=job.kind == "null"
                    ).items()
                )
            )

        self.jobs = jobs
        self.done = {job: records[job.key] for job in jobs if whole(job)}
        self.tables = [name for name in tables.TABLES if any(job.table == name for job in jobs)]
        self.judged = {
            (job, preset): Judged(record, preset, stale)
            for job, record in self.done.items()
            for preset in PRESETS
        }

    def of(self, kind: str, table: str | None = None, *, demanded: bool | None = None) -> list[Job]:
        """Jobs that are done, of one kind (and table)."""
        return [
            job
            for job in self.done
            if job.kind == kind and table in (None, job.table) and demanded in (None, job.demanded)
        ]

    def text(self) -> str:
        """The whole page."""
        if not self.done:
            return "\n".join([*self.head(), *self.again()]) + "\n"
        parts = [
            *self.head(), *self.setting(), *self.false_alarms(), *self.alarms_by_rule(),
            *self.leaks(), *self.leak_values(), *self.unseen(), *self.quantiles(), *self.again(),
        ]  # fmt: skip
        return "\n".join(parts).rstrip() + "\n"

    def head(self) -> list[str]:
        count, total = len(self.done), len(self.jobs)
        lines = [
            "# Calibration",
            "",
            f"Written by `make calibrate`; do not edit. {count} of {total} evaluations stand behind "
            "it" + ("." if count == total else ": it is unfinished."),
            "",
            "What the rules of the three presets say about real rows that no generator has touched, "
            "and about such rows with leaks planted among them. Each table is split in thirds by "
            "entity: train, holdout, fresh. The fresh third is the synthetic table: it holds no "
            "row of train, so a privacy rule that blocks it raises a false alarm. Then a part of it "
            "is replaced by rows of train, in several ways, under fresh keys.",
            "",
            "`k_anonymity` is left out of all verdicts here: it is a construction check of the "
            "released table, which real rows do not pass and recoded ones do.",
            "",
        ]
        if self.stale:
            lines += [
                "A draft: some measurements were made with earlier code, and rules may be missing.",
                "",
            ]
        if "adult" not in self.tables:
            lines += ["adult is left out: the table was not at hand.", ""]
        return lines

    def setting(self) -> list[str]:
        lines = ["## Tables", "", "Rows and entities of each third are medians.", ""]
        lines += table_head(
            "table", "from", "days", "columns", "entities a third", "rows a third", "splits",
            "leaked tables", "CPU seconds an evaluation",
        )  # fmt: skip
        for name in self.tables:
            records = [record for job, record in self.done.items() if job.table == name]
            if not records:
                lines.append(row(name, tables.TABLES[name].origin, *["not run"] * 7))
                continue
            nulls = len(self.of("null", name))
            lines.append(
                row(
                    name, tables.TABLES[name].origin, self._days(name), len(records[0]["kinds"]),
                    f"{statistics.median(r['entities']['train'] for r in records):,.0f}",
                    f"{statistics.median(r['rows']['train'] for r in records):,.0f}",
                    nulls, len(records) - nulls,
                    f"{statistics.median(r['seconds'] for r in records):.1f}",
                )
            )  # fmt: skip
        return [*lines, ""]

    @staticmethod
    def _days(name: str) -> str:
        first = tables.TABLES[name].first
        return f"first {first[1]}" if first else "all"

    def false_alarms(self) -> list[str]:
        lines = [
            "## False alarms",
            "",
            "Share of splits whose fresh rows break at least one privacy rule. Splits of one table "
            "share its rows, so they are not independent: the first limits (95 %, Clopper-Pearson) "
            "take them as such, the second are clustered by table (Korn-Graubard: the number of "
            "splits is divided by the design effect, with Student's quantiles at the number of "
            "tables less one), and the table with most alarms stands apart with limits of its own.",
            "",
        ]
        lines += table_head(
            "preset", "splits", *OUTCOMES, "false alarms", "95 % as if independent",
            "design effect", "95 % by table", "worst table",
        )  # fmt: skip
        for preset in PRESETS:
            counts, outcomes = self._alarms(preset, privacy=True)
            lines.append(row(preset, *_rates(counts, outcomes)))
        counts, _ = self._alarms("standard", privacy=True)
        hits, size = sum(h for h, _ in counts.values()), sum(n for _, n in counts.values())
        if size:
            held = "held" if hits / size <= ALLOWED else "NOT held"
            enough = "" if size >= 300 else f", on {size} splits of the 300 that are asked"
            lines += [
                "",
                f"Asked of standard: at most {percent(ALLOWED)} (point value): {held}{enough}.",
            ]
        lines += ["", "By table, privacy rules:", ""]
        lines += table_head("table", "splits", *(f"{preset}, 95 %" for preset in PRESETS))
        for name in self.tables:
            cells = [_rate(self._alarms(preset, privacy=True)[0][name]) for preset in PRESETS]
            lines.append(row(name, len(self.of("null", name)), *cells))
        lines += [
            "",
            "The same over all rules, fidelity and validity among them. Fresh thirds are small "
            "(see above), and limits of fidelity are the harder to keep the fewer entities there "
            "are.",
            "",
        ]
        lines += table_head("preset", "splits", *OUTCOMES, *(name for name in self.tables))
        for preset in PRESETS:
            counts, outcomes = self._alarms(preset, privacy=False)
            total = sum(size for _, size in counts.values())
            cells = [f"{hits} of {size}" for hits, size in counts.values()]
            lines.append(row(preset, total, *(outcomes[o] for o in OUTCOMES), *cells))
        return [*lines, "", "The columns of tables count FAILED.", ""]

    def _alarms(self, preset: str, *, privacy: bool) -> tuple[dict[str, Count], Counter[str]]:
        counts, outcomes = {}, Counter[str]()
        for name in self.tables:
            found = [
                self.judged[job, preset].outcome(privacy=privacy) for job in self.of("null", name)
            ]
            outcomes.update(found)
            counts[name] = (found.count("FAILED"), len(found))
        return counts, outcomes

    def alarms_by_rule(self) -> list[str]:
        lines = [
            "## False alarms, rule by rule",
            "",
            "FAILED / NOT_EVALUATED / asked, over the splits of all tables; 95 % limits of the "
            "FAILED under standard as if splits were independent, and the table with most of them.",
            "",
        ]
        lines += table_head("rule", *PRESETS, "standard, 95 %", "most on")
        found: dict[str, dict[str, dict[str, Counter[str]]]] = {}
        for (job, preset), judged in self.judged.items():
            if job.kind != "null":
                continue
            for _, state in judged.states:
                by_table = found.setdefault(state.rule_id, {}).setdefault(preset, {})
                by_table.setdefault(job.table, Counter())[state.status] += 1
        for rule_id, presets in found.items():
            cells = []
            for preset in PRESETS:
                total = sum(presets.get(preset, {}).values(), Counter())
                cells.append(
                    f"{total['failed']} / {total['not_measured']} / {total.total()}"
                    if total
                    else "-"
                )
            standard = {
                name: (count["failed"], count.total())
                for name, count in presets.get("standard", {}).items()
            }
            hits, size = sum(h for h, _ in standard.values()), sum(n for _, n in standard.values())
            limits = interval(clopper_pearson(hits, size)) if size else "-"
            lines.append(row(rule_id, *cells, limits, _worst(standard) if hits else "-"))
        return [*lines, ""]

    def leaks(self) -> list[str]:
        lines = [
            "## Leaks",
            "",
            "Outcome of the privacy rules but k_anonymity. FAILED means that at least one of them "
            "was broken by a finite number; NOT_EVALUATED is neither a pass nor a block.",
            "",
        ]
        for preset in PRESETS:
            lines += [f"### Under {preset}", ""]
            lines += table_head("kind", "table", "splits", *OUTCOMES, "broken rules (splits)")
            for kind in KINDS.values():
                if kind.name == "null":
                    continue
                for name in self.tables:
                    jobs = self.of(kind.name, name)
                    if jobs:
                        lines.append(self._leak_row(kind.name, name, jobs, preset))
            lines.append("")
        lines += ["### What was asked of standard", ""]
        lines += table_head("kind", "what is planted", "FAILED", "asked", "held")
        for kind in KINDS.values():
            jobs = self.of(kind.name, demanded=True)
            if kind.name == "null" or not jobs:
                continue
            failed = sum(bool(self.judged[job, "standard"].broken()) for job in jobs)
            asked_for, held = "reported alone", "-"
            if kind.demand is not None:
                least = int(np.ceil(kind.demand * len(jobs) - 1e-9))
                asked_for = f"at least {least} of {len(jobs)}"
                held = "held" if failed >= least else "NOT held"
            lines.append(row(kind.name, kind.words, f"{failed} of {len(jobs)}", asked_for, held))
        return [
            *lines,
            "",
            "Counted are: of `whole`, tables with entities but flights, where an entity is an "
            "aeroplane; of `exact` and `noisy`, tables of seven columns and more.",
            "",
        ]

    def _leak_row(self, kind: str, name: str, jobs: Sequence[Job], preset: str) -> str:
        outcomes = Counter(self.judged[job, preset].outcome(privacy=True) for job in jobs)
        broken = Counter(rule for job in jobs for rule in self.judged[job, preset].broken())
        words = ", ".join(f"{rule} {count}" for rule, count in broken.most_common()) or "-"
        note = "" if jobs[0].demanded else " (reported alone)"
        return row(kind, name + note, len(jobs), *(outcomes[o] for o in OUTCOMES), words)

    def leak_values(self) -> list[str]:
        rules = self._rules("privacy")
        lines = [
            "## What the privacy rules read",
            "",
            "Median (smallest to largest) of the number that standard judges, or where it judges "
            "none, of the value.",
            "",
        ]
        lines += table_head("kind", "table", *rules)
        for kind in KINDS:
            for name in self.tables:
                jobs = self.of(kind, name)
                if jobs:
                    cells = [_spread(self._numbers(jobs, rule, "standard")) for rule in rules]
                    lines.append(row(kind, name, *cells))
        return [*lines, ""]

    def unseen(self) -> list[str]:
        lines = [
            "## What cannot be seen",
            "",
            "Kinds and tables on which standard blocked fewer than nine splits of ten, with the "
            "95 % limits (Clopper-Pearson) of the share that it blocked:",
            "",
        ]
        body = []
        for kind in KINDS:
            for name in self.tables:
                jobs = self.of(kind, name)
                if kind == "null" or not jobs:
                    continue
                failed = sum(bool(self.judged[job, "standard"].broken()) for job in jobs)
                if failed < 0.9 * len(jobs):
                    columns = len(self.done[jobs[0]]["kinds"])
                    seen = f"{failed} of {len(jobs)}"
                    limits = interval(clopper_pearson(failed, len(jobs)))
                    body.append(row(kind, name, columns, seen, limits))
        if all(job.kind == "null" for job in self.done):
            return [*lines[:2], "No leak was planted yet.", ""]
        if not body:
            return [*lines[:2], "Every kind was blocked in nine splits of ten and more.", ""]
        lines += [*table_head("kind", "table", "columns", "blocked", "95 %"), *body, ""]
        return [
            *lines,
            "A copy that is moved by more than real rows of different people lie apart reads like "
            "a fresh row, whatever the limit. The fewer columns a table has, the sooner that is so. "
            "A release that passed has passed these tests; it is not shown to be free of such "
            "copies.",
            "",
        ]

    def quantiles(self) -> list[str]:
        lines = [
            "## Values on fresh rows beside the limits",
            "",
            "Quantiles of the number that a preset judges over all null splits (`value`, `bound`: "
            "one-sided 95 % bound, `lower`: lower 95 % bound, `over_floor`: value less what train "
            "reads against an equally large holdout, `ceiling_share`: value over what train reads "
            "against holdout). `worst` is the largest, for `>=` the smallest. A limit stands where "
            "the preset judges that number; `report` is measured, not judged.",
            "",
        ]
        head = ("rule", "judged", "n", "5 %", "50 %", "95 %", "worst", *PRESETS)
        lines += table_head(*head)
        jobs = self.of("null")
        lines += self._quantile_rows(jobs, [])
        lines += ["", "By table:", "", *table_head("table", *head)]
        for name in self.tables:
            lines += self._quantile_rows(self.of("null", name), [name])
        return [*lines, ""]

    def _quantile_rows(self, jobs: Sequence[Job], before: list[str]) -> list[str]:
        lines = []
        for rule_id, kinds in self._judged_numbers(jobs).items():
            for judged, limits in kinds.items():
                numbers = self._numbers(jobs, rule_id, None, judged)
                operator = self._operators[rule_id]
                cells = [limits.get(preset, "-") for preset in PRESETS]
                cells = [
                    cell if cell in ("-", "report") else f"{operator} {cell}" for cell in cells
                ]
                lines.append(row(*before, rule_id, judged, *_quantiles(numbers, operator), *cells))
        return lines

    @cached_property
    def _operators(self) -> dict[str, str]:
        from synth_contracts.contract.rules import RULES

        return {rule_id: spec.operator for rule_id, spec in RULES.items()}

    def _judged_numbers(self, jobs: Iterable[Job]) -> dict[str, dict[str, dict[str, str]]]:
        """Rule id -> number that is judged -> preset -> limit, in the order of the rules."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for name, job in {job.table: job for job in jobs}.items():
            kinds = _kinds(self.done[job])
            for preset in PRESETS:
                contract = settled(name, preset, kinds)
                for rule in contract.rules:
                    limits = found.setdefault(rule.metric, {}).setdefault(rule.judged, {})
                    limits[preset] = f"{rule.threshold:g}"
                for metric in contract.report_only:
                    found.setdefault(metric, {}).setdefault("value", {})[preset] = "report"
        known = metric_digests()
        return {
            rule_id: found[rule_id]
            for rule_id in self._operators
            if rule_id in found and rule_id in known
        }

    def _rules(self, family: str) -> list[str]:
        from synth_contracts.contract.rules import RULES

        known = metric_digests()
        there = self._judged_numbers(self.done)
        return [
            rule_id
            for rule_id, spec in RULES.items()
            if spec.family == family and rule_id in known and rule_id in there
            and rule_id not in EXEMPT
        ]  # fmt: skip

    def _numbers(
        self, jobs: Iterable[Job], rule_id: str, preset: str | None, judged: str | None = None
    ) -> list[float]:
        """What a rule reads in each job: the number ``judged``, or the one that ``preset`` judges."""
        from synth_contracts.contract.rules import RULES
        from synth_contracts.expectations.measured import result_from_json
        from synth_contracts.metrics import Measurement

        which: Any = judged or RULES[rule_id].judged_under(preset)
        found = []
        for job in jobs:
            record = self.done[job]
            for key, (metric, column, _) in asked(
                job.table, _kinds(record), all_rules=job.kind == "null"
            ).items():
                if (metric, column) != (rule_id, None):
                    continue
                stored = record["results"].get(key)
                result = result_from_json(_result(stored)) if stored else None
                number = result.number(which) if isinstance(result, Measurement) else None
                if number is not None:
                    found.append(number)
        return found

    def again(self) -> list[str]:
        records = list(self.done.values())
        lines = ["## How it was run", ""]
        if records:
            spent = sum(record["seconds"] for record in records) / 60
            first, last = min(r["at"] for r in records), max(r["at"] for r in records)
            commits = sorted({record["commit"] for record in records})
            known = sorted({json.dumps(record["versions"]) for record in records})
            lines += [
                f"- Seeds: 1 to {max(job.seed for job in self.done)} on each table; a seed draws the "
                "entities, the split, the leak and every sample of the metrics. All kinds of one "
                "seed share one split.",
                f"- Time: {spent:.0f} minutes of CPU, single-threaded, {_day(first)} to {_day(last)}.",
                f"- Code: commit {', '.join(commits)}"
                + (
                    " (+: with changes not yet committed)."
                    if any("+" in c for c in commits)
                    else "."
                ),
            ]
            lines += [
                "- Versions: " + ", ".join(f"{k} {v}" for k, v in json.loads(one).items()) + "."
                for one in known
            ]
        return [
            *lines,
            *([""] if records else []),
            "`make calibrate` runs what is missing and writes this page; stop and start it as you "
            "like. Records lie in target/calibration; they count as long as the code that made "
            "them stands, metric by metric, and limits are applied when the page is written. "
            "`.venv/bin/python tools/calibrate.py --help` tells how to run a part (`--only "
            "baskets/noisy`), a tenth (`--quick`) or the page alone (`--report`).",
        ]


def _rates(counts: Mapping[str, Count], outcomes: Counter[str]) -> list[Any]:
    hits, size = sum(h for h, _ in counts.values()), sum(n for _, n in counts.values())
    if not size:
        return [0, 0, 0, 0, "-", "-", "-", "-", "-"]
    values = list(counts.values())
    return [
        size, *(outcomes[o] for o in OUTCOMES), percent(hits / size),
        interval(clopper_pearson(hits, size)), f"{design_effect(values):.1f}",
        interval(clustered_limits(values)), _worst(counts) if hits else "none",
    ]  # fmt: skip


def _worst(counts: Mapping[str, Count]) -> str:
    name = max(counts, key=lambda n: counts[n][0] / max(1, counts[n][1]))
    return f"{name}: {_rate(counts[name])}"


def _rate(count: Count) -> str:
    hits, size = count
    if not size:
        return "-"
    return f"{hits} of {size} ({interval(clopper_pearson(hits, size))})"


def _quantiles(numbers: Sequence[float], operator: str) -> list[str]:
    if not numbers:
        return ["0", "-", "-", "-", "-"]
    low, middle, high = np.quantile(numbers, [0.05, 0.5, 0.95])
    worst = max(numbers) if operator == "<=" else min(numbers)
    return [str(len(numbers)), *(number(x) for x in (low, middle, high, worst))]


def _spread(numbers: Sequence[float]) -> str:
    if not numbers:
        return "-"
    middle = statistics.median(numbers)
    return f"{number(middle)} ({number(min(numbers))} to {number(max(numbers))})"


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def number(x: float) -> str:
    """Three decimals at most, and no minus before a zero."""
    text = f"{x:.0f}" if abs(x) >= 100 else f"{x:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def percent(share: float) -> str:
    """``2.3 %``."""
    return f"{100 * share:.1f} %"


def interval(limits: tuple[float, float]) -> str:
    """``0.3 to 4.7 %``."""
    return f"{100 * limits[0]:.1f} to {100 * limits[1]:.1f} %"


def row(*cells: Any) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table_head(*names: str) -> list[str]:
    """The first two lines of a Markdown table."""
    return [row(*names), "|" + "---|" * len(names)]


def page(jobs: Sequence[Job], records: Mapping[Any, Record], *, stale: bool = False) -> str:
    """docs/calibration.md out of the records of the jobs that have been run."""
    return Page(jobs, records, stale=stale).text()
