"""Conditions over several columns: what is read, what is refused, where it is false."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_contracts.contract.conditions import columns_of, parse
from synth_contracts.contract.model import Constraint, Roles
from synth_contracts.errors import SourceError
from synth_contracts.tables import Field, Kind, TableSchema, broken

KINDS = {
    "net": Kind.NUMBER, "tax": Kind.NUMBER, "total": Kind.NUMBER, "n items": Kind.INTEGER,
    "ordered": Kind.TIMESTAMP, "shipped": Kind.TIMESTAMP, "shop": Kind.CODE, "kind": Kind.TEXT,
    "member": Kind.BOOLEAN,
}  # fmt: skip
SCHEMA = TableSchema("t", tuple(Field(n, k, "DOUBLE") for n, k in KINDS.items()), Roles())
FRAME = pd.DataFrame(
    {
        "net": [0.1, 5.0, np.nan, np.inf],
        "tax": [0.2, 1.0, 1.0, np.inf],
        "total": [0.3, 7.0, 1.0, 1.0],
        "n items": [1.0, 2.0, 3.0, 0.0],
        "ordered": pd.to_datetime(
            ["2024-01-01 10:00", "2024-01-02 00:00", "2024-01-03 00:00", None]
        ),
        "shipped": pd.to_datetime(
            ["2024-01-01 09:00", "2024-01-02 00:00", None, "2024-01-09 00:00"]
        ),
        "shop": np.array(["7", "12", None, "7"], dtype=object),
        "kind": np.array(["a", "b", None, "b"], dtype=object),
        "member": np.array(["true", "false", None, "true"], dtype=object),
    }
)


def rows(check: str) -> list[int]:
    found = broken(Constraint("x", check, columns_of(check)), FRAME, SCHEMA)
    return list(np.flatnonzero(found))


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("net + tax = total", [1, 3]),  # .1 + .2 is .3; null is unknown; infinity is not 1
        ("net - tax = 0", [0, 1, 3]),  # infinity less infinity is no number, and never passes
        ("net - tax <> 0", [3]),
        ("not (net < tax)", [0]),
        ("TAX <= Total", [3]),
        ('"n items" >= 1', [3]),
        ("shipped >= ordered", [0]),
        ("shipped is null or shipped >= ordered", [0]),
        ("shipped is not null", [2]),
        ("ordered < '2024-01-02'", [1, 2]),
        ("shop = 7 or kind = 'b'", []),
        ("shop = '7'", [1]),
        ("shop * 2 > 20", [0, 3]),
        ("kind in ('a', 'c')", [1, 3]),
        ("member = true", [1]),
        ("total between net and 2 * abs(-tax) + 3", [1, 3]),
        ("total >= net and total >= tax", [3]),
        ("-total < 0", []),
        ("total / 0 > 1", []),
    ],
)
def test_rows_in_which_a_condition_is_false(check, expected):
    assert rows(check) == expected


@pytest.mark.parametrize(
    "check",
    ["net > kind", "kind > 'a'", "ordered > 3", "kind + 1 > 2", "ordered > 'noon'",
     "(net > 1) + 1 > 2", "member > 1"],
)  # fmt: skip
def test_what_cannot_be_compared_is_said(check):
    with pytest.raises(SourceError, match="the constraint x"):
        rows(check)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("net", "no condition"), ("1 = 1", "no column"), ("sqrt(net) > 1", "cannot be checked"),
        ("net in (select 1)", "without a list"), ("t.net > 1", "without its table"),
        ("net = null", "is null"), ("net >", "cannot be read"), ("net > 1; select 1", "cannot be"),
        ("net::int > 1", "cannot be checked"), ("kind like 'a%'", "cannot be checked"),
        ("net > 1 /* " + "x" * 600, "longer than"), ("case when net then 1 end = 1", "cannot be"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused(check, words):
    with pytest.raises(ValueError, match=words):
        parse(check)


@given(st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=20))
def test_a_condition_and_its_negation_are_never_both_kept_where_it_is_known(pairs):
    frame = FRAME.iloc[[0] * len(pairs)].reset_index(drop=True)
    frame["net"], frame["tax"] = [p[0] for p in pairs], [p[1] for p in pairs]
    for sign in ("<", "<=", "=", "<>", ">", ">="):
        plain = broken(Constraint("x", f"net {sign} tax", ()), frame, SCHEMA)
        turned = broken(Constraint("x", f"not (net {sign} tax)", ()), frame, SCHEMA)
        known = frame[["net", "tax"]].notna().all(axis=1).to_numpy()
        assert (plain ^ turned)[known].all()
        assert not (plain | turned)[~known].any()


def test_a_contract_reads_them_and_says_what_is_wrong(bent, faults):
    contract = bent(("k: 10", "constraints: [{id: discount, check: coupon_disc <= amount}]"))
    assert contract.constraints == (
        Constraint("discount", "coupon_disc <= amount", ("coupon_disc", "amount")),
    )
    assert contract.digest != bent().digest
    for written, words in (
        ("[{id: a, check: amount >}]", "cannot be read as a condition"),
        ("[{id: a, check: basket_id > 1}]", "a key that is made afresh"),
        ("[{id: a, check: amount > 1}, {id: a, check: amount > 2}]", "used twice"),
        ("[{id: a}]", "check"),
        ("[{check: amount > 1}]", "id"),
    ):
        report = faults(("k: 10", f"constraints: {written}"))
        assert report.contracts == ()
        assert any(words in p.message for p in report.problems), (written, report.problems)
