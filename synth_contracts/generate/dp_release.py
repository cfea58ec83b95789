"""Everything that touches real rows under the guarantee: truncation, and OpenDP's noise.

OpenDP 0.16 samples integer Gaussian noise from the operating system's randomness and composes in
zero-concentrated differential privacy (rho). What this module guards against was measured on it:

- ``synthesize`` rounds by default, which couples columns that are independent given their parent
  (total variation .68 against .02): rows are sampled;
- the estimation stops early: 3,000 iterations;
- AIM and MST claim too small a sensitivity with bounds per group: the marginals are those that the
  contract declares, and no group bounds are given.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_contracts.errors import GenerationError

Ints = npt.NDArray[np.int64]
#: Fixed point of weights: they are whole numbers of 1 / UNIT.
UNIT = 1000
PIP = "pip install 'synth-contracts[dp]'"


def need_library() -> None:
    """Refuse to go on without OpenDP and its estimator.

    Raises:
        GenerationError: the extra is not installed.
    """
    lacking = [n for n in ("opendp", "mbi", "polars") if importlib.util.find_spec(n) is None]
    if lacking:
        raise GenerationError(
            f"dp_marginals needs the extra [dp], and {', '.join(lacking)} is not installed",
            where="generator.type",
            mend=PIP,
        )


def _opendp() -> Any:
    need_library()
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp


def rho_of(epsilon: float, delta: float) -> float:
    """The largest rho whose conversion to (epsilon, delta) is not above ``epsilon``.

    OpenDP's own conversion (optimal over the order of the Renyi divergence) decides.
    """
    dp = _opendp()

    def fits(rho: float) -> bool:
        scale = float(np.sqrt(1 / (2 * rho)))
        noise = dp.m.make_gaussian(dp.atom_domain(T="i32"), dp.absolute_distance(T="i32"), scale)
        return bool(dp.c.make_zCDP_to_approxDP(noise).map(1).epsilon(delta) <= epsilon)

    return float(dp.binary_search(fits, bounds=(1e-9, 1e4)))


def os_random(size: int) -> npt.NDArray[np.uint64]:
    """Random numbers of the operating system: nobody can repeat them."""
    return np.frombuffer(os.urandom(8 * size), dtype=np.uint64)


def truncate(entities: Ints, most: int) -> Ints:
    """Places of at most ``most`` random rows of each entity, sorted.

    Each entity is treated by itself, so that without one entity all others keep theirs.
    """
    order = np.lexsort((os_random(len(entities)), entities))
    return np.sort(order[_rank(entities[order]) < most])


def clipped_days(entities: Ints, days: Ints, most: int) -> tuple[Ints, Ints]:
    """Days of each entity, each once, with weights in units of 1 / UNIT.

    An entity of n days adds min(1, sqrt(most / n)) to each, rounded down: Euclidean norm at most
    ``sqrt(most)``, as if all but ``most`` days had been dropped, and nothing is dropped by chance
    (correlation of the exact counts with the real ones on baskets, most 64: .96 against .92).

    Returns:
        days and weights, each of shape (pairs of entity and day,).
    """
    pairs = np.unique(np.stack([entities, days]), axis=1)
    owner = np.unique(pairs[0], return_inverse=True)[1]
    held = np.bincount(owner)
    weight = np.floor(UNIT * np.minimum(1.0, np.sqrt(most / np.maximum(held, 1))))
    return pairs[1], weight.astype(np.int64)[owner]


def _rank(ordered: Ints) -> Ints:
    """How many equal values came before, in an array with equal values side by side."""
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    lengths = np.diff(np.append(first, len(ordered)))
    return np.arange(len(ordered)) - np.repeat(first, lengths)


def noisy_counts(counts: Ints, l2: float, rho: float) -> Ints:
    """A vector of counts with integer Gaussian noise.

    Args:
        counts: exact counts, shape (n,).
        l2: how far one unit can move the vector, Euclidean.
        rho: the loss to be spent on it.
    """
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    noise = dp.binary_search_chain(
        lambda scale: dp.m.make_gaussian(*space, scale),
        d_in=float(np.nextafter(l2, np.inf)),
        d_out=float(rho),
        T=float,
    )
    return np.asarray(noise(counts.astype(np.int64).tolist()), dtype=np.int64)


@dataclass(frozen=True)
class Model:
    """A released model of a table of levels; all that follows from it costs nothing more."""

    alias: Mapping[str, str]
    #: the random field that rows are drawn from
    field: Any
    #: what OpenDP returned around it; holds pointers, so a model that was kept has none
    table: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"alias": self.alias, "field": self.field, "table": None}

    @property
    def total(self) -> float:
        """The estimated number of rows that were counted."""
        return float(self.field.total)

    def counts(self, names: Sequence[str]) -> np.ndarray:
        """Estimated counts over columns, one axis each."""
        return np.asarray(self.field.project(self._aliases(names)).values, dtype=np.float64)

    def draw(self, rows: int, rng: np.random.Generator) -> dict[str, Ints]:
        """Levels of ``rows`` independent rows; the same stream gives the same rows."""
        with _numpy_seeded(int(rng.integers(2**32))):
            drawn = self.field.synthetic_data(rows, "sample").df
        return {n: drawn[a].to_numpy().astype(np.int64) for n, a in self.alias.items()}

    def _aliases(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.alias[name] for name in names)


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """The estimator draws from numpy's global stream."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def release(
    codes: Mapping[str, Ints],
    levels: Mapping[str, int],
    pairs: Sequence[tuple[str, str]],
    *,
    rows_per_unit: int,
    rho: float,
    iterations: int,
) -> Model:
    """Noisy counts of every column and of the declared pairs, and the model that fits them.

    Args:
        codes: level of each row by column; ``levels[column]`` for missing.
        levels: how many levels each column has beside missing.
        pairs: columns whose joint counts are released.
        rows_per_unit: rows that one unit has at most in ``codes``: the noise is scaled to it.
        rho: the loss to be spent.
        iterations: of the estimation.
    """
    dp = _opendp()
    import polars as pl
    from mbi.estimation import mirror_descent
    from opendp.extras.mbi import Count, Fixed

    names = tuple(codes)
    alias = {name: f"c{i}" for i, name in enumerate(names)}
    frame = pl.LazyFrame(
        [pl.Series(alias[name], codes[name].astype(np.int32), dtype=pl.Int32) for name in names]
    )
    queries = [Count((alias[name],)) for name in names]
    queries += [Count((alias[one], alias[two])) for one, two in pairs]

    def estimate(domain: Any, loss: Any, *, potentials: Any = None) -> Any:
        return mirror_descent(domain, loss, potentials=potentials, iters=iterations)

    context = dp.Context.compositor(
        data=frame,
        privacy_unit=dp.unit_of(contributions=rows_per_unit),
        privacy_loss=dp.loss_of(rho=rho),
        split_evenly_over=1,
    )
    query = context.query().contingency_table(
        # the library adds a last level for missing values by itself
        keys={alias[name]: list(range(levels[name])) for name in names},
        algorithm=Fixed(queries=queries, estimator=estimate),
    )
    table = query.release()
    return Model(alias, table.model, table)
