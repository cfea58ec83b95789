"""What this run did not measure, in words a reader can weigh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synth_contracts.contract.model import Contract
from synth_contracts.metrics.measurement import Evaluation, NotMeasured
from synth_contracts.report.meanings import meaning_of
from synth_contracts.report.rules import Audience, safe_reason

#: True of every run of this version, whatever the contract.
STANDING = (
    "The attacks know the synthetic rows and other real records, not the generator itself. "
    "Shadow-model attacks were not run: a stronger attacker may reach more than is shown here.",
    "Records moved far enough from the real one, in tables of few columns above all, look like "
    "fresh records to these attacks.",
    "Linking this table with other data was not tested.",
    "Fairness between groups, and structure across more columns than the rules name, "
    "were not tested.",
    "Whether this table may be used for a purpose, and what it is in law, is the decision of the "
    "person who signs below. This card is evidence for it, not the decision.",
)

#: Said unless the metric was measured.
_UNLESS_MEASURED = {
    "entity_membership_inference": (
        "Membership was attacked record by record. An attack that takes all records of one {unit} "
        "together was not run."
    ),
    "outlier_membership_inference": (
        "The most unusual records were not attacked separately; they stand among all others."
    ),
    "attribute_disclosure": (
        "Whether a sensitive value can be inferred from the other columns was not tested."
    ),
    "singling_out": "Singling out and linkability attacks were not run.",
    "recognized_entities": "How many of the {unit} are recognised for certain was not counted.",
    "replicated_uniques": (
        "Whether combinations that one {unit} alone holds come back was not counted."
    ),
    "calendar_correlation": (
        "Whether the series follows the real one day by day, as replayed totals would, "
        "was not measured."
    ),
    "detection": "No classifier was trained to tell real from synthetic rows.",
    "pair_association": "How columns go together was not measured.",
    "entity_profile": "How many rows one {unit} has, and when it comes back, was not measured.",
    "forecast_utility": "No forecast was trained and compared.",
    "missingness": "How often columns are empty was not compared.",
    "total_variation": "The mix of categories was not compared column by column.",
}
_NEEDS_UNIT = {"entity_membership_inference", "entity_profile"}
_NEEDS_TIME = {"forecast_utility", "calendar_correlation"}


def limits(
    contract: Contract,
    evaluation: Evaluation | None,
    controls: Mapping[str, Any] | None = None,
    audience: Audience = "owner",
) -> list[str]:
    """Sentences about what was not measured: standing ones, and those that follow from the run.

    ``controls`` is the positive control as the card tells it (controls.py).
    """
    measured = {result.metric for result in evaluation.measurements} if evaluation else set()
    unit = contract.roles.entity_key or "row"
    said = list(STANDING[:2])
    said[1] = f"{said[1]} {_found(controls)}"
    for metric, words in _UNLESS_MEASURED.items():
        asked_of_nothing = (metric in _NEEDS_UNIT and contract.roles.entity_key is None) or (
            metric in _NEEDS_TIME and contract.roles.time_index is None
        )
        if metric not in measured and not asked_of_nothing:
            said.append(words.format(unit=unit))
    if contract.roles.entity_key is None:
        said.append(
            "The contract names no entity key: every row counts as a person of its own. Where one "
            "person has several rows, the privacy figures are too good."
        )
    return [*said, beside(evaluation, audience), *STANDING[2:]]


def beside(evaluation: Evaluation | None, audience: Audience) -> str:
    """What was held together with this table; the analyst is told how many and nothing else."""
    told = evaluation.beside if evaluation else {}
    if "releases" not in told:
        return "Linking this table with other releases of the same source was not tested."
    ids, left = told["releases"], told.get("not_compared", ())
    said = "No earlier release of the same source stood beside this table."
    if ids:
        named = f" ({', '.join(ids)})" if audience == "owner" else ""
        one = len(ids) == 1
        said = (
            f"The membership attacks held {_many(len(ids))} of the same source{named} beside this "
            f"table; {'its' if one else 'their'} rows were not measured otherwise."
        )
    if audience == "analyst":
        return said
    if left:
        said += f" {_some(left, 'has')} no column in common and could not be compared."
    if told.get("other_columns"):
        said += f" {_some(told['other_columns'], 'was')} compared by the columns in common alone."
    if told.get("other_split"):
        said += (
            f" {_some(told['other_split'], 'was')} made under another split: its training rows "
            "may stand in this holdout, and what it gives away of them is understated."
        )
    if told.get("revoked"):
        said += f" Exported before and revoked, so left out: {told['revoked']}."
    return said


def _many(count: int) -> str:
    return "1 earlier release" if count == 1 else f"{count} earlier releases"


def _some(ids: Sequence[str], verb: str) -> str:
    plural = {"has": "have", "was": "were"}
    return f"{len(ids)} of them {verb if len(ids) == 1 else plural[verb]}"


def _found(controls: Mapping[str, Any] | None) -> str:
    """What the positive control has to say about leaks that pass for fresh records."""
    if not controls or "missing" in controls:
        return "No leak was planted to find out how small a leak this run would have seen" + (
            f" ({controls['missing']})." if controls else "."
        )
    if controls["unseen"]:
        return f"Planted to try it, and not seen at any size: {'; '.join(controls['unseen'])}."
    return "Leaks of every kind planted to try it were seen, from the sizes given above on."


def not_measured(evaluation: Evaluation | None, audience: Audience) -> list[dict[str, Any]]:
    """Metrics that were tried and gave no number, with the reason."""
    if evaluation is None:
        return []
    return [
        {
            "metric": result.metric,
            "column": result.column,
            "title": meaning_of(result.metric).title,
            "reason": safe_reason(result, audience),
        }
        for result in evaluation.measurements
        if isinstance(result, NotMeasured)
    ]
