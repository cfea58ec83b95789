"""What every registered metric must come with, and which laws do not hold for which, and why.

A metric that is registered without its page, its tests, its laws or a patch of `make sabotage`
fails the tests: :func:`lacking` says what is missing.
"""

from __future__ import annotations

from pathlib import Path

import sabotage

from synth_contracts.contract.rules import RULES
from synth_contracts.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("## In plain words", "## Definition", "## Interval", "## Choosing the limit",
         "## What it cannot see")  # fmt: skip

#: Privacy metrics that compare with train -> the largest value of a clean small table.
CLEAN = {
    "membership_inference": 0.25,
    "recognized_entities": 5,
    "entity_membership_inference": 0.40,
    "outlier_membership_inference": 0.25,
    "nearest_neighbor_distance": 0.60,
    "identical_match": 0.005,
    "replicated_uniques": 0.05,
    "empirical_epsilon": 0.13,
    "singling_out": 0.09,
    "linkability": 0.09,
    "attribute_disclosure": 0.05,
}

_RELEASED = "looks at the released table alone: fresh people and trained ones are the same to it"
#: law -> metric -> why the law says nothing about it. A law is asked of one family.
EXEMPT: dict[str, dict[str, str]] = {
    "null": {
        "k_anonymity": _RELEASED + ", and rows that nobody recoded may be unique",
        "l_diversity": _RELEASED,
        "t_closeness": _RELEASED,
    },
    "worst": {
        "k_anonymity": _RELEASED,
        "l_diversity": _RELEASED,
        "t_closeness": _RELEASED,
    },
    "best": {},
}
#: law -> the family that it is asked of. Of validity the laws of order, seed and bad data alone
#: are asked: it compares with what is declared, not with rows.
LAWS = {"null": "privacy", "worst": "privacy", "best": "fidelity"}


def under(law: str) -> list[str]:
    """The registered metrics that a law is asked of, by name."""
    family = [name for name, metric in METRICS.items() if metric.family == LAWS[law]]
    return sorted(name for name in family if name not in EXEMPT[law])


def lacking(metric: str, root: Path = ROOT) -> list[str]:
    """What a registered metric lacks, in words; nothing for one that is complete.

    Args:
        metric: an id of METRICS.
        root: the checkout whose files are looked at.
    """
    found = []
    page = root / "docs" / "metrics" / f"{metric}.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if not text.startswith(f"# {metric}\n"):
        found.append("no docs page")
    found += [f"its docs page has no part {part!r}" for part in PARTS if text and part not in text]
    if not (root / "tests" / "metrics" / f"test_{metric}.py").exists():
        found.append("no test file")
    if metric not in RULES:
        found.append("no rule")
    elif (RULES[metric].family, RULES[metric].scope) != (
        METRICS[metric].family, METRICS[metric].scope
    ):  # fmt: skip
        found.append("its rule is of another family or scope")
    if METRICS[metric].family == "privacy" and metric not in CLEAN:
        missing = [law for law in ("null", "worst") if metric not in EXEMPT[law]]
        found += [f"not covered by the law {law!r}" for law in missing]
    if metric not in {patch.metric for patch in sabotage.patches()}:
        found.append("no patch of `make sabotage` breaks it")
    return found
