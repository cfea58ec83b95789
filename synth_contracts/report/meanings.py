"""What a metric means to a reader of the card: the registry's words, and what only a card needs."""

from __future__ import annotations

from dataclasses import dataclass

from synth_contracts.contract.model import Family
from synth_contracts.metrics import METRICS


@dataclass(frozen=True)
class Meaning:
    """Title and meaning of one metric, and how its margin is to be read.

    ``clean`` is what a table without leak or fault reads, in the metric's own unit: margins are
    told in per cent of the way from there to the limit (None: of the limit itself). ``exact``
    metrics are counts on the released table; they have no sampling error, so are never "close".
    """

    title: str
    meaning: str
    family: Family
    clean: float | None = 0.0
    exact: bool = False


#: One sentence more than the registry has: what follows from the number.
_NOTES = {
    "nearest_neighbor_distance": "A weak witness: it misses rare copies.",
    "k_anonymity": "Counted on the table as it is; generators reach it by recoding.",
    "ks": "0 is the same shape, 1 is nothing in common.",
    "ks_mean": "0 is the same shape, 1 is nothing in common.",
    "ks_max": "0 is the same shape, 1 is nothing in common.",
    "autocorrelation": "Above the limit, forecasts learned from this table are not usable.",
    "recognized_entities": "0 says that no one was recognised beyond chance.",
    "replicated_uniques": "0 says: no more than among units that were not in training.",
    "attribute_disclosure": "0 says: no more than among units that were not in training.",
    "total_variation": "0 is the same mix of categories, 1 is nothing in common.",
    "missingness": "0 is as many empty cells as in unseen real rows.",
    "pair_association": "0 is the same picture for every pair, 1 is nothing in common.",
    "calendar_correlation": "Real days are compared with the same days of the synthetic table.",
    "entity_profile": "0 is the same shape, 1 is nothing in common.",
    "singling_out": "0 says: no more often than among units that were not in training.",
    "linkability": "0 says: no more often than for units that were not in training.",
    "empirical_epsilon": "It refutes claims about a generator and proves none.",
    "forecast_utility": "1 is as good as real rows, 2 is twice the error.",
    "detection": "0.50 says that a classifier cannot tell them apart, 1 that it always can.",
}
#: in the unit of the number that is judged
_CLEAN = {
    "nearest_neighbor_distance": 0.5,
    "k_anonymity": None,
    "l_diversity": None,
    "calendar_correlation": 1.0,
    "detection": 0.5,
    "forecast_utility": 1.0,
}
_EXACT = {"k_anonymity", "l_diversity", "t_closeness", "constraint_violations"}


def meaning_of(metric: str) -> Meaning:
    """Words for ``metric``; an id that the registry does not hold is its own title."""
    known = METRICS.get(metric)
    if known is None:
        return Meaning(metric.replace("_", " ").capitalize(), "", "validity", clean=None)
    note = _NOTES.get(metric)
    return Meaning(
        title=known.title,
        meaning=f"{known.meaning} {note}" if note else known.meaning,
        family=known.family,
        clean=_CLEAN.get(metric, 0.0),
        exact=metric in _EXACT,
    )
