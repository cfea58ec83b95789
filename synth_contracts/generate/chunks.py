"""A candidate in chunks: each drawn from a seed of its own, so that any can be made alone.

What the whole table must agree on (who comes, how often, on which days; which values too few
entities hold; fresh keys) is settled once, in compact arrays. The rest is drawn chunk by chunk. The
borders depend on the number of rows and on the entities alone: never on memory, threads or
what was made before (docs/adr/0008).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Contract
from synth_contracts.errors import GenerationError
from synth_contracts.generate.base import Chunked, Generator, Plan, Progress, Sampled
from synth_contracts.generate.keep import Keeper
from synth_contracts.generate.keyless import Keyless
from synth_contracts.generate.keys import fresh_keys, made_afresh, numbered_column, numbered_keys
from synth_contracts.generate.protection import Protection, Touched, recoded
from synth_contracts.generate.recode import recode_table
from synth_contracts.generate.reshape import Reshaped
from synth_contracts.metrics.threads import single_threaded
from synth_contracts.tables.schema import CATEGORICAL, TEMPORAL, TableSchema

#: Rows of a chunk, up to the end of its last entity. Part of what a seed means: never a setting.
CHUNK = 262_144
#: Drawn chunks that are held until they are recoded; the others are drawn a second time.
HELD = 8


@dataclass(frozen=True)
class Learned:
    """A fitted generator, and what its rows are made into.

    Args:
        contract: its generator, k and roles.
        schema: the table's columns.
        form: the table as the generator sees it.
        reshaped: how the generator's columns become the table's.
        keyless: how it learned which rows have no entity key.
        columns: names of the columns that it learned, the entity key among them.
        generator: fitted.
        recodes: whether quasi-identifiers are recoded to k.
        secret_seed: of the run.
        touched: what the protections did to train, by column.
        train_rows: rows that ``touched`` counts cells of; 0 with a guarantee.
    """

    contract: Contract
    schema: TableSchema
    form: TableSchema
    reshaped: Reshaped
    keyless: Keyless
    columns: tuple[str, ...]
    generator: Generator
    recodes: bool
    secret_seed: int
    touched: tuple[Touched, ...]
    train_rows: int

    def stream(self, *numbers: int) -> np.random.Generator:
        """One of the run's streams: 1 fit, 2 rows, 3 names and keys, 4 constraints."""
        return np.random.default_rng([self.secret_seed, *numbers])


@contextmanager
def enough_memory(generator: str) -> Iterator[None]:
    """A clear error in place of MemoryError; ``generator`` is its type.

    Raises:
        GenerationError: memory is used up.
    """
    try:
        yield
    except MemoryError:
        raise GenerationError(
            f"{generator} ran out of memory",
            where="generator",
            mend="make fewer rows, or fit on fewer where the generator can",
        ) from None


@dataclass(frozen=True)
class _Drawn:
    """One chunk before recoding: its rows, which keep what is declared, and a stream to go on."""

    sampled: Sampled
    keeper: Keeper
    stream: np.random.Generator


class _Whole:
    """The plan of a generator that has only ``sample``: one chunk, drawn at once."""

    def __init__(self, sampled: Sampled, owner: np.ndarray) -> None:
        self._sampled, self.owner = sampled, owner

    def draw(self, _rows: slice, _rng: np.random.Generator) -> Sampled:
        """All rows."""
        return self._sampled


class Produced:
    """A candidate of ``rows`` rows.

    Args:
        learned: the fitted generator.
        rows: how many, at least 1.
        progress: told what is drawn.
        held: how many drawn chunks are held in memory; changes no row.

    Attributes:
        rows: how many.
        notes: sentences for the report card on what the generator publishes beyond rows.

    Raises:
        GenerationError: the generator made other rows or columns than it was asked for, or rows
            that break a declared constraint however often they are drawn again. A candidate of
            several chunks may raise it as late as :meth:`chunk`.
    """

    def __init__(
        self, learned: Learned, rows: int, progress: Progress, *, held: int = HELD
    ) -> None:
        self.rows = rows
        self._learned, self._progress, self._held = learned, progress, held
        self._drawn: dict[int, _Drawn] = {}
        self._orders: dict[int, np.ndarray] = {}
        self._redrawn: dict[int, int] = {}  # by chunk: drawn twice, it counts once
        self._keyed: int | None = None
        self._first = learned.stream(2)
        self._plan = self._planned()
        self.notes = learned.generator.notes
        whole = isinstance(self._plan, _Whole)
        self._borders = borders(self._plan.owner, rows if whole else CHUNK)
        self._name_entities()
        self._quasi: list[pd.DataFrame] = []
        self._recoded: pd.DataFrame | None = None
        self._touched = learned.touched
        self._prepare()
        self._alone = self.chunk(0) if len(self) == 1 else None

    @property
    def learned(self) -> Learned:
        """What the rows are drawn from."""
        return self._learned

    def __len__(self) -> int:
        """The number of chunks."""
        return len(self._borders) - 1

    def chunks(self) -> Iterator[pd.DataFrame]:
        """The chunks in their order, as :meth:`chunk` makes them."""
        for number in range(len(self)):
            yield self.chunk(number)

    def chunk(self, number: int) -> pd.DataFrame:
        """Chunk ``number`` (from 0): a canonical frame of the released columns, keys fresh.

        Rows are in time order where there is a time index, those of one entity in one chunk.
        """
        if number == 0 and getattr(self, "_alone", None) is not None:
            assert self._alone is not None  # noqa: S101 - narrows the type for mypy
            return self._alone
        with single_threaded(), enough_memory(self._learned.contract.generator.type):
            return self._made(number)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All chunks as one canonical frame."""
        return pd.concat(list(self.chunks()), ignore_index=True) if len(self) > 1 else self.chunk(0)

    @property
    def uncoarsened(self) -> pd.DataFrame | None:
        """The quasi-identifiers as they were before recoding; row i belongs to row i of ``frame``.

        With the entity key column of ``frame`` where there is one; None without quasi-identifiers.
        Only metrics may see it: it is never released.
        """
        if not self._names_of_quasi:
            return None
        key = self._learned.schema.roles.entity_key
        parts = []
        for number in range(len(self)):
            if number not in self._orders:
                self.chunk(number)
            order, owner = self._orders[number], self._plan.owner[self._span(number)]
            columns = {key: self._entity_keys[self._names[owner[order]]]} if key else {}
            quasi = self._quasi[number]
            parts.append(
                pd.DataFrame(columns | {name: quasi[name].to_numpy()[order] for name in quasi})
            )
        return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]

    @property
    def protection(self) -> Protection:
        """What the protections touched, counted over all chunks; for the owner alone.

        Chunks that were not drawn so far are drawn for it.
        """
        for number in range(len(self)):
            if number not in self._redrawn:
                self.chunk(number)
        return Protection(
            tuple(one for one in self._touched if one.any),
            redrawn=sum(self._redrawn.values()),
            afresh=self._afresh,
            train_rows=self._learned.train_rows,
            rows=self.rows,
        )

    def forget(self) -> None:
        """Give up what the rows are drawn from: ``rows`` and ``notes`` are left.

        Models, plans and recoded columns take more memory than the rows, which are stored by then.
        """
        self.__dict__ = {"rows": self.rows, "notes": self.notes}

    # ---- once for the whole table

    def _planned(self) -> Plan:
        learned = self._learned
        stream = learned.stream(2)
        if isinstance(learned.generator, Chunked) and not self._one_piece():
            plan = learned.generator.plan(self.rows, stream)
            self._first = stream
            return plan
        sampled = learned.generator.sample(self.rows, stream)
        self._check(sampled.frame, self.rows)
        key = learned.schema.roles.entity_key
        owner = sampled.frame[key].to_numpy(dtype=np.int64) if key else np.arange(self.rows)
        sampled, owner, self._keyed = learned.keyless.taken(sampled, owner)
        return _Whole(sampled, owner)

    def _one_piece(self) -> bool:
        """Whether a learned column must be unique over the table, or rows may have no key."""
        fields = self._learned.schema.features
        unique = {f.name for f in fields if f.declared is not None and f.declared.unique}
        return self._learned.keyless.name is not None or bool(
            unique.intersection(self._learned.columns)
        )

    @property
    def _names_of_quasi(self) -> list[str]:
        held = self._learned.columns
        return [n for n in self._learned.schema.roles.quasi_identifiers if n in held]

    def _prepare(self) -> None:
        """Draw every chunk once for its quasi-identifiers, and recode those of the whole table."""
        learned = self._learned
        if not self._names_of_quasi:
            return
        for number in range(len(self)):
            with single_threaded():
                drawn = self._draw(number)
            self._quasi.append(drawn.sampled.frame[self._names_of_quasi].copy())
            if len(self._drawn) < self._held or len(self) == 1:
                self._drawn[number] = drawn
        if learned.recodes:
            self._progress("recoding: quasi-identifiers")
            whole = pd.concat(self._quasi, ignore_index=True)
            owner = self._plan.owner
            self._recoded = recode_table(whole, owner, learned.form, learned.contract)
            del whole
            for number, quasi in enumerate(self._quasi):
                after = self._recoded.iloc[self._span(number)]
                self._touched = recoded(self._touched, quasi, after)

    def _name_entities(self) -> None:
        """Fresh keys of the entities; those from ``_keyed`` on have none."""
        learned = self._learned
        count = int(self._plan.owner.max()) + 1
        keyed = count if self._keyed is None else self._keyed
        stream = learned.stream(3)
        names = np.append(stream.permutation(keyed), np.arange(keyed, count))
        self._names = names.astype(np.int32)
        key = learned.schema.roles.entity_key
        self._entity_keys = np.zeros(0, dtype=object)
        if key:
            fresh = fresh_keys(learned.schema.field(key), keyed, stream)
            self._entity_keys = np.append(fresh, [None] * (count - keyed))

    # ---- chunk by chunk

    def _span(self, number: int) -> slice:
        return slice(int(self._borders[number]), int(self._borders[number + 1]))

    def _draw(self, number: int) -> _Drawn:
        learned, span = self._learned, self._span(number)
        if len(self) > 1:
            self._progress(f"sampling: rows {span.start:,} to {span.stop:,} of {self.rows:,}")
        # the first goes on where the plan ended, as if there were no chunks
        stream = learned.stream(2, number) if number else deepcopy(self._first)
        sampled = self._plan.draw(span, stream)
        if not isinstance(self._plan, _Whole):
            self._check(sampled.frame, span.stop - span.start)
        owner = self._plan.owner[span].astype(np.int64)
        if len(self) > 1:
            owner -= owner[0]
        self._redrawn[number] = sampled.redrawn
        keeper = Keeper(learned.schema, learned.reshaped, sampled, owner, self._progress)
        stream = learned.stream(4, number) if number else learned.stream(4)
        keeper.mend(stream)
        return _Drawn(sampled, keeper, stream)

    def _made(self, number: int) -> pd.DataFrame:
        learned, span = self._learned, self._span(number)
        drawn = self._drawn.pop(number, None) or self._draw(number)
        frame = drawn.sampled.frame
        if self._recoded is not None:
            frame = frame.copy(deep=False)
            for name in self._recoded:
                frame[name] = self._recoded[name].to_numpy()[span]
        if learned.recodes and drawn.sampled.redraw is not None:
            frame = drawn.sampled.redraw(frame)
        frame = drawn.keeper.finish(frame, drawn.stream)
        order = self._order(frame, span)
        self._orders[number] = order.astype(np.int32)
        keys = self._keys(number, order)
        return pd.DataFrame(
            {
                field.name: keys[field.name]
                if field.name in keys
                else frame[field.name].to_numpy()[order]
                for field in learned.schema.released
            }
        )

    def _order(self, frame: pd.DataFrame, span: slice) -> np.ndarray:
        names = self._names[self._plan.owner[span]]
        time = self._learned.schema.roles.time_index
        if time in frame.columns:
            return np.lexsort((names, frame[time].to_numpy()))
        return np.argsort(names, kind="stable")

    @property
    def _afresh(self) -> tuple[str, ...]:
        """Columns with fresh keys."""
        schema = self._learned.schema
        given = {schema.roles.entity_key, numbered_column(schema)}
        return tuple(f.name for f in schema.released if f.name in given or made_afresh(f))

    def _keys(self, number: int, order: np.ndarray) -> Mapping[str, np.ndarray]:
        """Fresh keys of a chunk's rows in their final order."""
        span, schema = self._span(number), self._learned.schema
        rng = self._learned.stream(3, number)
        keys = {}
        for field in schema.released:
            if field.name == schema.roles.entity_key:
                owner = self._plan.owner[span]
                keys[field.name] = self._entity_keys[self._names[owner[order]]]
            elif field.name == numbered_column(schema):
                keys[field.name] = numbered_keys(self._plan.owner[span][order])
            elif made_afresh(field) and field.declared and field.declared.enum is not None:
                # dealt over the whole table: no value twice
                dealt = fresh_keys(field, self.rows, self._learned.stream(3, 0))
                keys[field.name] = dealt[span]
            elif made_afresh(field):
                keys[field.name] = fresh_keys(
                    field, len(order), rng, first=span.start, total=self.rows
                )
        return keys

    def _check(self, made: pd.DataFrame, rows: int) -> None:
        """Refuse what a faulty generator made, before it is taken for a candidate."""
        schema = self._learned.form
        if len(made) != rows:
            raise GenerationError(f"the generator made {len(made)} rows, not {rows}")
        if sorted(made.columns) != sorted(self._learned.columns):
            odd = sorted(set(made.columns) ^ set(self._learned.columns)) or ["a column twice"]
            raise GenerationError(
                f"the generator made other columns than it learned: {', '.join(odd)}"
            )
        for name in made.columns:
            dtype = made[name].dtype
            if name == schema.roles.entity_key:
                right = dtype.kind in "iu" and rows > 0 and bool((made[name] >= 0).all())
                wanted = "integers from 0"
            else:
                kind = schema.field(name).kind
                wanted = "datetime64[ns]" if kind in TEMPORAL else "float64"
                wanted = "object" if kind in CATEGORICAL else wanted
                right = dtype == wanted
            if not right:
                raise GenerationError(f"the generator made {dtype}, not {wanted}", where=name)


def borders(owner: np.ndarray, size: int) -> np.ndarray:
    """First row of each chunk, and the number of rows.

    A chunk begins with the first entity that begins at or after a multiple of ``size``.

    Args:
        owner: entity of each row, rows of one entity together (where there is more than one chunk).
        size: rows of a chunk, more or less an entity's; at least 1.
    """
    rows = len(owner)
    wanted = np.arange(size, rows, size)
    starts = np.flatnonzero(np.diff(owner) != 0) + 1 if len(wanted) else wanted
    found = np.searchsorted(starts, wanted)
    inner = starts[found[found < len(starts)]]
    return np.unique(np.concatenate([[0], inner, [rows]]))
