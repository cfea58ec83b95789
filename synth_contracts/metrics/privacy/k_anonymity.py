"""k_anonymity: the smallest class on the quasi-identifiers, counted in entities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import CannotMeasure, need_rows

ID = "k_anonymity"


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Fewest entities of the synthetic table that share one combination of quasi-identifiers.

    Null is a value like any other. Exact: no interval.

    Raises:
        CannotMeasure: no released quasi-identifier, or an empty table.
    """
    need_rows(comparison, "synthetic")
    side = comparison.synthetic_side
    names = [n for n in comparison.schema.roles.quasi_identifiers if n in side.columns]
    if not names:
        raise CannotMeasure("no quasi-identifier is released")
    table = pd.DataFrame({str(i): side.cell(name) for i, name in enumerate(names)})
    classes = table.groupby(list(table.columns), sort=False).ngroup().to_numpy()
    held = np.unique(classes * side.entities + side.entity)
    sizes = np.bincount(held // side.entities)
    small = sizes < comparison.k
    return Measurement(
        metric=ID,
        value=float(sizes.min()),
        n=side.entities,
        unit="synthetic entities",
        direction="higher_is_better",
        method="smallest class on the quasi-identifiers, counted in entities of the synthetic "
        "table; exact, so it has no interval",
        compared_with="nothing: a property of the released table",
        details={
            "classes": len(sizes),
            "classes_below_k": int(small.sum()),
            "rows_in_classes_below_k": float(np.mean(small[classes])),
            "k": comparison.k,
        },
    )
