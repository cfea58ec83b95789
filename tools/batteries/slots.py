"""Results that are no result, in every slot of a contract that asks every registered metric.

The metric itself gives NaN, None, an infinity, or nothing, or raises; the others give what passes.
It runs through the checkpoint, the gate and the promotion as a build does. The same and more is
written into a whole evaluation, which is sealed under the project's own secret. Each is promoted
with the verdict that it comes to, with that one called PASSED, and with that of the whole one.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import yaml

from batteries.ground import TABLE, Ground, ground
from batteries.house import _passing, rows
from batteries.outcome import Outcome
from synth_contracts.contract import Contract, Rule, load_contract, settle
from synth_contracts.contract.rules import RULES
from synth_contracts.errors import Refused
from synth_contracts.evaluation.checkpoint import run_checkpoint
from synth_contracts.evaluation.seal import seal
from synth_contracts.expectations import measured
from synth_contracts.gate import Outcome as Gate
from synth_contracts.gate import Verdict, judge
from synth_contracts.metrics import Comparison
from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured
from synth_contracts.metrics.registry import METRICS
from synth_contracts.release import promote
from synth_contracts.signing import derive
from synth_contracts.tables import canonical, duckdb_types, resolve, rows_digest
from synth_contracts.tables.schema import TableSchema
from synth_contracts.warehouse import stage

RUN = f"{TABLE}-slots"
#: What stands in the place of a number.
NUMBERS: Mapping[str, Any] = {
    "NaN": math.nan, "None": None, "+inf": math.inf, "-inf": -math.inf,
}  # fmt: skip
#: Which part of a measurement a rule reads besides its value.
PARTS = {"over_floor": "floor", "ceiling_share": "ceiling", "lower": "bound_lower"}
_Fake = Callable[[Measurement], Any]


def attack(seed: int, *, slots: int | None = None) -> Outcome:
    """Every fault in every slot, or ``slots`` of them, drawn."""
    outcome = Outcome(
        "a verdict of PASSED, a promotion that is not refused, or a byte of published.duckdb that "
        "changed"
    )
    # what raises is the attack: its traceback, which a user may ask for, is of no interest here
    logging.getLogger("synth_contracts").addHandler(logging.NullHandler())
    with outcome.running(), ground() as place:
        world = _World.of(place)
        if {rule.metric for rule in world.contract.rules} != set(METRICS):
            raise RuntimeError("the contract does not ask every registered metric")
        outcome.count("rules", len(world.contract.rules))
        outcome.count("registered metrics", len(METRICS))
        with _measuring(world.contract, None, _raises):
            world.whole = world.evaluated()
        world.control(outcome)
        found = list(_faults(world.contract))
        if slots is not None:
            found = random.Random(seed).sample(found, slots)
        for rule, name, fake in found:
            with _measuring(world.contract, rule, fake):
                evaluation = world.evaluated()
            world.attack(outcome, f"{rule.id}: {name}, of the metric", evaluation)
            outcome.count("faults of metrics")
        for rule, name, fake in [*found, *(_more(world.contract) if slots is None else ())]:
            world.attack(outcome, f"{rule.id}: {name}, sealed", world.sealed(rule, fake))
            outcome.count("faults under a seal")
        world.control(outcome)
    return outcome


def _faults(contract: Contract) -> Iterator[tuple[Rule, str, _Fake]]:
    for rule in contract.rules:
        parts = ["value", *_parts(rule)]
        for part in parts:
            for name, number in NUMBERS.items():
                yield rule, f"{part} {name}", _with(part, number)
        yield rule, "an exception", _raises
        yield rule, "nothing", lambda _: None


def _more(contract: Contract) -> Iterator[tuple[Rule, str, _Fake]]:
    for rule in contract.rules:
        yield rule, "value text", _with("value", "0")
        yield rule, "value True", _with("value", True)
        yield rule, "an empty mapping", lambda _: {}
        yield rule, "not measured", lambda good: NotMeasured(good.metric, "", good.column)
        yield rule, "another metric", lambda good: replace(good, metric="none")


def _parts(rule: Rule) -> list[str]:
    if rule.judged == "bound":
        return ["bound_upper" if rule.operator == "<=" else "bound_lower"]
    return [PARTS[rule.judged]] if rule.judged in PARTS else []


def _with(part: str, number: Any) -> _Fake:
    return lambda good: replace(good, **{part: number})


def _raises(_: Measurement) -> Any:
    raise ZeroDivisionError("of the attack")


@contextmanager
def _measuring(contract: Contract, broken: Rule | None, fake: _Fake) -> Iterator[None]:
    """Every metric gives what passes its rule; that of ``broken`` goes through ``fake``."""
    asked = {(rule.metric, rule.column): rule for rule in contract.rules}

    def of(metric: str) -> Callable[..., Any]:
        def give(_: Comparison, column: str | None, __: Mapping[str, Any]) -> Any:
            rule = asked[metric, column]
            return fake(_passing(rule)) if rule == broken else _passing(rule)

        return give

    fakes = {name: replace(metric, measure=of(name)) for name, metric in METRICS.items()}
    # the control plants leaks and reads them with the same metrics; no verdict depends on it
    with (
        patch.dict(METRICS, fakes),  # type: ignore[arg-type]
        patch.object(measured, "control", lambda *_: {"reason": "not of this attack"}),
    ):
        yield


@dataclass
class _World:
    place: Ground
    contract: Contract
    schema: TableSchema
    before: bytes
    beside: dict[str, Any]
    #: with nothing broken
    whole: Evaluation = field(init=False)

    @classmethod
    def of(cls, place: Ground) -> _World:
        path = place.root / "every.odcs.yaml"
        path.write_text(every_metric(), encoding="utf-8")
        loaded = load_contract(path)
        schema = resolve(loaded, duckdb_types(rows()))
        contract = settle(loaded, {f.name: str(f.kind) for f in schema.fields})
        stage(place.root / "work.duckdb", TABLE, RUN, rows(3))
        with place.house.registry() as registry:
            beside = {"releases": [old.id for old in registry.releases()]}
        return cls(place, contract, schema, place.house.bytes(), beside)

    def evaluated(self) -> Evaluation:
        """One run of the checkpoint over the candidate."""
        sides = {
            name: canonical(rows(number), self.schema)
            for number, name in enumerate(("train", "holdout"), 100)
        }
        comparison = Comparison(
            **sides, synthetic=canonical(rows(3), self.schema), schema=self.schema,
            k=self.contract.k, seed=1, attempt=1,
        )  # fmt: skip
        digests = {"rows": rows_digest(rows(3)), "train": "11" * 32, "holdout": "22" * 32}
        return run_checkpoint(
            self.contract, comparison, digests=digests, gx_root=self.place.root / "gx",
            secret=self._secret, run_name=RUN, beside=self.beside,
        )  # fmt: skip

    @property
    def _secret(self) -> bytes:
        return derive(self.place.house.keys.secret(), "evaluation-seal")

    def sealed(self, rule: Rule, fake: _Fake) -> Evaluation:
        """A whole evaluation with that result in it, which bears the project's own seal."""
        whole = self.whole
        try:
            result = fake(whole.results[rule.id])  # type: ignore[arg-type]
        except ZeroDivisionError:
            left = {name: found for name, found in whole.results.items() if name != rule.id}
            bent = replace(whole, results=left)  # what raised has left no result
        else:
            bent = replace(whole, results={**whole.results, rule.id: result})
        try:
            return replace(bent, seal=seal(replace(bent, seal=""), self._secret))
        except (TypeError, ValueError, AttributeError):
            return bent  # it is no JSON, so nobody can seal it

    def control(self, outcome: Outcome) -> None:
        """With nothing broken the same steps promote, in a copy."""
        verdict = judge(self.contract, self.whole)
        outcome.control(verdict.outcome is Gate.PASSED, str(verdict.reasons))
        copy = self.place.copied("control")
        _promote(copy, self.contract, self.whole, verdict)
        with copy.house.registry(read_only=True) as registry:
            outcome.control(registry.verify_release(TABLE).id == RUN, "it was not released")
        copy.remove()
        outcome.control(self.place.house.bytes() == self.before, "the attacked file changed")

    def attack(self, outcome: Outcome, name: str, evaluation: Evaluation) -> None:
        verdict = judge(self.contract, evaluation)
        fault = "the verdict is PASSED" if verdict.outcome is Gate.PASSED else None
        passed = judge(self.contract, self.whole)
        for said in (verdict, replace(verdict, outcome=Gate.PASSED, reasons=()), passed):
            fault = fault or self._tried(evaluation, said)
        outcome.attack(name, fault)
        outcome.count("promotions tried", 3)

    def _tried(self, evaluation: Evaluation, verdict: Verdict) -> str | None:
        try:
            _promote(self.place, self.contract, evaluation, verdict)
        except Refused:
            fault = None
        except Exception as error:  # noqa: BLE001 - a fault of ours, told as such
            fault = f"{type(error).__name__}: {error}"
        else:
            fault = "it was promoted"
        if self.place.house.bytes() != self.before:
            fault = f"{fault or 'refused'}, and published.duckdb changed"
        return fault


def _promote(place: Ground, contract: Contract, evaluation: Evaluation, verdict: Verdict) -> None:
    card = {"html": "<!doctype html><p>a card</p>\n", "json": {"verdict": "PASSED"}}
    with place.house.registry() as registry:
        promote(
            registry,
            contract=contract,
            run_id=RUN,
            fingerprint="33" * 32,
            work=place.root / "work.duckdb",
            evaluation=evaluation,
            verdict=verdict,
            provenance={
                "source_commitment": "44" * 32,
                "seed_commitment": "55" * 32,
                "split_commitment": "66" * 32,
                "versions": {"synth-contracts": "0"},
            },
            cards={"owner": card, "analyst": card},
            keys=place.house.keys,
        )


def every_metric() -> str:
    """A contract over the house's rows that asks each metric once, all of severity error."""
    own = []
    for spec in RULES.values():
        if isinstance(spec.limits.get("strict"), float) or spec.limits.get("strict") == "k":
            continue
        column = {"numbers": "amount", "categories": "label"}[spec.about]
        limit = min(max(spec.lowest, 1.0), (spec.lowest + spec.below) / 2)
        name = spec.expectation
        kwargs = {spec.limit_kwarg: limit} | ({"column": column} if spec.scope == "column" else {})
        own.append((spec, column, {
            "id": spec.id, "type": "custom", "engine": "greatExpectations",
            "implementation": {"type": name, "kwargs": kwargs},
        }))  # fmt: skip
    tables = [item for spec, _, item in own if spec.scope != "column"]
    columns = [
        {"name": column, "quality": [item]} for spec, column, item in own if spec.scope == "column"
    ]
    for column in columns:
        for item in column["quality"]:  # the column is named by where the rule stands
            item["implementation"]["kwargs"].pop("column")  # type: ignore[index]
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": TABLE,
        "version": "2.0.0",
        "servers": [
            {"server": "source", "type": "duckdb", "database": "source.duckdb", "schema": "raw"}
        ],
        "schema": [
            {
                "name": TABLE,
                "properties": columns,
                "quality": tables,
                "customProperties": [
                    {
                        "property": "synthetic",
                        "vendor": "synth-contracts",
                        "value": {
                            "preset": "strict",
                            "roles": {
                                "entityKey": "household",
                                "timeIndex": "stamp",
                                "quasiIdentifiers": ["known", "day"],
                                "sensitive": ["amount"],
                            },
                        },
                    }
                ],
            }
        ],
    }
    return yaml.safe_dump(document, sort_keys=False)
