"""The conformance kit: a class of tests that an author of a generator inherits and runs in pytest.

>>> from synth_contracts.testing import GeneratorConformance
>>> class TestMine(GeneratorConformance):
...     generator = "their_name"  # the entry point's name, or the class itself

It says whether a generator keeps to the protocol. It says nothing about privacy or fidelity: that
is for the gate, on real tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from synth_contracts.contract.plugins import Plugin, describe, find_plugin
from synth_contracts.errors import GenerationError
from synth_contracts.generate.guest import GuestRows, GuestTable, guest
from synth_contracts.generate.run import produce
from synth_contracts.tables.frame import restore
from synth_contracts.testing import tables
from synth_contracts.testing.tables import Trial

#: Share of rows whose made-up number is a real one to the last bit, above which rows are copies.
_COPIES = 0.05
_WRITES = frozenset("wax+")


class GeneratorConformance:
    """Inherit and set ``generator``; pytest finds the tests by themselves.

    Attributes:
        generator: the name of the entry point, or the class itself.
        parameters: what the contract would say under ``parameters``, small enough for tests.
    """

    generator: ClassVar[str | type[Any]]
    parameters: ClassVar[Mapping[str, object]] = {}

    def test_it_is_declared_rightly(self) -> None:
        """A class with ``fit`` and ``draw`` or ``sample``, and sound parameters."""
        plugin = self._plugin()
        for name in self.parameters:
            _claim(name in plugin.spec.parameters, f"`{name}` is no parameter of it")

    def test_it_makes_the_rows_and_columns_that_are_asked_for(self) -> None:
        """Right columns, dtypes and numbers of rows, fewer and more than train has."""
        for framed in self._frames():
            trial = self._trial(tables.visits(), framed=framed)
            for rows in (1, 57, len(trial.train) + 60):
                made = self._made(trial, rows=rows)
                _claim(len(made) == rows, f"{rows} rows were asked for and {len(made)} made")
                restore(made, trial.schema)

    def test_one_seed_makes_the_same_rows_and_another_seed_others(self) -> None:
        """All randomness comes from the stream that is given; the global ones are left alone."""
        for framed in self._frames():
            trial = self._trial(tables.visits(), framed=framed)
            np.random.seed(1)
            first = self._made(trial, seed=1)
            np.random.seed(2)
            before = np.random.get_state()[1].copy()  # type: ignore[index]
            again = self._made(trial, seed=1)
            after = np.random.get_state()[1]  # type: ignore[index]
            _claim(first.equals(again), "the same seed made other rows")
            _claim(bool((before == after).all()), "numpy's global random state was used")
            other = self._made(trial, seed=2)
            # keys, entities and order are the host's: of the generator's own, only values tell
            same = np.array_equal(np.sort(first["paid"]), np.sort(other["paid"]), equal_nan=True)
            _claim(not same, "another seed made the same rows")

    def test_the_order_of_trains_rows_does_not_matter(self) -> None:
        """The same rows in another order make the same table."""
        trial = self._trial(tables.visits())
        _claim(
            self._made(trial).equals(self._made(trial.shuffled())),
            "the rows of train in another order made another table: something is kept from run to "
            "run",
        )

    def test_samples_of_one_fit_hang_on_their_stream_alone(self) -> None:
        """Sampling leaves the fitted model as it is."""
        trial = self._trial(tables.visits())
        made = []
        for streams in ((1,), (2, 1)):
            model = guest(self._plugin(), trial.contract, lambda _: None)
            features = trial.train.drop(columns="visit").assign(
                who=pd.factorize(trial.train["who"], sort=True)[0].astype(np.int64)
            )
            model.fit(features, trial.schema.roles, trial.schema, np.random.default_rng(0))
            for stream in streams:
                last = model.sample(50, np.random.default_rng(stream)).frame
            made.append(last)
        _claim(made[0].equals(made[1]), "a sample changed the model: the next one was another")

    def test_it_reads_train_alone_and_writes_nothing(self) -> None:
        """The frame it is given stays as it is; no file is written and no connection opened."""
        trial = self._trial(tables.visits())
        self._made(trial)  # whatever is imported or compiled at first use is so now
        before = trial.train.copy(deep=True)
        with _watched() as seen:
            self._made(trial)
        _claim(not seen, f"it did what only a host may do: {', '.join(sorted(set(seen)))}")
        _claim(trial.train.equals(before), "it changed the frame that it was given")

    def test_no_key_and_no_copies_of_train_come_back(self) -> None:
        """No key of train stands anywhere, and hardly a number that only one real row has."""
        for framed in self._frames():
            trial = self._trial(tables.visits(), framed=framed)
            made = self._made(trial, rows=300)
            keys = set(map(str, trial.train["who"])) | set(map(str, trial.train["visit"]))
            for name in made.columns:
                held = keys & set(map(str, made[name].dropna().unique()))
                _claim(not held, f"`{name}` holds keys of train")
            real = set(trial.train["paid"].dropna())
            share = float(made["paid"].dropna().isin(real).mean())
            _claim(share <= _COPIES, f"{share:.0%} of a continuous column are real values")

    def test_missing_values_and_constants_are_learned(self) -> None:
        """A column without a value stays so, a constant one too; missing values come back."""
        for framed in self._frames():
            made = self._made(self._trial(tables.constant(), framed=framed))
            _claim(bool(made["nothing"].isna().all()), "a value was made for an empty column")
            _claim(set(made["kind"]) == {"a"}, "a constant category was not kept")
            made = self._made(self._trial(tables.visits(), framed=framed), rows=400)
            share = float(made["paid"].isna().mean())
            _claim(0.02 < share < 0.6, f"{share:.0%} of a column are missing, 20 % in train")

    def test_tables_without_entity_or_time_are_made_or_declined(self) -> None:
        """Each role may be missing; what cannot be learned is a GenerationError."""
        for entity, time in ((True, False), (False, True), (False, False)):
            self._made_or_declined(
                self._trial(tables.visits(), entity=entity, time=time), "a role is missing"
            )

    def test_degenerate_tables_are_made_or_declined(self) -> None:
        """Entities of one row, and a table of one row."""
        for framed in self._frames():
            for frame, words in (
                (tables.single_rows(), "every entity has one row"),
                (tables.one_row(), "the table has one row"),
            ):
                self._made_or_declined(self._trial(frame, framed=framed), words)

    def test_infinite_numbers_are_declined_or_do_not_come_back(self) -> None:
        """What cannot be learned is a GenerationError, never a wrong table."""
        made = self._made_or_declined(self._trial(tables.infinite(), framed=False), "infinite")
        if made is not None:
            numbers = made["paid"].dropna().to_numpy()
            _claim(bool(np.isfinite(numbers).all()), "infinite numbers were made")

    def _plugin(self) -> Plugin:
        if isinstance(self.generator, str):
            found = find_plugin(self.generator)
            _claim(found is not None, f"no entry point offers the generator `{self.generator}`")
            assert found is not None  # noqa: S101 - narrows the type for mypy
            return found
        return describe(self.generator.__name__.lower(), self.generator)

    def _frames(self) -> tuple[bool, ...]:
        """Models of rows are tried in the frame of calendar and entities, and bare."""
        return (False, True) if self._plugin().rows else (False,)

    def _trial(
        self, frame: pd.DataFrame, *, framed: bool = False, entity: bool = True, time: bool = True
    ) -> Trial:
        name = self._plugin().spec.name
        spec = tables.spec(name, dict(self.parameters), framed=framed)
        return tables.trial(frame, spec, entity=entity, time=time)

    def _made(self, trial: Trial, *, rows: int = 120, seed: int = 1) -> pd.DataFrame:
        model = guest(self._plugin(), trial.contract, lambda _: None)
        _unguarded(model)
        return produce(
            model, trial.contract, trial.train, trial.schema,
            secret_seed=seed, rows=rows, progress=lambda _: None,
        ).frame  # fmt: skip

    def _made_or_declined(self, trial: Trial, words: str) -> pd.DataFrame | None:
        try:
            made = self._made(trial, rows=30)
        except GenerationError:
            return None
        except Exception as error:
            raise AssertionError(
                f"{words}: it raised {type(error).__name__}, not GenerationError"
            ) from error
        restore(made, trial.schema)
        return made


def _unguarded(model: Any) -> None:
    """Let the author see the exceptions that a host keeps back."""
    inner = getattr(model, "_rows", model)
    if isinstance(inner, GuestRows | GuestTable):
        inner.guarded = False


_LISTENERS: list[list[str]] = []
_HOOKED: list[bool] = []


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if not _LISTENERS:
        return
    if event == "open" and isinstance(arguments[1], str) and _WRITES & set(arguments[1]):
        _LISTENERS[-1].append(f"opened a file to write ({arguments[0]})")
    if event in {"socket.connect", "socket.getaddrinfo"}:
        _LISTENERS[-1].append("opened a connection")


@contextmanager
def _watched() -> Iterator[list[str]]:
    """What the block wrote or connected to. Audit hooks cannot be taken off: one is put on once."""
    if not _HOOKED:
        sys.addaudithook(_heard)
        _HOOKED.append(True)
    seen: list[str] = []
    _LISTENERS.append(seen)
    try:
        yield seen
    finally:
        _LISTENERS.remove(seen)


def _claim(holds: bool, words: str) -> None:
    if not holds:
        raise AssertionError(words)
