"""nearest_neighbor_distance: share of synthetic rows nearer to train than to holdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synth_contracts.metrics.cells import Floats, Ints
from synth_contracts.metrics.comparison import MOST_QUERIES, Comparison
from synth_contracts.metrics.intervals import clustered_variance, normal
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.neighbours import search
from synth_contracts.metrics.results import limits, need_features, need_rows, need_split

ID = "nearest_neighbor_distance"
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
    kept = comparison.level
    owners = [
        side.entity[mask]
        for side, mask in zip((comparison.train_side, comparison.holdout_side), kept, strict=True)
    ]
    synthetic = comparison.synthetic_side
    asked = np.arange(synthetic.rows)
    both = comparison.both_ways
    if both is not None:
        (to_train, train_rows), (to_holdout, holdout_rows) = (both.back(n, 2) for n in range(2))
    else:
        if synthetic.rows > MOST_QUERIES:
            drawn = comparison.rng("nearest queries").permutation(synthetic.rows)
            asked = drawn[:MOST_QUERIES]
        queries = comparison.vectors[2][asked]
        (to_train, train_rows), (to_holdout, holdout_rows) = (
            search(queries, vectors[mask], 2, probes=_PROBES)
            for vectors, mask in zip(comparison.vectors, kept, strict=False)
        )
    near, far = to_train[:, 0], to_holdout[:, 0]
    nearer = (near < far) + 0.5 * (near == far)
    share = float(np.mean(nearer))
    variance = clustered_variance((nearer - share) / len(nearer), synthetic.entity[asked])
    for entity, rows, credit, lost in (
        (owners[0], train_rows, nearer, 1 - share),
        (owners[1], holdout_rows, 1 - nearer, share),
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
            "rows_train": len(owners[0]),
            "rows_holdout": len(owners[1]),
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
