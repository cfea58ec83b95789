"""The three tables that every metric reads, with the heavy work that they share.

Whatever costs more than a pass over the rows is a property here that is computed when the first
metric asks for it, once per comparison whichever threads ask. Nothing depends on the order of rows
or columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.coarsening import Coarsening
from synth_contracts.metrics import attacks, cells, composition, encoding, matching
from synth_contracts.metrics.agreement import Agreement, Columns
from synth_contracts.metrics.both_ways import BothWays
from synth_contracts.metrics.cells import Floats, Side
from synth_contracts.metrics.distributions import NumericKS
from synth_contracts.metrics.intervals import sample
from synth_contracts.metrics.neighbours import EXACT_PAIRS, Distances, Rows, Vectors
from synth_contracts.metrics.once import once
from synth_contracts.tables import TableSchema

#: Synthetic rows that are asked for their nearest real ones; the real side is never sampled but to
#: equal entities.
MOST_QUERIES = 25_000


@dataclass(eq=False)
class Comparison:
    """Train (what the generator saw), holdout (entities it never saw) and synthetic.

    Args:
        train: canonical frame (tables/frame.py).
        holdout: canonical frame.
        synthetic: canonical frame.
        schema: fields and roles of all three.
        k: the contract's k; reported beside k-anonymity.
        seed: >= 0; every random stream of the metrics derives from it.
        attempt: >= 1, the number of this try; one-sided bounds hold at 1 - .05 / attempt.
        coarsening: what the protected view of :meth:`matched` coarsens; None compares raw tables.
        uncoarsened: quasi-identifiers and entity key of the candidate before it was recoded, a
            canonical frame; None where nobody kept them.
        earlier: canonical frames of earlier releases of the same source, each with those columns
            of the schema that it released; what they give away counts with the candidate.
        kept: of each subset that stands for an export, which rows of ``synthetic`` it keeps (bool);
            empty where exports hold all rows.
        brief: only values and their intervals are asked. Metrics may leave out floors and details
            that cost more than the rest; a rule that judges by a missing floor is not evaluated.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    schema: TableSchema
    k: int = 10
    seed: int = 0
    attempt: int = 1
    coarsening: Coarsening | None = None
    uncoarsened: pd.DataFrame | None = None
    earlier: tuple[pd.DataFrame, ...] = ()
    kept: tuple[np.ndarray, ...] = ()
    brief: bool = False
    _matched: dict[tuple[int, bool], matching.Three] = field(
        default_factory=dict, init=False, repr=False
    )
    _matching: Any = field(default_factory=RLock, init=False, repr=False)

    def rng(self, label: str) -> np.random.Generator:
        """The random stream of that name: the same for the same seed, whoever asked before."""
        return np.random.default_rng([self.seed, cells.text_seed(label)])

    def subsets(self) -> Iterator[Comparison]:
        """The comparison of each subset of ``kept``, made when it is asked for."""
        for kept in self.kept:
            whole = self.uncoarsened
            yield replace(
                self,
                synthetic=self.synthetic[kept].reset_index(drop=True),
                uncoarsened=None if whole is None else whole[kept].reset_index(drop=True),
                earlier=(),
                kept=(),
            )

    @once
    def _sides(self) -> tuple[Side, ...]:
        frames = (self.train, self.holdout, self.synthetic)
        return cells.sides(frames, self.schema.features, self.schema.roles.entity_key)

    @property
    def train_side(self) -> Side:
        """Train in canonical row order, with typed cells and entity codes."""
        return self._sides[0]

    @property
    def holdout_side(self) -> Side:
        """Holdout in canonical row order, with typed cells and entity codes."""
        return self._sides[1]

    @property
    def synthetic_side(self) -> Side:
        """Synthetic in canonical row order, with typed cells and its own entity codes."""
        return self._sides[2]

    @once
    def shared_entities(self) -> int:
        """How many entity keys stand in train and in holdout; 0 for a proper split."""
        return len(self.train_side.keys & self.holdout_side.keys)

    @once
    def encoder(self) -> encoding.Encoder:
        """Columns as one space of numbers, fitted on train and holdout together."""
        return encoding.fit([self.train_side.frame, self.holdout_side.frame], self.schema.features)

    @once
    def vectors(self) -> tuple[Vectors, Vectors, Vectors]:
        """Encoded train, holdout and synthetic, the encoder fitted on the first two together."""
        train, synthetic = self.train_side.rows, self.synthetic_side
        return self.real[:train], self.real[train:], self.encoder.encode(synthetic.frame)

    @once
    def real(self) -> Vectors:
        """Encoded train, then holdout: one array, of which ``vectors`` are parts."""
        return self.encoder.encode(self.train_side.frame, self.holdout_side.frame)

    @once
    def level(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Rows of train and of holdout that belong to equally many entities, drawn by lot."""
        sides = {"train": self.train_side, "holdout": self.holdout_side}
        size = min(side.entities for side in sides.values())
        train, holdout = (
            sample(self.rng(f"nearest {name}"), side.entities, size)[side.entity]
            for name, side in sides.items()
        )
        return train, holdout

    @once
    def both_ways(self) -> BothWays | None:
        """Real rows beside synthetic ones: the ``level`` rows of train and of holdout, the others.

        None where so many pairs are not all looked at, or nearest_neighbor_distance asks some
        synthetic rows only.
        """
        rows = self.synthetic_side.rows
        if rows > MOST_QUERIES or rows * len(self.real) > EXACT_PAIRS:
            return None
        parts = [self.real[places] for places in self._places]
        return BothWays(parts, self.vectors[2])

    @once
    def _places(self) -> tuple[cells.Ints, ...]:
        train, holdout = self.level
        kept = np.concatenate([train, holdout])
        side = np.arange(len(kept)) < len(train)
        found = (np.flatnonzero(mask) for mask in (kept & side, kept & ~side, ~kept))
        return tuple(places for places in found if len(places))

    def _near(self) -> tuple[Distances, Rows] | None:
        """Nearest synthetic row of each real one, where both ways are looked at together."""
        if self.both_ways is None:
            return None
        near = np.empty((len(self.real), 1))
        rows = np.empty((len(self.real), 1), dtype=np.int64)
        for number, places in enumerate(self._places):
            near[places], rows[places] = self.both_ways.nearest(number)
        return near, rows

    @once
    def nearby(self) -> attacks.Nearby:
        """Nearest synthetic and reference rows of each row of train, then of holdout."""
        found = attacks.observe(
            self.train_side,
            self.holdout_side,
            self.vectors,
            self.rng("reference halves"),
            real=self.real,
            found=self._near(),
        )
        synthetic = self.agreement.columns.mark(self.synthetic_side.frame)
        return attacks.agreeing(found, self.candidates, self.agreement, synthetic)

    @once
    def agreement(self) -> Agreement:
        """Rows of train, then of holdout, ready to be compared column by column."""
        real = [self.train_side.frame, self.holdout_side.frame]
        columns = Columns(real, self.schema.features)
        both = columns.mark(pd.concat(real, ignore_index=True))
        return Agreement(columns, both, self.rng("agreement passes"))

    @once
    def numeric_ks(self) -> NumericKS:
        """KS of each numeric feature and its floor. Raises CannotMeasure as ``NumericKS.of``."""
        return NumericKS.of(self)

    @once
    def candidates(self) -> attacks.Candidates:
        """Whose rows they are: entity codes of the three sides."""
        return attacks.Candidates.of(self.train_side, self.holdout_side, self.synthetic_side)

    @once
    def calendar(self) -> attacks.Calendar | None:
        """Days of the real rows and the synthetic totals per day; None without a time index."""
        return attacks.calendar_of(self)

    @once
    def scores(self) -> dict[str, Floats]:
        """What each attack believes of each row of train (members), then of holdout."""
        return attacks.row_scores(self.nearby)

    @once
    def entity_scores(self) -> dict[str, Floats]:
        """What each attack believes of each entity of train (members), then of holdout."""
        return attacks.entity_scores(self.nearby, self.candidates, self.calendar)

    @once
    def together(self) -> composition.Together | None:
        """What attacks with earlier releases beside the candidate believe; None without any."""
        return composition.together(self)

    @property
    def repeats(self) -> int:
        """How many times :meth:`matched` samples the larger sides down: repeats 0 .. this - 1."""
        return matching.repeats(self._sides)

    def matched_raw(self, repeat: int) -> matching.Three:
        """Train, holdout and synthetic at equal numbers of entities, values as they are."""
        with self._matching:
            if (repeat, False) not in self._matched:
                self._matched[repeat, False] = matching.matched(
                    self._sides, self.schema, self.rng(f"matched {repeat}")
                )
            return self._matched[repeat, False]

    def forget_matched(self) -> None:
        """Give up the samples of :meth:`matched`; they are drawn again when they are asked for."""
        self._matched.clear()

    def matched(self, repeat: int) -> matching.Three:
        """The same entities as :meth:`matched_raw` in the protected view; shared by metrics.

        Raises:
            CannotMeasure: fewer than 2k entities a side.
        """
        with self._matching:
            if (repeat, True) not in self._matched:
                self._matched[repeat, True] = matching.protected(
                    self.matched_raw(repeat), self.coarsening, self.schema
                )
            return self._matched[repeat, True]
