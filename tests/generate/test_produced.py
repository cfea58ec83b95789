"""What generate hands back: uncoarsened quasi-identifiers, notes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Calendar, Column, GeneratorSpec, Outliers, Roles
from synth_contracts.errors import GenerationError
from synth_contracts.generate import Produced, Sampled, generate, run
from synth_contracts.generate.replay import ReplayedVolume

QUASI = ["store_id", "age", "income"]


def make(case, rows: int = 2_000, **more) -> Produced:
    return generate(
        replace(case.contract, **more), case.train, case.schema, secret_seed=3, rows=rows,
        progress=lambda _: None,
    )  # fmt: skip


def copula(**calendar) -> GeneratorSpec:
    return GeneratorSpec(
        type="gaussian_copula",
        fit_rows=600,
        calendar=Calendar(**calendar),
        outliers=Outliers(reject=False, other_value={"store_id": 0}),
    )


def smallest(frame: pd.DataFrame) -> int:
    return int(frame.groupby(QUASI, dropna=False)["household_id"].nunique().min())


@pytest.mark.parametrize(
    "spec", [None, copula(), copula(enabled=False)], ids=["cart", "framed", "bare"]
)
def test_uncoarsened_rows_stand_beside_their_recoded_ones(few_case, spec) -> None:
    more = {} if spec is None else {"generator": spec}
    k = 3  # at 10 no store of so few households keeps its name, and none is left to be recoded
    made = make(few_case, 4_000, k=k, **more)
    before, after = made.uncoarsened, made.frame
    assert before is not None
    assert list(before.columns) == ["household_id", *QUASI]
    assert (before["household_id"] == after["household_id"]).all()
    assert smallest(before) < k
    assert smallest(after) >= k
    tokens = {"store_id": "0", "age": "other", "income": "other"}
    for name in QUASI:
        changed = (before[name] != after[name]) & ~(before[name].isna() & after[name].isna())
        # a group that would itself be of fewer than k takes the commonest value
        alone = changed & (after[name] != tokens[name])
        assert before["household_id"][alone].nunique() < k, name
        commonest = before[name].mode(dropna=False)[0]
        assert set(after[name][alone].fillna("missing")) <= {commonest or "missing"}, name
        assert before[name].dtype == after[name].dtype
    assert (before["store_id"] != after["store_id"]).any()
    untouched = (after["age"] != "other") & after["age"].notna()
    assert untouched.sum() > 1_000
    assert (before["age"] == after["age"])[untouched].all()  # row for row


def test_without_recoding_both_are_the_same_and_without_quasi_identifiers_there_is_none(
    few_case, make_case
) -> None:
    off = GeneratorSpec(outliers=Outliers(rare_category=False, top_code=False, reject=False))
    made = make(few_case, generator=off)
    assert made.uncoarsened is not None
    pd.testing.assert_frame_equal(made.uncoarsened[QUASI], made.frame[QUASI])
    plain = make_case(pd.DataFrame({"n": np.arange(300.0)}), roles=Roles())
    assert make(plain).uncoarsened is None
    rows = make_case(pd.DataFrame({"n": np.arange(300) % 7}), roles=Roles(quasi_identifiers=("n",)))
    found = make(rows).uncoarsened
    assert found is not None
    assert list(found.columns) == ["n"]


def test_recoding_draws_dependents_again_and_leaves_the_uncoarsened_alone(make_case) -> None:
    """Zip codes tell towns: 12 of them over 60 equal people leave drawn classes below k."""
    rng = np.random.default_rng(0)
    who = rng.permutation(np.arange(1_500) % 60)
    zips = who % 12
    frame = pd.DataFrame(
        {"who": who, "zip": [f"z{z}" for z in zips], "town": [f"t{z // 4}" for z in zips],
         "far": zips // 4 * 10.0, "n": rng.integers(0, 9, 1_500)}
    )  # fmt: skip
    case = make_case(
        frame, roles=Roles("who", None, None, ("zip",), ()), k=5, share=0.0,
        columns=(Column("who", required=True),),
    )  # fmt: skip
    made = make(case, 1_500)
    assert made.uncoarsened is not None
    assert set(made.uncoarsened["zip"]) <= set(frame["zip"])
    assert made.frame.groupby("zip")["who"].nunique().min() >= 5


# ---- replayed volumes


def shop(rows: int = 4_000) -> pd.DataFrame:
    """Business days only, with one closed, and no trend that a model would find."""
    days = pd.bdate_range("2024-01-01", "2024-06-28")
    days = days[days != pd.Timestamp("2024-03-06")]
    rng = np.random.default_rng(1)
    busy = rng.gamma(4, 1, len(days))
    at = days.to_numpy()[rng.choice(len(days), rows, p=busy / busy.sum())]
    return pd.DataFrame(
        {
            "who": rng.integers(0, 200, rows),
            "at": at + pd.to_timedelta(rng.integers(9, 17, rows), "h"),
            "n": rng.integers(0, 50, rows),
        }
    )


def totals(times: pd.Series) -> np.ndarray:
    days = pd.date_range("2024-01-01", "2024-06-28")
    counted = times.dt.normalize().value_counts()
    return counted.reindex(days, fill_value=0).to_numpy()


@pytest.mark.parametrize("kind", ["calendar_cart", "gaussian_copula"])
def test_a_replay_without_noise_repeats_trains_totals(make_case, kind) -> None:
    replay = GeneratorSpec(
        type=kind,
        calendar=Calendar(volume="replay", volume_noise=0.0),
        outliers=Outliers(reject=False),
    )
    case = make_case(shop(), roles=Roles("who", "at", None, (), ()), spec=replay)
    real = totals(case.train["at"])
    made = make(case, 2 * len(case.train))
    assert (totals(made.frame["at"]) == 2 * real).all()
    other = totals(make(case, 1_000).frame["at"])
    assert other.sum() == 1_000
    assert np.abs(other - real * 1_000 / real.sum()).max() < 1
    assert made.notes[-1:] == (
        "calendar.volume is replay: the daily totals of the training part are published with "
        "no noise",
    )
    model = replace(replay, calendar=Calendar())
    simulated = make(case, len(case.train), generator=model)
    assert not any("volume" in note for note in simulated.notes)
    assert (totals(simulated.frame["at"]) != real).mean() > 0.5


def test_noise_comes_from_the_secret_seed_and_closed_days_stay_closed(make_case) -> None:
    replay = GeneratorSpec(calendar=Calendar(volume="replay", volume_noise=6.0))
    case = make_case(shop(), roles=Roles("who", "at", None, (), ()), spec=replay)
    real = totals(case.train["at"])

    def noise(secret: int, seed: int = 0) -> np.ndarray:
        contract = replace(case.contract, generator=replace(replay, seed=seed))
        made = generate(
            contract, case.train, case.schema, secret_seed=secret, rows=len(case.train),
            progress=lambda _: None,
        )  # fmt: skip
        assert "scale 6" in made.notes[-1]
        return totals(made.frame["at"]) - real

    first = noise(1)
    assert not first[real == 0].any()
    assert first[real > 0].any()
    assert (noise(1) == first).all()
    assert (noise(2) != first).any()
    assert (noise(1, seed=9) == first).all()  # the published seed alone moves nothing here


def test_the_noise_is_two_sided_geometric_of_its_scale() -> None:
    days = pd.DatetimeIndex(np.repeat(pd.date_range("2000-01-01", periods=20_000).to_numpy(), 50))
    exact = np.full(20_000, 50)
    made = ReplayedVolume(3.0).fit(days, np.random.default_rng(0))
    drawn = made.sample(int(made._totals.sum()), np.random.default_rng(1)) - exact
    q = np.exp(-1 / 3.0)
    assert drawn.mean() == pytest.approx(0, abs=0.1)
    assert drawn.var() == pytest.approx(2 * q / (1 - q) ** 2, rel=0.05)
    assert (drawn == 0).mean() == pytest.approx((1 - q) / (1 + q), abs=0.01)


def test_totals_that_noise_wipes_out_leave_open_days_open() -> None:
    days = pd.DatetimeIndex(["2024-01-01", "2024-01-03"])

    class Downwards:
        def geometric(self, _chance: float, size: int) -> np.ndarray:
            self.calls = getattr(self, "calls", 0) + 1
            return np.full(size, 1 if self.calls == 1 else 9)

    made = ReplayedVolume(5.0).fit(days, Downwards())  # type: ignore[arg-type]
    assert made.sample(10, np.random.default_rng(0)).tolist() == [5, 0, 5]


# ---- faulty generators


class Faulty:
    """Copies train, spoiled by ``spoil``."""

    notes = ()

    def __init__(self, spoil) -> None:
        self._spoil = spoil

    def fit(self, train, _roles, _schema, _rng) -> None:
        self._train = train

    def sample(self, n, _rng) -> Sampled:
        return Sampled(self._spoil(self._train.iloc[:n].reset_index(drop=True)))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.iloc[:-1], "made 99 rows, not 100"),
        (lambda f: f.drop(columns="n"), "other columns than it learned: n"),
        (lambda f: f.assign(more=1.0), "other columns than it learned: more"),
        (lambda f: pd.concat([f, f[["n"]]], axis=1), "other columns than it learned: a column twice"),
        (lambda f: f.assign(n=f["n"].astype(int)), "made int64, not float64"),
        (lambda f: f.assign(at=f["at"].astype("datetime64[us]")), r"made datetime64\[us\]"),
        (lambda f: f.assign(who=-1), "not integers from 0"),
        (lambda f: f.assign(who=f["who"].astype(float)), "not integers from 0"),
    ],
)  # fmt: skip
def test_a_faulty_generator_is_refused(make_case, monkeypatch, spoil, words) -> None:
    monkeypatch.setitem(run.GENERATORS, "faulty", lambda *_: Faulty(spoil))
    case = make_case(
        shop(500), roles=Roles("who", "at", None, (), ()), spec=GeneratorSpec(type="faulty")
    )
    with pytest.raises(GenerationError, match=words):
        make(case, 100)


def test_an_unknown_type_is_answered_with_the_nearest(make_case) -> None:
    case = make_case(shop(300), spec=GeneratorSpec(type="gausian_copula"))
    with pytest.raises(GenerationError, match="unknown generator") as caught:
        make(case)
    assert caught.value.mend == "did you mean `gaussian_copula`?"
