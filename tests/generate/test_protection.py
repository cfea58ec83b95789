"""What the protections touched, counted by hand; what tells a grouped value is joined."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Calendar, GeneratorSpec, Outliers, Roles
from synth_contracts.generate import generate
from synth_contracts.generate.protect import protect
from synth_contracts.generate.protection import Touched

K = 10


def routes(rows: int = 2_000) -> pd.DataFrame:
    """Flights by aeroplane to six places: two of them are of few aeroplanes; distance tells them."""
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 100, rows)
    dest = np.array(["ANC", "BOS", "CHI", "DEN"], dtype=object)[rng.integers(0, 4, rows)]
    dest[plane < 4] = "XNA"  # four aeroplanes go nowhere else
    dest[(plane >= 4) & (plane < 8)] = "YUM"
    dest[(plane >= 8) & (plane < 16)] = np.array(["QQQ", "ZZZ"])[
        rng.integers(0, 2, int(((plane >= 8) & (plane < 16)).sum()))
    ]
    far = {"ANC": 3370, "BOS": 187, "CHI": 733, "DEN": 1605, "XNA": 1147, "YUM": 2090,
           "QQQ": 555, "ZZZ": 1999}  # fmt: skip
    return pd.DataFrame(
        {
            "plane": plane,
            "dest": dest,
            "distance": [far[d] for d in dest],
            "delay": rng.normal(5, 30, rows).round(1),
            "seats": 50 + plane % 5 * 30,
        }
    )


def spec(**shields: bool) -> GeneratorSpec:
    on = {"rare_category": True, "top_code": True, "reject": False} | shields
    return GeneratorSpec(calendar=Calendar(enabled=False), outliers=Outliers(**on))


def protected(make_case, frame: pd.DataFrame, **shields: bool):
    case = make_case(frame, roles=Roles("plane"), spec=spec(**shields), share=0.0)
    owners = case.train["plane"].to_numpy(dtype=np.int64)
    return case.train, protect(case.train, owners, case.schema, case.contract)


def test_a_number_that_tells_a_grouped_value_is_joined_to_a_common_one(make_case) -> None:
    train, found = protected(make_case, routes(), top_code=False)
    rare = train["dest"].isin(["XNA", "YUM", "QQQ", "ZZZ"])
    assert (found.frame["dest"] == "other").equals(rare)
    nearest = {1147: 733, 2090: 1605, 555: 733, 1999: 1605}
    assert found.frame["distance"].equals(train["distance"].replace(nearest))
    assert found.joined == {"distance": int(rare.sum())}
    for name in ("delay", "seats"):
        assert found.frame[name].equals(train[name])


def test_a_number_told_by_two_columns_is_joined(make_case) -> None:
    """As distances of flights: by origin and destination."""
    frame = routes()
    origin = np.where(np.arange(len(frame)) % 2, "EWR", "JFK")
    frame["origin"], frame["distance"] = origin, frame["distance"] + 7 * (origin == "EWR")
    train, found = protected(make_case, frame, top_code=False)
    rare = train["dest"].isin(["XNA", "YUM", "QQQ", "ZZZ"])
    assert found.joined == {"distance": int(rare.sum())}
    common = set(train["distance"][~rare])
    assert set(found.frame["distance"]) == common
    assert found.frame["distance"][~rare].equals(train["distance"][~rare])


def test_a_number_that_common_values_determine_anyway_stays(make_case) -> None:
    """A grouped flight tells nothing: its destination is common and says the distance."""
    frame = routes()
    to = np.arange(len(frame)) % 4
    frame["dest"] = np.array(["ANC", "BOS", "CHI", "DEN"])[to]
    frame["distance"] = to * 611 + 187
    frame["flight"] = [f"f{n}" for n in frame["plane"] // 3 * 4 + to]  # each of three aeroplanes
    train, found = protected(make_case, frame, top_code=False)
    assert (found.frame["flight"] != train["flight"]).all()
    assert found.joined == {}
    assert found.frame["distance"].equals(train["distance"])


def test_a_value_that_k_hold_elsewhere_stays_and_missing_ones_too(make_case) -> None:
    frame = routes()
    frame.loc[frame["dest"] == "XNA", "distance"] = 733  # as far as Chicago
    frame["distance"] = frame["distance"].astype("float64")
    gone = (frame["dest"] == "YUM") & (np.arange(len(frame)) % 3 > 0)
    frame.loc[frame["dest"] == "YUM", "distance"] = np.nan
    train, found = protected(make_case, frame, top_code=False)
    assert gone.any()
    assert (found.frame["distance"][train["dest"] == "XNA"] == 733).all()
    assert found.frame["distance"][train["dest"] == "YUM"].isna().all()


def test_without_grouping_nothing_is_joined(make_case) -> None:
    train, found = protected(make_case, routes(), rare_category=False, top_code=False)
    assert found.joined == {}
    pd.testing.assert_frame_equal(found.frame, train)


def test_counts_are_those_of_the_cells(make_case) -> None:
    frame = routes()
    roles = Roles("plane", None, None, ("dest",), ())
    case = make_case(frame, roles=roles, spec=spec(), share=0.0)
    made = generate(
        case.contract, case.train, case.schema, secret_seed=1, rows=500, progress=lambda _: None
    )
    by_name = {touched.column: touched for touched in made.protection.columns}
    rare = int(frame["dest"].isin(["XNA", "YUM", "QQQ", "ZZZ"]).sum())
    assert by_name["dest"].grouped == rare
    assert by_name["distance"].joined == rare
    highest = frame.groupby("plane")["delay"].max().nlargest(K).iloc[-1]
    lowest = frame.groupby("plane")["delay"].min().nsmallest(K).iloc[-1]
    assert by_name["delay"] == Touched(
        "delay",
        coded_low=int((frame["delay"] < lowest).sum()),
        coded_high=int((frame["delay"] > highest).sum()),
    )
    assert "seats" not in by_name  # nothing beyond its k-th most extreme
    differ = (made.uncoarsened["dest"] != made.frame["dest"]).sum()
    assert by_name["dest"].recoded == differ
    assert (made.protection.train_rows, made.protection.rows) == (len(frame), 500)
    assert made.protection.afresh == ("plane",)
    told = str(made.protection.to_json())
    assert not any(value in told for value in ("XNA", "1147", str(highest)))


def test_rows_drawn_again_near_outliers_are_counted(make_case) -> None:
    frame = routes()
    frame.loc[:30, "delay"] = np.linspace(5_000, 90_000, 31)
    said: list[str] = []
    case = make_case(frame, roles=Roles("plane"), spec=spec(reject=True, top_code=False), share=0.0)
    made = generate(
        case.contract, case.train, case.schema, secret_seed=1, rows=3_000, progress=said.append
    )
    drawn = [int(line.split()[1]) for line in said if line.startswith("redrawing:")]
    assert drawn
    assert made.protection.redrawn == sum(drawn)


def test_rows_drawn_again_are_counted_where_rows_lack_a_key(make_case) -> None:
    frame = routes()
    frame["plane"] = "p" + frame["plane"].astype(str)
    frame.loc[:30, "delay"] = np.linspace(5_000, 90_000, 31)
    said: list[str] = []
    case = make_case(frame, roles=Roles("plane"), spec=spec(reject=True, top_code=False), share=0.0)
    case.train.loc[::5, "plane"] = None
    made = generate(
        case.contract, case.train, case.schema, secret_seed=1, rows=3_000, progress=said.append
    )
    assert made.frame["plane"].isna().any()
    drawn = [int(line.split()[1]) for line in said if line.startswith("redrawing:")]
    assert made.protection.redrawn == sum(drawn) > 0
