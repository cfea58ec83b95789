"""Privacy attacks one by one, read from the details of the measurements that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from synth_contracts.metrics.measurement import Evaluation, Measurement
from synth_contracts.report.meanings import meaning_of
from synth_contracts.report.numbers import finite, rounded

ATTACK_WORDS: dict[str, str] = {
    "distance": "Distance: how near the nearest synthetic row is",
    "distance_hole": "Distance, turned round: places left empty",
    "calibrated": "Calibrated: nearer to synthetic rows than to other real rows",
    "calibrated_hole": "Calibrated, turned round: places left empty",
    "agreement": "Agreement: columns that are like one synthetic row's beyond chance",
    "agreement_hole": "Agreement, turned round: places left empty",
    "link": "Link: rows of one unit near rows of one synthetic unit",
    "closest": "Closest: the row of one unit that is nearest to a synthetic row",
    "hole": "Hole: places of one unit left empty",
    "aggregate": "Tracing: days of one unit against the published daily totals",
}
_TOGETHER = {
    "union": "in this table or an earlier release",
    "joint": "added up over this table and earlier releases",
}
#: Chances below this are not told apart.
_SMALL = 0.001
_VALUE_KEYS = ("value", "advantage", "score", "tail")


def attack_rows(
    evaluation: Evaluation | None, audience: Literal["owner", "analyst"]
) -> list[dict[str, Any]]:
    """One JSON object per attack: metric, name, value, interval, chance (what guessing reads).

    ``right`` says the value as a share of right answers, where it is one.
    """
    if evaluation is None:
        return []
    rows = []
    for result in evaluation.measurements:
        if isinstance(result, Measurement):
            rows += _of(result, audience)
    return rows


def _of(result: Measurement, audience: str) -> list[dict[str, Any]]:
    rows = []
    for name, found in _named(result.details.get("attacks")):
        value = finite(found if not isinstance(found, Mapping) else _first(found))
        if value is None:
            continue
        lower, upper = _interval(found)
        if audience == "analyst":
            value, lower, upper = rounded(value), rounded(lower), rounded(upper)
        rows.append(
            {
                "metric": result.metric,
                "title": meaning_of(result.metric).title,
                "attack": name,
                "words": _words(name),
                "value": value,
                "interval": None if lower is None or upper is None else [lower, upper],
                "chance": 0.0,
                "right": _right(result.metric, value, found, audience),
                **_gain(found, audience),
                **_exact(found, audience),
            }
        )
    return rows


def _words(name: str) -> str:
    """In words; attacks with earlier releases beside are called ``union x`` and ``joint x``."""
    kind, _, rest = name.partition(" ")
    if kind in _TOGETHER and rest:
        return f"{_words(rest)}, {_TOGETHER[kind]}"
    return ATTACK_WORDS.get(name, name.replace("_", " ").capitalize())


def _right(metric: str, value: float | None, found: Any, audience: str) -> str:
    if value is None:
        return ""
    if metric == "recognized_entities" and audience == "owner" and isinstance(found, Mapping):
        right, guesses = finite(found.get("right")), finite(found.get("guesses"))
        if right is not None and guesses is not None:
            return f"{right:.0f} of {guesses:.0f} guesses{_chance(found)}"
    percent = f"{50 + 50 * max(-1.0, min(1.0, value)):.0f} %"
    if metric in ("membership_inference", "entity_membership_inference"):
        return f"{percent} of its surest guesses (a coin: 50 %){_pairs(found)}"
    if metric == "outlier_membership_inference":
        return f"{percent} of pairs told apart (a coin: 50 %)"
    return ""


def _chance(found: Mapping[str, Any]) -> str:
    """How probable that is by guessing, over all attacks and numbers of guesses."""
    p_value = finite(found.get("p_value"))
    if p_value is None:
        return ""
    return "; p < 0.001" if p_value < _SMALL else f"; p = {p_value:.2g}"


def _gain(found: Any, audience: str) -> dict[str, Any]:
    """``gain`` (2 AUC - 1 over all units) and ``flagged``, where the attack has them."""
    gain = finite(found.get("advantage")) if isinstance(found, Mapping) else None
    if gain is None or "flagged" not in found:
        return {}
    told = rounded(gain) if audience == "analyst" else gain
    return {"gain": told, "flagged": found["flagged"] is True}


def _exact(found: Any, audience: str) -> dict[str, float]:
    """``p_value`` where the attack has one, for the owner."""
    p_value = finite(found.get("p_value")) if isinstance(found, Mapping) else None
    return {} if p_value is None or audience == "analyst" else {"p_value": p_value}


def _pairs(found: Any) -> str:
    """The gain over all units, where the attack gives it: a weak one, but of everybody."""
    gain = finite(found.get("advantage")) if isinstance(found, Mapping) else None
    if gain is None or "value" not in found:
        return ""
    flagged = ", more than chance allows" if found.get("flagged") is True else ""
    return f"; {50 + 50 * gain:.0f} % of all pairs told apart{flagged}"


def _named(attacks: Any) -> list[tuple[str, Any]]:
    """``{name: number or record}`` or a list of records with a name."""
    if isinstance(attacks, Mapping):
        return [(str(name), found) for name, found in attacks.items()]
    if isinstance(attacks, Sequence) and not isinstance(attacks, str):
        records = [item for item in attacks if isinstance(item, Mapping)]
        return [(str(r.get("name") or r.get("attack") or "attack"), r) for r in records]
    return []


def _first(record: Mapping[str, Any]) -> Any:
    return next((record[key] for key in _VALUE_KEYS if key in record), None)


def _interval(found: Any) -> tuple[float | None, float | None]:
    if not isinstance(found, Mapping):
        return None, None
    pair = found.get("interval")
    if isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2:
        return finite(pair[0]), finite(pair[1])
    return finite(found.get("lower")), finite(found.get("upper"))
