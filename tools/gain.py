"""Measures what members gain in rank: of a generator's table, and of fresh entities in its place.

    python tools/gain.py TABLE [--splits N] [--parameters JSON] [--fresh] [--detection]

recognized_entities asks whether anybody is recognised for certain. This asks for less: whether an
attack ranks members above non-members on average, and how many more of its surest guesses are
members than chance gives, over many random splits of one table, which tells a gain too small for
any single build. Each split learns and makes a table anew, with the
contract's own settings (or PARAMETERS beside them). With --fresh a third of the entities stands in
for it, which learned nothing: what is read then is chance.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import tables
from shows import CONTRACTS, TABLES_CACHE, candidate

from synth_contracts.coarsening import Coarsening
from synth_contracts.contract import load_contract
from synth_contracts.metrics import Comparison, measure
from synth_contracts.metrics.privacy.recognized_entities import recognized
from synth_contracts.metrics.tails import advantage
from synth_contracts.tables import canonical, duckdb_types, resolve, to_arrow

#: Shares of entities that are members, and the others, beside a third of fresh ones.
_MEMBERS, _OTHERS = 0.47, 0.2
#: Numbers of the surest guesses among which members beyond chance are counted.
_SUREST = (10, 50, 100, 200)


@dataclass(frozen=True)
class Gained:
    """What one attack gains on one split: AUC, p value, members beyond chance among _SUREST."""

    auc: float
    p_value: float
    beyond: tuple[float, ...]


def compared(table: str, number: int, given: argparse.Namespace) -> Comparison:
    """One split of the table, and what was made of its train."""
    contract = load_contract(CONTRACTS[table])
    spec = contract.generator
    contract = replace(
        contract, generator=replace(spec, parameters={**spec.parameters, **given.parameters})
    )
    if given.fresh:
        source = to_arrow(tables.load(table, TABLES_CACHE))
        schema = resolve(contract, duckdb_types(source))
        sides = _thirds(canonical(source, schema), contract.roles.entity_key, number)
        return Comparison(*sides, schema=schema, seed=1)
    secret = hashlib.sha256(f"split {number}".encode()).digest()
    schema, parts, made, _ = candidate(contract, table, number, secret)
    three = (canonical(one, schema) for one in (parts.train, parts.holdout, made))
    return Comparison(*three, schema=schema, seed=1)


def _thirds(frame: pd.DataFrame, key: str | None, number: int) -> Iterator[pd.DataFrame]:
    owner = np.arange(len(frame)) if key is None else pd.factorize(frame[key])[0]
    count = int(owner.max()) + 1
    place = np.empty(count)
    place[np.random.default_rng(number).permutation(count)] = np.arange(count) / count
    part = np.digitize(place, [_MEMBERS, _MEMBERS + _OTHERS])[owner]
    return (frame[part == i].reset_index(drop=True) for i in range(3))


def read(comparison: Comparison) -> dict[str, Gained]:
    """Of each attack on entities, what it gains."""
    people, scores = comparison.candidates, comparison.entity_scores
    members, chance = people.members, people.members / people.entities
    found = {}
    for name, believed in scores.items():
        gain = advantage(believed[:members], believed[members:])[0]
        ties = comparison.rng(f"recognized ties {name}")
        p_value = recognized(believed, members, len(scores), ties).p_value
        lots = comparison.rng(f"surest {name}").random(len(believed))
        right = np.cumsum(np.lexsort((lots, -believed)) < members)
        beyond = tuple(float(right[n - 1] - n * chance) for n in _SUREST if n <= len(right))
        found[name] = Gained(0.5 + gain / 2, p_value, beyond)
    return found


def written(splits: list[dict[str, Gained]]) -> str:
    """Means with their standard errors over splits, and in how many p was below .05."""
    count = len(splits)
    surest = [str(n) for n in _SUREST[: min(len(g.beyond) for g in splits[0].values())]]
    lines = [
        f"| attack | AUC | p < .05 | members beyond chance of {' | '.join(surest)} surest |",
        "|---" * (3 + len(surest)) + "|",
    ]
    for name in splits[0]:
        low = sum(one[name].p_value < 0.05 for one in splits)
        cells = [f"`{name}`", _mean([one[name].auc for one in splits], 3), f"{low} of {count}"]
        cells += [
            _mean([one[name].beyond[place] for one in splits], 1) for place in range(len(surest))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    some = sum(min(g.p_value for g in one.values()) < 0.05 for one in splits)
    return "\n".join([*lines, f"any of them: {some} of {count}"])


def _mean(values: list[float], digits: int) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ({error:.{digits}f})"


def detection(comparison: Comparison, table: str) -> float:
    """The AUC of detection, in the contract's own view of the tables."""
    contract = load_contract(CONTRACTS[table])
    seen = replace(comparison, k=contract.k, coarsening=Coarsening.of(contract))
    return float(getattr(measure("detection", seen), "value", np.nan))


def main() -> None:
    """Measure the splits one after the other and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", choices=list(CONTRACTS))
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--parameters", type=json.loads, default={}, help="of the generator, JSON")
    parser.add_argument("--fresh", action="store_true", help="fresh entities in its place")
    parser.add_argument("--detection", action="store_true", help="measure detection as well")
    given: Any = parser.parse_args()
    splits, told_apart = [], []
    for number in range(1, given.splits + 1):
        comparison = compared(given.table, number, given)
        splits.append(read(comparison))
        line = {name: [round(g.auc, 3), round(g.p_value, 3)] for name, g in splits[-1].items()}
        print(f"split {number}: {line}", flush=True)
        if given.detection:
            told_apart.append(detection(comparison, given.table))
            print(f"detection {told_apart[-1]:.3f}", flush=True)
    if len(splits) > 1:
        print(written(splits))
        if told_apart:
            print(f"detection: {_mean(told_apart, 3)}")


if __name__ == "__main__":
    main()
