"""`make dp`: what the guarantee of dp_marginals does on real data, and whether an audit refutes it.

    python tools/dp.py                 every job that has not run yet, then docs/dp_figures.md
    python tools/dp.py JOB ...         those jobs (audit-honest, audit-broken, adult, baskets)
    python tools/dp.py --page          docs/dp_figures.md out of what has run

Each measurement writes target/dp/<job>-<seed>.json with the commit it ran on and is not run again
while that file is there. No fit here spends the budget of anybody: the audit's table holds canaries
alone, and the real tables are public.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synth_contracts.contract import load_contract
from synth_contracts.contract.guarantee import Guarantee, Listed
from synth_contracts.contract.model import Contract, ExportPolicy, GeneratorSpec, Outliers, Roles
from synth_contracts.generate import dp_marginals
from synth_contracts.metrics.privacy.empirical_epsilon import (
    DELTA,
    LEVEL,
    audit,
    guessed,
    refuted,
)
from synth_contracts.tables import canonical, duckdb_types, resolve, to_arrow

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "target" / "dp"
PAGE = ROOT / "docs" / "dp_figures.md"
CANARIES, SIDE, ROWS_EACH, CLAIM, RUNS = 2000, 45, 8, 1.0, 20
FIGURE_RUNS = 3

_honest = dp_marginals.release


def without_group_factor(*arguments: Any, **options: Any) -> Any:
    """The mechanism with a fault: noise for one row of an entity, though it has eight."""
    return _honest(*arguments, **{**options, "rows_per_unit": 1})


def canary_table(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of the canaries that are in, and who is: each by a fair coin, alone in a cell."""
    member = np.random.default_rng([seed, 91]).random(CANARIES) < 0.5
    who = np.repeat(np.flatnonzero(member), ROWS_EACH)
    cells = {"a": (who // SIDE).astype(str), "b": (who % SIDE).astype(str)}
    return pd.DataFrame({"who": who, **cells}), member


def canary_contract() -> Contract:
    """Two columns and their pair, of which each canary owns one cell."""
    names = Listed(tuple(map(str, range(SIDE))))
    asked = Guarantee(
        CLAIM, DELTA, CLAIM, "who", ROWS_EACH, {"a": names, "b": names}, (("a", "b"),)
    )
    spec = GeneratorSpec(
        type="dp_marginals", rows=1000, outliers=Outliers(False, False, False), guarantee=asked,
        parameters={"iterations": 1000},
    )  # fmt: skip
    return Contract(
        path=Path("canaries"), text="", id="canaries", table="canaries", version="1.0.0",
        description={}, source=None, columns=(), preset=None, k=10, roles=Roles("who"), codes=(),
        holdout=0.5, generator=spec, rules=(), not_asked=(), report_only=(),
        export=ExportPolicy(), expanded={}, digest="",
    )  # fmt: skip


def audited(seed: int, mechanism: Callable[..., Any]) -> dict[str, Any]:
    """One fit, attacked by who knows each canary's cell: counts of the model are the scores."""
    table, member = canary_table(seed)
    contract = canary_contract()
    arrow = to_arrow(table)
    schema = resolve(contract, duckdb_types(arrow))
    dp_marginals.release = mechanism
    model = dp_marginals.DpMarginals(contract, lambda _: None)
    model.spend = lambda _: None
    train = canonical(arrow, schema)
    train["who"] = pd.factorize(train["who"])[0]
    model.fit(train, schema.roles, schema, np.random.default_rng(0))
    counts = model._model.counts(["a", "b"])[:SIDE, :SIDE].ravel()[:CANARIES]
    guesses = guessed(CANARIES)
    rng = np.random.default_rng([seed, 92])
    found = audit(counts, member, guesses, DELTA, LEVEL, rng)
    return {
        "claim": CLAIM,
        "right": found.right,
        "guesses": guesses,
        "lower": found.lower,
        "ceiling": refuted(CANARIES, guesses, guesses, DELTA, LEVEL),
    }


def _train(contract: Contract, frame: pd.DataFrame, seed: int) -> tuple[Any, ...]:
    arrow = to_arrow(frame)
    schema = resolve(contract, duckdb_types(arrow))
    whole = canonical(arrow, schema)
    key = contract.roles.entity_key
    owner = pd.factorize(whole[key])[0] if key else np.arange(len(whole))
    held = np.random.default_rng([seed, 7]).random(owner.max() + 1) < contract.holdout
    parts = [whole[side].reset_index(drop=True) for side in (~held[owner], held[owner])]
    return schema, *parts


def _figures(name: str, source: Path, seed: int) -> dict[str, Any]:
    """Fit, sample, and compare with the holdout."""
    from synth_contracts.generate import generate

    contract = load_contract(ROOT / "tools" / "contracts" / f"{name}.odcs.yaml")
    schema, train, holdout = _train(contract, pd.read_parquet(source), seed)
    start = time.process_time()
    produced = generate(
        contract, train, schema, secret_seed=seed, rows=contract.generator.rows,
        progress=lambda text: print(f"{name} {seed}: {text}", file=sys.stderr, flush=True),
        spend=lambda _: None,
    )  # fmt: skip
    made = produced.frame
    seconds = time.process_time() - start
    before = made
    if produced.uncoarsened is not None:
        quasi = produced.uncoarsened.drop(columns=contract.roles.entity_key or [], errors="ignore")
        before = made.assign(**{name: quasi[name].to_numpy() for name in quasi})
    found = {
        "cpu_seconds": round(seconds, 1),
        "rows": len(made),
        **_distances(schema, made, holdout),
        "before_recoding": _distances(schema, before, holdout),
    }
    time_index = contract.roles.time_index
    if time_index:
        days = [_days(frame[time_index]) for frame in (made, train, pd.concat([train, holdout]))]
        size = max(map(len, days))
        days = [np.pad(d, (0, size - len(d))) for d in days]
        found["daily_correlation_train"] = float(np.corrcoef(days[0], days[1])[0, 1])
        found["daily_correlation_source"] = float(np.corrcoef(days[0], days[2])[0, 1])
        found["train_with_holdout"] = float(np.corrcoef(days[1], days[2] - days[1])[0, 1])
    return found


def _distances(schema: Any, made: pd.DataFrame, holdout: pd.DataFrame) -> dict[str, Any]:
    """KS of numbers, total variation of categories and of all pairs, with their means."""
    numbers = {f.name: _ks(made[f.name], holdout[f.name]) for f in schema.features
               if str(f.kind) in {"integer", "number"}}  # fmt: skip
    named = {f.name: _tv(made[f.name], holdout[f.name]) for f in schema.features
             if str(f.kind) in {"text", "code", "boolean"}}  # fmt: skip
    pairs = {
        f"{a} {b}": _pair(made, holdout, a, b)
        for i, a in enumerate([*numbers, *named]) for b in [*numbers, *named][i + 1:]
    }  # fmt: skip
    return {
        "ks": numbers,
        "tv": named,
        "ks_mean": float(np.mean(list(numbers.values()))),
        "tv_mean": float(np.mean(list(named.values()))),
        "pair_tv_mean": float(np.mean(list(pairs.values()))),
    }


def _ks(one: pd.Series, two: pd.Series) -> float:
    from scipy import stats

    return float(stats.ks_2samp(one.dropna(), two.dropna()).statistic)


def _tv(one: pd.Series, two: pd.Series) -> float:
    shares = [x.fillna("missing").value_counts(normalize=True) for x in (one, two)]
    return float(0.5 * shares[0].subtract(shares[1], fill_value=0).abs().sum())


def _coarse(one: pd.Series, two: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Numbers in tenths of the holdout, categories as they are."""
    if one.dtype != "float64":
        return one.fillna("missing"), two.fillna("missing")
    edges = np.unique(np.nanquantile(two, np.linspace(0, 1, 11)[1:-1]))
    return tuple(pd.Series(np.searchsorted(edges, x.fillna(-1e300), "right")) for x in (one, two))


def _pair(one: pd.DataFrame, two: pd.DataFrame, a: str, b: str) -> float:
    left, right = _coarse(one[a], two[a]), _coarse(one[b], two[b])
    sides = [
        pd.Series(list(zip(left[i], right[i], strict=True))).value_counts(normalize=True)
        for i in (0, 1)
    ]
    return float(0.5 * sides[0].subtract(sides[1], fill_value=0).abs().sum())


def _days(stamps: pd.Series) -> np.ndarray:
    first = np.datetime64("2017-01-01")
    return np.bincount((stamps.to_numpy().astype("datetime64[D]") - first).astype(int))


SHARED = ROOT.parent / "shared" / "data"
BASKETS = ROOT / "warehouse" / "seeds" / "complete_journey_baskets.parquet"
JOBS: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "audit-honest": (RUNS, lambda seed: audited(seed, _honest)),
    "audit-broken": (RUNS, lambda seed: audited(seed, without_group_factor)),
    "adult": (FIGURE_RUNS, lambda seed: _figures("adult_dp", SHARED / "adult.parquet", seed)),
    "baskets": (FIGURE_RUNS, lambda seed: _figures("baskets_dp", BASKETS, seed)),
}


def run(job: str) -> None:
    """Every seed of a job that has not run yet."""
    runs, measure = JOBS[job]
    said = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True,
                          text=True, check=False)  # fmt: skip
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in range(1, runs + 1):
        path = RESULTS / f"{job}-{seed:02}.json"
        if path.exists():
            continue
        body = {"seed": seed, "commit": said.stdout.strip(), **measure(seed)}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(body, indent=1))
        partial.replace(path)
        print(
            job,
            json.dumps({k: v for k, v in body.items() if k not in {"ks", "tv", "before_recoding"}}),
            flush=True,
        )


def found(job: str) -> list[dict[str, Any]]:
    """What the job has written."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob(f"{job}-[0-9]*.json"))]


def page() -> str:
    """docs/dp_figures.md as far as jobs have run."""
    lines = ["# Differential privacy, measured", "", "Written by `make dp`; do not edit.", ""]
    lines += [
        "## Audit", "",
        f"{CANARIES:,} canary entities of {ROWS_EACH} rows, each in by a coin of its own and alone in a "
        f"cell of a released pair; claim epsilon {CLAIM:g}, delta {DELTA:g}; the "
        "attacker reads the fitted model. Lower bounds on epsilon at 95 %"
        " (Steinke, Nasr, Jagielski 2023).", "",
        "| mechanism | runs | at or below the claim | above it | median bound | largest | ceiling |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for job, words in (
        ("audit-honest", "as built"),
        ("audit-broken", "noise for one row instead of eight"),
    ):
        runs = found(job)
        if not runs:
            lines.append(f"| {words} | not run | | | | | |")
            continue
        bounds = [r["lower"] for r in runs]
        below = sum(b <= CLAIM for b in bounds)
        lines.append(
            f"| {words} | {len(runs)} | {below} | {len(runs) - below} | {np.median(bounds):.2f} "
            f"| {max(bounds):.2f} | {runs[0]['ceiling']:.2f} |"
        )
    lines += ["", "## Fidelity against the holdout", "",
              "One fit each; means over columns, and over all pairs of columns (numbers in tenths of "
              "the holdout). In brackets what the mechanism made, before quasi-identifiers were recoded to "
              "classes of k.", "",
              "| table | epsilon | seed | KS mean | TV mean | pair TV mean | daily correlation with train "
              "| with the source | CPU s |", "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for job in ("adult", "baskets"):
        contract = load_contract(ROOT / "tools" / "contracts" / f"{job}_dp.odcs.yaml")
        asked = contract.generator.guarantee
        if asked is None:
            raise SystemExit(f"{job}: the contract has no guarantee")
        for r in found(job) or [{}]:
            if not r:
                lines.append(f"| {job} | {asked.epsilon:g} | not run | | | | | | |")
                continue
            daily = [r.get(f"daily_correlation_{x}") for x in ("train", "source")]
            said = ["" if x is None else f"{x:.3f}" for x in daily]
            means = " | ".join(
                f"{r[name]:.4f} ({r['before_recoding'][name]:.4f})"
                for name in ("ks_mean", "tv_mean", "pair_tv_mean")
            )
            lines.append(
                f"| {job} | {asked.epsilon:g} | {r['seed']} | {means} "
                f"| {said[0]} | {said[1]} | {r['cpu_seconds']:.0f} |"
            )
    return "\n".join([*lines, ""])


def main() -> None:
    asked = [name for name in sys.argv[1:] if name != "--page"]
    if "--page" not in sys.argv:
        for job in asked or JOBS:
            run(job)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
