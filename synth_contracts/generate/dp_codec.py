"""Columns as levels, and back, by what the contract declares: no value of the data shapes a bin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.contract.guarantee import Binned, Domain, Listed
from synth_contracts.errors import GenerationError
from synth_contracts.tables.schema import CATEGORICAL, TEMPORAL, Field, Kind

Codes = npt.NDArray[np.int64]
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND


class Codec(Protocol):
    """``levels`` named levels 0 .. levels - 1; ``levels`` itself stands for missing."""

    @property
    def levels(self) -> int:
        """How many levels there are beside missing."""

    def encode(self, column: pd.Series) -> Codes:
        """The level of each value of a canonical column."""

    def decode(self, codes: Codes, rng: np.random.Generator) -> np.ndarray:
        """Canonical values drawn within their levels."""


def codec(field: Field, domain: Domain | None) -> Codec:
    """The codec of a column.

    Raises:
        GenerationError: the contract declares nothing of it, or nothing that fits its kind.
    """
    if domain is None:
        raise GenerationError(
            "the contract declares no domain of this column, and none is read from data",
            where=field.name,
            mend=f"declare it under dp.columns, or name {field.name} in roles.exclude",
        )
    if isinstance(domain, Listed):
        if field.kind not in CATEGORICAL:
            raise GenerationError(
                f"dp.columns lists categories of a column that holds a {field.kind}",
                where=field.name,
                mend="declare low and high"
                + (", or name it in `codes`" if field.kind is Kind.INTEGER else ""),
            )
        return Categories(domain)
    if field.kind in CATEGORICAL:
        raise GenerationError(
            f"dp.columns gives bounds to a column of categories ({field.kind})",
            where=field.name,
            mend="declare values and other",
        )
    return Bins.of(field, domain)


class Categories:
    """Listed categories; an unlisted one counts as ``other``, or as missing without one."""

    def __init__(self, domain: Listed) -> None:
        names = list(domain.values)
        if domain.other is not None and domain.other not in names:
            names.append(domain.other)
        self._names = np.array([*names, None], dtype=object)
        self._place = {name: i for i, name in enumerate(names)}
        self._unlisted = len(names) if domain.other is None else self._place[domain.other]
        self.levels = len(names)

    def encode(self, column: pd.Series) -> Codes:
        """The level of each value."""
        held, labels = pd.factorize(column)
        places = [self._place.get(str(label), self._unlisted) for label in labels]
        return np.array([*places, self.levels], dtype=np.int64)[held]

    def decode(self, codes: Codes, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG002
        """The categories."""
        return np.asarray(self._names[codes])


@dataclass(frozen=True)
class Bins:
    """Bins of a number or a time between declared bounds.

    ``edges`` has one entry more than there are bins; numbers of a whole kind stand in
    ``[edges[i], edges[i + 1])``. ``points`` have levels of their own after the bins. ``unit`` is
    nanoseconds per whole step of a time, 0 for numbers.
    """

    edges: np.ndarray
    points: np.ndarray
    low: float
    high: float
    whole: bool
    log: bool
    decimals: int | None
    unit: int

    @classmethod
    def of(cls, field: Field, domain: Binned) -> Bins:
        """The bins that the contract declares of a column of that kind."""
        unit = 0
        if field.kind in TEMPORAL:
            unit = _DAY if field.kind is Kind.DATE else _SECOND
        elif isinstance(domain.low, str) or isinstance(domain.high, str):
            raise GenerationError(
                f"dp.columns gives bounds in time to a column that holds a {field.kind}",
                where=field.name,
            )
        low, high = _number(domain.low, unit, field), _number(domain.high, unit, field)
        whole = unit > 0 or field.kind is Kind.INTEGER
        points = np.array(domain.points, dtype=np.float64)
        if whole:
            low, high = float(np.ceil(low)), float(np.floor(high))
            points = points[points == np.round(points)]
        top = high + 1 if whole else high
        log = domain.scale == "log"
        edges = _back(np.linspace(_fore(low, low, log), _fore(top, low, log), domain.bins + 1),
                      low, log)  # fmt: skip
        if whole:
            edges = np.unique(np.clip(np.ceil(edges - 1e-6), low, top))
            edges[0], edges[-1] = low, top
            edges = _without(edges, points)
        else:
            edges[0], edges[-1] = low, top
        return cls(edges, points, low, high, whole, log, domain.decimals, unit)

    @property
    def levels(self) -> int:
        """Bins and points."""
        return len(self.edges) - 1 + len(self.points)

    def encode(self, column: pd.Series) -> Codes:
        """The level of each value; what lies outside the bounds counts as the bound."""
        missing = column.isna().to_numpy()
        if self.unit:
            numbers = column.to_numpy().astype("datetime64[ns]").astype("int64") // self.unit
            values = np.where(missing, 0, numbers).astype(np.float64)
        else:
            values = np.where(missing, 0.0, column.to_numpy(dtype=np.float64))
        if self.whole:
            values = np.round(values)
        values = np.clip(values, self.low, self.high)
        bins = len(self.edges) - 1
        codes = np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, bins - 1)
        for place, point in enumerate(self.points):
            codes[values == point] = bins + place
        codes[missing] = self.levels
        return codes.astype(np.int64)

    def decode(self, codes: Codes, rng: np.random.Generator) -> np.ndarray:
        """Values drawn within their bins: evenly, on the log scale evenly in the logarithm."""
        bins = len(self.edges) - 1
        inside = np.clip(codes, 0, bins - 1)
        spread = rng.random(len(codes))
        first, last = self.edges[inside], self.edges[inside + 1]
        start, end = _fore(first, self.low, self.log), _fore(last, self.low, self.log)
        values = _back(start + spread * (end - start), self.low, self.log)
        if self.whole:
            values = self._off_points(np.clip(np.floor(values), first, last - 1), first, last)
        elif self.decimals is not None:
            values = np.round(values, self.decimals)
        if len(self.points):
            held = (codes >= bins) & (codes < self.levels)
            values[held] = self.points[codes[held] - bins]
        values = np.clip(values, self.low, self.high)
        missing = codes >= self.levels
        if not self.unit:
            values[missing] = np.nan
            return np.asarray(values)
        stamps = (values.astype(np.int64) * self.unit).astype("datetime64[ns]")
        stamps[missing] = np.datetime64("NaT")
        return np.asarray(stamps)

    def _off_points(self, values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Whole values that fell onto a point move on to the next free one of their bin."""
        for point in self.points:
            onto = values == point
            step = np.where(point + 1 < last, point + 1, first)
            values = np.where(onto, step, values)
        return values


def _without(edges: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Edges of whole numbers without the bins that hold one point and nothing else."""
    if not len(points) or len(edges) < 3:
        return edges
    alone = np.isin(edges[:-1], points) & (np.diff(edges) == 1)
    if alone.all():
        alone[-1] = False
    # such a bin joins its left neighbour, the first one its right: no value of it is encoded so
    kept = [i for i in range(len(edges) - 1) if not alone[i]]
    return np.append(edges[[0, *kept[1:]]], edges[-1])


def _number(bound: float | str, unit: int, field: Field) -> float:
    if not unit:
        return float(bound)
    try:
        moment = datetime.fromisoformat(str(bound)).replace(tzinfo=None)
    except ValueError:
        raise GenerationError(
            f"the bound {bound} is no date", where=field.name, mend="write it as 2017-01-31"
        ) from None
    return float(np.datetime64(moment, "ns").astype("int64") // unit)


def _fore(values: np.ndarray | float, low: float, log: bool) -> np.ndarray:
    numbers: np.ndarray = np.asarray(values, dtype=np.float64)
    return np.asarray(np.log1p(numbers - low) if log else numbers)


def _back(values: np.ndarray, low: float, log: bool) -> np.ndarray:
    return np.asarray(np.expm1(values) + low if log else values)
