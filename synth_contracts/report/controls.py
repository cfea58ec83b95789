"""The positive control of a run in words: how small a leak the attacks would have seen.

Reads ``Evaluation.controls``: leaks of known size were planted into copies of the candidate, and
each copy was judged by the run's own rules. ``smallest`` is the size in entities from which on a
leak was blocked with the stated power; None says that not even the largest one tried was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from synth_contracts.contract.model import Contract
from synth_contracts.gate import BLIND_KINDS
from synth_contracts.metrics.measurement import Evaluation
from synth_contracts.report.meanings import meaning_of
from synth_contracts.report.numbers import blurred, finite, rounded

KINDS: dict[str, str] = {
    "exact": "Exact rows",
    "noisy": "Noisy copies of rows",
    "interpolated": "Mixtures of two rows",
    "whole_entities": "Whole {many}",
}
AMONG = {"random": "picked at random", "isolated": "among the most unusual"}


def controls(
    contract: Contract, evaluation: Evaluation | None, audience: Literal["owner", "analyst"]
) -> dict[str, Any] | None:
    """What was planted and found, as JSON; ``{"missing": why}``, or None where none was asked.

    The analyst gets sizes and powers, which belong to the experiment; what each attack read at
    each size is left to the owner.
    """
    given = getattr(evaluation, "controls", None) if evaluation else None
    if not isinstance(given, Mapping):
        return None
    most = contract.blind_above
    kinds = [
        _kind(item, most, audience, contract)
        for item in given.get("kinds") or ()
        if isinstance(item, Mapping)
    ]
    order = list(KINDS)
    kinds.sort(key=lambda kind: order.index(kind["kind"]) if kind["kind"] in order else len(order))
    if not kinds:
        return {"missing": _said(given.get("reason"), audience) or "no leak was planted"}
    power = finite(given.get("power")) or 0.8
    return {
        "power_percent": round(100 * power),
        "replicates": given.get("replicates"),
        "rules": [str(rule) for rule in given.get("rules") or ()],
        "sentences": _sentences(kinds, contract),
        "kinds": kinds,
        "null": _null(given.get("null"), audience),
        "blind_above": most,
        "blind": _grouped([kind for kind in kinds if kind["blind"]]),
        "unseen": _grouped([k for k in kinds if k["smallest"] is None and not k["reason"]]),
    }


def noun(contract: Contract) -> tuple[str, str]:
    """One and many of what the contract protects: ``household_id`` reads household, households."""
    key = contract.roles.entity_key
    if key is None:
        return "row", "rows"
    name = key.casefold()
    for ending in ("_id", "_key", "_no", "_nr"):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            one = name.removesuffix(ending).replace("_", " ")
            return one, f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return "unit", "units"


def _kind(
    item: Mapping[str, Any], most: int | None, audience: str, contract: Contract
) -> dict[str, Any]:
    _, many = noun(contract)
    name, among = str(item.get("kind")), str(item.get("among") or "random")
    smallest, largest = _count(item.get("smallest")), _count(item.get("largest_tried"))
    words = KINDS.get(name, name.replace("_", " ").capitalize()).format(many=many)
    return {
        "kind": name,
        "among": among,
        "title": words,
        "among_words": AMONG.get(among, among),
        "smallest": smallest,
        "largest_tried": largest,
        "blocked_by": [
            {"rule": str(rule), "title": meaning_of(str(rule)).title}
            for rule in item.get("blocked_by") or ()
        ],
        # a kind that could not be planted says why; it is neither seen nor unseen
        "reason": _said(item.get("reason"), audience),
        "note": _said(item.get("note"), audience),
        "blind": bool(
            most is not None
            and name in BLIND_KINDS
            and not item.get("reason")
            and (smallest is None or smallest > most)
        ),
        "curve": _curve(item.get("curve"), audience),
    }


def _said(words: Any, audience: str) -> str | None:
    """Words of the record; counts of real units in them are rounded for the analyst."""
    if not words:
        return None
    return str(words) if audience == "owner" else blurred(str(words))


def _count(number: Any) -> int | None:
    found = finite(number)
    return None if found is None else round(found)


def _curve(points: Any, audience: str) -> list[dict[str, Any]]:
    out = []
    for point in points or ():
        if not isinstance(point, Mapping):
            continue
        entities, power = _count(point.get("entities")), finite(point.get("power"))
        if entities is None or power is None:
            continue
        record: dict[str, Any] = {"entities": entities, "power": round(power, 2)}
        if audience == "owner":
            record["rows"] = _count(point.get("rows"))
            readings = point.get("readings")
            record["readings"] = {
                str(metric): value
                for metric, value in (
                    (metric, finite(found))
                    for metric, found in (readings if isinstance(readings, Mapping) else {}).items()
                )
                if value is not None
            }
        out.append(record)
    return sorted(out, key=lambda record: int(record["entities"]))


def _sentences(kinds: Sequence[Mapping[str, Any]], contract: Contract) -> list[str]:
    """One line per kind of leak: from which size on it would have been blocked, if at all."""
    _, many = noun(contract)
    parts: dict[str, list[str]] = {}
    for kind in kinds:
        among = kind["among_words"]
        if kind["reason"]:
            words = f"could not be planted ({among}), {kind['reason']}"
        elif kind["smallest"] == 0:
            words = f"{among}, the candidate is blocked as it is"
        elif kind["smallest"] is not None:
            words = f"from {kind['smallest']:,} {many} {among} on"
        elif kind["largest_tried"]:
            words = f"not even {kind['largest_tried']:,} {many} {among}"
        else:
            words = f"never {among}"
        parts.setdefault(kind["title"], []).append(words)
    return [f"{title}: {'; '.join(words)}." for title, words in parts.items()]


def _grouped(kinds: Sequence[Mapping[str, Any]]) -> list[str]:
    """One entry per kind of leak, with where it was taken from."""
    among: dict[str, list[str]] = {}
    for kind in kinds:
        among.setdefault(_lower(kind["title"]), []).append(kind["among_words"])
    return [f"{title} ({' and '.join(places)})" for title, places in among.items()]


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]


def _null(given: Any, audience: str) -> dict[str, Any] | None:
    if not isinstance(given, Mapping):
        return None
    readings = given.get("readings")
    if not isinstance(readings, Mapping) or not readings:
        reason = _said(given.get("reason"), audience)
        return {"missing": reason} if reason else None
    rows = []
    for metric, found in readings.items():
        record = found if isinstance(found, Mapping) else {"value": found}
        value, lower, upper = (finite(record.get(key)) for key in ("value", "lower", "upper"))
        if audience == "analyst":
            value, lower, upper = rounded(value), rounded(lower), rounded(upper)
        rows.append(
            {
                "metric": str(metric),
                "title": meaning_of(str(metric)).title,
                "value": value,
                "interval": None if lower is None or upper is None else [lower, upper],
                "reason": _said(record.get("reason"), audience),
            }
        )
    what = _said(given.get("what"), audience) or "real rows in the place of synthetic ones"
    return {"what": what, "readings": rows}
