"""nearest_neighbor_distance: share of synthetic rows nearer to train than to holdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import clustered_variance, normal, sample
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.neighbours import Vectors, search
from synth_contracts.metrics.results import limits, need_features, need_rows, need_split

ID = "nearest_neighbor_distance"
#: Synthetic rows that are asked; the real side is never sampled but to equal entities.
MOST_QUERIES = 25_000
#: Both sides miss as many neighbours (recall .98), so fewer probes are enough.
_PROBES = 16


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Share in 0 .. 1; one half is what chance gives. Ties count half on each side.

    Both sides hold the same number of entities (the larger one sampled down, seeded).

    Raises:
        CannotMeasure: an empty table, no feature, or entities in train and holdout.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    need_split(comparison)
    size = min(comparison.train_side.entities, comparison.holdout_side.entities)
    references: list[tuple[Vectors, Ints]] = []
    for name, side, vectors in (
        ("train", comparison.train_side, comparison.vectors[0]),
        ("holdout", comparison.holdout_side, comparison.vectors[1]),
    ):
        chosen = sample(comparison.rng(f"nearest {name}"), side.entities, size)
        kept = chosen[side.entity]
        references.append((vectors[kept], side.entity[kept]))
    synthetic = comparison.synthetic_side
    asked = np.arange(synthetic.rows)
    if synthetic.rows > MOST_QUERIES:
        asked = comparison.rng("nearest queries").permutation(synthetic.rows)[:MOST_QUERIES]
    queries = comparison.vectors[2][asked]
    (to_train, train_rows), (to_holdout, holdout_rows) = (
        search(queries, reference, 2, probes=_PROBES) for reference, _ in references
    )
    near, far = to_train[:, 0], to_holdout[:, 0]
    nearer = (near < far) + 0.5 * (near == far)
    share = float(np.mean(nearer))
    variance = clustered_variance((nearer - share) / len(nearer), synthetic.entity[asked])
    for (_, entity), rows, credit, lost in (
        (references[0], train_rows, nearer, 1 - share),
        (references[1], holdout_rows, 1 - nearer, share),
    ):
        variance += _entity_variance(entity[rows[:, 0]], credit * lost / len(nearer))
    return Measurement(
        metric=ID,
        value=share,
        n=len(nearer),
        unit="synthetic rows",
        direction="lower_is_better",
        method=f"share nearer to {size} train entities than to {size} holdout entities, ties "
        "split evenly; limits clustered by synthetic and by real entity",
        compared_with="an equal number of holdout entities",
        **limits(normal(share, variance, lowest=0, highest=1)),
        details={
            "ties": float(np.mean(near == far)),
            "rows_train": len(references[0][0]),
            "rows_holdout": len(references[1][0]),
            "distance_ratio_5th_percentile": _ratio(
                float(np.quantile(near, 0.05)), float(np.quantile(far, 0.05))
            ),
            "nearest_neighbor_distance_ratio_train": _median_ratio(to_train),
            "nearest_neighbor_distance_ratio_holdout": _median_ratio(to_holdout),
        },
    )


def _entity_variance(entity: Ints, moved: Floats) -> float:
    """Jackknife variance over real entities, shape (queries,) each.

    Without an entity, the rows that were nearest to it fall to the next, which lies on the other
    side as often as the other side wins elsewhere: ``moved``.
    """
    return float(np.sum(np.bincount(entity, weights=moved) ** 2))


def _ratio(over: float, under: float) -> float | None:
    return over / under if under > 0 else None


def _median_ratio(distances: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """Median of nearest over second nearest distance; None without a second neighbour."""
    first, second = distances[:, 0], distances[:, 1]
    known = np.isfinite(second) & (second > 0)
    return float(np.median(first[known] / second[known])) if known.any() else None
