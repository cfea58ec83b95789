"""``generate``: protect train, fit, sample, recode, and give fresh keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from synth_contracts.contract.model import Contract
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Generator, Progress
from synth_contracts.generate.keys import fresh_keys
from synth_contracts.generate.protect import protect
from synth_contracts.generate.recode import recode_table
from synth_contracts.tables.schema import TableSchema


def _calendar_cart() -> type[Generator]:
    from synth_contracts.generate.calendar_cart import CalendarCart

    return CalendarCart


def _ctgan() -> type[Generator]:
    from synth_contracts.generate.sdv_ctgan import Ctgan

    return Ctgan


#: ``generator.type`` -> its class, imported when asked for (SDV takes seconds).
GENERATORS: Mapping[str, Callable[[], type[Generator]]] = {
    "calendar_cart": _calendar_cart,
    "ctgan": _ctgan,
}


def generate(
    contract: Contract,
    train: pd.DataFrame,
    schema: TableSchema,
    *,
    secret_seed: int,
    rows: int,
    progress: Progress,
) -> pd.DataFrame:
    """A synthetic table of ``rows`` rows, learned from ``train`` alone.

    The same train (in any row order), contract, seed and versions give the same rows, whatever the
    number of threads or PYTHONHASHSEED.

    Args:
        contract: its generator, k and roles.
        train: canonical frame of the training part, keys among its columns.
        schema: the table's columns.
        secret_seed: non-negative; whoever holds it can repeat the run.
        rows: number of rows to make, at least 1.
        progress: receives short sentences, never a value of the data.

    Returns:
        Canonical frame of ``schema.released`` columns; keys are fresh.

    Raises:
        GenerationError: unknown generator, empty train, or a table it cannot learn.
    """
    spec = contract.generator
    if spec.type not in GENERATORS:
        raise GenerationError(
            f"unknown generator {spec.type!r}",
            where="generator.type",
            mend=f"known are {', '.join(GENERATORS)}",
        )
    if rows < 1:
        raise GenerationError(f"cannot generate {rows} rows", where="generator.rows")
    if train.empty:
        raise GenerationError("the training part holds no rows", where=schema.table)
    fitted = [f.name for f in schema.features if not (f.declared and f.declared.unique)]
    with threadpool_limits(limits=1):
        key = schema.roles.entity_key
        ordered = _sorted(train[[*fitted, *([key] if key else [])]])
        entities = _entities(ordered[key]) if key else np.arange(len(ordered))
        features = protect(ordered[fitted], entities, schema, contract)
        if key:
            features[key] = entities
        generator = GENERATORS[spec.type]()(contract, progress)
        generator.fit(features, schema.roles, schema, np.random.default_rng([secret_seed, 1]))
        sampled = generator.sample(rows, np.random.default_rng([secret_seed, 2]))
        if len(sampled) != rows:
            raise GenerationError(f"the generator made {len(sampled)} rows, not {rows}")
        owner = sampled[key].to_numpy(dtype=np.int64) if key else np.arange(rows)
        if spec.outliers.rare_category:
            sampled = recode_table(sampled, owner, schema, contract)
        return _finish(sampled, owner, schema, np.random.default_rng([secret_seed, 3]))


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


def _finish(
    sampled: pd.DataFrame, owner: np.ndarray, schema: TableSchema, rng: np.random.Generator
) -> pd.DataFrame:
    """Rows in time order with fresh keys, columns in the schema's order."""
    time = schema.roles.time_index
    count = int(owner.max()) + 1
    names = rng.permutation(count)
    if time in sampled.columns:
        order = np.lexsort((names[owner], sampled[time].to_numpy()))
    else:
        order = np.argsort(names[owner], kind="stable")
    sampled, owner = sampled.iloc[order].reset_index(drop=True), owner[order]
    columns = {}
    for field in schema.released:
        if field.name == schema.roles.entity_key:
            columns[field.name] = fresh_keys(field, count, rng)[names[owner]]
        elif field.key or (field.declared is not None and field.declared.unique):
            columns[field.name] = fresh_keys(field, len(sampled), rng)
        else:
            columns[field.name] = sampled[field.name].to_numpy()
    return pd.DataFrame(columns)
