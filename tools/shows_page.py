"""docs/shows.md out of what the jobs of `make shows` found."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from scipy.stats import binom

TABLES = ("baskets", "cdnow", "flights", "census_kdd", "adult")
STRICT_TABLES = ("baskets", "cdnow", "flights")
FRAMED_TABLES = ("baskets", "flights")
FRAMED = ("gaussian_copula", "ctgan")
CALENDAR = ("autocorrelation", "calendar_correlation", "hour_profile", "weekday_profile")
#: ctgan at SDV's own 300 epochs on all rows would take hours
GAN_EPOCHS, GAN_ROWS = 10, 20_000
#: Head of a table of builds, a line each by :func:`_outcomes`.
_OUTCOMES = (
    "| table | run | promoted | FAILED | NOT_EVALUATED | why not (seed) |",
    "|---|---|---|---|---|---|",
)


def summary(found: dict[str, Any], jobs: int) -> str:
    """The page out of the results that are there; what is missing is said.

    Args:
        found: job -> what it wrote.
        jobs: how many there are.
    """
    commits = sorted({body["commit"] for body in found.values()})
    lines = [
        "# Measured figures",
        "",
        "Written by `make shows`; do not edit. "
        f"{len(found)} of {jobs} jobs have run, on commit {', '.join(commits) or '-'}.",
        "",
    ]
    lines += _build(found) + _evaluation(found) + _generators(found)
    lines += _streams(found)
    lines += _standard(found) + _strict(found)
    lines += _private(found)
    lines += _replay(found) + _isolated(found) + _framed(found) + _clones(found) + _help(found)
    lines += _epsilon(found)
    return "\n".join(lines) + "\n"


#: Heads of columns that say what a row is of; "run" does where it is the first.
_KEYS = {"table", "seed", "rows", "type", "frame", "leak", "among households", "epsilon", "volume"}


def merged(page: str, new: str) -> str:
    """``new`` with the rows of ``page``'s tables that it lacks: results of another checkout.

    A row that says "not run" is lacking, and a section of which no job has run. Sentences are those
    of ``new`` where any of its jobs has run. The commits of both are named.
    """
    nothing = _parted(summary({}, 0))[1]
    heads, parts = zip(*map(_parted, (page, new)), strict=True)
    commits = sorted({word for head in heads for word in re.findall(r"\b[0-9a-f]{12}\b", head)})
    first = re.sub(
        r"\S+ of (\S+) jobs have run, on commit .*",
        rf"Jobs of commits {', '.join(commits)}; what stands there of other machines is kept.",
        heads[1],
    )
    kept = []
    for title, text in parts[1].items():
        other = parts[0].get(title, "")
        kept.append(_joined(text, other) if text != nothing[title] else other or text)
    return first + "".join(kept)


def _joined(text: str, other: str) -> str:
    """``text`` with the rows of ``other``'s tables that it lacks, all in ``other``'s order."""
    before = {head: rows for head, rows in _pieces(other) if rows}
    out = []
    for head, rows in _pieces(text):
        key = _key_of(head)
        known = {key(row): row for row in before.get(head, [])} if rows else {}
        for row in rows:
            if "| not run |" not in row or key(row) not in known:
                known[key(row)] = row
        out += [head, *known.values()]
    return "\n".join(out)


def _pieces(text: str) -> list[tuple[str, list[str]]]:
    """Lines and their rows: the head of a table with the line under it, a sentence with none."""
    pieces: list[tuple[str, list[str]]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("|---"):
            pieces[-1] = f"{pieces[-1][0]}\n{line}", []
        elif line.startswith("|") and number and lines[number - 1].startswith("|"):
            pieces[-1][1].append(line)
        else:
            pieces.append((line, []))
    return pieces


def _key_of(head: str) -> Callable[[str], tuple[str, ...]]:
    """What tells the rows of a table apart."""
    names = _cells(head.split("\n", maxsplit=1)[0])
    places = [
        place for place, name in enumerate(names)
        if name in _KEYS or (name == "run" and not place)
    ]  # fmt: skip
    return lambda row: tuple(_cells(row)[place] for place in places)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _parted(page: str) -> tuple[str, dict[str, str]]:
    """What stands before the first section, and each section by its title."""
    head, *sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    return head, {text.split("\n", 1)[0]: text for text in sections}


def _build(found: dict[str, Any]) -> list[str]:
    body = found.get("cost-build")
    lines = ["## Cost of one full build", "", "`synth-contracts build --full-refresh` of the demo's "
             "transactions (155,848 rows x 15 columns, preset standard), whole process tree, cold.", ""]  # fmt: skip
    if not body:
        return [*lines, "Not run.", ""]
    lines += ["| run | exit | wall s | peak MiB | steps (s) |", "|---|---|---|---|---|"]
    for number, run in enumerate(body["runs"], 1):
        steps = ", ".join(f"{k} {v:.1f}" for k, v in run["steps"].items())
        lines.append(f"| {number} | {run['exit']} | {run['wall']} | {run['mib']} | {steps} |")
    wall = statistics.median(run["wall"] for run in body["runs"])
    return [*lines, "", f"Median {wall} s; limits 75 s and 3,072 MiB: "
            f"{'held' if body['held'] else 'NOT held'} in every run.", ""]  # fmt: skip


def _evaluation(found: dict[str, Any]) -> list[str]:
    what = (
        "`evaluate()` of a candidate of {} (train and holdout {} rows together, candidate as many), "
        "every rule of standard, positive control and null: a cold process from Parquet files, "
        "start of Python and reading included."
    )
    return [
        *_cost(found.get("cost-evaluation"), "## Cost of one evaluation",
               what.format("the whole baskets", "155,848")),
        *_cost(found.get("cost-items"), "## Cost of one evaluation of a large table",
               what.format("the baskets' line items", "1,469,307")
               + " 16 % of the real rows are exact duplicates."),
    ]  # fmt: skip


def _cost(body: dict[str, Any] | None, heading: str, words: str) -> list[str]:
    lines = [heading, "", words, ""]
    if not body:
        return [*lines, "Not run.", ""]
    lines += ["| run | wall s | of it evaluate() | of it positive control and null | CPU s | peak MiB "
              "| outcome |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for number, run in enumerate(body["runs"], 1):
        lines.append(
            f"| {number} | {run['wall']} | {run['evaluate']} | {run['controls']:.1f} "
            f"| {run.get('cpu', '-')} | {run['tree_mib']} | {run['outcome']} |"
        )
    seconds, mib = body.get("limits", [30, 1024])
    return [*lines, "", f"Limits {seconds} s and {mib:,} MiB: "
            f"{'held' if body['held'] else 'NOT held'} in every run.", ""]  # fmt: skip


def slope(rows: Sequence[float], seconds: Sequence[float]) -> float:
    """The power of the rows with which the seconds grow: least squares of their logarithms."""
    return statistics.linear_regression(
        [math.log(n) for n in rows], [math.log(s) for s in seconds]
    ).slope


def _generators(found: dict[str, Any]) -> list[str]:
    lines = ["## Cost of `calendar_cart`", "",
             "Fit on a whole table and as many rows sampled, with the contracts' own settings. Wall and peak "
             "are of the whole cold process (start of Python, reading, and a digest of the rows made), "
             "the other seconds of `generate` alone. Line items: whole households, drawn.", "",
             "| table | rows | columns | wall s | peak MiB | `generate` s | CPU s | limits |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    done = {job.removeprefix("cost-generate-"): body for job, body in found.items()
            if job.startswith("cost-generate-")}  # fmt: skip
    if not done:
        return [*lines[:3], "Not run.", ""]
    for name, body in done.items():
        seconds, mib = body["limits"]
        lines.append(
            f"| {name.partition('-')[0]} | {body['rows']:,} | {body['columns']} | {body['wall']} "
            f"| {body['mib']:,} | {body['seconds']} | {body['cpu']} | {seconds} s, {mib:,} MiB: "
            f"{'held' if body['held'] else 'NOT held'} |"
        )
    sizes = [body for name, body in done.items() if name.startswith("items")]
    if len(sizes) > 1:
        power = slope([b["rows"] for b in sizes], [b["cpu"] for b in sizes])
        lines += ["", f"CPU seconds of the line items grow with rows to the power of {power:.2f} "
                  f"(least squares of the logarithms, {len(sizes)} sizes)."]  # fmt: skip
    return [*lines, ""]


def _streams(found: dict[str, Any]) -> list[str]:
    lines = ["## Many rows from a small fit", "",
             "`calendar_cart` fitted on the 155,848 baskets; rows generated and staged chunk by chunk, read "
             "back and hashed; whole process tree, cold. Evaluation is not in it: it reads the candidate as "
             "one table.", ""]  # fmt: skip
    done = [body for job, body in found.items() if job.startswith("stream-")]
    if not done:
        return [*lines, "Not run.", ""]
    lines += ["| rows | chunks | wall s | CPU s: fit, first drawing and recoding | CPU s: drawing, staging, "
              "hashing | work.duckdb MiB | peak MiB |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {b['rows']:,} | {b['chunks']} | {b['wall']} | {b['generate']} | {b['stage']} | {b['file']:,} "
        f"| {b['mib']:,} |"
        for b in done
    ]
    held = "held" if all(body["held"] for body in done) else "NOT held"
    return [*lines, "", f"Limit 4,096 MiB: {held}.", ""]


def _builds(found: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    return [(job.rpartition("-")[2], body) for job, body in found.items() if job.startswith(name)]


def _cell(text: str) -> str:
    return text.splitlines()[0].replace("|", "/")


def _standard(found: dict[str, Any]) -> list[str]:
    lines = ["## Five tables at ten generator seeds", "",
             "Preset standard with all columns and roles, nothing loosened, each build with a split key "
             "and a registry of its own.", ""]  # fmt: skip
    lines += _OUTCOMES
    for table in TABLES:
        lines.append(_outcomes(table, _builds(found, f"standard-{table}-")))
    lines += ["", "Asked: at least nine in ten promoted on each.", ""]
    return [*lines, *_recognized(found), *_controls(_builds(found, "standard-baskets-"))]


def _recognized(found: dict[str, Any]) -> list[str]:
    """How often recognized_entities says more than chance: build by build, and over all of them."""
    lines = ["Entities recognised beyond chance, by the lower 95 % bound of recognized_entities over these "
             "builds ([calibration.md](calibration.md), strict: how often it is above 0 for real rows that "
             "nobody learned from). A bound of 95 % is above 0 by chance too, so the p values of the builds "
             "are held against .05 divided by the number of all builds (Bonferroni), and those below .05 are counted:", "",
             "| table | builds | bound above 0 | those bounds, p (seed) |", "|---|---|---|---|"]  # fmt: skip
    chances: list[float | None] = []
    for table in TABLES:
        bounds = [
            (rule["number"], body.get("recognized"), int(seed))
            for seed, body in _builds(found, f"standard-{table}-")
            for rule in body["rules"]
            if rule["metric"] == "recognized_entities" and rule["number"] is not None
        ]
        chances += [chance for _, chance, _ in bounds]
        if not bounds:
            lines.append(f"| {table} | not run | | |")
            continue
        above = [
            f"{bound:.1f}, {'?' if chance is None else f'{chance:.4f}'} ({seed})"
            for bound, chance, seed in bounds
            if bound > 0
        ]
        lines.append(f"| {table} | {len(bounds)} | {len(above)} | {'; '.join(above) or '-'} |")
    return [*lines, "", *_over_all(chances), ""]


#: Of one p value.
_LEVEL = 0.05


def _over_all(chances: list[float | None]) -> list[str]:
    """What several builds say together, with each of them as a look."""
    known = [chance for chance in chances if chance is not None]
    if not known or len(known) < len(chances):
        return [f"Over all {len(chances)} builds: not told, p is not known of each."]
    least, limit = min(known), _LEVEL / len(known)
    often = sum(p < _LEVEL for p in known)
    chance = float(binom.sf(often - 1, len(known), _LEVEL))
    return [
        f"Over all {len(known)} builds measured last the least p is {least:.4f}, the limit {limit:.4f}: "
        f"{'a' if least < limit else 'no'} build alone shows that entities are recognised. In {often} p is "
        f"below {_LEVEL:g}, in as many or more by chance with probability {chance:.3f}: all together "
        f"{'do' if chance < _LEVEL else 'do not'} show it. How far is told in "
        "[generators.md](generators.md#what-members-gain)."
    ]


def _outcomes(table: str, done: list[tuple[str, dict[str, Any]]]) -> str:
    if not done:
        return f"| {table} | not run | | | | |"
    exits = [body["exit"] for _, body in done]
    why = "; ".join(
        f"{_cell(body['message']).partition(': ')[2]} ({int(seed)})"
        for seed, body in done if body["exit"] != 0
    )  # fmt: skip
    told = (len(done), exits.count(0), exits.count(1), exits.count(3), why or "-")
    return f"| {table} | " + " | ".join(str(one) for one in told) + " |"


def _controls(done: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Smallest planted leaks that would have been blocked, over the promoted builds."""
    seen: dict[tuple[str, str], list[tuple[int | None, int]]] = {}
    for _, body in done:
        if body["held"] and body["controls"]:
            for kind in body["controls"]["kinds"]:
                key = (kind["title"], kind["among_words"])
                seen.setdefault(key, []).append((kind["smallest"], kind["largest_tried"]))
    if not seen:
        return []
    lines = ["Smallest leak that the run would have blocked with 80 % power, in households, over the "
             "promoted builds of the baskets:", "",
             "| leak | among households | smallest, median (range) | not even the largest tried |",
             "|---|---|---|---|"]  # fmt: skip
    for (title, among), found in seen.items():
        known = sorted(smallest for smallest, _ in found if smallest is not None)
        blind = len(found) - len(known)
        told = f"{statistics.median(known):g} ({known[0]} to {known[-1]})" if known else "-"
        most = max(largest for _, largest in found)
        lines.append(
            f"| {title} | {among} | {told} | {blind} of {len(found)} (tried up to {most}) |"
        )
    return [*lines, ""]


def _by_value(body: dict[str, Any]) -> list[str]:
    """Rules whose value breaks the limit; those judged by an upper bound by their value too."""
    broken = []
    for rule in body["rules"]:
        number = rule["value"] if rule["judged"] == "bound" else rule["number"]
        holds = number is not None and (
            number <= rule["limit"] if rule["operator"] == "<=" else number >= rule["limit"]
        )
        if not holds and rule["severity"] == "error":
            broken.append(f"{rule['rule']} {'not measured' if number is None else f'{number:.2f}'}")
    return broken if body["rules"] else ["nothing was measured"]


def _strict(found: dict[str, Any]) -> list[str]:
    lines = ["## The same under strict", "", "`volume: model`. By value: every rule's value keeps its limit; "
             "bounds say what is proved at the level the preset asks.", "", *_OUTCOMES]  # fmt: skip
    lines += [_outcomes(table, _builds(found, f"strict-{table}-")) for table in STRICT_TABLES]
    lines += ["", "| table | seed | by value | membership_inference: value, bound (limit) | detection | "
              "forecast_utility |", "|---|---|---|---|---|---|"]  # fmt: skip
    for table in STRICT_TABLES:
        for seed, body in _builds(found, f"strict-{table}-"):
            rules = {rule["rule"]: rule for rule in body["rules"]}
            broken = _by_value(body)
            member = rules.get("membership_inference")
            said = "-"
            if member is not None and member["number"] is not None:
                said = f"{member['value']:.2f}, {member['number']:.2f} ({member['limit']:g})"
            others = [
                f"{rules[name]['number']:.2f}"
                if name in rules and rules[name]["number"] is not None
                else "-"
                for name in ("detection", "forecast_utility")
            ]
            kept = "keeps all" if not broken else "; ".join(broken)
            lines.append(f"| {table} | {int(seed)} | {kept} | {said} | {' | '.join(others)} |")
    return [*lines, "", "Asked: at least half of the seeds keep all limits by value on each.", ""]


def _private(found: dict[str, Any]) -> list[str]:
    lines = ["## The same persons under a guarantee", "",
             "`dp_marginals` on adult at epsilon 5, preset exploratory, each build with a split key, a "
             "registry and a budget of its own; what the noise costs is in "
             "[dp_figures.md](dp_figures.md).", "", *_OUTCOMES]  # fmt: skip
    lines.append(_outcomes("adult", _builds(found, "private-adult-")))
    return [*lines, ""]


def _replay(found: dict[str, Any]) -> list[str]:
    lines = ["## Replayed daily totals against the aggregate attack", "",
             "The baskets' contract with `volume: replay` and with `volume: model`. Gain: 2 AUC - 1 of the "
             "tracing attack over all households; flagged: certainly above .05.", "",
             "| volume | builds | flagged | gain, median (range) | blocked by recognized_entities |",
             "|---|---|---|---|---|"]  # fmt: skip
    for volume, name in (("replay", "replay-"), ("model", "standard-baskets-")):
        done = [b for _, b in _builds(found, name) if b.get("tracing")]
        if not done:
            continue
        gains = sorted(b["tracing"]["gain"] for b in done)
        flagged = sum(bool(b["tracing"]["flagged"]) for b in done)
        blocked = sum("recognized_entities" in b["message"] for b in done)
        lines.append(
            f"| {volume} | {len(done)} | {flagged} | {statistics.median(gains):.2f} "
            f"({gains[0]:.2f} to {gains[-1]:.2f}) | {blocked} |"
        )
    return [*lines, ""]


def _isolated(found: dict[str, Any]) -> list[str]:
    lines = ["## The most isolated entities", "",
             "Isolation: distance from the entity's loneliest row to the nearest real row of another entity. "
             "The 1 % most isolated entities of train, and those of the holdout that are as isolated; "
             "one reappears where a synthetic row comes nearer than half that distance. Chance: one-sided "
             "Fisher test that train's share is not the larger one.", "",
             "| table | seed | of train reappear | of the holdout reappear | chance |",
             "|---|---|---|---|---|"]  # fmt: skip
    done = []
    for table in TABLES:
        for seed, body in _builds(found, f"isolated-{table}-"):
            a, b, c, d = body["told"]
            done.append(body)
            lines.append(
                f"| {table} | {int(seed)} | {a} of {b} | {c} of {d} | {body['chance']:g} |"
            )
    held = sum(bool(body["held"]) for body in done)
    return [
        *lines,
        "",
        f"Asked: no more of train than of the holdout. Measured last: {held} of {len(done)} held.",
        "",
    ]


def _framed(found: dict[str, Any]) -> list[str]:
    lines = ["## SDV's models bare and in the frame", "",
             "The tables' contracts with SDV's model in place of `calendar_cart`, one seed, default "
             "protections, as many rows as the source; `gaussian_copula` on all of train, `ctgan` on "
             f"{GAN_ROWS:,} rows of it for {GAN_EPOCHS} epochs (its own default of 300 would take hours). "
             "Each calendar rule with what it reads and its limit; ✕ does not hold. Seconds of "
             "processor time for fit and sample.", "",
             "| table | type | frame | " + " | ".join(CALENDAR) + " | other rules broken | s |",
             "|---|---|---|" + "---|" * (len(CALENDAR) + 2)]  # fmt: skip
    for table in FRAMED_TABLES:
        for kind in FRAMED:
            for way, words in (("bare", "bare"), ("frame", "framed")):
                body = found.get(f"framed-{table}-{kind}-{way}")
                told = f"| {table} | `{kind}` | {words} | "
                lines.append(told + (_days(body) if body else "not run |" + " |" * 5))
    asked = "Asked: every bare one is blocked by a calendar rule, every framed one keeps all four."
    done = [body for name, body in found.items() if name.startswith("framed-")]
    held = (
        f" Measured last: {sum(bool(b['held']) for b in done)} of {len(done)} held." if done else ""
    )
    return [*lines, "", asked + held, ""]


def _days(body: dict[str, Any]) -> str:
    cells = []
    for name in CALENDAR:
        rule = body["rules"][name]
        mark = {"passed": "", "failed": " ✕"}.get(rule["status"], f" {rule['status']}")
        value = "-" if rule["value"] is None else f"{rule['value']:.3f}"
        cells.append(f"{value} ({rule['limit']:g}){mark}")
    others = [n for n, r in body["rules"].items() if r["status"] == "failed" and n not in CALENDAR]
    return " | ".join([*cells, ", ".join(others) or "-", f"{body['cpu']:g}"]) + " |"


def _clones(found: dict[str, Any]) -> list[str]:
    body = found.get("two-clones")
    lines = ["## Two clones, one split key", ""]
    if not body:
        return [*lines, "Not run.", ""]
    if not body["held"]:
        return [*lines, "NOT held.", ""]
    return [*lines, f"Other path, PYTHONHASHSEED and thread count: {body['rows']:,} rows, "
            "none in one release that is not in the other (EXCEPT ALL both ways).", ""]  # fmt: skip


def _epsilon(found: dict[str, Any]) -> list[str]:
    lines = ["## The audit in one run where the truth is known", ""]
    body = found.get("epsilon-response")
    if body:
        lines += ["Randomised response, which is exactly epsilon-DP: lower bounds at 95 %.", "",
                  "| epsilon | canaries | guesses | at or below the truth | median bound | ceiling |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        lines += [
            f"| {r['epsilon']:g} | {r['canaries']:,} | {r['guesses']} "
            f"| {r['at_or_below']} of {r['runs']} | {r['median']:.2f} | {r['ceiling']:.2f} |"
            for r in body["runs"]
        ]
        lines += ["", "Asked: at least 93 % at or below. "
                  f"{'Held' if body['held'] else 'NOT held'}.", ""]  # fmt: skip
    tables = {name: found.get(f"epsilon-{name}") for name in ("baskets", "flights")}
    lines += ["A bootstrap of the rows of train, and fresh entities, thirds by entity.", "",
              "| table | canaries | bootstrap: lower bound (range) | above 3 | fresh: lower bound, "
              "largest | fresh: 0 |", "|---|---|---|---|---|---|"]  # fmt: skip
    for name, body in tables.items():
        if not body:
            lines.append(f"| {name} | not run | | | | |")
            continue
        copies, fresh = ([r[kind] for r in body["runs"]] for kind in ("bootstrap", "fresh"))
        lines.append(
            f"| {name} | {body['runs'][0]['canaries']} | {min(copies):.2f} to {max(copies):.2f} "
            f"| {sum(b > 3 for b in copies)} of {len(copies)} | {max(fresh):.2f} "
            f"| {sum(b == 0 for b in fresh)} of {len(fresh)} |"
        )
    return [*lines, ""]


def _help(found: dict[str, Any]) -> list[str]:
    body = found.get("help")
    lines = ["## Help", ""]
    if not body:
        return [*lines, "Not run.", ""]
    told = ", ".join(f"`{name}` {ms} ms" for name, ms in body["milliseconds"].items())
    return [*lines, f"Median of seven cold processes: {told}; limit 200 ms.", ""]
