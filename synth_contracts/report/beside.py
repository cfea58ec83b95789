"""How often a guess was right of trained units, of units never seen, and blindly: side by side.

A rate alone says little: an income that is guessed for 45 % of trained households is no leak of
training where it is guessed for 48 % of unseen ones. So the three stand in one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Literal

from synth_contracts.metrics.measurement import Evaluation, Measurement
from synth_contracts.report.meanings import meaning_of
from synth_contracts.report.numbers import finite, rounded

_GUESSES = {
    "singling_out": "A guess at a combination that only one unit has",
    "linkability": "A guess at which two halves of a record belong together",
}


def beside_rows(
    evaluation: Evaluation | None,
    audience: Literal["owner", "analyst"],
    columns: AbstractSet[str],
) -> list[dict[str, Any]]:
    """One JSON object per guess: metric, words, shares right (``trained``, ``unseen``, ``blind``).

    Args:
        evaluation: of the run; None gives no rows.
        audience: the analyst's shares are rounded.
        columns: names that may be printed.

    ``more`` says whether the interval of the gain lies above 0, None where it is not known.
    """
    rows = []
    for result in evaluation.measurements if evaluation else ():
        if isinstance(result, Measurement):
            for words, shares, more in _of(result, columns):
                trained, unseen, blind = (finite(share) for share in shares)
                if trained is None or unseen is None:
                    continue
                if audience == "analyst":
                    trained, unseen, blind = rounded(trained), rounded(unseen), rounded(blind)
                rows.append(
                    {
                        "metric": result.metric,
                        "title": meaning_of(result.metric).title,
                        "words": words,
                        "trained": trained,
                        "unseen": unseen,
                        "blind": blind,
                        "more": more,
                    }
                )
    return rows


def _of(
    result: Measurement, columns: AbstractSet[str]
) -> Iterator[tuple[str, tuple[Any, Any, Any], bool | None]]:
    least = finite(result.lower)
    more = None if least is None else least > 0
    told = result.details
    if result.metric in _GUESSES:
        shares = told.get("rate_train"), told.get("rate_control"), told.get("rate_blind")
        yield _GUESSES[result.metric], shares, more
    found = told.get("columns")
    if result.metric == "attribute_disclosure" and isinstance(found, Mapping):
        for name, column in found.items():
            if isinstance(column, Mapping) and name in columns:
                worst = finite(column.get("value")) == finite(result.value)
                shares = column.get("train"), column.get("holdout"), None
                yield f"{name}, where all look-alikes agree on it", shares, more if worst else None
