"""entity_profile: rows per entity, and what else entities are like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.distributions import FLOOR_SAMPLES, ks_two_sample
from synth_contracts.metrics.intervals import clustered_variance, normal, sample
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, limits, need_rows, need_split
from synth_contracts.metrics.series import stamps
from synth_contracts.tables import NUMERIC

ID = "entity_profile"
_DAY_NS = 86_400e9


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """KS distance in 0 .. 1 of rows per entity, synthetic against holdout.

    The numbers of entities may differ: rows per entity do not grow with them. Details hold the KS
    of the gaps between visits (days), of each numeric column's sum per entity, and the shares of
    entities with more than one row. Rows with a null key belong to nobody and are left out.

    Raises:
        CannotMeasure: no entity key, or a table in which no row has one.
    """
    need_rows(comparison, "train", "holdout", "synthetic")
    need_split(comparison)
    key = comparison.schema.roles.entity_key
    if key is None:
        raise CannotMeasure("no entity key")
    train, holdout, synthetic = (
        _people(getattr(comparison, f"{name}_side"), name, key, comparison)
        for name in ("train", "holdout", "synthetic")
    )
    found = ks_two_sample(synthetic.rows, holdout.rows)
    variance = clustered_variance(found.influence_left, np.arange(len(synthetic.rows)))
    variance += clustered_variance(found.influence_right, np.arange(len(holdout.rows)))
    return Measurement(
        metric=ID,
        value=found.value,
        n=len(synthetic.rows),
        unit="synthetic entities",
        direction="lower_is_better",
        method="two-sample Kolmogorov-Smirnov of rows per entity; limits from the variance at the "
        "largest gap, over entities on both sides",
        compared_with="holdout",
        floor=_floor(comparison, train, holdout),
        **limits(normal(found.value, variance, lowest=0, highest=1)),
        details={
            "entities_holdout": len(holdout.rows),
            "gaps": _distance(synthetic.gaps, holdout.gaps),
            "gaps_floor": _distance(train.gaps, holdout.gaps),
            "sums": {
                name: _distance(synthetic.sums[name], holdout.sums[name]) for name in holdout.sums
            },
            "sums_floor": {
                name: _distance(train.sums[name], holdout.sums[name]) for name in holdout.sums
            },
            "repeat_share_synthetic": float(np.mean(synthetic.rows > 1)),
            "repeat_share_holdout": float(np.mean(holdout.rows > 1)),
            "rows_without_key": synthetic.without_key,
        },
    )


@dataclass(frozen=True)
class _People:
    """Per entity: rows and sums of each numeric column; all gaps between visits, in days."""

    rows: Floats
    sums: Mapping[str, Floats]
    gaps: Floats | None
    without_key: int


def _people(side: Side, name: str, key: str, comparison: Comparison) -> _People:
    known = side.frame[key].notna().to_numpy()
    if not known.any():
        raise CannotMeasure(f"no row of the {name} table has an entity key")
    owner: Ints = np.unique(side.entity[known], return_inverse=True)[1].astype(np.int64)
    sums = {}
    for field in sorted(comparison.schema.of(NUMERIC), key=lambda f: f.name):
        numbers = side.frame[field.name].to_numpy(dtype=np.float64)[known]
        # an infinite amount cannot be summed; the rules on columns and constraints see it
        total = np.bincount(owner, np.where(np.isfinite(numbers), numbers, 0.0))
        sums[field.name] = total.astype(np.float64)
    return _People(
        np.bincount(owner).astype(np.float64),
        sums,
        _gaps(side, owner, known, comparison),
        int(np.sum(~known)),
    )


def _gaps(
    side: Side, owner: Ints, known: np.ndarray[Any, np.dtype[np.bool_]], comparison: Comparison
) -> Floats | None:
    """Days between consecutive rows of an entity; None without a time index."""
    name = comparison.schema.roles.time_index
    if name is None or name not in side.columns:
        return None
    times = stamps(side, name)[known]
    timed = ~np.isnat(times)
    frame = pd.DataFrame({"owner": owner[timed], "at": times[timed].astype(np.int64)})
    frame = frame.sort_values(["owner", "at"], kind="stable")
    within = frame["owner"].to_numpy()[1:] == frame["owner"].to_numpy()[:-1]
    return np.asarray(np.diff(frame["at"].to_numpy())[within] / _DAY_NS, dtype=np.float64)


def _distance(left: Floats | None, right: Floats | None) -> float | None:
    if left is None or right is None or not len(left) or not len(right):
        return None
    return ks_two_sample(left, right).value


def _floor(comparison: Comparison, train: _People, holdout: _People) -> float:
    """Train against holdout at equal numbers of entities, mean over samples of the larger."""
    size = min(len(train.rows), len(holdout.rows))
    rng = comparison.rng(f"{ID} floor")
    repeats = 1 if len(train.rows) == len(holdout.rows) else FLOOR_SAMPLES
    found = [
        ks_two_sample(
            train.rows[sample(rng, len(train.rows), size)],
            holdout.rows[sample(rng, len(holdout.rows), size)],
        ).value
        for _ in range(repeats)
    ]
    return float(np.mean(found))
