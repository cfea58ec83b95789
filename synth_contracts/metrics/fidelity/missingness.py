"""missingness: shares of missing values, synthetic against holdout, the column furthest off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics.cells import Floats
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.intervals import clustered_variance, normal
from synth_contracts.metrics.matching import Matched, Three
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import limits, need_features, need_rows

ID = "missingness"


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Absolute difference, 0 .. 1, of the null shares of the column furthest over its own floor.

    Read in the protected view (``Comparison.matched``): a column that has no value for grouped
    categories groups them into null, and a rare null may be grouped into a value.

    Raises:
        CannotMeasure: no column but keys, an empty table, or too few entities for k.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_features(comparison)
    names = sorted(field.name for field in comparison.schema.features)
    samples = range(comparison.repeats)
    gaps, floors = _gaps([comparison.matched(i) for i in samples], names)
    raw, raw_floors = _gaps([comparison.matched_raw(i) for i in samples], names)
    own, own_floors = np.diag(gaps), np.diag(floors)
    # the floor of a column that misses whole entities must not hide a fault in a clean one
    worst = int(np.argmax(own - own_floors))
    value = float(own[worst])
    _, holdout, synthetic = comparison.matched(0)
    variance = 0.0
    for side in (holdout, synthetic):
        null = _nulls(side, [names[worst]])[:, 0]
        variance += clustered_variance((null - null.mean()) / len(null), side.entity)
    upper = np.triu(gaps, 1)
    first, second = np.unravel_index(int(np.argmax(upper)), upper.shape)
    return Measurement(
        metric=ID,
        value=value,
        n=comparison.synthetic_side.rows,
        unit="synthetic rows",
        direction="lower_is_better",
        method=f"difference of null shares, the furthest over its floor of {len(names)} columns, "
        f"at {holdout.entities} entities a side, mean of {comparison.repeats} samples; limits "
        "clustered by entity on both sides",
        compared_with="holdout",
        floor=float(own_floors[worst]),
        **limits(normal(value, variance, lowest=0, highest=1)),
        details={
            "worst": names[worst],
            "raw": float(raw[worst, worst]),
            "raw_floor": float(raw_floors[worst, worst]),
            "columns": {
                name: {"value": float(own[i]), "floor": float(own_floors[i])}
                for i, name in enumerate(names)
            },
            "pair": float(upper[first, second]),
            "pair_floor": float(np.triu(floors, 1).max()),
            "pair_columns": [names[first], names[second]] if first != second else [],
        },
    )


def _nulls(side: Matched, names: list[str]) -> Floats:
    """1.0 where a value is missing, shape (rows, columns)."""
    return np.column_stack([side.frame[name].isna().to_numpy() for name in names]).astype(float)


def _gaps(tables: list[Three], names: list[str]) -> tuple[Floats, Floats]:
    """Differences of joint null shares, shape (columns, columns), the columns on the diagonal.

    Synthetic against holdout and train against holdout; means over the samples, then absolute:
    a difference that changes sign from sample to sample is no difference.
    """
    signed: list[npt.NDArray[np.float64]] = []
    floors: list[npt.NDArray[np.float64]] = []
    for three in tables:
        train, holdout, synthetic = (
            (null := _nulls(side, names)).T @ null / len(null) for side in three
        )
        signed.append(synthetic - holdout)
        floors.append(np.abs(train - holdout))
    return np.abs(np.mean(signed, axis=0)), np.asarray(np.mean(floors, axis=0))
