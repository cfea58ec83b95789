"""Measures what members gain in rank: of a generator's table, and of fresh entities in its place.

    python tools/gain.py TABLE [--splits N] [--parameters JSON] [--fresh]

recognized_entities asks whether anybody is recognised for certain. This asks for less: whether an
attack ranks members above non-members on average, over many random splits of one table, which
tells a gain too small for any single build. Each split learns and makes a table anew, with the
contract's own settings (or PARAMETERS beside them). With --fresh a third of the entities stands in
for it, which learned nothing: what is read then is chance.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import tables
from shows import CONTRACTS, TABLES_CACHE, candidate

from synth_contracts.contract import load_contract
from synth_contracts.metrics import Comparison
from synth_contracts.metrics.privacy.recognized_entities import recognized
from synth_contracts.metrics.tails import advantage
from synth_contracts.tables import canonical, duckdb_types, resolve, to_arrow

#: Shares of entities that are members, and the others, beside a third of fresh ones.
_MEMBERS, _OTHERS = 0.47, 0.2


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


def read(comparison: Comparison) -> dict[str, tuple[float, float]]:
    """Of each attack on entities, the AUC of members against others and the p value."""
    people, scores = comparison.candidates, comparison.entity_scores
    found = {}
    for name, believed in scores.items():
        gain = advantage(believed[: people.members], believed[people.members :])[0]
        ties = comparison.rng(f"recognized ties {name}")
        found[name] = (
            0.5 + gain / 2,
            recognized(believed, people.members, len(scores), ties).p_value,
        )
    return found


def written(splits: list[dict[str, tuple[float, float]]]) -> str:
    """Mean AUC with the standard error over splits, and in how many p was below .05."""
    lines = ["| attack | AUC, mean | standard error | p < .05 |", "|---|---|---|---|"]
    for name in splits[0]:
        aucs = np.array([one[name][0] for one in splits])
        low = sum(one[name][1] < 0.05 for one in splits)
        error = aucs.std(ddof=1) / np.sqrt(len(aucs))
        lines.append(f"| `{name}` | {aucs.mean():.3f} | {error:.3f} | {low} of {len(aucs)} |")
    some = sum(min(p for _, p in one.values()) < 0.05 for one in splits)
    return "\n".join([*lines, f"any of them: {some} of {len(splits)}"])


def main() -> None:
    """Measure the splits one after the other and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", choices=list(CONTRACTS))
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--parameters", type=json.loads, default={}, help="of the generator, JSON")
    parser.add_argument("--fresh", action="store_true", help="fresh entities in its place")
    given: Any = parser.parse_args()
    splits = []
    for number in range(1, given.splits + 1):
        splits.append(read(compared(given.table, number, given)))
        told = {name: [round(x, 3) for x in pair] for name, pair in splits[-1].items()}
        print(f"split {number}: {told}", flush=True)
    print(written(splits) if len(splits) > 1 else "")


if __name__ == "__main__":
    main()
