"""The row model: sequential CART over the columns that vary within entities."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from synth_contracts.generate.dependencies import look_ups, ordered
from synth_contracts.generate.support import Support
from synth_contracts.generate.trees import Binning, LeafModel, Values, Variable
from synth_contracts.metrics.threads import each

#: How often a value is drawn again that makes a combination that does not occur.
_ROUNDS = 4


@dataclass(frozen=True)
class _Tree:
    """What one column's tree is grown from."""

    name: str
    target: tuple[Variable, np.ndarray]
    before: tuple[tuple[Variable, np.ndarray], ...]


class RowModel:
    """Columns in turn, each given the entity, the calendar and the columns before it.

    Columns that others determine are looked up; a column that repeats an entity's usual category
    is drawn as "the usual one, or which other".
    """

    def __init__(self, *, leaf_rows: int, leaf_entities: int, k: int) -> None:
        self._leaf_rows, self._leaf_entities, self._k = leaf_rows, leaf_entities, k

    def fit(
        self,
        values: Values,
        context: Values,
        mains: Mapping[str, np.ndarray],
        entities: np.ndarray,
        progress: Callable[[str], None],
        *,
        together: Collection[str] = (),
    ) -> RowModel:
        """Learn from train.

        Args:
            values: the columns to generate, one value per row.
            context: entity and calendar columns that rows are conditioned on.
            mains: per column the usual category of the row's entity, for columns that have one.
            entities: entity of each row.
            progress: told which column is being fitted.
            together: columns of which combinations that do not occur are avoided.
        """
        columns = {name: column for name, (_, column) in values.items()}
        self._lookups = look_ups(values, entities, self._k)
        self.order = ordered(values, self._lookups)
        self._pairs = {
            max(look.dependency.determinants, key=self.order.index): look
            for look in self._lookups.values()
            if len(look.dependency.determinants) > 1
        }
        self._support = Support(values, self.order, entities, self._k, tuple(together))
        weights = 1 / np.bincount(entities)[entities]
        self._context = tuple(context)
        self._mains = {name: values[name][0].size for name in mains if name in values}
        before = list(context.values())
        trees: list[_Tree] = []
        binning = Binning()
        for name in self.order:
            target = values[name]
            if name in self._mains:
                size = self._mains[name]
                usual = np.where(columns[name] == mains[name], size, columns[name])
                target = (Variable(name, size + 1), usual)
            trees.append(_Tree(name, target, tuple(before)))
            before.append(values[name])

        def grow(number: int) -> LeafModel:
            tree = trees[number]
            progress(f"fitting: {tree.name} ({number + 1} of {len(trees)})")
            model = LeafModel(leaf_rows=self._leaf_rows, leaf_entities=self._leaf_entities)
            return model.fit(tree.target, tree.before, weights, binning=binning)

        # a column's tree is grown on train's own columns, so none waits for another
        self._models: dict[str, LeafModel] = dict(
            zip(self.order, each(grow, range(len(trees))), strict=True)
        )
        return self

    def dependents(self, changed: Collection[str]) -> list[str]:
        """Looked-up columns that stand on ``changed`` ones, over any number of steps."""
        reached = set(changed)
        out: list[str] = []
        for name in self.order:
            if name in self._lookups and reached & set(self._lookups[name].dependency.determinants):
                reached.add(name)
                out.append(name)
        return out

    def draw(
        self,
        context: Mapping[str, np.ndarray],
        mains: Mapping[str, np.ndarray],
        n: int,
        rng: np.random.Generator,
        *,
        given: Mapping[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """``n`` rows under ``context``; columns in ``given`` are taken as they are."""
        before = [context[name] for name in self._context]
        drawn: dict[str, np.ndarray] = {}
        for name in self.order:
            if given is not None and name in given:
                drawn[name] = given[name]
            else:
                drawn[name] = self._column(name, before, drawn, mains, n, rng)
            before.append(drawn[name])
        return {name: drawn[name] for name in self.order}

    def _column(
        self,
        name: str,
        before: list[np.ndarray],
        drawn: Mapping[str, np.ndarray],
        mains: Mapping[str, np.ndarray],
        n: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        out = self._raw(name, before, mains, rng, np.arange(n))
        for _ in range(_ROUNDS):
            odd = self._support.odd(name, {**drawn, name: out})
            if name in self._pairs:
                unknown = np.flatnonzero(~self._pairs[name].known({**drawn, name: out}))
                odd = np.union1d(odd, unknown)
            if not len(odd):
                break
            out[odd] = self._raw(name, before, mains, rng, odd)
        if name in self._lookups:
            out = self._lookups[name].apply({**drawn, name: out})
        return out

    def _raw(
        self,
        name: str,
        before: list[np.ndarray],
        mains: Mapping[str, np.ndarray],
        rng: np.random.Generator,
        rows: np.ndarray,
    ) -> np.ndarray:
        out = self._models[name].draw([column[rows] for column in before], len(rows), rng)
        if name in self._mains:
            out = np.where(out == self._mains[name], mains[name][rows], out)
        return out
