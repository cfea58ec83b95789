"""One customer spends 431 times the median, in a shop that others share: nobody can tell from rows.

Two worlds differ in how much the customer spends. Where the same rows come out of both, nothing
that is made of those rows can tell the worlds apart, whatever is looked at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import Calendar, GeneratorSpec
from synth_contracts.generate import generate
from synth_contracts.tables import restore, rows_digest

KEY, AMOUNT = "household_id", "amount"
SPECS = {
    "calendar_cart": GeneratorSpec(calendar=Calendar(holidays="US")),
    "bare": GeneratorSpec("gaussian_copula", calendar=Calendar(enabled=False)),
}


def spending(train: pd.DataFrame, times: float) -> tuple[pd.DataFrame, int]:
    """Train in which a household that comes to a shared shop spends ``times`` the median."""
    train = train.copy()
    each = train.groupby("store_id")[KEY].nunique()
    shared = train["store_id"].map(each) >= 10
    visits = train[KEY].value_counts().sort_index()
    often = visits[visits.index.isin(train.loc[shared, KEY]) & (visits >= 4)]
    household = int(often.idxmin())
    own = train[KEY] == household
    median = float(train.groupby(KEY)[AMOUNT].sum().median())
    train.loc[own, AMOUNT] = np.round(times * median / own.sum(), 2)
    return train, household


@pytest.mark.parametrize("kind", ["calendar_cart", pytest.param("bare", marks=pytest.mark.slow)])
def test_how_much_the_customer_spends_changes_no_byte(few_case, kind) -> None:
    spec = replace(SPECS[kind], outliers=few_case.contract.generator.outliers)
    if kind != "calendar_cart":
        spec = replace(spec, outliers=replace(spec.outliers, reject=False))
    contract = replace(few_case.contract, generator=spec)
    digests, most = [], []
    for times in (431.0, 43.1):
        train, household = spending(few_case.train, times)
        rest = train[train[KEY] != household]
        tops = rest.groupby(KEY)[AMOUNT].max().nlargest(contract.k - 1)
        # with the customer the last of these is the k-th: what lies above is coded to it
        assert train.loc[train[KEY] == household, AMOUNT].min() > tops.iloc[0]
        made = generate(
            contract, train, few_case.schema, secret_seed=3, rows=1_000, progress=lambda _: None
        ).frame
        digests.append(rows_digest(restore(made, few_case.schema)))
        most.append(made[AMOUNT].max() <= tops.iloc[-1])
    assert all(most)
    assert digests[0] == digests[1]
