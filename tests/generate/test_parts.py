"""The parts of the generators on tables small enough to check by hand."""

from __future__ import annotations

import uuid
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_contracts.coarsening import entities_per_value, other_token
from synth_contracts.contract.model import Column, GeneratorSpec, Outliers, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import generate
from synth_contracts.generate.clock import Clock
from synth_contracts.generate.dependencies import Dependency, LookUp, find_dependencies
from synth_contracts.generate.entities import ROWS, EntityModel, Habits
from synth_contracts.generate.keys import fresh_keys
from synth_contracts.generate.leaf_values import Pools
from synth_contracts.generate.protect import protect
from synth_contracts.generate.reject import Outliers as Isolated
from synth_contracts.generate.support import Support
from synth_contracts.generate.trees import LeafModel, Variable, number_variable
from synth_contracts.generate.volume import VolumeModel, detrended_acf, holiday_names
from synth_contracts.tables import Field, Kind


def field(kind: Kind, physical: str, **more) -> Field:
    return Field("x", kind, physical, **more)


# ---- keys


def test_keys_of_every_type_are_distinct_and_hold_nothing_real() -> None:
    rng = np.random.default_rng(0)
    assert fresh_keys(field(Kind.INTEGER, "BIGINT"), 3, rng).tolist() == [1, 2, 3]
    assert fresh_keys(field(Kind.TEXT, "VARCHAR"), 2, rng).tolist() == ["e000001", "e000002"]
    ids = fresh_keys(field(Kind.TEXT, "UUID"), 50, rng)
    assert len({uuid.UUID(i) for i in ids}) == 50
    assert fresh_keys(field(Kind.NUMBER, "DECIMAL(9,2)"), 2, rng).tolist() == [1, 2]
    with pytest.raises(GenerationError, match="key of type BOOLEAN"):
        fresh_keys(field(Kind.BOOLEAN, "BOOLEAN"), 2, rng)


# ---- protection


def test_entities_are_counted_once_per_value() -> None:
    codes, owners = np.array([0, 0, 0, 1, 1, -1]), np.array([5, 5, 6, 5, 5, 9])
    assert entities_per_value(codes, owners, 3).tolist() == [2, 1, 0]


def test_rare_values_and_tails_of_train_are_grouped(make_case) -> None:
    frame = pd.DataFrame(
        {
            "who": [0, 1, 2, 3, 4, 5, 6, 6, 6],
            "store": [1, 1, 1, 1, 2, 3, 4, 4, 4],
            "paid": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 90.0, 91.0, 92.0],
        }
    )
    spec = GeneratorSpec(outliers=Outliers(other_value={"store": 0}))
    case = make_case(frame, roles=Roles("who"), codes=("store",), spec=spec, k=3, share=0.0)
    owners = case.train["who"].to_numpy(dtype=np.int64)
    found = protect(case.train, owners, case.schema, case.contract)
    out = found.frame
    assert out["store"].tolist() == ["1"] * 4 + ["0"] * 5
    # the third most extreme entity has 5.0 at the top (92 and 6 are above), 3.0 at the bottom
    assert out["paid"].tolist() == [3.0, 3.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0]


def test_other_respects_the_declared_domain() -> None:
    text = field(Kind.TEXT, "VARCHAR")
    assert other_token(text, {}) == (True, "other")
    enum = Column("x", enum=("a", "b"))
    assert other_token(field(Kind.TEXT, "VARCHAR", declared=enum), {}) == (True, None)
    assert other_token(
        field(Kind.TEXT, "VARCHAR", declared=enum, required=True), {}
    ) == (False, None)  # fmt: skip
    code = field(Kind.CODE, "INTEGER")
    assert other_token(code, {}) == (True, "-1")
    positive = Column("x", minimum=1)
    assert other_token(field(Kind.CODE, "INTEGER", declared=positive), {}) == (True, None)
    assert other_token(field(Kind.CODE, "UINTEGER"), {}) == (True, None)
    assert other_token(field(Kind.BOOLEAN, "BOOLEAN"), {}) == (True, None)


# ---- trees


def test_leaves_hold_many_rows_and_many_entities() -> None:
    rng = np.random.default_rng(1)
    x = rng.random(4_000)
    owners = np.repeat(np.arange(40), 100)  # each entity a block of 100 rows
    x[owners < 5] += 10  # five entities far out: too few for a leaf of their own
    model = LeafModel(leaf_rows=100, leaf_entities=10).fit(
        (Variable("y"), x.copy()), [(Variable("x"), x)], np.full(4_000, 1 / 100)
    )
    leaves = model.leaves([x], 4_000)
    assert leaves.max() > 0
    for leaf in np.unique(leaves):
        inside = leaves == leaf
        assert inside.sum() >= 100
        assert len(np.unique(owners[inside])) >= 10


def test_rows_are_not_parted_by_what_tells_nothing() -> None:
    rng = np.random.default_rng(8)
    predictors = [(Variable(f"x{i}"), rng.random(20_000)) for i in range(6)]
    noise = LeafModel(leaf_rows=100, leaf_entities=10).fit(
        (Variable("y"), rng.random(20_000)), predictors
    )
    leaves = noise.leaves([column for _, column in predictors], 20_000)
    # leaves of 100 rows would be fitted to these very rows
    assert len(np.unique(leaves)) <= 50
    told = predictors[2][1] + 0.1 * rng.random(20_000)
    model = LeafModel(leaf_rows=100, leaf_entities=10).fit((Variable("y"), told), predictors)
    drawn = model.draw([column for _, column in predictors], 20_000, rng)
    assert np.corrcoef(drawn, told)[0, 1] > 0.98


def test_a_tree_is_the_same_where_the_faster_decomposition_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(10)
    shop, day = rng.integers(0, 40, 6_000), rng.integers(0, 12, 6_000)
    sold = (shop // 4 + (rng.random(6_000) < 0.2) * rng.integers(0, 10, 6_000)) % 10
    predictors = [(Variable("shop", 40), shop), (Variable("day", 12), day)]

    def leaves() -> np.ndarray:
        model = LeafModel(leaf_rows=100, leaf_entities=10)
        return model.fit((Variable("sold", 10), sold), predictors).leaves([shop, day], 6_000)

    usual = leaves()
    assert len(np.unique(usual)) > 5
    asked = []

    def gives_up(matrix: np.ndarray, **_: object) -> None:
        asked.append(matrix.shape)
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", gives_up)
    found = leaves()
    assert asked
    # axes may point the other way, and leaves then have other numbers
    pairs = np.unique(np.column_stack([usual, found]), axis=0)
    assert len(pairs) == len(np.unique(usual)) == len(np.unique(found))


def test_even_draws_follow_the_leaf_and_each_is_drawn_as_often() -> None:
    rng = np.random.default_rng(9)
    values = (np.arange(1_000) % 10 == 0).astype(np.int64)  # one in ten
    group = np.arange(1_000) // 500
    model = LeafModel(leaf_rows=20, leaf_entities=20).fit(
        (Variable("rare", 2), values), [(Variable("group", 2), group)]
    )
    asked = np.repeat([0, 1], 200)
    size = rng.permutation(400).astype(float)  # some entities have many rows
    free = [model.draw([asked], 400, rng) for _ in range(200)]
    even = [model.draw([asked], 400, rng, evenly=size) for _ in range(200)]
    assert np.mean(even) == pytest.approx(0.1, abs=0.002)
    assert np.mean(even, axis=0).max() < 0.2  # nobody is chosen by place
    assert np.std(np.mean(even, axis=1)) < 0.2 * np.std(np.mean(free, axis=1))
    weighed = [np.average(draws, weights=size) for draws in even]
    assert np.std(weighed) < 0.3 * np.std([np.average(draws, weights=size) for draws in free])


def test_what_few_entities_of_a_leaf_hold_is_drawn_from_leaves_next_to_it() -> None:
    # 60 leaves of 20: 17 of one category, 2 of another and a single one that no other leaf has
    leaves = np.repeat(np.arange(60), 20)
    values = np.concatenate([[0] * 17 + [1] * 2 + [10 + leaf] for leaf in range(60)])
    pools = Pools.of(values, leaves)
    assert pools is not None
    position = np.tile(np.arange(1_200), 400)
    drawn = pools.draw(position, np.random.default_rng(1))
    rare = values[position] != 0
    assert (drawn[~rare] == position[~rare]).all()
    assert (values[drawn[rare]] != 0).all()
    # pools of 60 such values are those of 20 leaves side by side
    assert (leaves[drawn] // 20 == leaves[position] // 20).all()
    assert len(np.unique(leaves[drawn[rare & (leaves[position] == 0)]])) == 20
    # a single value comes as often as before, but hardly ever in its own leaf
    single = values[drawn] == 10
    assert single.sum() == pytest.approx(400, rel=0.2)
    assert (leaves[position[single]] == 0).mean() < 0.12


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 6)), max_size=60))
def test_every_value_has_one_pool_or_none(rows: list[tuple[int, int]]) -> None:
    leaves, values = np.array(sorted(rows), dtype=np.int64).reshape(-1, 2).T
    counts = Counter(rows)
    rare = np.array([counts[leaf, value] < 3 for leaf, value in sorted(rows)], dtype=bool)
    pools = Pools.of(values, leaves)
    if rare.sum() < 2:
        assert pools is None
        return
    assert pools is not None
    assert ((pools.number >= 0) == rare).all()
    assert sorted(pools.held) == np.flatnonzero(rare).tolist()
    assert pools.start[-1] == rare.sum()


def test_a_value_is_drawn_from_other_leaves_only_where_that_is_asked() -> None:
    rng = np.random.default_rng(11)
    x = np.repeat(np.arange(2.0), 1_000)
    values = np.where(x == 0, 0, 1)
    values[:1], values[-1:] = 2, 3  # one of each in its leaf
    for mixed in (True, False):
        model = LeafModel(leaf_rows=100, leaf_entities=10, pooled=mixed).fit(
            (Variable("y", 4), values), [(Variable("x"), x)]
        )
        drawn = model.draw([x], 2_000, rng)
        for _ in range(20):
            drawn = np.vstack([drawn, model.draw([x], 2_000, rng)])
        assert ((drawn == 2) & (x == 1)).any() == mixed


def test_draws_keep_spikes_decimals_and_missing_values() -> None:
    rng = np.random.default_rng(2)
    values = np.round(rng.gamma(2, 10, 5_000), 2)
    values[:1_000] = 0.0
    values[1_000:1_500] = np.nan
    variable = number_variable("paid", values, np.arange(5_000), 10)
    assert variable.decimals == 2
    assert variable.spikes is not None
    assert 0.0 in variable.spikes
    drawn = LeafModel(leaf_rows=100, leaf_entities=10).fit(
        (variable, values), []
    ).draw([], 20_000, rng)  # fmt: skip
    assert np.isnan(drawn).mean() == pytest.approx(0.1, abs=0.01)
    assert (drawn == 0).mean() == pytest.approx(0.2, abs=0.01)
    known = drawn[~np.isnan(drawn)]
    assert np.allclose(known, np.round(known, 2))
    assert known.min() >= 0
    assert known.max() <= np.nanmax(values)
    rare = known[~np.isin(known, variable.spikes)]
    assert not np.isin(rare, values).all()  # smeared: most are no real amount


def draws_of(values: np.ndarray, variable: Variable, n: int = 20_000) -> np.ndarray:
    model = LeafModel(leaf_rows=len(values), leaf_entities=10).fit((variable, values), [])
    return model.draw([], n, np.random.default_rng(5))


def test_a_value_that_rows_of_few_entities_share_is_smeared_like_any_other() -> None:
    values = np.r_[np.repeat(7.25, 8), np.linspace(1, 20, 92).round(2), np.full(100, 5.0)]
    variable = number_variable("paid", values, np.arange(200), 10)
    assert variable.spikes is not None
    assert variable.spikes.tolist() == [5.0]
    drawn = draws_of(values, variable)
    assert (drawn == 5).mean() == pytest.approx(0.5, abs=0.02)
    near = np.abs(drawn - 7.25) < 0.5
    assert (drawn[near] == 7.25).mean() < 0.1  # eight of its thirteen rows, were they drawn as is


def test_where_values_lie_close_they_are_smeared_over_several_rows() -> None:
    values = np.r_[np.arange(100, 200) / 100, np.full(8, 1.5), 50.0, 90.0]
    drawn = draws_of(values, number_variable("paid", values, np.arange(110), 10))
    assert (drawn == 1.5).mean() < 0.03  # nine rows of 110, were it smeared up to the next cents
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.5)
    assert drawn.min() >= 1
    assert drawn.max() <= 90


def test_missing_and_lonely_values_stay_in_their_leaf() -> None:
    values = np.r_[np.full(30, np.nan), np.full(30, 4.0)]
    drawn = draws_of(values, number_variable("paid", values, np.arange(60) // 10, 10))
    assert np.isnan(drawn).mean() == pytest.approx(0.5, abs=0.02)
    assert np.unique(drawn[~np.isnan(drawn)]).tolist() == [4.0]  # nothing to smear it over


def test_a_category_follows_its_predictor() -> None:
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 20, 10_000)
    target = (kind // 2 + 10 * rng.integers(0, 2, 10_000)) % 20
    model = LeafModel(leaf_rows=100, leaf_entities=10).fit(
        (Variable("t", 20), target), [(Variable("k", 20), kind)]
    )
    drawn = model.draw([kind], len(kind), rng)
    assert (drawn % 10 == kind // 2 % 10).mean() > 0.85  # by chance .1


# ---- dependencies


def test_pairs_and_single_determinants_are_found_without_circles() -> None:
    rng = np.random.default_rng(4)
    zips, start, end = (rng.integers(0, 6, 3_000) for _ in range(3))
    columns = {"zip": zips, "city": zips // 2, "start": start, "end": end}
    columns["miles"] = pd.factorize(start * 31 + end * 7)[0]
    found = find_dependencies(columns, {"miles"})
    assert Dependency(("start", "end"), "miles") in found
    assert Dependency(("zip",), "city") in found
    assert len(found) == 2


def test_grouped_values_say_nothing_about_a_dependency() -> None:
    """Two of a hundred rows go to a group of towns, each with a distance of its own."""
    rng = np.random.default_rng(5)
    town = rng.integers(0, 8, 4_000)
    miles, grouped = town * 3, np.arange(4_000) % 50 == 0
    miles[grouped] = rng.integers(0, 22, grouped.sum())
    town[grouped] = 8
    columns = {"town": town, "miles": miles}
    assert find_dependencies(columns, {"miles"}) == []
    found = find_dependencies(columns, {"miles"}, {"town": grouped})
    assert found == [Dependency(("town",), "miles")]
    most = rng.random(4_000) < 0.6  # where most rows are of the group the rest is too little
    assert find_dependencies(columns, {"miles"}, {"town": grouped | most}) == []


def test_combinations_that_do_not_occur_are_known() -> None:
    rng = np.random.default_rng(11)
    own = np.arange(5_000)
    airline = rng.integers(0, 4, 5_000)
    town = 2 * airline + rng.integers(0, 2, 5_000)  # each airline flies to two towns
    season = rng.integers(0, 3, 5_000)
    town[:9], airline[:9] = 7, 0  # nine flights are too few to tell
    values = {
        name: (Variable(name, size), column)
        for name, size, column in (
            ("season", 3, season), ("airline", 4, airline), ("town", 8, town),
        )
    }  # fmt: skip
    order = ["season", "airline", "town"]
    support = Support(values, order, own, 10)
    drawn = {"season": np.zeros(4, int), "airline": np.array([0, 0, 3, 0]),
             "town": np.array([1, 7, 7, 4])}  # fmt: skip
    assert support.odd("town", drawn).tolist() == [1, 3]
    assert support.odd("airline", drawn).tolist() == []
    # combinations that are rare because their values are rare are no impossible ones
    town = rng.integers(0, 2_000, 5_000)
    many = values | {"town": (Variable("town", 2_000), town)}
    assert Support(many, order, own, 10).odd("town", drawn).tolist() == []
    # nor are those of few entities, who hold one kind each
    few = np.repeat(np.arange(25), 200)
    assert Support(values, order, few, 10).odd("town", drawn).tolist() == []


def test_avoiding_what_does_not_occur_moves_no_share_of_a_value() -> None:
    """A rare country lives beside a common one: the rare pairs stay rare, and do not vanish."""
    rng = np.random.default_rng(13)
    country = np.where(rng.random(20_000) < 0.9, 0, rng.integers(1, 40, 20_000))
    school = rng.integers(0, 12, 20_000)
    values = {
        "school": (Variable("school", 12), school),
        "country": (Variable("country", 40), country),
    }
    support = Support(values, ["school", "country"], np.arange(20_000), 10)
    held = np.unique(country * 12 + school, return_counts=True)[1]
    assert (held < 10).sum() > 400
    assert support.odd("country", {"school": school, "country": country}).tolist() == []


def test_only_combinations_of_k_entities_are_looked_up() -> None:
    columns = {"a": np.array([0, 0, 0, 1, 1]), "b": np.array([5.0, 5.0, 5.0, 7.0, 7.0])}
    look = LookUp(Dependency(("a",), "b"), columns, np.array([0, 1, 2, 3, 3]), 2)
    drawn = {"a": np.array([0, 1]), "b": np.array([1.0, 1.0])}
    assert look.apply(drawn).tolist() == [5.0, 1.0]  # value 1 belongs to a single entity


# ---- calendar


def days(counts: np.ndarray, start: str = "2023-01-01") -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.repeat(pd.date_range(start, periods=len(counts)), counts))


def weekly(length: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = np.array([80, 70, 70, 75, 90, 140, 120])
    return rng.poisson(shape[np.arange(length) % 7] * np.linspace(0.8, 1.2, length))


def test_simulated_days_repeat_the_rhythm_and_not_the_days() -> None:
    counts = weekly(364, 0)
    model = VolumeModel("US").fit(days(counts))
    made = [model.sample(40_000, np.random.default_rng(seed)) for seed in range(5)]
    real = detrended_acf(counts)
    for series in made:
        assert series.sum() == 40_000
        assert np.abs(detrended_acf(series) - real).max() <= 0.15
    assert not (made[0] == made[1]).all()


def test_a_cohort_that_is_complete_is_a_break_and_chance_is_none() -> None:
    counts = weekly(364, 3)
    steady = VolumeModel("US").fit(days(counts))
    assert steady.breaks == 0
    counts[:90] *= 3  # a campaign for new customers ends from one day to the next
    counts[200:207] += 120  # a week's sale
    model = VolumeModel("US").fit(days(counts))
    assert model.breaks >= 2
    made = np.mean([model.sample(40_000, np.random.default_rng(seed)) for seed in range(5)], axis=0)
    assert made[80:90].mean() > 2.5 * made[90:100].mean()
    assert made[200:207].mean() > 1.6 * made[[*range(186, 200), *range(207, 221)]].mean()


def test_acf_of_a_pure_week_is_one_at_lag_seven() -> None:
    acf = detrended_acf(np.tile([1, 2, 3, 4, 5, 6, 7], 20))
    assert acf[6] == pytest.approx(1, abs=0.1)
    assert acf[2] < 0


def test_a_day_without_rows_stays_empty() -> None:
    counts = weekly(100, 1)
    counts[[10, 50]] = 0
    made = VolumeModel(None).fit(days(counts)).sample(9_000, np.random.default_rng(0))
    assert made[[10, 50]].tolist() == [0, 0]
    assert (np.delete(made, [10, 50]) > 0).all()


def test_holidays_of_a_country_and_of_one_of_its_parts() -> None:
    year = pd.date_range("2017-01-01", "2017-12-31")
    assert pd.Timestamp("2017-11-23") in holiday_names("US", year)  # Thanksgiving
    assert len(holiday_names("DE-BY", year)) > len(holiday_names("DE", year))
    assert holiday_names(None, year) == {}


def test_a_cell_of_few_entities_is_closed() -> None:
    times = pd.DatetimeIndex(
        [f"2024-01-01 09:{m:02d}:07" for m in range(60)] + ["2024-01-01 03:00:01"]
    )
    clock = Clock().fit(times, np.arange(61), 5)
    mended = clock.mend(np.zeros(100, int), np.full(100, 3), np.random.default_rng(0))
    assert set(mended) == {9}
    inside = clock.offsets(np.full(500, 9), np.random.default_rng(0)) // 1_000_000_000
    assert inside.min() >= 9 * 3600
    assert inside.max() < 10 * 3600
    assert len(np.unique(inside)) > 400  # any second, not the sixty of train


# ---- entities


def test_rows_have_trains_shares_of_what_entities_are() -> None:
    rng = np.random.default_rng(12)
    rows = np.maximum(rng.lognormal(2, 1.2, 600), 1).astype(int)  # a few have many
    entities = np.repeat(np.arange(600), rows)
    kind = rng.integers(0, 3, 600)
    kind[rows > np.quantile(rows, 0.97)] = 2
    known = np.where(rng.random(600) < 0.3, -1, rng.integers(0, 4, 600))
    attributes = {
        name: (Variable(name, size), column[entities])
        for name, size, column in (("kind", 3, kind), ("known", 4, known))
    }
    model = EntityModel(20, 10).fit(
        attributes, Habits({}, entities), entities, None, lambda _: None
    )
    for seed in range(3):
        drawn = model.sample(2 * len(entities), np.random.default_rng(seed))
        assert drawn[ROWS].sum() == 2 * len(entities)
        for name, column in (("kind", kind), ("known", known)):
            real = np.bincount(column + 1, weights=rows) / rows.sum()
            made = np.bincount(drawn[name] + 1, weights=drawn[ROWS]) / drawn[ROWS].sum()
            assert np.abs(real - made).max() < 0.01, name


def test_an_attribute_that_one_entity_has_is_drawn_beside_others_too() -> None:
    region = np.repeat(np.arange(30), 40)
    job = region % 6 + 30
    job[::40] = np.arange(30)  # in each region one entity has a job of its own
    who = np.arange(len(region))
    attributes = {
        "region": (Variable("region", 30), region), "job": (Variable("job", 36), job)
    }  # fmt: skip
    model = EntityModel(20, 10).fit(attributes, Habits({}, who), who, None, lambda _: None)
    drawn = model.sample(60_000, np.random.default_rng(3))
    own = drawn["job"] < 30
    assert own.mean() == pytest.approx(1 / 40, abs=0.003)
    at_home = drawn["region"][own] == drawn["job"][own]
    assert at_home.mean() < 0.1  # drawn from its own leaf alone .26
    common = drawn["job"][~own] == drawn["region"][~own] % 6 + 30
    assert common.mean() > 0.65  # as without: a leaf holds regions of several jobs


def test_entities_keep_their_sizes_and_their_place_in_time() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 30, 400)
    owners = np.repeat(np.arange(400), sizes)
    place = np.sort(rng.random(len(owners)))[rng.permutation(len(owners))]
    spend = rng.normal(owners % 2 * 5, 1)
    habits = Habits({"paid": (Variable("paid"), spend)}, owners)
    assert set(habits.means) == {"paid"}
    model = EntityModel(20, 10).fit({}, habits, owners, place, lambda _: None)
    drawn = model.sample(10_000, np.random.default_rng(6))
    assert drawn[ROWS].sum() == 10_000
    assert drawn[ROWS].min() >= 1
    assert len(drawn[ROWS]) == round(10_000 / (len(owners) / 400))
    places = model.places(drawn, np.random.default_rng(7))
    assert places.min() >= 0
    assert places.max() <= 1
    owner = np.repeat(np.arange(len(drawn[ROWS])), drawn[ROWS].astype(int))
    assert (np.diff(places)[np.diff(owner) == 0] >= 0).all()


# ---- outliers


def test_rows_beside_an_isolated_real_row_are_near_and_others_are_not() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(2, 2_000))
    x[0], y[0] = 4.0, -4.0
    values = {"x": (Variable("x"), x), "y": (Variable("y"), y)}
    isolated = Isolated().fit(values, np.arange(2_000), rng)
    near = isolated.near({"x": np.array([4.0, 0.1]), "y": np.array([-4.0, 0.1])})
    assert near.tolist() == [True, False]


def test_keys_keep_to_what_is_declared_of_them() -> None:
    rng = np.random.default_rng(0)

    def keys(kind: Kind, physical: str, count: int, **declared) -> list:
        column = field(kind, physical, declared=Column("x", unique=True, **declared))
        return fresh_keys(column, count, rng).tolist()

    assert keys(Kind.INTEGER, "BIGINT", 3, minimum=1_000) == [1_000, 1_001, 1_002]
    assert keys(Kind.INTEGER, "BIGINT", 2, exclusive_minimum=7) == [8, 9]
    assert keys(Kind.INTEGER, "INTEGER", 3, maximum=-5) == [-7, -6, -5]
    assert sorted(keys(Kind.TEXT, "VARCHAR", 2, enum=("a", "b"))) == ["a", "b"]
    assert keys(Kind.TEXT, "VARCHAR", 1, pattern="^e[0-9]+$") == ["e000001"]
    for kind, physical, count, declared, words in (
        (Kind.INTEGER, "BIGINT", 4, {"minimum": 1, "maximum": 3}, "allows 3"),
        (Kind.INTEGER, "TINYINT", 200, {}, "allows 127"),
        (Kind.NUMBER, "DECIMAL(4,2)", 100, {}, "allows 99"),
        (Kind.TEXT, "VARCHAR", 3, {"enum": ("a", "b")}, "allows 2"),
        (Kind.TEXT, "VARCHAR", 3, {"pattern": "^[A-Z]{3}$"}, "do not match the pattern"),
    ):
        with pytest.raises(GenerationError, match=words):
            keys(kind, physical, count, **declared)


def test_lines_of_a_composite_key_are_numbered_within_their_entity(make_case) -> None:
    frame = pd.DataFrame({"order": np.arange(600) // 3 + 1, "line": np.arange(600) % 3 + 1})
    frame["price"] = np.arange(600) % 11 + 0.5
    columns = (Column("order", primary_key=True), Column("line", primary_key=True))
    case = make_case(frame, roles=Roles("order"), columns=columns)
    made = generate(
        case.contract, case.train, case.schema, secret_seed=1, rows=300, progress=lambda _: None
    ).frame
    assert not made.duplicated(["order", "line"]).any()
    assert made["line"].max() <= 4
    assert (made.groupby("order")["line"].min() == 1).all()
