"""``dp_marginals``: rows from noisy counts of declared columns and pairs, under a guarantee.

Whatever shapes the mechanism stands in the contract (contract/guarantee.py). Real rows are read by
three counts, all in dp_release.py: levels of columns and pairs over a truncated table, rows per
entity, and days. Everything after the noise is post-processing and costs nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_contracts.contract.guarantee import Guarantee
from synth_contracts.contract.model import Contract, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Progress, Sampled, Spend
from synth_contracts.generate.dp_codec import Codec, codec
from synth_contracts.generate.dp_days import HOURS, hours, moments, release_days
from synth_contracts.generate.dp_release import (
    need_library,
    noisy_counts,
    release,
    rho_of,
    truncate,
)
from synth_contracts.generate.parameters import read_parameters
from synth_contracts.tables.schema import Field, Kind, TableSchema

#: Share of the budget for the histogram of rows per entity, where there are entities.
ENTITY_SHARE = 0.05


@dataclass(frozen=True)
class _Shares:
    """rho of each release."""

    table: float
    entities: float
    days: float


class DpMarginals:
    """A generator with a guarantee (see module). Fit it once: each fit spends."""

    def __init__(self, contract: Contract, progress: Progress) -> None:
        guarantee = contract.generator.guarantee
        if guarantee is None:
            raise GenerationError(
                "dp_marginals needs epsilon, delta and dp", where="generator.type"
            )
        need_library()
        self._asked: Guarantee = guarantee
        self._holdout = contract.holdout
        self._progress = progress
        parameters = read_parameters("dp_marginals", contract.generator.parameters)
        self._iterations: int = parameters["iterations"]
        self.spend: Spend | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report card."""
        asked = self._asked
        return (
            f"Differentially private counts: epsilon {asked.epsilon:g}, delta {asked.delta:g} per "
            f"{asked.unit}.",
        )

    def fit(
        self,
        train: pd.DataFrame,
        roles: Roles,
        schema: TableSchema,
        rng: np.random.Generator,  # noqa: ARG002 - noise has no seed
    ) -> None:
        """Spend the budget, then release. No two fits are alike."""
        if self.spend is None:
            raise GenerationError(
                "a fit of dp_marginals spends budget, and nobody keeps account of it",
                where="generator.type",
                mend="build it: synth-contracts build",
            )
        asked = self._asked
        self._key = roles.entity_key
        self._time = schema.field(roles.time_index or "") if asked.days else None
        self._fields = [f for f in schema.features if f.name in train.columns and f != self._time]
        self._codecs = codecs(asked, self._fields)
        owners = train[self._key].to_numpy(dtype=np.int64) if self._key else np.arange(len(train))
        kept = truncate(owners, asked.rows_per_entity)
        codes = {
            f.name: self._codecs[f.name].encode(train[f.name].iloc[kept]) for f in self._fields
        }
        levels = {name: made.levels for name, made in self._codecs.items()}
        stamps = None if self._time is None else train[self._time.name].to_numpy()
        self._clock = self._time is not None and self._time.kind is Kind.TIMESTAMP
        if self._time is not None and stamps is not None and self._clock:
            codes[self._time.name], levels[self._time.name] = hours(stamps[kept]), HOURS
        rho = rho_of(asked.epsilon, asked.delta)
        shares = self._shares(rho)
        self._progress(f"spending: epsilon {asked.epsilon:g} of {asked.lifetime_epsilon:g}")
        self.spend({"rho": rho, "pairs": [list(pair) for pair in asked.pairs]})
        self._progress(f"fitting: {len(levels)} columns, {len(asked.pairs)} pairs")
        self._model = release(
            codes,
            levels,
            asked.pairs,
            rows_per_unit=asked.rows_per_entity,
            rho=shares.table,
            iterations=self._iterations,
        )
        self._sizes = self._rows_per_entity(owners, shares.entities)
        self._days = None
        if asked.days is not None and stamps is not None:
            self._days = release_days(owners, stamps, asked.days, shares.days)

    def _shares(self, rho: float) -> _Shares:
        entities = ENTITY_SHARE * rho if self._key else 0.0
        days = self._asked.days.share * (rho - entities) if self._asked.days else 0.0
        # a hair less than all, so that the sum in floating point is not above rho
        table = (rho - entities - days) * (1 - 1e-9)
        return _Shares(table=table, entities=entities, days=days)

    def _rows_per_entity(self, owners: np.ndarray, rho: float) -> np.ndarray:
        """Share of entities with 1, 2, .. rows, up to the cap; noise taken off where it can be."""
        if not self._key:
            return np.ones(1)
        most = self._asked.rows_per_entity
        held = np.bincount(owners)
        counts = np.bincount(np.minimum(held[held > 0], most) - 1, minlength=most)
        noisy = np.maximum(noisy_counts(counts, 1.0, rho), 0).astype(np.float64)
        return noisy / noisy.sum() if noisy.sum() else np.full(most, 1 / most)

    def released_rows(self) -> int:
        """The released number of rows of the whole source, after truncation."""
        return max(1, round(self._model.total / (1 - self._holdout)))

    def sample(self, n: int, rng: np.random.Generator) -> Sampled:
        """``n`` rows: post-processing of what was released."""
        self._progress(f"sampling: {n} rows")
        drawn = self._model.draw(n, rng)
        columns: dict[str, np.ndarray] = {}
        for field in self._fields:
            made = self._codecs[field.name]
            codes = drawn[field.name]
            if field.required:
                codes = self._filled(field.name, codes, made.levels, rng)
            columns[field.name] = made.decode(codes, rng)
        if self._time is not None and self._days is not None:
            name = self._time.name
            hour = self._filled(name, drawn[name], HOURS, rng) if self._clock else None
            columns[name] = moments(self._days.place(n, rng), hour, rng)
        if self._key:
            columns[self._key] = self._owners(n, rng)
        return Sampled(pd.DataFrame(columns))

    def _filled(
        self, name: str, codes: np.ndarray, missing: int, rng: np.random.Generator
    ) -> np.ndarray:
        """A required column without the missing values that noise alone made."""
        empty = np.flatnonzero(codes == missing)
        if not len(empty):
            return codes
        weight = np.maximum(self._model.counts([name])[:missing], 0)
        weight = weight / weight.sum() if weight.sum() > 0 else np.full(missing, 1 / missing)
        out = codes.copy()
        out[empty] = rng.choice(missing, size=len(empty), p=weight)
        return out

    def _owners(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Entities with as many rows as the released histogram says, dealt at random."""
        sizes: list[np.ndarray] = []
        total = 0
        while total < n:
            more = 1 + rng.choice(len(self._sizes), size=max(16, n // 8), p=self._sizes)
            sizes.append(more)
            total += int(more.sum())
        size = np.concatenate(sizes)
        last = int(np.searchsorted(np.cumsum(size), n)) + 1
        return rng.permutation(np.repeat(np.arange(last), size[:last])[:n])


def codecs(asked: Guarantee, fields: list[Field]) -> dict[str, Codec]:
    """Codec of each column from the contract alone.

    Raises:
        GenerationError: a column of the source is not declared, or not as its kind asks.
    """
    return {field.name: codec(field, asked.domain(field.name)) for field in fields}
