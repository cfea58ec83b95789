"""What the generator's protections did: counts for the owner, which were on for the analyst.

Counts stay in the house. They count cells of real rows: those of two runs, before and after one
person came, tell of that person, and no rounding helps a count that moves over its edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.contract.model import Contract
from synth_contracts.report.rules import Audience

_WORDS = (
    ("rare_category", "values that too few hold are taken together, and small classes recoded"),
    ("top_code", "both tails of numbers and dates are cut at the k-th most extreme"),
    ("reject", "rows too near a real outlier are drawn again"),
)


def protections(
    contract: Contract, counted: Mapping[str, Any] | None, audience: Audience
) -> dict[str, Any]:
    """``on`` and ``off``, sentences; for the owner also ``counts`` where they are known."""
    outliers = contract.generator.outliers
    private = contract.generator.guarantee is not None
    on = [words for name, words in _WORDS if getattr(outliers, name)]
    off = [] if private else [words for name, words in _WORDS if not getattr(outliers, name)]
    found: dict[str, Any] = {"on": on, "off": off}
    if audience == "owner" and counted is not None:
        found["counts"] = dict(counted)
    return found
