"""Every rule of the contract as one row of the card: state, numbers, margin, ruler, words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal

from synth_contracts.contract.model import Contract, Rule
from synth_contracts.gate import RuleState, Verdict, entities_needed
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured, Result
from synth_contracts.metrics.words import COUNTS
from synth_contracts.report.meanings import Meaning, meaning_of
from synth_contracts.report.numbers import blurred, finite, rounded, rounded_count
from synth_contracts.report.remarks import remarks, warning

Audience = Literal["owner", "analyst"]
State = Literal["holds", "close", "broken", "warns", "not measured", "not asked"]

#: Glyph beside the word, so that no state is told by colour alone.
GLYPHS: dict[str, str] = {
    "holds": "✓",
    "close": "≈",
    "broken": "✕",
    "warns": "!",
    "not measured": "?",
    "not asked": "–",
}
FAMILIES = ("privacy", "fidelity", "validity")
#: A margin under this many per cent is close.
CLOSE = 10.0

_JUDGED = {
    "value": "",
    "lower": "Judged is the lower 95 % bound",
    "bound": "Judged is the one-sided 95 % bound",
    "over_floor": "Judged is what it reads over unseen real rows",
    "ceiling_share": "Judged is the share of what real rows reach",
}


@dataclass(frozen=True)
class _Numbers:
    """The numbers of one rule as the audience may read them; None where there is none."""

    value: float | None
    number: float | None
    lower: float | None
    upper: float | None
    floor: float | None
    ceiling: float | None

    def whole(self) -> _Numbers:
        """Counts as whole numbers, so that nobody reads of 0.00 people; others as they are."""
        return _Numbers(
            *(
                int(number) if number is not None and float(number).is_integer() else number
                for number in (
                    self.value, self.number, self.lower, self.upper, self.floor, self.ceiling,
                )
            )
        )  # fmt: skip


def rule_rows(
    contract: Contract,
    evaluation: Evaluation | None,
    verdict: Verdict,
    audience: Audience,
    columns: AbstractSet[str] = frozenset(),
) -> list[dict[str, Any]]:
    """One JSON object per rule, privacy first, then fidelity, then validity; not asked ones last.

    Args:
        contract: names the rules and which of them are loosened.
        evaluation: floors, ceilings, n; None when nothing could be measured.
        verdict: the state of each rule.
        audience: ``analyst`` gets rounded numbers and no floors.
        columns: names of columns that may be printed where details name one.
    """
    rules = {rule.id: rule for rule in contract.rules}
    results: Mapping[str, Result] = evaluation.results if evaluation else {}
    disabled = {item.id for item in contract.not_asked if item.disabled}
    rows = []
    for state in verdict.states:
        rule = rules.get(state.rule_id)
        result = results.get(state.rule_id)
        row = _row(state, rule, result, audience)
        told = isinstance(result, Measurement) and finite(result.value) is not None
        analyst = audience == "analyst"
        row["remarks"], row["warning"] = [], None
        if told and isinstance(result, Measurement):
            row["remarks"] = remarks(result, analyst=analyst, columns=columns)
            row["warning"] = warning(result, analyst=analyst)
        row["loosened"] = bool(rule and rule.loosened) or state.rule_id in disabled
        rows.append(row)
    order = {name: place for place, name in enumerate(FAMILIES)}
    rows.sort(key=lambda row: (row["state"] == "not asked", order[row["family"]]))
    for family in FAMILIES:
        members = [r for r in rows if r["family"] == family and r["state"] != "not asked"]
        for place, row in enumerate(members, start=1):
            row["code"] = f"{family[0].upper()}{place}"
    return rows


def _row(
    state: RuleState, rule: Rule | None, result: Result | None, audience: Audience
) -> dict[str, Any]:
    words = meaning_of(state.metric)
    numbers = _numbers(state, result, audience)
    limit = finite(state.threshold)
    if state.metric in COUNTS:
        numbers = numbers.whole()
    margin = _margin(words, numbers.number, limit, state.operator)
    measured = result if isinstance(result, Measurement) else None
    return {
        "rule": state.rule_id,
        "code": "",
        "metric": state.metric,
        "column": state.column,
        "family": rule.family if rule else words.family,
        "state": _word(state, words, numbers, limit, margin),
        "severity": state.severity,
        "title": words.title,
        "meaning": words.meaning,
        "operator": state.operator,
        "limit": limit,
        "value": numbers.value,
        "interval": None if numbers.lower is None else [numbers.lower, numbers.upper],
        "judged": state.judged,
        "judged_words": _JUDGED.get(state.judged or "value", ""),
        "number": numbers.number,
        "floor": numbers.floor,
        "ceiling": numbers.ceiling,
        "margin_percent": margin,
        "n": measured.n if measured and audience == "owner" else None,
        "unit": measured.unit if measured else None,
        "method": measured.method if measured and audience == "owner" else None,
        "reason": _reason(state, rule, result, audience),
        "scale": None
        if numbers.value is None or limit is None
        else _scale(words, numbers, limit, state),
    }


def _numbers(state: RuleState, result: Result | None, audience: Audience) -> _Numbers:
    measurement = result if isinstance(result, Measurement) else None
    value, number = finite(state.value), finite(state.number)
    lower, upper = finite(state.lower), finite(state.upper)
    if lower is None or upper is None:
        lower = upper = None
    if audience == "analyst":
        limit = finite(state.threshold)
        short = rounded(number, limit)
        return _Numbers(
            value=short if value == number else rounded(value),
            number=short,
            lower=rounded(lower),
            upper=rounded(upper),
            floor=None,
            ceiling=None,
        )
    return _Numbers(
        value=value,
        number=number,
        lower=lower,
        upper=upper,
        floor=finite(measurement.floor) if measurement else None,
        ceiling=finite(measurement.ceiling) if measurement else None,
    )


def _margin(
    words: Meaning, number: float | None, limit: float | None, operator: str | None
) -> int | None:
    """How far inside (+) or outside (-) the limit, in per cent of the way from clean to limit.

    At most 100: beyond clean is not better than clean. None without a number, and where clean and
    limit coincide (a limit of none at all).
    """
    if number is None or limit is None or operator is None:
        return None
    clean = words.clean
    if operator == ">=":
        distance = number - limit
        room = abs(limit) if clean is None or clean <= limit else clean - limit
    else:
        distance = limit - number
        room = abs(limit) if clean is None or clean >= limit else limit - clean
    if room == 0:
        return None
    percent = max(-9999.0, min(100.0, 100 * distance / room))
    whole = round(percent)
    if whole == 0 and percent < 0:
        return -1
    return whole


def _word(
    state: RuleState,
    words: Meaning,
    numbers: _Numbers,
    limit: float | None,
    margin: int | None,
) -> State:
    if state.status == "passed":
        return "close" if _close(state, words, numbers, limit, margin) else "holds"
    if state.status == "failed":
        return "broken"
    if state.status == "warned":
        return "warns"
    return "not asked" if state.status == "not_asked" else "not measured"


def _close(
    state: RuleState,
    words: Meaning,
    numbers: _Numbers,
    limit: float | None,
    margin: int | None,
) -> bool:
    """A rule that holds, but by little, or whose interval reaches past the limit."""
    if words.exact or limit is None:
        return False
    if margin is not None and margin < CLOSE:
        return True
    on_scale = _limit_on_value_scale(numbers, limit, state)
    if on_scale is None:
        return False
    below = state.operator == "<="
    if state.judged == "lower":
        end = numbers.value
    elif state.judged == "bound":
        end = None  # the bound holds already what the interval would say
    else:
        end = numbers.upper if below else numbers.lower
    return end is not None and (end > on_scale if below else end < on_scale)


def _limit_on_value_scale(numbers: _Numbers, limit: float, state: RuleState) -> float | None:
    """Where the limit lies when the ruler shows values (a limit over the floor starts there)."""
    if state.judged == "over_floor":
        if numbers.floor is not None:
            return numbers.floor + limit
        if numbers.value is not None and numbers.number is not None:
            return round(numbers.value - numbers.number + limit, 3)
        return None
    if state.judged == "ceiling_share":
        if numbers.ceiling is not None:
            return numbers.ceiling * limit
        if numbers.value and numbers.number:
            return round(numbers.value / numbers.number * limit, 3)
        return None
    return limit


def _scale(
    words: Meaning, numbers: _Numbers, limit: float, state: RuleState
) -> dict[str, Any] | None:
    """Positions on the ruler, each from 0 (left) to 1 (right); the limit stands at about half."""
    at = _limit_on_value_scale(numbers, limit, state)
    if at is None or numbers.value is None:
        return None
    clean = words.clean if words.clean is not None else 0.0
    if state.judged == "ceiling_share":
        clean = numbers.ceiling if numbers.ceiling is not None else min(1.0, at / limit)
    room = abs(at - clean) or max(abs(numbers.value - at), 1.0)
    below = state.operator == "<="
    start = at - room * (1.25 if below else 1.0)
    end = at + room * (1.0 if below else 1.25)

    def place(number: float | None) -> float | None:
        if number is None:
            return None
        return round(min(1.0, max(0.0, (number - start) / (end - start))), 3)

    return {
        "limit": place(at),
        "allowed": "left" if below else "right",
        "value": place(numbers.value),
        "lower": place(numbers.lower),
        "upper": place(numbers.upper),
        "floor": place(numbers.floor if below or numbers.floor is not None else numbers.ceiling),
        "number": place(numbers.number) if state.judged in ("lower", "bound") else None,
        "cut": bool(numbers.value < start or numbers.value > end),
    }


_ERROR_NAME = re.compile(r"\b[A-Z][A-Za-z]*(?:Error|Exception|Warning)\b")


def _reason(
    state: RuleState, rule: Rule | None, result: Result | None, audience: Audience
) -> str | None:
    """Why a rule has no verdict, in words that hold no value of the data.

    The text of an exception may quote a value of a row, so of a metric that failed only the name
    of the error is printed. The gate's own words hold exact numbers, which the analyst reads
    rounded.
    """
    if state.status == "not_asked":
        return state.reason.removeprefix("not asked, ")
    if state.status != "not_measured":
        return None
    if isinstance(result, NotMeasured):
        return safe_reason(result, audience)
    if audience == "owner" or not isinstance(result, Measurement):
        return state.reason
    needed = entities_needed(rule, result) if rule and rule.judged == "bound" else None
    if needed is None:
        return "the number that the rule judges could not be had"
    return (
        "too few entities: the value is within the limit, its bound is not; about "
        f"{rounded_count(needed):,} held out would be needed"
    )


def safe_reason(result: NotMeasured, audience: Audience) -> str:
    """The reason of a NotMeasured as a card may print it; an analyst reads counts rounded."""
    if not result.error:
        return result.reason if audience == "owner" else blurred(result.reason)
    name = _ERROR_NAME.search(result.reason)
    return f"an error while measuring ({name.group() if name else 'see the log of the run'})"
