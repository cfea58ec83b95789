"""Cards for the tests of the report: a contract, an evaluation by hand, tables from real rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synth_contracts.contract.model import (
    Column,
    Contract,
    ExportPolicy,
    GeneratorSpec,
    NotAsked,
    Roles,
    Rule,
    SourceRef,
)
from synth_contracts.gate import Verdict, judge
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured, Result
from synth_contracts.report import Card, build_card
from synth_contracts.tables import TableSchema, canonical, duckdb_types, resolve, to_arrow

SECRETS = {
    "source_digest": "5" * 64,
    "seed": 424242,
    "train_digest": "7" * 64,
    "holdout_digest": "8" * 64,
    "evaluation_seed": 6172839455,
}

#: metric, family, operator, limit, judged, value, lower, upper, floor
RULES = (
    ("membership_inference", "privacy", "<=", 0.25, "value", 0.0853, -0.0652, 0.2352, None),
    ("identical_match", "privacy", "<=", 0.005, "lower", 0.00081, -0.0004, 0.0021, None),
    ("nearest_neighbor_distance", "privacy", "<=", 0.6, "value", 0.5031, 0.4912, 0.5153, None),
    ("k_anonymity", "privacy", ">=", 10.0, "value", 10.0, None, None, None),
    ("ks_mean", "fidelity", "<=", 0.09, "value", 0.0214, 0.0172, 0.0263, None),
    ("ks_max", "fidelity", "<=", 0.15, "value", 0.0457, 0.0381, 0.0552, None),
    ("autocorrelation", "fidelity", "<=", 0.1, "over_floor", 0.2116, 0.1231, 0.2891, 0.1247),
    ("hour_profile", "fidelity", "<=", 0.15, "value", 0.0231, 0.0202, 0.0281, None),
    ("weekday_profile", "fidelity", "<=", 0.04, "value", 0.0132, 0.0088, 0.0173, None),
    ("constraint_violations", "validity", "<=", 0.0, "value", 0.0, None, None, None),
)


#: the rules over entities, categories, pairs and calendars: as above, and floor, ceiling, unit,
#: details
WIDE_RULES = (
    ("recognized_entities", "privacy", "<=", 5.0, "lower", 0.0, 0.0, 0.0, None, None, "entities",
     {"attacks": {
         "distance": {"value": 0.0}, "link": {"value": 0.0},
         "hole": {"value": 0.0, "right": 8, "guesses": 15, "p_value": 0.4173},
     }}),
    ("entity_membership_inference", "privacy", "<=", 0.4, "value", 0.1284, -0.08, 0.33, None, None,
     "entities", {"attacks": {"link": {"value": 0.1284}, "aggregate": {"value": 0.0613}}}),
    ("outlier_membership_inference", "privacy", "<=", 0.25, "value", 0.0314, -0.1, 0.16, None, None,
     "entities", {"attacks": {"calibrated": {"value": 0.0314}}}),
    ("replicated_uniques", "privacy", "<=", 0.05, "value", 0.0043, -0.008, 0.016, None, None,
     "entities", {"raw": 0.02}),
    ("total_variation", "fidelity", "<=", 0.1, "over_floor", 0.0683, 0.05, 0.09, 0.0412, None,
     "rows", {"worst": "top_department", "raw": 0.0821, "raw_floor": 0.0513}),
    ("missingness", "fidelity", "<=", 0.05, "value", 0.0021, 0.0, 0.01, 0.0019, None, "rows",
     {"worst": "CANARY-NO-COLUMN"}),
    ("pair_association", "fidelity", "<=", 0.13, "value", 0.0931, 0.08, 0.11, 0.0734, None, "pairs",
     {"worst": ["age", "income"], "raw": 0.1012, "raw_floor": 0.0771}),
    ("calendar_correlation", "fidelity", ">=", 0.4, "ceiling_share", 0.5411, 0.4, 0.68, None,
     0.6134, "days", {}),
    ("entity_profile", "fidelity", "<=", 0.1, "value", 0.0317, 0.02, 0.06, 0.0288, None, "entities",
     {}),
    ("detection", "fidelity", "<=", 0.7, "value", 0.5823, 0.55, 0.61, 0.5031, None, "rows",
     {"raw": 0.9177, "raw_floor": 0.5043}),
)  # fmt: skip

CONTROLS = {
    "power": 0.8,
    "replicates": 20,
    "rules": ["membership_inference", "recognized_entities", "identical_match"],
    "kinds": [
        {"kind": kind, "among": among, "unit": "entities", "smallest": smallest,
         "largest_tried": largest, "blocked_by": by, "reason": None,
         "curve": [{"entities": dose, "rows": 61 * dose, "power": power,
                    "readings": {"membership_inference": round(0.08 + power / 3, 4)}}
                   for dose, power in curve]}
        for among in ("random", "isolated")
        for kind, smallest, largest, by, curve in (
            ("exact", 12, 250, ["recognized_entities"],
             [(0, 0.0), (5, 0.2), (12, 0.85), (40, 1.0), (250, 1.0)]),
            ("noisy", None, 500, [], [(0, 0.0), (40, 0.0), (250, 0.05), (500, 0.15)]),
            ("interpolated", 250, 250, ["membership_inference"],
             [(0, 0.0), (40, 0.1), (120, 0.55), (250, 0.9)]),
            ("whole_entities", 7, 40, ["recognized_entities", "membership_inference"],
             [(0, 0.0), (3, 0.3), (7, 0.95), (40, 1.0)]),
        )
    ],
    "null": {"what": "one half of the holdout against the other",
             "readings": {"membership_inference": {"value": 0.0421, "lower": -0.11, "upper": 0.19},
                          "ks_mean": {"value": 0.0183, "lower": None, "upper": None}}},
}  # fmt: skip


@dataclass(frozen=True)
class Frames:
    """The three tables of a comparison."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    schema: TableSchema
    k: int = 10
    seed: int = 11


def contract_of(**changes: Any) -> Contract:
    rules = tuple(
        Rule(name, name, f"expect_table_{name}", None, operator, limit, judged, "error", family)
        for name, family, operator, limit, judged, *_ in RULES
    )
    contract = Contract(
        path=Path("contracts/transactions.odcs.yaml"),
        text="",
        id="urn:synth-contracts:retail:transactions",
        table="transactions",
        version="1.0.0",
        description={
            "purpose": "Synthetic grocery baskets for forecasting and dashboard prototypes.",
            "usage": "Exploration and prototypes; never for decisions about one household.",
            "limitations": "Rows are generated; no row is a real basket.",
        },
        source=SourceRef("source", "duckdb", "retail.duckdb", "raw", "transactions"),
        columns=(Column("basket_id", primary_key=True), Column("amount")),
        preset="standard",
        k=10,
        roles=Roles(
            entity_key="household_id",
            time_index="transaction_timestamp",
            timezone="America/New_York",
            quasi_identifiers=("store_id", "age", "income"),
            sensitive=("amount", "top_department"),
        ),
        codes=("store_id",),
        holdout=0.3,
        generator=GeneratorSpec(seed=424242),
        rules=rules,
        not_asked=(),
        report_only=(),
        export=ExportPolicy(),
        expanded={},
        digest="c" * 64,
    )
    return replace(contract, **changes)


def evaluation_of(
    contract: Contract, values: Mapping[str, float | Result] | None = None, **changes: Any
) -> Evaluation:
    """An evaluation with the values of RULES, some replaced by a number or a whole result."""
    values = values or {}
    results: dict[str, Result] = {}
    for name, _family, operator, _limit, _judged, value, lower, upper, floor in RULES:
        given = values.get(name, value)
        if isinstance(given, (Measurement, NotMeasured)):
            results[name] = given
            continue
        shift = float(given) - value
        pair = (None, None) if lower is None else (lower + shift, upper + shift)
        attacks = {}
        if name == "membership_inference":
            attacks = {
                "distance": {"value": given, "lower": pair[0], "upper": pair[1]},
                "calibrated": {"value": 0.0412, "lower": -0.0811, "upper": 0.1633},
            }
        results[name] = Measurement(
            metric=name,
            value=float(given),
            n=107_000,
            unit="rows",
            direction="lower_is_better" if operator == "<=" else "higher_is_better",
            method="half-sampling, clustered by entity",
            compared_with="holdout",
            lower=pair[0],
            upper=pair[1],
            bound_lower=pair[0],
            bound_upper=pair[1],
            floor=floor,
            details={"attacks": attacks} if attacks else {},
        )
    base = Evaluation(
        contract_digest=contract.digest,
        rows_digest="a" * 64,
        train_digest=SECRETS["train_digest"],
        holdout_digest=SECRETS["holdout_digest"],
        seed=SECRETS["evaluation_seed"],
        n_train=107_283,
        n_holdout=48_565,
        n_synthetic=155_848,
        entities_train=1_728,
        entities_holdout=741,
        results={rule.id: results[rule.id] for rule in contract.rules},
        timings={"membership_inference": 4.21},
        validation={"suite": "transactions", "run_id": "r1"},
    )
    return replace(base, **changes)


def wide() -> tuple[Contract, Evaluation]:
    """A contract that asks every rule, and an evaluation that holds them, with its controls."""
    plain = contract_of()
    more = tuple(
        Rule(name, name, f"expect_table_{name}", None, operator, limit, judged, "error", family)
        for name, family, operator, limit, judged, *_ in WIDE_RULES
    )
    contract = replace(plain, rules=(*plain.rules, *more))
    results = dict(evaluation_of(plain).results)
    for row in WIDE_RULES:
        name, _, operator, _, _, value, lower, upper, floor, ceiling, unit, details = row
        results[name] = Measurement(
            metric=name,
            value=value,
            n=741,
            unit=unit,
            direction="lower_is_better" if operator == "<=" else "higher_is_better",
            method="half-sampling, clustered by entity",
            compared_with="holdout",
            lower=lower,
            upper=upper,
            bound_lower=lower,
            bound_upper=upper,
            floor=floor,
            ceiling=ceiling,
            details=details,
        )
    changes = {"controls": CONTROLS} if "controls" in Evaluation.__dataclass_fields__ else {}
    return contract, replace(evaluation_of(plain), results=results, **changes)


def provenance_of(**changes: Any) -> dict[str, Any]:
    return {
        "run_id": "transactions-20261123t150431204518-1a2b3c4d",
        "at": "2026-11-23T15:04:31+00:00",
        "mode": "local",
        "source_digest": SECRETS["source_digest"],
        "source_commitment": "e" * 64,
        "source_rows": 155_848,
        "seed": SECRETS["seed"],
        "seed_commitment": "f" * 64,
        "split": {"holdout": 0.3, "entities_train": 1_728, "entities_holdout": 741},
        "split_commitment": "d" * 64,
        "generator": {
            "type": "calendar_cart", "fit_rows": None, "parameters": {}, "calendar": "model",
        },
        "rows": 155_848,
        "rows_digest": "a" * 64,
        "attempt": 2,
        "max_attempts": 5,
        "versions": {"synth-contracts": "0.1.0", "pandas": "2.3.3"},
        "timings": {"source": 0.41, "generate": 9.3, "evaluate": 14.2},
        "differential_privacy": "none",
        **changes,
    }  # fmt: skip


ATTEMPTS = (
    {
        "run_id": "transactions-20261123t145812730062-99aa88bb",
        "at": "2026-11-23T14:58:12+00:00",
        "table": "transactions",
        "outcome": "FAILED",
        "broken": ["autocorrelation", "hour_profile"],
    },
    {
        "run_id": "transactions-20261123t150431204518-1a2b3c4d",
        "at": "2026-11-23T15:04:31+00:00",
        "table": "transactions",
        "outcome": "PASSED",
        "broken": [],
    },
)


def frames_of(
    contract: Contract, train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame
) -> Frames:
    arrow = to_arrow(train)
    schema = resolve(contract, duckdb_types(arrow))
    made = [canonical(to_arrow(part), schema) for part in (train, holdout, synthetic)]
    return Frames(*made, schema=schema, k=contract.k)


def thirds(rows: pd.DataFrame, key: str) -> list[pd.DataFrame]:
    """The rows of three random thirds of the entities."""
    codes = pd.factorize(rows[key])[0]
    part = np.random.default_rng(3).permutation(codes.max() + 1) % 3
    return [rows[part[codes] == place].reset_index(drop=True) for place in range(3)]


@pytest.fixture(scope="session")
def contract() -> Contract:
    return contract_of()


@pytest.fixture(scope="session")
def parts(few_baskets: pd.DataFrame) -> list[pd.DataFrame]:
    """Train, holdout and fresh real rows that stand for a good synthetic table."""
    return thirds(few_baskets, "household_id")


@pytest.fixture(scope="session")
def frames(contract: Contract, parts: list[pd.DataFrame]) -> Frames:
    return frames_of(contract, *parts)


@pytest.fixture(scope="session")
def card_of(contract: Contract, frames: Frames) -> Callable[..., Card]:
    """build_card with everything given; ``values`` replaces measured values."""

    def build(
        audience: str = "owner",
        *,
        values: Mapping[str, float | Result] | None = None,
        contract: Contract = contract,
        comparison: Any = frames,
        verdict: Verdict | None = None,
        evaluation: Evaluation | None = None,
        protection: Mapping[str, Any] | None = None,
        **provenance: Any,
    ) -> Card:
        evaluation = evaluation or evaluation_of(contract, values)
        return build_card(
            contract,
            evaluation,
            verdict or judge(contract, evaluation),
            comparison=comparison,
            provenance=provenance_of(**provenance),
            attempts=ATTEMPTS,
            docs_link="../../gx/docs/index.html",
            audience=audience,
            protection=protection,
        )

    return build


@pytest.fixture(scope="session")
def make() -> Any:
    """The builders above, for tests that need other contracts or tables."""

    class Make:
        contract = staticmethod(contract_of)
        evaluation = staticmethod(evaluation_of)
        provenance = staticmethod(provenance_of)
        frames = staticmethod(frames_of)
        thirds = staticmethod(thirds)
        not_asked = NotAsked
        secrets = SECRETS
        wide = staticmethod(wide)
        controls = CONTROLS

    return Make
