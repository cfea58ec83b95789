"""Candidates in chunks: the same rows whatever is held in memory, and any chunk alone."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth_contracts.contract.model import Calendar, Column, GeneratorSpec, Outliers, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import chunks, generate, run
from synth_contracts.generate.base import Sampled
from synth_contracts.generate.chunks import Produced, borders
from synth_contracts.tables import restore, rows_digest, rows_digest_in_parts

ROWS, K = 3_000, 3


@pytest.fixture(scope="module")
def made(few_case) -> Produced:
    """Three thousand rows in chunks of about 500."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK", 500)
        return fresh(few_case)


def fresh(case, rows: int = ROWS, said: list[str] | None = None) -> Produced:
    told = [] if said is None else said
    return generate(
        replace(case.contract, k=K), case.train, case.schema,
        secret_seed=3, rows=rows, progress=told.append,
    )  # fmt: skip


def again(made: Produced, held: int) -> Produced:
    """The same fitted generator's candidate once more."""
    return Produced(made._learned, made.rows, lambda _: None, held=held)


def test_chunked_is_unchunked_whatever_is_held_and_whichever_comes_first(made, monkeypatch) -> None:
    assert len(made) >= 5
    whole = made.frame
    assert len(whole) == ROWS
    monkeypatch.setattr(chunks, "CHUNK", 500)
    none, two = again(made, 0), again(made, 2)
    backwards = [none.chunk(number) for number in reversed(range(len(none)))][::-1]
    pd.testing.assert_frame_equal(pd.concat(backwards, ignore_index=True), whole)
    parts = list(two.chunks())
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    pd.testing.assert_frame_equal(two.chunk(1), parts[1])  # a chunk can be made twice
    for one in (none, two):
        pd.testing.assert_frame_equal(one.uncoarsened, made.uncoarsened)


def test_a_chunk_can_be_made_alone(made, few_case, monkeypatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 500)
    alone = fresh(few_case).chunk(3)
    borders_ = made._borders
    pd.testing.assert_frame_equal(
        alone, made.frame.iloc[borders_[3] : borders_[4]].reset_index(drop=True)
    )


def test_chunks_fit_together(made) -> None:
    parts = list(made.chunks())
    longest = made.frame["household_id"].value_counts().max()
    assert max(len(part) for part in parts) <= 500 + longest
    owners = [set(part["household_id"]) for part in parts]
    assert sum(map(len, owners)) == len(set.union(*owners))  # an entity is in one chunk
    assert made.frame["basket_id"].tolist() == list(range(1, ROWS + 1))
    for part in parts:
        assert part["transaction_timestamp"].is_monotonic_increasing


def test_chunks_draw_from_seeds_of_their_own(make_case, monkeypatch) -> None:
    """One column that depends on nothing: from one seed all chunks would be the same."""
    monkeypatch.setattr(chunks, "CHUNK", 200)
    case = make_case(pd.DataFrame({"n": np.random.default_rng(1).random(900)}), roles=Roles())
    parts = [part["n"].to_numpy() for part in fresh(case, 800).chunks()]
    assert [len(part) for part in parts] == [200] * 4
    for i in range(4):
        for j in range(i):
            assert len(np.intersect1d(parts[i], parts[j])) < 20  # whatever their order


def test_classes_hold_k_entities_over_all_chunks(made) -> None:
    quasi = ["store_id", "age", "income"]
    held = made.frame.groupby(quasi, dropna=False)["household_id"].nunique()
    assert held.min() >= K
    before = made.uncoarsened
    assert before is not None
    assert before.groupby(quasi, dropna=False)["household_id"].nunique().min() < K
    assert (before["household_id"] == made.frame["household_id"]).all()
    kept = (before["age"] == made.frame["age"]) | (made.frame["age"] == "other")
    assert kept[made.frame["age"].notna()].all()


def regular(quasi: tuple[str, ...]):
    """Few columns, some amounts far out; rows near them are drawn again."""
    rng = np.random.default_rng(4)
    who = np.arange(1_200) % 120
    amount = rng.normal(20, 5, len(who)).round(2)
    amount[:30] = np.linspace(2_000, 60_000, 30)
    frame = pd.DataFrame({"who": who, "age": who % 40, "area": rng.choice([*"abcd"], 1_200), "amount": amount})  # fmt: skip
    return frame, Roles("who", None, None, quasi, ())


def spec_of_rejection() -> GeneratorSpec:
    off = Calendar(enabled=False)
    return GeneratorSpec(calendar=off, outliers=Outliers(top_code=False, reject=True))


def test_what_was_touched_is_counted_over_all_chunks(make_case, monkeypatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 200)
    said: list[str] = []
    frame, roles = regular(("age", "area"))
    case = make_case(frame, roles=roles, spec=spec_of_rejection(), share=0.0)
    made = fresh(case, 1_000, said=said)
    assert len(made) >= 4
    drawn = [int(line.split()[1]) for line in said if line.startswith("redrawing:")]
    assert len(drawn) >= len(made)  # in more than one chunk
    found = made.protection
    assert found.redrawn == sum(drawn)
    before, after = made.uncoarsened, made.frame
    assert before is not None
    recoded = {one.column: one.recoded for one in found.columns}
    for name in ("age", "area"):
        differ = before[name].astype(str) != after[name].astype(str)
        assert recoded[name] == differ.sum() > 0
        assert differ.to_numpy()[: len(made.chunk(0))].sum() < differ.sum()
    assert (found.rows, found.train_rows, found.afresh) == (1_000, len(frame), ("who",))
    twice = again(made, 0)  # each chunk is drawn twice
    assert len(list(twice.chunks())) == len(made)
    assert twice.protection == found


def test_counts_are_whole_before_the_chunks_are_made(make_case, monkeypatch) -> None:
    """Without quasi-identifiers nothing is drawn until it is asked for."""
    monkeypatch.setattr(chunks, "CHUNK", 200)
    frame, roles = regular(())
    case = make_case(frame, roles=roles, spec=spec_of_rejection(), share=0.0)
    made = fresh(case, 1_000)
    asked_first = made.protection
    assert asked_first.redrawn > 0
    later = again(made, 8)
    assert len(later.frame) == 1_000
    assert later.protection == asked_first


def test_borders_lie_at_the_ends_of_entities() -> None:
    owner = np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
    assert borders(owner, 2).tolist() == [0, 3, 4, 6, 10]
    assert borders(owner, 4).tolist() == [0, 4, 10]
    assert borders(owner, 100).tolist() == [0, 10]
    assert borders(np.zeros(10, dtype=int), 3).tolist() == [0, 10]  # one entity, one chunk
    assert borders(np.arange(10), 3).tolist() == [0, 3, 6, 9, 10]


class Plain:
    """A generator that has only ``sample``: train's rows over and over."""

    notes = ()

    def __init__(self, *_: object) -> None:
        self.asked: list[int] = []

    def fit(self, train, _roles, _schema, _rng) -> None:
        self._train = train

    def sample(self, n, rng) -> Sampled:
        self.asked.append(n)
        return Sampled(self._train.iloc[rng.integers(len(self._train), size=n)].reset_index(drop=True))  # fmt: skip


def shop(make_case, **more):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"who": rng.integers(0, 60, 900), "n": rng.integers(0, 9, 900)})
    return make_case(frame, roles=Roles("who"), spec=GeneratorSpec(type="plain"), **more)


def test_a_generator_without_chunks_makes_one(make_case, monkeypatch) -> None:
    model = Plain()
    monkeypatch.setitem(run.GENERATORS, "plain", lambda *_: model)
    monkeypatch.setattr(chunks, "CHUNK", 100)
    made = fresh(shop(make_case), 700)
    assert (len(made), len(made.frame), model.asked) == (1, 700, [700])


def test_keys_of_chunks_follow_each_other(make_case, monkeypatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 200)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"who": np.arange(900) % 90, "id": [f"x{i}" for i in range(900)], "n": rng.random(900)}
    )
    case = make_case(
        frame, roles=Roles("who"), columns=(Column("id", primary_key=True, unique=True),)
    )
    made = fresh(case, 900)
    assert len(made) >= 4
    assert made.frame["id"].tolist() == [f"e{i:06d}" for i in range(1, 901)]


def test_too_little_memory_is_a_clear_error(make_case, monkeypatch) -> None:
    class Hungry(Plain):
        def sample(self, n, rng) -> Sampled:
            raise MemoryError("Unable to allocate 9 PiB")

    monkeypatch.setitem(run.GENERATORS, "plain", Hungry)
    with pytest.raises(GenerationError, match="plain ran out of memory"):
        fresh(shop(make_case))


def test_the_digest_in_parts_is_that_of_the_whole(made, few_case) -> None:
    table = restore(made.frame, few_case.schema)
    rng = np.random.default_rng(2)
    odd = pa.table(
        {
            "a": pa.array(rng.integers(0, 3, 4_000), mask=rng.random(4_000) < 0.1),
            "b": np.where(rng.random(4_000) < 0.1, np.nan, rng.integers(-9, 9, 4_000) / 2 * 0),
            "c": [None if n > 8 else "x" * n for n in rng.integers(0, 10, 4_000)],
        }
    )
    for whole in (table, table.select(table.column_names[::-1]), odd, odd.slice(0, 1)):
        for size in (61, 300, 2_999):
            asked: list[int] = []

            def part(numbers: np.ndarray, whole=whole, asked=asked) -> pa.Table:
                asked.append(len(numbers))
                return whole.take(pa.array(numbers))

            found = rows_digest_in_parts(
                whole.schema, whole.num_rows, whole.column, part, size=size
            )
            assert found == rows_digest(whole)
            assert max(asked) <= size
            assert sum(asked) == whole.num_rows


def test_what_rows_are_drawn_from_can_be_given_up(few_case) -> None:
    produced = fresh(few_case)
    model, notes = weakref.ref(produced.learned), produced.notes
    produced.forget()
    gc.collect()
    assert model() is None
    assert (produced.rows, produced.notes) == (ROWS, notes)
    with pytest.raises(AttributeError):
        produced.chunk(0)
