"""Generators of other distributions as guests: faults become errors, frames are checked.

What a guest raises may quote values of the table, so it is told by its kind and place alone.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract, Roles
from synth_contracts.contract.plugins import Plugin, PluginFault, find_plugin
from synth_contracts.errors import GenerationError, SynthContractsError
from synth_contracts.generate.bare import Bare
from synth_contracts.generate.base import Generator, Progress, Rows, Sampled
from synth_contracts.generate.parameters import filled
from synth_contracts.generate.wrapped import Wrapped
from synth_contracts.tables.schema import Field, TableSchema


def installed_guest(contract: Contract, progress: Progress) -> Generator | None:
    """The installed plugin that the contract names, made ready; None where there is none.

    Raises:
        GenerationError: it cannot be used, or is not the version that the contract was read with.
    """
    try:
        plugin = find_plugin(contract.generator.type)
    except PluginFault as fault:
        raise GenerationError(fault.message, where="generator.type", mend=fault.mend) from fault
    if plugin is None:
        return None
    read_with = contract.generator.plugin
    if read_with is not None and read_with != (plugin.distribution, plugin.version):
        raise GenerationError(
            f"the contract was read with {' '.join(read_with)}, and {plugin.distribution} "
            f"{plugin.version} is installed now",
            where="generator.type",
            mend="load the contract again",
        )
    return guest(plugin, contract, progress)


def guest(plugin: Plugin, contract: Contract, progress: Progress) -> Generator:
    """A plugin as a generator: rows in their frame, or bare; whole tables as they come."""
    parameters = filled(plugin.spec, contract.generator.parameters)
    with _told(plugin.spec.name, "could not be made"):
        model = plugin.make(parameters, progress)
    if not plugin.rows:
        return GuestTable(plugin.spec.name, model)
    rows = GuestRows(plugin.spec.name, model)
    framed = contract.generator.calendar.enabled
    return Wrapped(contract, rows, progress) if framed else Bare(rows)


class GuestRows:
    """A foreign model of rows."""

    #: False in its author's own tests, who want to see what it raises
    guarded = True

    def __init__(self, name: str, model: Rows) -> None:
        self._name, self._model = name, model

    def fit(self, table: pd.DataFrame, fields: Sequence[Field], rng: np.random.Generator) -> None:
        """Fit on a copy of the columns that are asked for."""
        self._columns = [field.name for field in fields]
        with _told(self._name, "failed in fit", self.guarded):
            self._model.fit(table[self._columns].copy(), fields, rng)

    def draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n`` rows, as many and of the columns that were asked for."""
        with _told(self._name, "failed in draw", self.guarded):
            made = self._model.draw(n, rng)
        if not isinstance(made, pd.DataFrame):
            raise GenerationError(f"{self._name} made no DataFrame")
        if len(made) != n:
            raise GenerationError(f"{self._name} made {len(made)} rows, not {n}")
        if sorted(made.columns) != sorted(self._columns):
            odd = sorted(map(str, set(made.columns) ^ set(self._columns))) or ["a column twice"]
            raise GenerationError(
                f"{self._name} made other columns than it learned: {', '.join(odd)}"
            )
        return made[self._columns].reset_index(drop=True)


class GuestTable:
    """A foreign model of whole tables."""

    guarded = True

    def __init__(self, name: str, model: Generator) -> None:
        self._name, self._model = name, model

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report card."""
        return tuple(str(note) for note in getattr(self._model, "notes", ()))

    def fit(
        self, train: pd.DataFrame, roles: Roles, schema: TableSchema, rng: np.random.Generator
    ) -> None:
        """Fit on a copy of protected train."""
        self._key = roles.entity_key
        with _told(self._name, "failed in fit", self.guarded):
            self._model.fit(train.copy(), roles, schema, rng)

    def sample(self, n: int, rng: np.random.Generator) -> Sampled:
        """``n`` rows; entities numbered from 0."""
        with _told(self._name, "failed in sample", self.guarded):
            made = self._model.sample(n, rng)
        if not isinstance(made, Sampled) or not isinstance(made.frame, pd.DataFrame):
            raise GenerationError(f"{self._name} made no Sampled")
        frame = made.frame.reset_index(drop=True)
        if self._key in frame.columns and frame[self._key].dtype.kind in "iu":
            frame[self._key] = pd.factorize(frame[self._key], sort=True)[0].astype(np.int64)
        # closures over its own frame would draw for another numbering
        return Sampled(frame)


@contextlib.contextmanager
def _told(name: str, what: str, guarded: bool = True) -> Iterator[None]:
    if not guarded:
        yield
        return
    try:
        yield
    except SynthContractsError:
        raise
    except MemoryError:
        raise GenerationError(f"{name} ran out of memory", where="generator") from None
    except Exception as error:  # noqa: BLE001 - whatever a guest raises may quote values
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise GenerationError(
            f"{name} {what}: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}",
            where="generator",
            mend="its own words are kept back, since they may quote values: run its author's tests",
        ) from None
