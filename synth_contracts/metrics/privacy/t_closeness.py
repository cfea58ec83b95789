"""t_closeness: how far a class's sensitive values lie from the whole table's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.metrics import distributions, sensitive
from synth_contracts.metrics.cells import Floats, Ints, Side
from synth_contracts.metrics.comparison import Comparison
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.results import need_rows

ID = "t_closeness"
Mask = npt.NDArray[np.bool_]


def measure(
    comparison: Comparison, _column: str | None, _options: Mapping[str, Any]
) -> Measurement:
    """Largest distance, 0 .. 1, of a class's sensitive values from those of the synthetic table.

    Classes are combinations of the released quasi-identifiers; the worst class and the worst
    sensitive column count. The distance is the earth mover's: equal distance between categories,
    which is total variation, and the difference of ranks over the number of distinct values less
    one between numbers or times (Li, Li, Venkatasubramanian 2007, doi 10.1109/ICDE.2007.367856).
    The rows of an entity share its weight of 1. Exact: no interval.

    Raises:
        CannotMeasure: no released quasi-identifier, no sensitive column, or an empty table.
    """
    need_rows(comparison, "synthetic")
    columns = sensitive.columns(comparison)
    side = comparison.synthetic_side
    codes = sensitive.class_codes(side, columns.quasi)
    held = sensitive.entities_per_class(codes, side.entity)
    weight = sensitive.weights(side.entity)
    real = sensitive.equal_parts(comparison, ID, columns.quasi)
    found: dict[str, dict[str, Any]] = {}
    for name in columns.sensitive:
        ordered = not sensitive.is_category(comparison, name)
        distance = distances(
            codes, places(comparison, side, name, slice(None)), weight, ordered=ordered
        )
        worst = int(distance.argmax())
        mass = np.bincount(codes, weights=weight)
        found[name] = {
            "largest": float(distance[worst]),
            "mean": float(np.sum(distance * mass) / np.sum(mass)),
            "entities_of_the_worst_class": int(held[worst]),
            "distance": "ordered" if ordered else "equal",
        }
        for label, part in real.items():
            values = places(comparison, part.side, name, part.rows)
            there = distances(part.codes, values, sensitive.weights(part.entity), ordered=ordered)
            found[name][f"largest_{label}"] = float(there.max())
    return Measurement(
        metric=ID,
        value=max(column["largest"] for column in found.values()),
        n=side.entities,
        unit="synthetic entities",
        direction="lower_is_better",
        method=f"largest earth mover's distance of {len(columns.sensitive)} sensitive columns "
        f"between a class on {len(columns.quasi)} quasi-identifiers and the whole synthetic table; "
        "exact, so it has no interval",
        compared_with="nothing: a property of the released table",
        details={
            "classes": int(codes.max()) + 1,
            "columns": found,
            "left_out": list(columns.left_out),
        },
    )


def places(comparison: Comparison, side: Side, name: str, rows: slice | Mask) -> Ints:
    """Codes of categories, or places of numbers and times among those of ``rows``; -1 for null."""
    if sensitive.is_category(comparison, name):
        return side.cell(name)[rows]
    values = distributions.numbers(side, name, comparison)[rows]
    known = ~np.isnan(values)
    found = np.full(len(values), -1, dtype=np.int64)
    found[known] = np.unique(values[known], return_inverse=True)[1]
    return found


def distances(codes: Ints, values: Ints, weight: Floats, *, ordered: bool) -> Floats:
    """Distance of each class from all rows together, 0 .. 1, shape (classes,).

    Null is as far from every value as can be. Among ordered values its share is moved first: |a -
    b| of the null shares, and (1 - max(a, b)) times the distance of the values that are known.

    Args:
        codes: class of each row, 0 .. classes - 1 without gaps.
        values: codes, or ranks 0, 1, .. without gaps; -1 for null.
        weight: > 0.
        ordered: whether ranks are apart by their difference.
    """
    if not ordered:
        return _equal(codes, values + 1, weight)
    classes = int(codes.max()) + 1
    null = values < 0
    mass = np.bincount(codes, weights=weight)
    nulls = np.bincount(codes[null], weights=weight[null], minlength=classes) / mass
    whole = float(weight[null].sum() / weight.sum())
    found = np.abs(nulls - whole)
    if null.all():
        return found
    inner = _ordered(codes[~null], values[~null], weight[~null], classes)
    return np.asarray(found + (1 - np.maximum(nulls, whole)) * inner)


def _equal(codes: Ints, values: Ints, weight: Floats) -> Floats:
    """Total variation of each class from the whole: what the class holds more of, summed."""
    width = int(values.max()) + 1
    pairs, place = np.unique(codes * width + values, return_inverse=True)
    of, value = pairs // width, pairs % width
    share = np.bincount(place, weights=weight) / np.bincount(codes, weights=weight)[of]
    total = np.bincount(values, weights=weight) / weight.sum()
    more = np.maximum(share - total[value], 0.0)
    # rounding must not leave 0 .. 1
    return np.asarray(np.clip(np.bincount(of, weights=more), 0.0, 1.0), dtype=np.float64)


def _ordered(codes: Ints, values: Ints, weight: Floats, classes: int) -> Floats:
    """Sum over ranks of |F of the class - F of the whole| / (ranks - 1); 0 for an empty class.

    F of a class is a step function with as many steps as the class has distinct values, and F of
    the whole grows: between two steps the sum is two differences of running sums. So the work grows
    with the rows, not with classes times values.
    """
    count = int(values.max()) + 1
    if count < 2:
        return np.zeros(classes)
    total = np.bincount(values, weights=weight)
    whole = np.cumsum(total) / total.sum()
    whole[-1] = 1.0
    running = np.concatenate([[0.0], np.cumsum(whole)])
    pairs, place = np.unique(codes * count + values, return_inverse=True)
    of, start = pairs // count, pairs % count
    mass = np.bincount(place, weights=weight)
    first = np.flatnonzero(np.diff(of, prepend=-1))
    before = np.cumsum(mass) - mass
    # within its class: what stands before the class is taken off
    reached = before + mass - np.repeat(before[first], np.diff(np.append(first, len(of))))
    share = reached / np.bincount(of, weights=mass, minlength=classes)[of]
    end = np.append(start[1:], count)
    end[np.append(first[1:], len(of)) - 1] = count
    share[np.append(first[1:], len(of)) - 1] = 1.0
    cross = np.clip(np.searchsorted(whole, share), start, end)
    gaps = (
        share * (cross - start) - (running[cross] - running[start])
        + (running[end] - running[cross]) - share * (end - cross)
    )  # fmt: skip
    found = np.bincount(of, weights=gaps, minlength=classes)
    # below its smallest value F of the class is 0
    found[of[first]] += running[start[first]]
    # rounding of long running sums must not leave 0 .. 1
    return np.asarray(np.clip(found / (count - 1), 0.0, 1.0))
