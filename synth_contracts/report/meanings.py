"""What every metric means in plain words, for readers who are no statisticians.

Keyed by metric id (see RULES in contract/). ``clean`` is what a table without any leak or fault
reads; margins are told in per cent of the way from there to the limit. ``exact`` metrics are counts
on the released table itself: they have no sampling error, so they are never "close".
"""

from __future__ import annotations

from dataclasses import dataclass

from synth_contracts.contract.model import Family


@dataclass(frozen=True)
class Meaning:
    """Title and meaning of one metric; ``clean`` in the metric's own unit."""

    title: str
    meaning: str
    family: Family
    clean: float | None = 0.0
    exact: bool = False


MEANINGS: dict[str, Meaning] = {
    "membership_inference": Meaning(
        "Membership inference",
        "Can someone who knows a person's record tell that it was used in training? "
        "0 is a coin flip, 1 is every guess right.",
        "privacy",
    ),
    "recognized_entities": Meaning(
        "Recognised for certain",
        "How many persons or units can be recognised as trained on, beyond what chance explains.",
        "privacy",
    ),
    "entity_membership_inference": Meaning(
        "Membership inference, all rows of one unit",
        "The same attack with everything one person or unit did taken together.",
        "privacy",
    ),
    "outlier_membership_inference": Meaning(
        "Membership inference, most unusual records",
        "The same attack on the most isolated records, where copying would show first.",
        "privacy",
    ),
    "identical_match": Meaning(
        "Exact copies of real rows",
        "Share of synthetic rows equal to a trained row in every column but keys, beyond what "
        "unseen real rows reach by chance.",
        "privacy",
    ),
    "nearest_neighbor_distance": Meaning(
        "Nearer to trained rows than to unseen ones",
        "Share of synthetic rows whose nearest real row was used in training. One half is what "
        "chance gives. A weak witness: it misses rare copies.",
        "privacy",
        clean=0.5,
    ),
    "k_anonymity": Meaning(
        "Smallest group on the quasi-identifiers",
        "Fewest units of the released table that share one combination of the columns an "
        "outsider may know. Made true by recoding, then checked.",
        "privacy",
        clean=None,
        exact=True,
    ),
    "replicated_uniques": Meaning(
        "Unique combinations that came out again",
        "Share of real units unique on the quasi-identifiers whose combination is unique in the "
        "synthetic table too, beyond what unseen units reach.",
        "privacy",
    ),
    "attribute_disclosure": Meaning(
        "A sensitive value given away by the rest",
        "Share of real records whose quasi-identifiers point to one sensitive value, rightly, "
        "beyond what holds for unseen records.",
        "privacy",
    ),
    "l_diversity": Meaning(
        "Variety of sensitive values in a group",
        "Fewest different sensitive values within one group on the quasi-identifiers.",
        "privacy",
        clean=None,
        exact=True,
    ),
    "t_closeness": Meaning(
        "Groups unlike the whole",
        "Largest distance between the sensitive values of one group and of the whole table.",
        "privacy",
        exact=True,
    ),
    "singling_out": Meaning(
        "Singling out",
        "Extra success in finding a description that fits exactly one real record.",
        "privacy",
    ),
    "linkability": Meaning(
        "Linkability",
        "Extra success in joining two halves of a real record through the synthetic rows.",
        "privacy",
    ),
    "empirical_epsilon": Meaning(
        "Privacy loss seen by attack",
        "What planted records prove at least about the privacy loss. An attack result, "
        "not a guarantee.",
        "privacy",
    ),
    "ks_mean": Meaning(
        "Shape of numbers, average column",
        "Average gap between the real and the synthetic distribution of numeric columns: "
        "0 the same, 1 nothing in common.",
        "fidelity",
    ),
    "ks_max": Meaning(
        "Shape of numbers, worst column",
        "Largest gap between the real and the synthetic distribution of any numeric column.",
        "fidelity",
    ),
    "ks": Meaning(
        "Shape of one numeric column",
        "Largest gap between the real and the synthetic distribution of this column: "
        "0 the same, 1 nothing in common.",
        "fidelity",
    ),
    "total_variation": Meaning(
        "Mix of categories",
        "Share of rows that would have to change category to restore the real mix, in the worst "
        "column or the one named.",
        "fidelity",
    ),
    "missingness": Meaning(
        "Missing values",
        "Largest difference in how often a column is empty.",
        "fidelity",
    ),
    "pair_association": Meaning(
        "Columns that go together",
        "How far pairs of columns stray from the way they go together in real rows.",
        "fidelity",
    ),
    "autocorrelation": Meaning(
        "Day-to-day rhythm",
        "Largest gap in how strongly one day resembles the days before it, trend taken out. "
        "Above the limit, forecasts learned from this table are not usable.",
        "fidelity",
    ),
    "calendar_correlation": Meaning(
        "Busy and quiet days",
        "Whether busy days are busy in both tables, as a share of what two real halves reach. "
        "Far above 1 would mean that real totals were published.",
        "fidelity",
        clean=1.0,
    ),
    "hour_profile": Meaning(
        "Hours of the day",
        "Share of rows that sit in the wrong hour of the day.",
        "fidelity",
    ),
    "weekday_profile": Meaning(
        "Days of the week",
        "Share of rows that sit on the wrong day of the week.",
        "fidelity",
    ),
    "calendar_profile": Meaning(
        "Calendar as a whole",
        "Share of rows at the wrong hour, weekday, day of month, month or holiday.",
        "fidelity",
    ),
    "entity_profile": Meaning(
        "Rows per unit",
        "Gap between how many rows real and synthetic units have.",
        "fidelity",
    ),
    "detection": Meaning(
        "Can a machine tell real from synthetic?",
        "How well a trained classifier tells them apart: one half is not at all, 1 is always.",
        "fidelity",
        clean=0.5,
    ),
    "forecast_utility": Meaning(
        "Forecasts learned from it",
        "Error of a forecast learned from synthetic days, over one learned from real days.",
        "fidelity",
        clean=1.0,
    ),
    "constraint_violations": Meaning(
        "Declared rules of the table",
        "Synthetic rows that break a declared type, key, allowed value or range.",
        "validity",
        exact=True,
    ),
    "row_count": Meaning("Number of rows", "Rows of the synthetic table.", "validity", None, True),
    "null_values": Meaning("Empty values", "Empty values in the column.", "validity", 0.0, True),
    "duplicate_values": Meaning(
        "Repeated values", "Values that occur more than once.", "validity", 0.0, True
    ),
    "invalid_values": Meaning(
        "Invalid values", "Values outside what the contract allows.", "validity", 0.0, True
    ),
}


def meaning_of(metric: str) -> Meaning:
    """Words for ``metric``; an id without an entry is its own title and is never "close" to clean.

    A test holds this table complete for every rule that a contract can name.
    """
    known = MEANINGS.get(metric)
    if known is not None:
        return known
    return Meaning(metric.replace("_", " ").capitalize(), "", "validity", clean=None)
