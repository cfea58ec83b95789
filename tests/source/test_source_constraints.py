"""Declared constraints on the source: all violations at once, counted, none quoted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from synth_contracts.contract.model import Column, Constraint, Contract, Roles
from synth_contracts.errors import SourceError
from synth_contracts.source import check_constraints, read_source, violations

Make = Callable[..., Contract]
Load = Callable[..., str]
ROWS = """SELECT i AS household_id, i // 2 AS pair, if(i < 5, NULL, 'T' || i) AS name,
  CASE i WHEN 6 THEN 'nan'::DOUBLE WHEN 7 THEN 'inf'::DOUBLE ELSE i / 10 END AS amount,
  TIMESTAMP '2020-01-01' + to_hours(i) AS ts, TIMESTAMPTZ '2020-01-01 00:00:00+00' + to_hours(i)
  AS tz, DATE '2020-01-01' + i::INT AS day, (i % 4)::INT AS code, i % 2 = 0 AS flag,
  (i / 4)::DECIMAL(9, 2) AS price FROM range(100) r(i)"""


def found(load: Load, contract: Make, column: Column) -> list[str]:
    return violations(
        read_source(contract(columns=(column,)), load(ROWS)), contract(columns=(column,))
    )


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Column("name", required=True), "name: 5 rows of 100 are null"),
        (Column("pair", unique=True), "pair: 50 rows repeat a value"),
        (Column("pair", primary_key=True), "primary key (pair): 50 rows repeat a key"),
        (Column("code", enum=(0, 1, 2)), "code: 25 rows hold a value"),
        (Column("code", enum=("0", "1", "2", "3")), "code: 100 rows hold a value"),
        (Column("flag", enum=(True,)), "flag: 50 rows hold a value"),
        (Column("amount", minimum=0), "amount: 1 row are below the minimum 0"),
        (Column("amount", maximum=100), "amount: 2 rows are above the maximum 100"),
        (Column("pair", exclusive_minimum=0), "pair: 2 rows are not above 0"),
        (Column("pair", exclusive_maximum=49), "pair: 2 rows are not below 49"),
        (Column("price", maximum=24.5), "price: 1 row are above"),
        (Column("ts", minimum="2020-01-01T02:00:00"), "ts: 2 rows are below"),
        (Column("ts", minimum="2020-01-01T01:00:00-01:00"), "ts: 2 rows are below"),
        (Column("tz", minimum="2020-01-01T02:00:00Z"), "tz: 2 rows are below"),
        (Column("day", maximum=dt.date(2020, 4, 8)), "day: 1 row are above"),
        (Column("name", pattern="^T[0-9]$"), "name: 90 rows do not match pattern"),
        (Column("name", minimum=1), "name: minimum 1 cannot be compared with VARCHAR"),
        (
            Column("name", logical_type="integer"),
            "name: declared integer, the source holds VARCHAR",
        ),
        (Column("ts", logical_type="string"), "ts: declared string, the source holds TIMESTAMP"),
        (Column("amount", physical_type="INT"), "amount: declared physicalType INT"),
        (Column("price", physical_type="DECIMAL(10,2)"), "price: declared physicalType"),
    ],
)
def test_what_does_not_hold_is_told(load: Load, contract: Make, column: Column, text: str) -> None:
    (line,) = found(load, contract, column)
    assert line.startswith(text)


@pytest.mark.parametrize(
    "column",
    [
        Column("household_id", primary_key=True, logical_type="integer", physical_type="bigint"),
        Column("name", pattern="T", logical_type="string", physical_type="varchar(20)"),
        Column("code", enum=(0, 1, 2, 3.0), minimum=0, maximum=3, logical_type="number"),
        Column("flag", enum=(True, False), logical_type="boolean", physical_type="bool"),
        Column("ts", logical_type="timestamp", physical_type="datetime", required=True),
        Column("tz", logical_type="timestamp", physical_type="timestamptz"),
        Column("day", logical_type="date", minimum="2020-01-01", maximum="2020-12-31"),
        Column("price", logical_type="number", physical_type="numeric(9, 2)"),
        Column("price", physical_type="decimal", minimum=0),
    ],
)
def test_what_holds_is_not(load: Load, contract: Make, column: Column) -> None:
    assert found(load, contract, column) == []


def test_all_at_once_with_no_value_of_a_row(load: Load, contract: Make) -> None:
    columns = (
        Column("household_id", primary_key=True),
        Column("name", required=True, pattern="^x"),
        Column("code", enum=(0,)),
        Column("pair", primary_key=True),
    )
    made = contract(columns=columns, roles=Roles(entity_key="household_id"))
    with pytest.raises(SourceError, match="breaks 3 declared constraints") as broken:
        check_constraints(read_source(made, load(ROWS)), made)
    message: Any = str(broken.value)
    assert broken.value.exit_code == 3
    assert "T17" not in message
    for text in ("name: 5 rows", "name: 95 rows", "code: 75 rows"):
        assert text in message


def test_a_condition_over_columns_is_held_to_the_source(load: Load, contract: Make) -> None:
    kept, broken = "code < 4 or flag = true", "price * 4 <= 50"
    made = replace(
        contract(columns=()),
        constraints=(
            Constraint("kept", kept, ("code", "flag")),
            Constraint("cheap", broken, ("price",)),
        ),
    )
    source = read_source(made, load(ROWS))
    assert violations(source, made) == [f"cheap: 49 rows break {broken}"]
    missing = replace(made, constraints=(Constraint("x", "colour = 'red'", ("colour",)),))
    with pytest.raises(SourceError, match="colour"):
        read_source(missing, load(ROWS))
