"""``generate``: protect train, fit, sample, recode, and give fresh keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from synth_contracts.contract.document import suggest
from synth_contracts.contract.generators import GENERATORS as CATALOG
from synth_contracts.contract.model import Contract
from synth_contracts.contract.plugins import plugin_names
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Generator, Private, Progress, Spend
from synth_contracts.generate.chunks import Learned, Produced, enough_memory
from synth_contracts.generate.keyless import Keyless
from synth_contracts.generate.keys import made_afresh
from synth_contracts.generate.protect import Protected, protect
from synth_contracts.generate.protection import touched
from synth_contracts.generate.reshape import Reshaped
from synth_contracts.metrics.threads import single_threaded
from synth_contracts.omission import pool_rows
from synth_contracts.tables.schema import TableSchema


def _calendar_cart(contract: Contract, progress: Progress) -> Generator:
    from synth_contracts.generate.calendar_cart import CalendarCart

    if contract.generator.fit_rows is not None:
        raise GenerationError(
            "calendar_cart fits the whole training part",
            where="generator.fitRows",
            mend="take it out",
        )
    return CalendarCart(contract, progress)


def _sdv(contract: Contract, progress: Progress) -> Generator:
    from synth_contracts.generate.bare import Bare
    from synth_contracts.generate.sdv_rows import SdvRows
    from synth_contracts.generate.wrapped import Wrapped

    rows = SdvRows(contract.generator, progress)
    framed = contract.generator.calendar.enabled
    return Wrapped(contract, rows, progress) if framed else Bare(rows)


def _par(contract: Contract, progress: Progress) -> Generator:
    from synth_contracts.generate.sdv_sequences import SdvSequences
    from synth_contracts.generate.timed import Timed

    sequences = SdvSequences(contract, progress)
    framed = contract.generator.calendar.enabled
    return Timed(contract, sequences, progress) if framed else sequences


def _dp_marginals(contract: Contract, progress: Progress) -> Generator:
    from synth_contracts.generate.dp_marginals import DpMarginals

    return DpMarginals(contract, progress)


#: ``generator.type`` -> what makes it; its module is imported when asked for (SDV takes seconds).
GENERATORS: Mapping[str, Callable[[Contract, Progress], Generator]] = {
    "calendar_cart": _calendar_cart,
    "gaussian_copula": _sdv,
    "ctgan": _sdv,
    "copula_gan": _sdv,
    "tvae": _sdv,
    "par": _par,
    "dp_marginals": _dp_marginals,
}


def generate(
    contract: Contract,
    train: pd.DataFrame,
    schema: TableSchema,
    *,
    secret_seed: int,
    rows: int | None,
    progress: Progress,
    spend: Spend | None = None,
) -> Produced:
    """A synthetic table of ``rows`` rows, learned from ``train`` alone.

    The same train (in any row order), contract, seed and versions give the same rows, whatever the
    number of threads or PYTHONHASHSEED; not so with a guarantee, whose noise nobody can repeat.

    Args:
        contract: its generator, k and roles.
        train: canonical frame of the training part, keys among its columns.
        schema: the table's columns.
        secret_seed: non-negative; whoever holds it can repeat the run.
        rows: number of rows to make, at least 1; None, with a guarantee, for the released number.
        progress: receives short sentences, never a value of the data.
        spend: of a generator with a guarantee: takes what it is about to spend, before any noise
            is drawn, and raises when there is not enough.

    Returns:
        The candidate. Up to CHUNK rows are made at once; more are drawn once, for what the whole
        table must agree on, and made when they are asked for.

    Raises:
        GenerationError: unknown generator or parameter, empty train, a table it cannot learn, a
            generator that made other rows or columns than it was asked for, or rows that break a
            declared constraint however often they are drawn again, or memory is used up.
    """
    with enough_memory(contract.generator.type):
        return produce(
            make(contract, progress), contract, train, schema,
            secret_seed=secret_seed, rows=rows, progress=progress, spend=spend,
        )  # fmt: skip


def make(contract: Contract, progress: Progress) -> Generator:
    """The generator that the contract names, not yet fitted.

    Raises:
        GenerationError: there is none of that name, or a parameter of it is wrong.
    """
    kind = contract.generator.type
    if kind in GENERATORS:
        return GENERATORS[kind](contract, progress)
    from synth_contracts.generate.guest import installed_guest

    found = installed_guest(contract, progress)
    if found is None:
        raise GenerationError(
            f"unknown generator {kind!r}",
            where="generator.type",
            mend=suggest(kind, [*GENERATORS, *plugin_names()]),
        )
    return found


def produce(
    generator: Generator,
    contract: Contract,
    train: pd.DataFrame,
    schema: TableSchema,
    *,
    secret_seed: int,
    rows: int | None,
    progress: Progress,
    spend: Spend | None = None,
) -> Produced:
    """What ``generate`` does, with a generator that is made already."""
    spec = contract.generator
    private = spec.type in CATALOG and CATALOG[spec.type].private
    if rows is None and not private:
        raise GenerationError("no number of rows is given", where="generator.rows")
    if rows is not None and rows < 1:
        raise GenerationError(f"cannot generate {rows} rows", where="generator.rows")
    if train.empty:
        raise GenerationError("the training part holds no rows", where=schema.table)
    fitted = [f.name for f in schema.features if not made_afresh(f)]
    with single_threaded():
        key = schema.roles.entity_key
        ordered = _sorted(train[[*fitted, *([key] if key else [])]])
        entities = _entities(ordered[key]) if key else np.arange(len(ordered))
        whole = ordered[fitted]
        reshaped, protected = _prepared(whole, entities, schema, contract, private)
        before = whole if private else reshaped.forward(whole)  # private: nothing is protected
        keyless = Keyless.of(ordered[key] if key and not private else None, schema, contract.k)
        form = keyless.schema(reshaped.schema)
        features = keyless.mark(protected.frame)
        if key:
            features = features.assign(**{key: entities})
        if isinstance(generator, Private):
            generator.spend = spend
        generator.fit(features, schema.roles, form, np.random.default_rng([secret_seed, 1]))
        if rows is None:
            assert isinstance(generator, Private)  # noqa: S101 - private, see above
            rows = generator.released_rows()
        learned = Learned(
            contract, schema, form, reshaped, keyless, tuple(features.columns), generator,
            # recoding reads synthetic rows alone
            spec.outliers.rare_category or private, secret_seed,
            touched(before, protected.uncoded, protected.frame, protected.joined, form),
            # with a guarantee train is not told of
            0 if private else len(ordered),
        )  # fmt: skip
        return Produced(learned, rows, progress)


def rows_asked(
    contract: Contract, train: pd.DataFrame, schema: TableSchema, source_rows: int
) -> int | None:
    """How many rows a contract asks for; None for the number that a guarantee releases.

    ``generator.rows``, else as many as the source has; with a ``period`` in proportion to its days
    and those from train's first to its last. With a fingerprint that is about what one
    export holds, and the pool is as much larger as exports omit of it; a number that a guarantee
    releases is the pool's.

    Raises:
        GenerationError: a period, and no time in train to count its days by.
    """
    if contract.generator.rows is None and contract.generator.guarantee is not None:
        return None  # neither the source's number nor its days may be looked at
    rows = _rows_of_one(contract, train, schema, source_rows)
    return pool_rows(rows) if contract.export.fingerprint else rows


def _rows_of_one(
    contract: Contract, train: pd.DataFrame, schema: TableSchema, source_rows: int
) -> int:
    if contract.generator.rows is not None:
        return contract.generator.rows
    period = contract.generator.period
    if period is None:
        return source_rows
    times = train[schema.roles.time_index].dropna()
    if times.empty:
        raise GenerationError(
            "a period needs times, and the training part holds none",
            where=f"{schema.table}.{schema.roles.time_index}",
            mend="take generator.period out",
        )
    first, last = times.min().date(), times.max().date()
    start, end = period.between(first, last)
    share = ((end - start).days + 1) / ((last - first).days + 1)
    return max(1, round(source_rows * float(share)))


def _prepared(
    train: pd.DataFrame,
    entities: np.ndarray,
    schema: TableSchema,
    contract: Contract,
    private: bool,
) -> tuple[Reshaped, Protected]:
    """What the generator learns. With a guarantee nothing but its own mechanism reads train."""
    if private:
        bare = replace(schema, constraints=())
        return Reshaped(train.iloc[:0], entities[:0], bare), Protected(train.copy(), train, {})
    reshaped = Reshaped(train, entities, schema)
    forward = reshaped.forward(train)
    return reshaped, protect(forward, entities, reshaped.schema, contract)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in an order of their own: no trace of how the table lay on disk."""
    codes = [pd.factorize(frame[name], sort=True)[0] for name in reversed(frame.columns)]
    if not codes:
        return frame.reset_index(drop=True)
    return frame.iloc[np.lexsort(codes)].reset_index(drop=True)


def _entities(column: pd.Series) -> np.ndarray:
    """Entities numbered by first appearance; rows without a key are entities of their own."""
    codes, labels = pd.factorize(column)
    alone = codes < 0
    codes[alone] = len(labels) + np.arange(int(alone.sum()))
    return codes.astype(np.int64)
