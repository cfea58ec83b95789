"""Measures empirical_epsilon where the truth is known: randomised response, copies, fresh rows.

    python tools/epsilon.py response | baskets | flights

Prints one JSON object. tools/shows.py runs these as its jobs.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from recognized import Job, compare

from synth_contracts.metrics import Measurement, measure
from synth_contracts.metrics.privacy.empirical_epsilon import (
    CANARIES,
    DELTA,
    LEVEL,
    audit,
    guessed,
    refuted,
)

ROOT = Path(__file__).resolve().parents[1]
RUNS = 500
SEEDS = 20
#: Entities of a table, in thirds.
ENTITIES = {"baskets": 900, "flights": 900}


def response(epsilon: float, canaries: int = CANARIES, runs: int = RUNS) -> dict[str, Any]:
    """Audits of a mechanism that tells of each canary whether it is in, truly or not.

    It tells the truth with probability e^epsilon / (1 + e^epsilon), which is exactly epsilon-DP.
    """
    rng = np.random.default_rng([canaries, round(1000 * epsilon)])
    guesses = guessed(canaries)
    found = []
    for _ in range(runs):
        member = rng.random(canaries) < 0.5
        told = member == (rng.random(canaries) < 1 / (1 + math.exp(-epsilon)))
        found.append(audit(told.astype(np.float64), member, guesses, DELTA, LEVEL, rng).lower)
    return {
        "epsilon": epsilon,
        "canaries": canaries,
        "guesses": guesses,
        "runs": runs,
        "at_or_below": sum(b <= epsilon for b in found),
        "median": float(np.median(found)),
        "ceiling": refuted(canaries, guesses, guesses, DELTA, LEVEL),
    }


def responses() -> dict[str, Any]:
    """Epsilon 1, 2 and 4."""
    runs = [response(epsilon) for epsilon in (1.0, 2.0, 4.0)]
    return {"runs": runs, "held": all(r["at_or_below"] >= 0.93 * r["runs"] for r in runs)}


def table(name: str) -> dict[str, Any]:
    """Thirds of a real table: fresh entities, and a bootstrap of the rows of train."""
    runs = []
    for seed in range(SEEDS):
        fresh = compare(Job(name, ENTITIES[name], seed), ROOT / "target" / "calibration" / "tables")
        drawn = np.random.default_rng([seed, 13]).integers(0, len(fresh.train), len(fresh.train))
        copies = fresh.train.iloc[drawn].reset_index(drop=True)
        for field in fresh.schema.released:
            if field.key:
                copies[field.name] = np.array(
                    [f"new {i}" for i in range(len(copies))], dtype=object
                )
        run: dict[str, Any] = {"seed": seed}
        for kind, synthetic in (("fresh", fresh.synthetic), ("bootstrap", copies)):
            found = measure("empirical_epsilon", replace(fresh, synthetic=synthetic))
            if not isinstance(found, Measurement):
                raise SystemExit(f"{name}, seed {seed}: {found.reason}")
            run[kind] = found.bound_lower
            run[f"{kind}_log_odds"] = found.value
            run["ceiling"], run["canaries"] = found.ceiling, found.n
        runs.append(run)
        print(run, file=sys.stderr, flush=True)
    return {"runs": runs, "held": all(r["bootstrap"] > 3 for r in runs)}


def job(name: str) -> dict[str, Any]:
    """The measurement of that name: response, or a table."""
    return responses() if name == "response" else table(name)


if __name__ == "__main__":
    print(json.dumps(job(sys.argv[1]), indent=1))
