"""The entity model: attributes, number of rows, place in time and habits of each entity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from synth_contracts.generate.dependencies import look_ups, ordered
from synth_contracts.generate.trees import LeafModel, Values, Variable, number_variable

ROWS, FIRST, SPAN = "#rows", "#first", "#span"
#: Entities are few and their groups small: a split may explain less than one of rows (trees.py).
_GAIN = 2.0
_PRIOR = 5.0  # rows of the grand mean mixed into an entity's own
_LEVELS = 20
_MAX_HABITS = 4
_RAKINGS = 10
_CHANGE = 1.4  # by how much at most an entity may be raked
_MAIN_MARGIN = 0.15


class Habits:
    """Latent averages of an entity: means of its main numbers, its usual categories.

    They tie an entity's rows together; they are modelled with leaves of many entities like any
    attribute, and never released.
    """

    def __init__(self, values: Values, entities: np.ndarray) -> None:
        self._values, self._entities = values, entities
        self._size = int(entities.max()) + 1
        rows = np.bincount(entities, minlength=self._size)
        self.means: dict[str, np.ndarray] = {}
        self.mains: dict[str, np.ndarray] = {}
        self.shares: dict[str, np.ndarray] = {}
        scored = []
        for name, (variable, column) in values.items():
            if variable.size:
                self._main(name, variable, column)
            else:
                means, strength = self._mean(column, rows)
                scored.append((strength, name, means))
        for strength, name, means in sorted(scored, key=lambda s: (-s[0], s[1]))[:_MAX_HABITS]:
            if strength > 0.02:
                self.means[name] = means

    def add_mean(self, name: str, column: np.ndarray) -> None:
        """A mean habit of a number that is not itself generated with the rows."""
        rows = np.bincount(self._entities, minlength=self._size)
        self.means[name] = self._mean(column, rows)[0]

    def _mean(self, column: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Shrunk mean rank of each entity, and the share of variance that lies between them."""
        ranks = pd.Series(column).rank(pct=True).fillna(0.5).to_numpy()
        total = np.bincount(self._entities, weights=ranks, minlength=self._size)
        means = (total + _PRIOR * ranks.mean()) / (rows + _PRIOR)
        spread = float(ranks.var())
        between = float(((means[self._entities] - ranks.mean()) ** 2).mean())
        return means, between / spread if spread > 0 else 0.0

    def _main(self, name: str, variable: Variable, column: np.ndarray) -> None:
        """The usual category of each entity, where entities differ in it."""
        if variable.size < 3:
            return
        width = variable.size + 1
        pairs, counts = np.unique(self._entities * width + column + 1, return_counts=True)
        best = pd.DataFrame({"entity": pairs // width, "code": pairs % width - 1, "n": counts})
        best = best.sort_values(["entity", "n", "code"], ascending=[True, False, True])
        best = best.drop_duplicates("entity")
        share = best["n"].sum() / len(column)
        overall = np.bincount(column + 1).max() / len(column)
        if share - overall < _MAIN_MARGIN:
            return
        self.mains[name] = best["code"].to_numpy()
        own = np.bincount(
            self._entities, weights=column == self.mains[name][self._entities], minlength=self._size
        )
        rows = np.bincount(self._entities, minlength=self._size)
        self.shares[name] = (own + _PRIOR * share) / (rows + _PRIOR)


class EntityModel:
    """Sequential CART over entities, leaves of at least ``leaf`` of them."""

    def __init__(self, leaf: int, k: int) -> None:
        self._leaf, self._k = leaf, k

    def fit(
        self,
        attributes: Values,
        habits: Habits,
        entities: np.ndarray,
        place: np.ndarray | None,
        progress: Callable[[str], None],
    ) -> EntityModel:
        """Learn from train.

        Args:
            attributes: columns constant within entities, one value per row.
            habits: latent averages per entity.
            entities: entity of each row, 0..E-1, each with at least one row.
            place: of each row, the share of train's rows up to its time (0..1, NaN where the time
                is missing); None without a calendar.
            progress: told which column is being fitted.
        """
        self._count = int(entities.max()) + 1
        rows = np.bincount(entities, minlength=self._count)
        self._mean_rows = len(entities) / self._count
        own = np.arange(self._count)
        chain: Values = {}
        first_row = np.full(self._count, len(entities))
        np.minimum.at(first_row, entities, np.arange(len(entities)))
        first = {
            name: (variable, column[first_row]) for name, (variable, column) in attributes.items()
        }
        self._lookups = look_ups(first, own, self._k)
        for name in ordered(first, self._lookups):
            chain[name] = first[name]
        # a carrier decides how often its aeroplanes fly, and not the other way round
        mains = sorted(habits.mains, key=lambda name: (int(habits.mains[name].max()), name))
        for name in mains:
            usual = habits.mains[name]
            chain[f"#main {name}"] = (
                Variable(f"#main {name}", max(int(usual.max()) + 1, 1)),
                usual,
            )
        self.single = bool((rows == 1).all())
        if not self.single:
            counts = rows.astype(float)
            many = replace(number_variable(ROWS, counts, own, self._k), total=True)
            chain[ROWS] = (many, counts)
        if place is not None:
            self._fit_place(chain, entities, place)
        for name, means in habits.means.items():
            chain[f"#mean {name}"] = (Variable(f"#mean {name}"), means)
        for name in mains:
            chain[f"#share {name}"] = (Variable(f"#share {name}"), habits.shares[name])
        self.observed = chain
        self.rows = rows
        self._shares = {
            name: np.bincount(column + 1, weights=rows, minlength=variable.size + 1) / len(entities)
            for name, (variable, column) in chain.items()
            if variable.size
        }
        self._models: list[tuple[str, LeafModel]] = []
        before: list[tuple[Variable, np.ndarray]] = []
        for i, (name, pair) in enumerate(chain.items(), 1):
            progress(f"fitting entities: {name.lstrip('#')} ({i} of {len(chain)})")
            model = LeafModel(
                leaf_rows=self._leaf,
                leaf_entities=self._leaf,
                gain=_GAIN,
                pooled=True,
            )
            self._models.append((name, model.fit(pair, before)))
            before.append(pair)
        return self

    def _fit_place(self, chain: Values, entities: np.ndarray, place: np.ndarray) -> None:
        known = ~np.isnan(place)
        frame = pd.DataFrame({"entity": entities[known], "place": place[known]})
        ends = frame.groupby("entity")["place"].agg(["min", "max"]).reindex(range(self._count))
        first = ends["min"].fillna(0.5).to_numpy()
        last = ends["max"].fillna(0.5).to_numpy()
        span = np.clip((last - first) / np.maximum(1 - first, 1e-9), 0, 1)
        chain[FIRST] = (Variable(FIRST), first)
        chain[SPAN] = (Variable(SPAN), span)
        frame = frame.sort_values(["entity", "place"], kind="stable")
        gaps = np.diff(frame["place"].to_numpy())
        owner = frame["entity"].to_numpy()
        within = owner[1:] == owner[:-1]
        visits = np.bincount(owner, minlength=self._count)
        gaps, owner = gaps[within], owner[1:][within]
        usual = (last - first)[owner] / np.maximum(visits[owner] - 1, 1)
        relative = gaps / np.maximum(usual, 1e-12)
        self._gaps = None
        if len(relative):
            weights = 1 / np.bincount(owner, minlength=self._count)[owner]
            self._gaps = LeafModel(leaf_rows=100, leaf_entities=max(self._leaf, 10)).fit(
                (Variable("#gap"), relative),
                [(Variable(ROWS), visits[owner].astype(float))],
                weights,
            )

    @staticmethod
    def quantised(name: str, column: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """A habit on the coarse scale that rows are conditioned on; other columns as they are.

        The scale is the share of the table's rows that belong to entities with a smaller habit,
        in train and in the synthetic table alike: entities with many rows differ in their habits,
        and without it the independent draws of both would shift every mean.
        """
        if not name.startswith(("#mean", "#share")):
            return column
        order = np.argsort(column, kind="stable")
        before = np.empty(len(column))
        before[order] = np.cumsum(rows[order]) - rows[order] / 2
        return np.asarray(np.floor(_LEVELS * before / rows.sum()))

    def sample(self, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Columns of new entities whose rows sum to ``n``; ``#rows`` holds whole numbers."""
        count = n if self.single else int(np.clip(round(n / self._mean_rows), 1, n))
        drawn: dict[str, np.ndarray] = {}
        for name, model in self._models:
            # few entities hold many rows: independent draws would move shares of rows by percents
            even = drawn[ROWS] if ROWS in drawn else np.zeros(count)
            drawn[name] = model.draw(list(drawn.values()), count, rng, evenly=even)
            if name in self._lookups:
                drawn[name] = self._lookups[name].apply(drawn)
            if name == ROWS:
                drawn[name] = _whole(self._calibrated(drawn), n).astype(float)
        if self.single:
            drawn[ROWS] = np.ones(count)
        return drawn

    def _calibrated(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """Rows per entity, dealt so that rows have train's shares of categories.

        A few entities hold many rows, and what is drawn for them moves shares by percents. Raking
        (Deville and Saerndal 1992) says who should have more; the counts themselves are kept and
        change hands, since how many rows entities have is not to change.
        """
        rows = np.asarray(drawn[ROWS], dtype=float)
        weight = rows.copy()
        for _ in range(_RAKINGS):
            for name, wanted in self._shares.items():
                if name not in drawn:
                    continue
                codes = drawn[name] + 1
                held = np.bincount(codes, weights=weight, minlength=len(wanted)) / weight.sum()
                factor = np.where((held > 0) & (wanted > 0), wanted / np.maximum(held, 1e-12), 1.0)
                weight = np.clip(weight * factor[codes], rows / _CHANGE, rows * _CHANGE)
        dealt = np.empty_like(rows)
        dealt[np.argsort(weight, kind="stable")] = np.sort(rows)
        return dealt

    def places(self, drawn: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Place in time (0..1) of each row, rows of one entity together and in order."""
        rows = drawn[ROWS].astype(np.int64)
        owner = np.repeat(np.arange(len(rows)), rows)
        start = np.cumsum(rows) - rows
        gaps = np.zeros(len(owner))
        inner = np.ones(len(owner), dtype=bool)
        inner[start] = False
        if self._gaps is not None and inner.any():
            visits = rows[owner[inner]].astype(float)
            gaps[inner] = self._gaps.draw([visits], int(inner.sum()), rng)
        walked = np.cumsum(gaps)
        walked = walked - walked[start][owner]
        total = walked[start + rows - 1][owner]
        share = np.where(total > 0, walked / np.where(total > 0, total, 1), 0)
        first = drawn[FIRST][owner]
        return np.asarray(first + drawn[SPAN][owner] * (1 - first) * share)


def _whole(drawn: np.ndarray, n: int) -> np.ndarray:
    """Whole rows per entity, at least one, summing to ``n`` with the drawn proportions."""
    scaled = np.maximum(drawn * (n / drawn.sum()), 1.0)
    rows = np.maximum(np.round(scaled), 1).astype(np.int64)
    while (away := n - int(rows.sum())) != 0:
        order = np.argsort(-rows, kind="stable")
        if away < 0:
            order = order[rows[order] > 1]
        chosen = order[: abs(away)]
        rows[chosen] += np.sign(away)
    return np.asarray(rows)
