"""What a card says of a guarantee, and what of the run it keeps from whoever gets the rows.

Readings of real rows are covered by no epsilon. The owner, who has the rows, sees them; the
analyst's card of a release under a guarantee says which rules held and nothing more, unless the
contract asks for more (``dp.publishResults``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.contract.guarantee import Guarantee
from synth_contracts.contract.model import Contract

#: Why a number is not on the card.
WITHHELD = "withheld: it was measured on real rows, and no guarantee covers it"
_NUMBERS = (
    "value", "interval", "number", "floor", "ceiling", "margin_percent", "n", "scale",
)  # fmt: skip


def in_words(guarantee: Guarantee | None) -> str:
    """The guarantee in a few words; ``none`` without one."""
    if guarantee is None:
        return "none"
    return (
        f"epsilon {guarantee.epsilon:g}, delta {guarantee.delta:g} per {guarantee.unit}, for the "
        "fit of this table"
    )


def limits_of(contract: Contract) -> list[str]:
    """Sentences about what the guarantee says and does not cover; none without one."""
    asked = contract.generator.guarantee
    if asked is None:
        return []
    rows = asked.rows_per_entity
    said = [
        "Differential privacy: whatever is done with these rows tells of one "
        f"{asked.unit} nearly the same as if it had not been in training. The odds of any guess "
        f"change by a factor of at most e^{asked.epsilon:g}, except with probability "
        f"{asked.delta:g}. The mechanism read at most {rows:,} {'row' if rows == 1 else 'rows'} of "
        "each, and its noise cannot be repeated.",
        "Not covered by it: that this table passed, the number of attempts, and every figure that "
        "was measured on real rows; the size of the source; what the contract's author knew of "
        "the data when bounds and categories were written; other releases of the source by other "
        "generators. Each further fit of the source adds its epsilon.",
    ]
    if contract.roles.entity_key is None:
        said.append(
            "The unit of the guarantee is one row: of a person with several rows it promises "
            "less, epsilon times their number."
        )
    return said


def withholds(contract: Contract, audience: str) -> bool:
    """Whether the card must not tell what was measured on real rows."""
    asked = contract.generator.guarantee
    return asked is not None and audience == "analyst" and not asked.publish_results


def withhold(body: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a card without any reading of real rows: the states of rules stay."""
    out = dict(body)
    out["rules"] = [_row(row) for row in body["rules"]]
    verdict = dict(body["verdict"])
    verdict["close"], verdict["warnings"] = [], []
    out["verdict"] = verdict
    facts = dict(body["facts"])
    facts["entities_train"] = facts["entities_holdout"] = None
    out["facts"] = facts
    out["attacks"], out["beside"], out["reported"] = [], [], []
    out["not_measured"] = []
    out["controls"] = {"missing": WITHHELD}
    out["figures"] = {"missing": WITHHELD}
    return out


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: None if key in _NUMBERS else value for key, value in row.items()}
    kept["state"] = "holds" if row["state"] == "close" else row["state"]
    kept["warning"] = None
    kept["remarks"] = [WITHHELD] if row["state"] != "not asked" else []
    return kept
