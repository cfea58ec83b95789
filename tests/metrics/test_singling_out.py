"""singling_out: predicates of the synthetic table that are true of one real entity alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from synth_contracts.metrics import Comparison, Measurement, NotMeasured, measure
from synth_contracts.metrics.cells import Side
from synth_contracts.metrics.predicates import (
    Ends,
    Exact,
    Holders,
    Ranges,
    holders,
    rarest,
    singled_out,
)
from synth_contracts.tables import Kind

KINDS = {"zip": Kind.TEXT, "age": Kind.NUMBER}


@pytest.fixture
def few_are_enough(monkeypatch):
    monkeypatch.setattr("synth_contracts.metrics.results.FEWEST_ENTITIES", 2)


def people(first, *cells):
    """One row per (person, zip)."""
    who, zips = zip(*cells, strict=True)
    return {"who": [first + w for w in who], "zip": list(zips)}


def read(by_hand, train, holdout, synthetic, options=None):
    comparison = by_hand({"zip": Kind.TEXT}, (train, holdout, synthetic))
    return measure("singling_out", comparison, options=options)


def of_values(found):
    """Each value of the only column is guessed as a value and as a conjunction of one."""
    return found.n / 2


def test_by_hand(by_hand, few_are_enough):
    """Made people hold a, b, c, d. One trained person holds a, one b, two c, none d: 2/4.

    One unseen person holds a, none b or c or d: 1/4. Gain (1/2 - 1/4) / (3/4) = 1/3.
    """
    found = read(
        by_hand,
        people(0, (0, "a"), (1, "b"), (2, "c"), (3, "c")),
        people(10, (0, "a"), (1, "x"), (2, "x"), (3, "y")),
        people(20, (0, "a"), (1, "b"), (2, "c"), (3, "d")),
    )
    assert isinstance(found, Measurement)
    assert of_values(found) == 4
    assert found.details["rate_train"] == 0.5
    assert found.details["rate_control"] == 0.25
    assert found.value == pytest.approx(1 / 3)
    assert found.lower < found.bound_lower < found.value < found.bound_upper <= found.upper


def test_less_than_the_control_is_negative(by_hand, few_are_enough):
    """Of a, b none is true of a trained person, one of an unseen one: -1/2 / (1/2)."""
    found = read(
        by_hand,
        people(0, (0, "x"), (1, "x")),
        people(10, (0, "a"), (1, "x")),
        people(20, (0, "a"), (1, "b")),
    )
    assert found.value == -1


def test_rows_of_one_person_are_one(by_hand, few_are_enough):
    """Two rows of one trained person are singled out; two rows of two people are not."""
    other = people(10, (0, "x"), (1, "y"))
    made = people(20, (0, "a"), (0, "a"))
    one = read(by_hand, people(0, (0, "a"), (0, "a"), (1, "z")), other, made)
    two = read(by_hand, people(0, (0, "a"), (1, "a")), other, made)
    assert one.details["rate_train"] == 1
    assert one.details["isolate_one_synthetic_entity"] == one.n
    assert two.details["rate_train"] == 0


def test_guesses_of_the_fewest_made_people_come_first(by_hand, few_are_enough):
    """c is held by one made person, b by two, a by three: a budget of two guesses c alone."""
    made = people(20, *enumerate(["a", "a", "a", "b", "b", "c"]))
    train, other = people(0, (0, "c"), (1, "b")), people(10, (0, "x"), (1, "y"))
    found = read(by_hand, train, other, made, options={"attacks": 2})
    assert found.n == 2
    assert found.details["rate_train"] == 1
    whole = read(by_hand, train, other, made)
    assert of_values(whole) == 3
    assert whole.details["rate_train"] == pytest.approx(2 / 3)
    assert whole.details["isolate_one_synthetic_entity"] == 2


def test_a_table_that_points_to_nobody_is_measured_and_clean(toys, remake):
    """Two categories in large classes: all there is to guess is guessed, and nobody is found."""
    found = measure("singling_out", toys, options={"aux_columns": ["kind", "member"]})
    assert isinstance(found, Measurement)
    assert found.details["isolate_one_synthetic_entity"] == 0
    assert found.details["rate_train"] == 0
    assert found.value == 0
    assert 0 < found.bound_upper < 0.3


def test_columns_of_the_predicates(toys):
    found = measure("singling_out", toys, options={"aux_columns": ["shop"]})
    assert found.details["columns"] == 1
    assert measure("singling_out", toys).details["columns"] == 6
    none = measure("singling_out", toys, options={"aux_columns": ["who"]})
    assert isinstance(none, NotMeasured)


def test_too_few_or_shared_entities_are_not_measured(by_hand):
    tables = [people(i, (0, "a"), (1, "b")) for i in (0, 10, 20)]
    assert "200" in read(by_hand, *tables).reason
    assert "by entity" in read(by_hand, tables[0], tables[0], tables[2]).reason


def side_of(codes, entity):
    """A side of one column ``x`` with these cells."""
    codes, entity = np.array(codes, dtype=np.int64), np.array(entity, dtype=np.int64)
    return Side(None, ("x",), codes[:, None], None, entity, int(entity.max()) + 1, frozenset())


def test_holders_by_hand():
    """5 is held by the entities 0 (twice) and 1, 7 by nobody, 9 by 2."""
    codes = np.array([5, 5, 5, 8, 9], dtype=np.uint64)
    side = side_of([0] * 5, [0, 0, 1, 1, 2])
    found = holders(codes, side, np.array([5, 7, 9], dtype=np.uint64))
    assert found.counts.tolist() == [2, 0, 1]
    assert found.predicate.tolist() == [0, 0, 2]
    assert found.entity.tolist() == [0, 1, 2]


def every_sample(truth, size):
    """Share of predicates that exactly one entity satisfies, over all samples of ``size``."""
    drawn = [
        (truth[:, list(s)].sum(axis=1) == 1).mean()
        for s in combinations(range(truth.shape[1]), size)
    ]
    return float(np.mean(drawn))


def test_equal_numbers_of_entities_without_sampling():
    """What is computed is the mean over all samples; the variance is the jackknife's."""
    truth = np.random.default_rng(2).random((30, 7)) < 0.3
    which, who = np.nonzero(truth)
    found = Holders.of(which, who, 30, 7)
    assert singled_out(found, 7, 7).share == (truth.sum(axis=1) == 1).mean()
    assert singled_out(found, 7, 4).share == pytest.approx(every_sample(truth, 4))
    for looked_at, left in ((7, 6), (4, 4)):
        without = [every_sample(np.delete(truth, i, axis=1), left) for i in range(7)]
        squares = np.sum((np.array(without) - np.mean(without)) ** 2)
        # and one entity more like those that move the share (six or seven), or of one guess
        more = singled_out(found, 7, looked_at).variance - squares
        assert max(squares / 7, 1 / 900) <= more * (1 + 1e-9)
        assert more * (1 - 1e-9) <= max(squares / 6, 1 / 900)


def test_nobody_singled_out_is_no_certainty():
    none = Holders.of(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 50, 300)
    found = singled_out(none, 300, 300)
    assert found.share == 0
    assert found.variance == 1 / 50**2


def test_variance_follows_entities_not_guesses():
    """Ten guesses that each single out another entity, or all the same one."""
    guesses = np.arange(10)
    apart = singled_out(Holders.of(guesses, guesses, 10, 400), 400, 400)
    same = singled_out(Holders.of(guesses, np.zeros(10, dtype=np.int64), 10, 400), 400, 400)
    assert apart.share == same.share == 1
    assert same.variance > 9 * apart.variance


def test_the_rarest_predicates():
    codes = np.array([1, 1, 1, 2, 2, 3], dtype=np.uint64)
    rng = np.random.default_rng(0)
    assert rarest(codes, 2, rng).tolist() == [2, 3]
    assert rarest(codes, 9, rng).tolist() == [1, 2, 3]


def coded(coder_of, by_hand, kind, cells, others=None):
    """Codes of the cells of the synthetic side's column x (and of train's, in its own order)."""
    tables = [{"x": list(others or cells)}, {"x": list(cells)}, {"x": list(cells)}]
    comparison = by_hand({"x": kind}, tuple(tables))
    field = comparison.schema.field("x")
    coder = coder_of(comparison.synthetic_side, field)
    out = {}
    for side in (comparison.synthetic_side, comparison.train_side):
        for cell, code in zip(side.frame["x"], coder.of(side), strict=True):
            out[str(cell)] = int(code)
    return out, coder


def test_ranges_join_near_numbers_and_days(by_hand):
    """A hundred numbers: 40 and 42 fall between the same twentieths, 80 and null do not."""
    numbers, _ = coded(Ranges, by_hand, Kind.NUMBER, [*range(100), None], [-5.0, 40.5, 1e9, None])
    assert numbers["40.0"] == numbers["42.0"] == numbers["40.5"]
    assert len({numbers[key] for key in ("40.0", "80.0", "nan")}) == 3
    # beyond the ends there is no range of its own
    assert numbers["-5.0"] == numbers["0.0"]
    assert numbers["1000000000.0"] == numbers["99.0"]
    days = ["2024-01-01T08", "2024-01-01T20", "2024-01-02T08", None]
    times, _ = coded(Ranges, by_hand, Kind.TIMESTAMP, days)
    assert times["2024-01-01 08:00:00"] == times["2024-01-01 20:00:00"]
    assert len(set(times.values())) == 3


def test_infinite_numbers_have_ranges(by_hand):
    numbers, _ = coded(Ranges, by_hand, Kind.NUMBER, [-np.inf, 1.0, np.inf] * 9)
    assert len(set(numbers.values())) == 3


def test_the_ends_hold_what_lies_beyond_them(by_hand):
    found, ends = coded(Ends, by_hand, Kind.NUMBER, [1, 2, 3, None], [0, 1.5, 9, None])
    assert found["9.0"] == found["3.0"] != found["2.0"]
    assert found["0.0"] == found["1.0"] != found["2.0"]
    assert found["nan"] == found["1.5"] == found["2.0"]
    assert {found["1.0"], found["3.0"]} == {int(code) for code in ends.both()}


def test_values_are_equal_where_cells_are(by_hand):
    found, _ = coded(lambda _, field: Exact(field), by_hand, Kind.NUMBER, [0.1, 0.2, None])
    assert len(set(found.values())) == 3


def test_the_bound_follows_the_attempt(remake):
    once, tenth = (measure("singling_out", remake(attempt=a)) for a in (1, 10))
    assert once.details["bound_level"] == 0.95
    assert tenth.details["bound_level"] == 0.995
    assert tenth.bound_upper > once.bound_upper
    assert tenth.value == once.value


def test_more_trained_than_unseen_entities(remake, make_toy):
    """Three times as many: fresh ones read about 0, and a copy is still high."""
    train = make_toy(1, 660)
    fresh = measure("singling_out", remake(train=train, synthetic=make_toy(3, 660, first=2000)))
    assert fresh.details["entities"] == 220
    assert abs(fresh.value) < 0.1
    copy = measure("singling_out", remake(train=train, synthetic=train))
    assert 0.75 < copy.value <= 1.05


def test_no_column_must_be_wide(toys, remake):
    """Nothing but nulls on one side, and one row to suggest from."""
    empty = toys.synthetic.assign(amount=np.nan)
    assert isinstance(measure("singling_out", remake(synthetic=empty)), Measurement)
    one = measure("singling_out", remake(synthetic=toys.synthetic.iloc[:1]))
    assert one.details["isolate_one_synthetic_entity"] == one.n


def test_real_households(basket_thirds):
    roles = replace(basket_thirds.schema.roles, quasi_identifiers=("store_id", "age", "income"))
    schema = replace(basket_thirds.schema, roles=roles)

    def value(synthetic):
        comparison = Comparison(
            basket_thirds.train, basket_thirds.holdout, synthetic, schema, seed=3
        )
        return measure("singling_out", comparison)

    fresh = value(basket_thirds.fresh)
    assert abs(fresh.value) <= 0.09
    assert fresh.lower <= 0 <= fresh.upper
    assert fresh.n == 2000
    assert value(basket_thirds.train).value == pytest.approx(1)
    assert value(basket_thirds.near_copies(0.2)).bound_lower > 0
