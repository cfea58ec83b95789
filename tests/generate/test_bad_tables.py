"""Odd tables that simply work, and contracts whose tables cannot be generated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_contracts.contract.model import Column, GeneratorSpec, Roles
from synth_contracts.errors import GenerationError, SourceError
from synth_contracts.generate import Produced, generate
from synth_contracts.metrics import Comparison, Measurement, measure
from synth_contracts.tables import canonical, restore


def made_of(case, rows: int = 300, seed: int = 3) -> pd.DataFrame:
    made: Produced = generate(
        case.contract, case.train, case.schema, secret_seed=seed, rows=rows,
        progress=lambda _: None,
    )  # fmt: skip
    return canonical(restore(made.frame, case.schema), case.schema)


def table(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "who": rng.integers(0, 60, rows),
            "at": pd.Timestamp("2024-03-04 09:00")
            + pd.to_timedelta(rng.integers(0, 8 * 3600, rows), "s"),
            "paid": rng.gamma(2, 10, rows).round(2),
            "kind": rng.choice(["a", "b"], rows),
        }
    )


def test_a_table_of_one_day(make_case) -> None:
    made = made_of(make_case(table(), roles=Roles("who", "at")))
    assert set(made["at"].dt.normalize()) == {pd.Timestamp("2024-03-04")}
    assert made["at"].dt.hour.between(9, 16).all()


def test_constant_and_empty_columns(make_case) -> None:
    frame = table().assign(
        one=7, word="x", yes=True, never=np.nan, no_day=pd.Series(pd.NaT, index=range(400)),
        same=pd.Timestamp("2020-02-29"),
    )  # fmt: skip
    for entity in ("who", None):
        made = made_of(make_case(frame, roles=Roles(entity, "at", None, ("kind",))))
        assert set(made["one"]) == {7.0}
        assert set(made["word"]) == {"x"}
        assert set(made["yes"]) == {"true"}
        assert set(made["same"]) == {pd.Timestamp("2020-02-29")}
        assert made[["never", "no_day"]].isna().all().all()


def test_a_time_index_that_is_all_the_same_or_all_missing(make_case) -> None:
    for time in (pd.Timestamp("2024-01-01 10:00"), pd.NaT):
        frame = table().assign(at=time)
        frame["at"] = pd.to_datetime(frame["at"])
        made = made_of(make_case(frame, roles=Roles("who", "at")))
        assert made["at"].isna().all() if pd.isna(time) else (made["at"] == time).all()


def test_nulls_in_the_time_index_stay_at_their_share(make_case) -> None:
    frame = table(1_000)
    frame.loc[::4, "at"] = pd.NaT
    made = made_of(make_case(frame, roles=Roles("who", "at", "America/New_York")), 1_000)
    assert made["at"].isna().mean() == pytest.approx(0.25, abs=0.04)


def test_entities_of_one_row_each(make_case) -> None:
    made = made_of(make_case(table().assign(who=np.arange(400)), roles=Roles("who", "at")))
    assert made["who"].is_unique


def test_one_entity_holds_every_row(make_case) -> None:
    case = make_case(table().assign(who=1), roles=Roles("who", "at"), share=0.0)
    assert set(made_of(case)["who"]) == {1}


def test_a_text_time_index_is_refused(make_case) -> None:
    frame = table()
    frame["at"] = frame["at"].astype(str)
    with pytest.raises(SourceError, match=r"roles\.timeIndex is a VARCHAR") as error:
        make_case(frame, roles=Roles("who", "at"))
    assert "cast it" in error.value.mend


def test_a_role_that_names_no_column_is_refused(make_case) -> None:
    with pytest.raises(SourceError, match=r"roles\.entityKey names the column 'whom'") as error:
        make_case(table(), roles=Roles("whom", "at"))
    assert "who" in error.value.mend


def test_decimals_integers_and_many_levels_come_back_as_they_were(make_case) -> None:
    import decimal

    rng = np.random.default_rng(1)
    cents = rng.integers(1, 10_000, 3_000)
    frame = pd.DataFrame(
        {
            "price": [decimal.Decimal(int(c)) / 100 for c in cents],
            "tiny": rng.integers(-5, 5, 3_000).astype("int8"),
            "product": [f"p{p}" for p in rng.zipf(1.3, 3_000) % 12_000],
        }
    )
    case = make_case(frame, roles=Roles(), k=3)
    made = restore(
        generate(
            case.contract, case.train, case.schema, secret_seed=1, rows=2_000,
            progress=lambda _: None,
        ).frame,
        case.schema,
    )  # fmt: skip
    assert str(made.schema.field("price").type).startswith("decimal128(")
    assert made.schema.field("price").type.scale == 2
    assert str(made.schema.field("tiny").type) == "int8"
    assert set(made.column("product").to_pylist()) <= {*frame["product"], "other"}


# ---- any small table

_TEXTS = st.sampled_from(["a", "b", "ä", "", "other", " "])
_COLUMNS = {
    "number": st.floats(-1e6, 1e6) | st.just(float("nan")),
    "whole": st.integers(-100, 100),
    "word": st.none() | _TEXTS,
    "day": st.none() | st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2030-01-01")),
    "flag": st.booleans(),
}


@st.composite
def tables(draw) -> tuple[pd.DataFrame, Roles, tuple[Column, ...], tuple[str, ...]]:
    rows = draw(st.integers(1, 40))

    def column(kind: str) -> list:
        return draw(st.lists(_COLUMNS[kind], min_size=rows, max_size=rows))

    frame = pd.DataFrame(
        {
            "number": pd.Series(column("number"), dtype="float64"),
            "whole": pd.Series(column("whole"), dtype="int64"),
            "twice": 0,
            "word": pd.Series(column("word"), dtype=object).astype("string"),
            "day": pd.Series(column("day"), dtype="datetime64[us]"),
            "flag": pd.Series(column("flag"), dtype=bool),
        }
    )
    frame["twice"] = 2 * frame["whole"]
    frame["later"] = frame["day"] + pd.to_timedelta(draw(st.integers(0, 5)), "D")
    frame["who"] = [draw(st.integers(0, 5)) for _ in range(rows)]
    roles = Roles(
        draw(st.sampled_from(["who", None])),
        draw(st.sampled_from(["day", None])),
        draw(st.sampled_from([None, "America/New_York"])),
        draw(st.sampled_from([(), ("word",), ("flag", "word")])),
    )
    columns = (
        Column("whole", minimum=-100, maximum=100, required=True),
        Column("flag", required=draw(st.booleans())),
    )
    conditions = ("twice = 2 * whole", "later >= day", "flag = true or whole <= 100")
    return frame, roles, columns, conditions


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=tables(), rows=st.integers(1, 60))
def test_any_small_table_keeps_its_contract_or_is_an_error(make_case, drawn, rows) -> None:
    frame, roles, columns, conditions = drawn
    case = make_case(
        frame, roles=roles, columns=columns, conditions=conditions, share=0.0, k=3,
        spec=GeneratorSpec(),
    )  # fmt: skip
    try:
        made = made_of(case, rows)
    except GenerationError:
        return
    assert len(made) == rows
    found = measure(
        "constraint_violations", Comparison(case.train, case.train, made, case.schema, 3, 0)
    )
    assert isinstance(found, Measurement)
    assert found.value == 0, found.details
