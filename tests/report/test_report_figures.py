"""Figures: hand-worked aggregates, suppression that cannot be undone, canaries that stay inside."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_contracts.report.figures import _acf, _edges, figures, publishable
from synth_contracts.report.numbers import finite

DAY = pd.Timestamp("2017-12-25")  # no real basket on this day: the canary has it to itself
LONELY = pd.Timestamp("2031-03-03")


def union_of(members):
    return lambda groups: len(set().union(*(members[g] for g in groups)) if groups else set())


@st.composite
def tables(draw):
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    cells = rows * columns
    members = [draw(st.sets(st.integers(0, 15), max_size=12)) for _ in range(cells)]
    grid = np.arange(cells).reshape(rows, columns)
    return members, [*grid.tolist(), *grid.T.tolist(), list(range(cells))], draw(st.integers(1, 6))


@given(tables())
@settings(max_examples=150, deadline=None)
def test_no_line_gives_away_what_it_hides(table):
    members, lines, k = table
    entities = np.array([len(m) for m in members])
    shown = publishable(entities, lines, union_of(members), k)
    assert not (shown & (entities < k)).any()
    for line in lines:
        hidden = [g for g in line if not shown[g] and members[g]]
        nothing_left = not any(shown[g] for g in line)
        assert not hidden or nothing_left or len(hidden) >= 2
        assert not hidden or nothing_left or union_of(members)(hidden) >= k


def computable(hidden, lines, shown):
    """Hidden groups that follow from the totals of all lines: by rank, not as the code does it."""
    known = [[float(g in line) for g in hidden] for line in lines if any(shown[g] for g in line)]
    if not hidden or not known:
        return []
    rank = np.linalg.matrix_rank(np.array(known))
    unit = np.eye(len(hidden))
    return [
        g
        for place, g in enumerate(hidden)
        if np.linalg.matrix_rank(np.array([*known, unit[place]])) == rank
    ]


@given(tables())
@settings(max_examples=150, deadline=None)
def test_no_hidden_cell_follows_from_all_lines_together(table):
    members, lines, k = table
    shown = publishable(np.array([len(m) for m in members]), lines, union_of(members), k)
    hidden = [g for g in range(len(members)) if not shown[g] and members[g]]
    assert computable(hidden, lines, shown) == []


def test_a_cell_between_two_squares_needs_more_than_company_in_row_and_column():
    """Rows 0 and 1 less columns 0 and 1 leave cell (1, 2), although each line hides two or more."""
    small = {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3), (3, 2), (3, 3)}
    members = [
        {100 + 4 * r + c} if (r, c) in small else set(range(50 + r))
        for r in range(4)
        for c in range(4)
    ]
    grid = np.arange(16).reshape(4, 4)
    lines = [*grid.tolist(), *grid.T.tolist(), list(range(16))]
    sizes = np.array([len(m) for m in members])
    hidden = [4 * r + c for r, c in sorted(small)]
    assert computable(hidden, lines, sizes >= 2) == [6]
    shown = publishable(sizes, lines, union_of(members), 2)
    assert (~shown).sum() > len(small)
    hidden = [g for g in range(16) if not shown[g]]
    assert computable(hidden, lines, shown) == []


@st.composite
def purchases(draw):
    """Rows of a small shop: customer, day, hour, amount; some without a time or an amount."""
    some = np.random.default_rng(draw(st.integers(0, 2**32)))
    customers = draw(st.integers(1, 25))
    rows = draw(st.integers(1, 400))
    spread = draw(st.sampled_from([0.0, 1.0, 2.5]))  # how much a few customers have of all
    weight = np.arange(1, customers + 1) ** -spread
    who = some.choice(customers, rows, p=weight / weight.sum())
    days = some.integers(0, draw(st.sampled_from([3, 30, 200])), rows)
    hours = some.choice([3, 10, 17, 18], rows, p=[0.02, 0.28, 0.4, 0.3])
    amount = np.round(some.lognormal(3, draw(st.sampled_from([0.2, 1.0])), rows), 2)
    time = pd.Timestamp("2020-03-02") + pd.to_timedelta(24 * days + hours, "h")
    frame = pd.DataFrame({"who": who, "at": time, "amount": amount})
    for name in draw(st.sets(st.sampled_from(["at", "amount"]))):
        frame.loc[some.random(rows) < 0.02, name] = None
    return frame, draw(st.integers(2, 8)), draw(st.sampled_from(["itself", "shuffled"]))


@given(purchases())
@settings(max_examples=120, deadline=None)
def test_random_tables_show_nothing_of_fewer_than_k_and_nothing_by_subtraction(make, shop):
    real, k, kind = shop
    roles = type(make.contract().roles)(entity_key="who", time_index="at")
    contract = make.contract(columns=(), codes=(), roles=roles, k=k)
    synthetic = real
    if kind == "shuffled":
        synthetic = real.assign(**{c: np.roll(real[c], 1) for c in ("at", "amount")})
    tables = make.frames(contract, real, real.iloc[:0], synthetic)
    drawn = figures(tables, "owner")
    real = tables.train
    if "missing" not in drawn["hours"]:
        cells = [c for row in drawn["hours"]["real"] for c in row]
        slot = (real["at"].dt.dayofweek * 24 + real["at"].dt.hour).fillna(-1).astype(int)
        grid = np.arange(168).reshape(7, 24)
        lines = [*grid.tolist(), *grid.T.tolist(), list(range(168))]
        _check(cells, drawn["hours"]["synthetic"], slot, real["who"], lines, k)
    if "missing" not in drawn["daily"]:
        daily = drawn["daily"]
        day = (real["at"].dt.normalize() - pd.Timestamp(daily["start"])).dt.days
        size = len(daily["real"])
        first = pd.Timestamp(daily["start"]).dayofweek
        beyond = size + real["at"].dt.dayofweek
        place = day.where((day >= 0) & (day < size), beyond).fillna(-1).astype(int)
        lines = [[*range((w - first) % 7, size, 7), size + w] for w in range(7)]
        lines.append([g for line in lines for g in line])
        _check(daily["real"], daily["synthetic"], place, real["who"], lines, k)
    if "missing" not in drawn["marginal"]:
        edges = np.array(drawn["marginal"]["edges"])
        bins = np.clip(np.searchsorted(edges, real["amount"], side="right") - 1, 0, len(edges) - 2)
        bins = pd.Series(bins, index=real.index).where(real["amount"].notna(), -1)
        shares = drawn["marginal"]
        lines = [list(range(len(edges) - 1))]
        _check(shares["real"], shares["synthetic"], bins, real["who"], lines, k)


def _check(cells, synthetic, place, who, lines, k):
    """Law by law, from the rows alone; groups past the cells are rows that the figure leaves out."""
    flat = [c for row in synthetic for c in row] if isinstance(synthetic[0], list) else synthetic
    members = {g: set(part) for g, part in who.groupby(place)}
    last = max([*(g for line in lines for g in line), *members]) + 1
    lines = [*lines[:-1], [*lines[-1], last]]  # what has no place is known to be the rest
    members[last] = members.pop(-1, set())
    for g, cell in enumerate(cells):
        assert cell is None or len(members.get(g, ())) >= k
        assert (cell is None) == (flat[g] is None)
    shown = {g: g < len(cells) and cells[g] is not None for line in lines for g in line}
    for line in lines:
        hidden = [g for g in line if not shown[g] and members.get(g)]
        if any(shown[g] for g in line) and not (hidden and min(hidden) >= len(cells)):
            assert len(hidden) != 1
            assert not hidden or len(set().union(*(members[g] for g in hidden))) >= k
        elif any(shown[g] for g in line):  # only rows that no figure draws are left
            assert len(set().union(*(members[g] for g in hidden))) >= k
    hidden = [g for g in shown if not shown[g] and members.get(g)]
    assert [g for g in computable(hidden, lines, shown) if g < len(cells)] == []


def test_rows_beyond_the_axis_are_not_what_is_left_of_the_total(make):
    """One customer alone has a day years later; all days drawn are busy."""
    day = pd.Timestamp("2020-03-02")
    busy = [
        (who, day + pd.Timedelta(days=d, hours=10), 5.0) for d in range(21) for who in range(12)
    ]
    real = pd.DataFrame([*busy, (99, day + pd.Timedelta(days=700, hours=10), 5.0)],
                        columns=["who", "at", "amount"])  # fmt: skip
    roles = type(make.contract().roles)(entity_key="who", time_index="at")
    contract = make.contract(columns=(), codes=(), roles=roles, k=10)
    daily = figures(make.frames(contract, real, real.iloc[:0], real), "owner")["daily"]
    assert daily["real"].count(None) >= 1


def test_a_single_small_cell_takes_the_smallest_neighbour_with_it():
    members = [set(range(12)), {1, 2}, set(range(30)), set(range(11))]
    sizes = np.array([len(m) for m in members])
    shown = publishable(sizes, [[0, 1, 2, 3]], union_of(members), 10)
    assert shown.tolist() == [True, False, True, False]


def test_empty_places_are_hidden_but_need_no_company():
    members = [set(), set(range(12)), set(range(12))]
    sizes = np.array([len(m) for m in members])
    assert publishable(sizes, [[0, 1, 2]], union_of(members), 10).tolist() == [False, True, True]


def test_two_small_cells_of_the_same_person_are_not_enough_company():
    members = [{1}, {1}, set(range(12)), set(range(20))]
    sizes = np.array([len(m) for m in members])
    shown = publishable(sizes, [[0, 1, 2, 3]], union_of(members), 10)
    assert shown.tolist() == [False, False, False, True]


@pytest.fixture(scope="module")
def planted(make, parts):
    """A table with every canary in it, and a generator that copied all of it."""
    train, holdout, _ = parts
    lonely = train.iloc[[0] * 37].copy()
    lonely["transaction_timestamp"] = DAY + pd.Timedelta(hours=15)
    lonely["amount"] = 987654.32
    lonely["top_department"] = "CANARY-CATEGORY"
    lonely["household_id"] = 31337
    far = lonely.iloc[:3].copy()
    far["transaction_timestamp"] = LONELY
    night = train[
        ~(
            (train.transaction_timestamp.dt.dayofweek == 1)
            & (train.transaction_timestamp.dt.hour == 3)
        )
    ]
    one = lonely.iloc[:5].copy()  # Tuesday at 3 h belongs to one household alone
    one["transaction_timestamp"] = pd.Timestamp("2017-05-02 03:10")
    day = holdout[
        ~(
            (holdout.transaction_timestamp.dt.dayofweek == 1)
            & (holdout.transaction_timestamp.dt.hour == 3)
        )
    ]
    real = pd.concat([night, lonely, far, one], ignore_index=True)
    return make.frames(make.contract(), real, day, pd.concat([real, day], ignore_index=True))


@pytest.mark.parametrize("audience", ["owner", "analyst"])
def test_canaries_stay_out_of_the_figures(planted, audience):
    drawn = figures(planted, audience)
    text = json.dumps(drawn)
    for secret in ("987654", "987,654", "9.87", "CANARY", "2031", "31337"):
        assert secret not in text
    daily = drawn["daily"]
    place = (DAY - pd.Timestamp(daily["start"])).days
    assert daily["synthetic"][place] is None
    assert drawn["hours"]["synthetic"][1][3] is None
    if audience == "owner":
        assert daily["real"][place] is None
        assert drawn["hours"]["real"][1][3] is None
        assert drawn["hours"]["difference"][1][3] is None


def test_every_real_number_drawn_stands_for_k_entities(planted):
    drawn = figures(planted, "owner")
    real = pd.concat([planted.train, planted.holdout], ignore_index=True)
    time = real["transaction_timestamp"]
    by_day = real.groupby(time.dt.normalize())["household_id"].nunique()
    start = pd.Timestamp(drawn["daily"]["start"])
    shown = [
        start + pd.Timedelta(days=i) for i, v in enumerate(drawn["daily"]["real"]) if v is not None
    ]
    assert len(shown) > 300
    assert min(by_day[day] for day in shown) >= 10
    by_slot = real.groupby([time.dt.dayofweek, time.dt.hour])["household_id"].nunique()
    slots = [
        (d, h) for d in range(7) for h in range(24) if drawn["hours"]["real"][d][h] is not None
    ]
    assert len(slots) > 100
    assert min(by_slot[slot] for slot in slots) >= 10


def test_the_hidden_day_is_not_the_rest_of_its_weekday_or_of_the_table(planted):
    daily = figures(planted, "owner")["daily"]
    real = pd.concat([planted.train, planted.holdout], ignore_index=True)
    days = (real["transaction_timestamp"].dt.normalize() - pd.Timestamp(daily["start"])).dt.days
    hidden = [i for i, v in enumerate(daily["real"]) if v is None]
    place = (DAY - pd.Timestamp(daily["start"])).days
    same = [i for i in hidden if i % 7 == place % 7]
    for group in (hidden, same):
        inside = days.isin(group)
        assert len(group) >= 2
        assert real.loc[inside, "household_id"].nunique() >= 10


def test_how_much_a_lonely_customer_bought_changes_nothing(planted, make):
    more = planted.train[planted.train.transaction_timestamp.dt.normalize() == DAY]
    train = pd.concat([planted.train, more, more], ignore_index=True)
    before = figures(planted, "owner")
    after = figures(
        type(planted)(train, planted.holdout, planted.synthetic, planted.schema), "owner"
    )
    assert after["daily"]["real"] == before["daily"]["real"]
    assert after["autocorrelation"]["real"] == before["autocorrelation"]["real"]
    assert after["autocorrelation"]["band"] == before["autocorrelation"]["band"]
    assert after["hours"]["real"][1][3] is None


def test_the_analyst_sees_a_function_of_the_synthetic_table_alone(frames):
    other = type(frames)(frames.synthetic, frames.train, frames.synthetic, frames.schema)
    nothing = type(frames)(
        frames.train.iloc[:0], frames.holdout.iloc[:0], frames.synthetic, frames.schema
    )
    assert figures(frames, "analyst") == figures(other, "analyst") == figures(nothing, "analyst")
    assert "real" not in json.dumps(figures(frames, "analyst"))


def test_counts_and_shares_are_the_real_ones(frames):
    drawn = figures(frames, "owner")
    real = pd.concat([frames.train, frames.holdout], ignore_index=True)
    counts = real.groupby(real.transaction_timestamp.dt.normalize()).size()
    start = pd.Timestamp(drawn["daily"]["start"])
    assert drawn["daily"]["real"][40] == counts[start + pd.Timedelta(days=40)]
    scaled = frames.synthetic.transaction_timestamp.dt.normalize() == start + pd.Timedelta(days=40)
    expected = scaled.sum() * len(real) / len(frames.synthetic)
    assert drawn["daily"]["synthetic"][40] == pytest.approx(expected, abs=0.51)
    five = (real.transaction_timestamp.dt.dayofweek == 4) & (
        real.transaction_timestamp.dt.hour == 17
    )
    assert drawn["hours"]["real"][4][17] == pytest.approx(100 * five.mean(), rel=0.05)
    share = (real.amount < drawn["marginal"]["edges"][1]).mean()
    assert drawn["marginal"]["column"] == "amount"
    assert drawn["marginal"]["real"][0] == pytest.approx(100 * share, rel=0.05)


def test_a_pure_weekly_rhythm_reads_one_at_seven_days():
    days = np.arange(364)
    curve = _acf(100.0 + 30 * (days % 7 == 5), np.ones(364, dtype=bool))
    assert curve[6] == pytest.approx(1.0, abs=0.02)
    assert curve[13] == pytest.approx(1.0, abs=0.02)
    assert curve[2] < 0
    flat = _acf(np.full(364, 100.0), np.ones(364, dtype=bool))
    assert not flat.any()


def test_unshown_days_do_not_move_the_curve():
    days = np.arange(364)
    counts = 100.0 + 30 * (days % 7 == 5)
    shown = np.ones(364, dtype=bool)
    shown[100] = False
    wild = counts.copy()
    wild[100] = 1e6
    assert _acf(wild, shown) == pytest.approx(_acf(counts, shown))


def test_the_band_holds_fresh_real_rows_and_not_flat_ones(frames):
    rng = np.random.default_rng(2)
    flat = frames.synthetic.assign(
        transaction_timestamp=pd.Timestamp("2017-01-01")
        + pd.to_timedelta(rng.integers(0, 365 * 86400, len(frames.synthetic)), unit="s")
    )
    inside = []
    for synthetic in (frames.synthetic, flat):
        # equally many households on both sides: a smaller side is noisier and reads lower
        equal = type(frames)(frames.train, frames.holdout.iloc[:0], synthetic, frames.schema)
        acf = figures(equal, "owner")["autocorrelation"]
        low, high = acf["band"]
        inside.append(sum(a <= v <= b for v, a, b in zip(acf["synthetic"], low, high, strict=True)))
    # two independent tables differ by more than one band: 83 % of lags are expected inside
    assert inside[0] >= 20
    assert inside[1] <= 14


def test_edges_are_plain_numbers_and_cut_the_tail():
    values = np.concatenate([np.linspace(0.37, 173.2, 2000), [987654.32]])
    edges = _edges(values, whole=False)
    assert edges[0] == 0
    assert edges[-1] <= 180
    assert np.allclose(edges * 2, np.round(edges * 2))
    assert _edges(np.array([]), whole=False) is None
    assert len(_edges(np.full(50, 987654.32), whole=False)) >= 2


BROKEN = {
    "empty": lambda frame: frame.iloc[:0],
    "one row": lambda frame: frame.iloc[:1],
    "no times": lambda frame: frame.assign(transaction_timestamp=pd.NaT),
    "no numbers": lambda frame: frame.assign(amount=np.nan),
    "infinite": lambda frame: frame.assign(amount=np.inf),
    "constant": lambda frame: frame.assign(amount=3.0),
    "january 1970": lambda frame: frame.assign(
        transaction_timestamp=pd.to_datetime(frame.transaction_timestamp.astype("int64") // 1000)
    ),
    "no keys": lambda frame: frame.assign(household_id=None),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("audience", ["owner", "analyst"])
def test_broken_tables_give_figures_or_a_reason(frames, how, audience):
    synthetic = BROKEN[how](frames.synthetic)
    if synthetic["transaction_timestamp"].dtype != "datetime64[ns]":
        synthetic = synthetic.astype({"transaction_timestamp": "datetime64[ns]"})
    drawn = figures(type(frames)(frames.train, frames.holdout, synthetic, frames.schema), audience)
    json.dumps(drawn, allow_nan=False)
    for name in ("hours", "daily", "autocorrelation", "marginal"):
        assert drawn[name].get("missing") or drawn[name]["synthetic"]


def test_flattened_hours_show_in_the_difference(frames):
    rng = np.random.default_rng(1)
    flat = frames.synthetic.copy()
    flat["transaction_timestamp"] = flat.transaction_timestamp.dt.normalize() + pd.to_timedelta(
        rng.integers(0, 86400, len(flat)), unit="s"
    )
    drawn = figures(type(frames)(frames.train, frames.holdout, flat, frames.schema), "owner")
    evening = [drawn["hours"]["difference"][d][17] for d in range(7)]
    assert max(evening) < -0.2


def test_flights_have_figures_too(make, flights):
    roles = make.contract().roles
    contract = make.contract(
        columns=(),
        codes=("flight",),
        roles=type(roles)(
            entity_key="tailnum",
            time_index="sched_dep",
            quasi_identifiers=("carrier", "origin", "dest"),
            sensitive=("dep_delay",),
        ),
    )
    made = make.frames(contract, *make.thirds(flights, "tailnum"))
    drawn = figures(made, "owner")
    assert drawn["marginal"]["column"] == "dep_delay"
    assert drawn["autocorrelation"]["real"][6] > 0.3
    assert drawn["hours"]["real"][0][2] is None  # nothing takes off at night


def test_days_without_hours_and_rows_without_entities(make):
    rng = np.random.default_rng(5)
    size = 4000
    table = pd.DataFrame(
        {
            "day": (
                pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1200, size), "D")
            ).date,
            "name": rng.choice(["a", "b"], size),
        }
    )
    roles = make.contract().roles
    contract = make.contract(columns=(), codes=(), roles=type(roles)(time_index="day"), k=2)
    made = make.frames(contract, table, table.iloc[:500], table)
    drawn = figures(made, "owner")
    assert "days without hours" in drawn["hours"]["missing"]
    assert drawn["daily"]["step_days"] == 7
    assert "no numeric column" in drawn["marginal"]["missing"]


def test_the_number_of_suppressed_places_is_told(planted):
    drawn = figures(planted, "owner")
    cells = [c for row in drawn["hours"]["real"] for c in row]
    assert drawn["hours"]["suppressed"] == sum(c is None for c in cells)
    assert drawn["daily"]["suppressed"] == sum(v is None for v in drawn["daily"]["real"])
    assert all(finite(c) is not None for c in cells if c is not None)
