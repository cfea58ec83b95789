"""Our attacks on rows beside those of Synth-MIA, on the same candidates.

    python benchmarks/attacks.py CHECKOUT --python PYTHON [--out FILE] [--only TABLE/KIND ...]

CHECKOUT is a folder of https://github.com/joshward96/Synth-MIA (measured: 9ef39e1), PYTHON an
interpreter that has its requirements: they are none of ours. Nothing of it is copied: its classes
are called in processes of their own, with their own defaults.

Tables are those of `make calibrate`: real rows in thirds by entity, the fresh third with a leak as
the synthetic table. The holdout is halved by entity: one half are the non-members, the other the
attacker's reference, for ours as for theirs. Members and non-members are sampled down to
``--candidates`` each, the synthetic table and the reference to ``--rows`` (leaked rows in
proportion). Theirs see what Synth-MIA's preprocessor makes of numbers (times in days, nulls at the
median) and categories (one-hot, levels of fewer than 20 rows together).

Each attack reads 2 PPV - 1 of the max(200, 1 %) most confident guesses, AUC and CPU seconds; the
lines of FILE are JSON, and the table of all of them is printed. What stands there already is not
measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("cdnow", "adult", "flights")
KINDS = ("null", "exact", "noisy", "near", "isolated")
FEWEST_GUESSES, GUESSED_SHARE = 200, 0.01
#: Attack -> class and arguments; the BNAF ones train a flow for each density.
THEIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "DCR": ("DCR", {}),
    "DCR-Diff": ("DCRDiff", {}),
    "DPI": ("DPI", {}),
    "MC": ("MC", {}),
    "LOGAN": ("LOGAN", {}),
    "Classifier": ("Classifier", {}),
    "Local neighbourhood": ("LocalNeighborhood", {}),
    "Density (KDE)": ("DensityEstimate", {}),
    "DOMIAS (KDE)": ("DOMIAS", {}),
    "Gen-LRA (KDE)": ("GenLRA", {}),
    "Density (BNAF)": ("DensityEstimate", {"estimation_method": "bnaf"}),
    "DOMIAS (BNAF)": ("DOMIAS", {"estimation_method": "bnaf"}),
    "Gen-LRA (BNAF)": ("GenLRA", {"estimation_method": "bnaf"}),
}


def ours(
    name: str, kind: str, seed: int, sizes: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """Our scores of the candidates, and the four tables as Parquet files in ``folder``."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
    import calibrate
    import tables

    from synth_contracts.metrics import Comparison
    from synth_contracts.tables import canonical, duckdb_types, resolve

    job = calibrate.Job(name, kind, seed, demanded=False)
    contract = calibrate.contract_of(name)
    real = tables.extract(name, ROOT / "target" / "tables")
    if real is None:
        raise SystemExit(f"{name} is not at hand")
    split = calibrate.split_of(job, real)
    synthetic = calibrate.synthetic_of(job, split)
    rng = np.random.default_rng([seed, 11])
    if len(synthetic) > sizes.rows:
        synthetic = synthetic.iloc[np.sort(rng.choice(len(synthetic), sizes.rows, replace=False))]
    arrow = {
        side: calibrate.to_arrow(frame.reset_index(drop=True), contract)
        for side, frame in (
            ("train", split.train), ("holdout", split.holdout), ("synthetic", synthetic)
        )
    }  # fmt: skip
    schema = resolve(contract, duckdb_types(arrow["train"]))
    comparison = Comparison(
        **{side: canonical(table, schema) for side, table in arrow.items()},
        schema=schema,
        seed=seed,
    )
    comparison.vectors  # noqa: B018 - reading and encoding are nobody's attack
    started = time.process_time()
    scores = comparison.scores
    seconds = time.process_time() - started
    nearby, people = comparison.nearby, comparison.candidates
    half = nearby.half[people.entity]
    rows = np.arange(len(half))

    def some(mask: Any, most: int) -> Any:
        found = np.flatnonzero(mask)
        return np.sort(rng.choice(found, min(most, len(found)), replace=False))

    member = some((rows < nearby.cut) & ~half, sizes.candidates)
    other = some((rows >= nearby.cut) & ~half, sizes.candidates)
    reference = some((rows >= nearby.cut) & half, sizes.rows)
    train, holdout = comparison.train_side.frame, comparison.holdout_side.frame
    names = [field.name for field in schema.features]
    sides = {
        "mem": train.iloc[member],
        "non_mem": holdout.iloc[other - nearby.cut],
        "ref": holdout.iloc[reference - nearby.cut],
        "synth": comparison.synthetic_side.frame,
    }
    plain = _plain({side: frame[names] for side, frame in sides.items()})
    for side, frame in plain.items():
        frame.to_parquet(folder / f"{side}.parquet")
    found = {
        attack: {"scores": [score[member], score[other]], "seconds": seconds}
        for attack, score in scores.items()
    }
    return {"attacks": found, "sizes": {side: len(frame) for side, frame in plain.items()}}


def _plain(sides: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Numbers as floats without nulls and categories as strings: what the preprocessor takes."""
    both = pd.concat(sides)
    for name in both.columns:
        column = both[name]
        if pd.api.types.is_datetime64_any_dtype(column):
            days = (column - column.min()) / pd.Timedelta(days=1)
            both[name] = days.fillna(days.median()).astype(float)
        elif pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            both[name] = column.astype(float).fillna(column.median())
        else:
            words = column.astype(object).where(column.notna(), "null").astype(str)
            often = words.map(words.value_counts()) >= 20
            both[name] = words.where(often, "other").astype(object)
    return {side: both.loc[side].reset_index(drop=True) for side in sides}


def theirs(checkout: Path, folder: Path, attack: str, limit: int) -> None:
    """One attack of Synth-MIA on the tables of ``folder``; runs in a process of its own."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    sys.path.insert(0, str(checkout))
    import synth_mia
    from synth_mia.utils import TabularPreprocessor

    sides = {
        side: pd.read_parquet(folder / f"{side}.parquet")
        for side in ("mem", "non_mem", "synth", "ref")
    }
    for frame in sides.values():
        for name in frame.select_dtypes(exclude="number"):
            frame[name] = frame[name].astype(object)
    made = TabularPreprocessor().fit(sides["mem"], sides["non_mem"], sides["synth"])
    mem, non_mem, synth, ref, _ = made.transform(
        sides["mem"], sides["non_mem"], sides["synth"], sides["ref"]
    )
    name, options = THEIRS[attack]
    np.random.seed(0)
    if attack == "LOGAN" or options:
        import torch

        torch.manual_seed(0)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau
        if not hasattr(scheduler, "is_better"):  # its name when the flows were written
            scheduler.is_better = scheduler._is_better
    started = time.process_time()
    truth, scores = getattr(synth_mia, name)(**options).attack(mem, non_mem, synth, ref)
    seconds = time.process_time() - started
    scores = np.asarray(scores, dtype=float)
    np.savez(folder / "found.npz", members=scores[truth == 1], others=scores[truth == 0],
             seconds=seconds)  # fmt: skip


def read(members: Any, others: Any) -> dict[str, float] | str:
    """2 PPV - 1 of the most confident, ties in random order, and AUC; members and others alike."""
    scores = np.concatenate([members, others])
    if np.isnan(scores).any():
        return "scores that are no numbers"
    from scipy.stats import rankdata

    member = np.arange(len(scores)) < len(members)
    weight = np.where(member, 1 / len(members), 1 / len(others)) * min(len(members), len(others))
    guesses = max(FEWEST_GUESSES, GUESSED_SHARE * weight.sum())
    order = np.lexsort((np.random.default_rng(0).random(len(scores)), -scores))
    before = np.cumsum(weight[order]) - weight[order]
    taken = np.clip(guesses - before, 0, weight[order])
    tail = 2 * float(taken[member[order]].sum() / taken.sum()) - 1
    above = rankdata(scores)[member].sum() - len(members) * (len(members) + 1) / 2
    return {"tail": round(tail, 3), "auc": round(float(above / len(members) / len(others)), 3)}


def _run(options: argparse.Namespace, attack: str, folder: Path) -> dict[str, Any]:
    command = [
        str(options.python), __file__, str(options.checkout), "--inside", str(folder), attack,
        "--limit", str(options.limit),
    ]  # fmt: skip
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **one}
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [""]
        killed = done.returncode < 0
        return {"reason": f"more than {options.limit} CPU s" if killed else last[0][:120]}
    found = np.load(folder / "found.npz")
    told = read(found["members"], found["others"])
    if isinstance(told, str):
        return {"reason": told}
    return {**told, "seconds": round(float(found["seconds"]), 1)}


def told(line: dict[str, Any] | None) -> str:
    """One cell: 2 PPV - 1 and AUC, or why there are none."""
    if line is None:
        return "–"
    return line["reason"] if "reason" in line else f"{line['tail']:.2f}, {line['auc']:.3f}"


def written(lines: list[dict[str, Any]]) -> str:
    """A table for each real table: attacks down, kinds of leaks across, and median CPU seconds."""
    at = {(line["table"], line["attack"], line["kind"]): line for line in lines}
    parts = []
    for table in TABLES:
        own = [line for line in lines if line["table"] == table]
        kinds = [kind for kind in KINDS if any(line["kind"] == kind for line in own)]
        if not own:
            continue
        parts += [f"{table}: " + ", ".join(f"{side} {n:,}" for side, n in own[0]["sizes"].items())]
        parts += ["", "| attack | " + " | ".join(kinds) + " | CPU s |"]
        parts += ["|---" * (len(kinds) + 2) + "|"]
        for attack in sorted({line["attack"] for line in own}, key=_place):
            cells = [told(at.get((table, attack, kind))) for kind in kinds]
            spent = [
                line["seconds"] for line in own if line["attack"] == attack and "seconds" in line
            ]
            cost = f"{statistics.median(spent):.1f}" if spent else "–"
            parts.append(f"| {attack} | " + " | ".join(cells) + f" | {cost} |")
        parts.append("")
    return "\n".join(parts)


def _place(attack: str) -> tuple[bool, int, str]:
    """Ours first, theirs in their own order."""
    names = list(THEIRS)
    return attack in THEIRS, names.index(attack) if attack in THEIRS else 0, attack


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkout", type=Path, nargs="?", help="folder of Synth-MIA")
    parser.add_argument("--python", type=Path, help="interpreter with its requirements")
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "attacks.jsonl")
    parser.add_argument("--only", action="append", help="TABLE/KIND; repeatable")
    parser.add_argument("--attacks", help="of theirs, separated by commas (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--candidates", type=int, default=4000, help="members, and non-members")
    parser.add_argument("--rows", type=int, default=20_000, help="synthetic and reference rows")
    parser.add_argument("--limit", type=int, default=120, help="CPU seconds an attack")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.checkout is None or not (options.checkout / "synth_mia" / "__init__.py").exists():
        parser.error(
            "give the folder of a checkout of https://github.com/joshward96/Synth-MIA: "
            f"{options.checkout or 'none'} holds no synth_mia package"
        )
    if options.inside:
        theirs(options.checkout, Path(options.inside[0]), options.inside[1], options.limit)
        return 0
    if options.python is None:
        parser.error("--python: an interpreter that has the requirements of Synth-MIA")
    wanted = options.attacks.split(",") if options.attacks else list(THEIRS)
    known = [json.loads(line) for line in options.out.open()] if options.out.exists() else []
    there = {(line["table"], line["kind"], line["attack"]) for line in known}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        for kind in KINDS:
            if options.only and f"{table}/{kind}" not in options.only:
                continue
            todo = [name for name in wanted if (table, kind, name) not in there]
            if not todo:
                continue
            with tempfile.TemporaryDirectory() as where, options.out.open("a") as file:
                made = ours(table, kind, options.seed, options, Path(where))
                found = {
                    f"ours: {name}": {**read(*one["scores"]), "seconds": round(one["seconds"], 1)}  # type: ignore[dict-item]
                    for name, one in made["attacks"].items()
                    if (table, kind, f"ours: {name}") not in there
                }
                for attack in todo:
                    found[attack] = _run(options, attack, Path(where))
                    print(table, kind, attack, found[attack], flush=True)
                for attack, told in found.items():
                    line = {"table": table, "kind": kind, "attack": attack, **told,
                            "sizes": made["sizes"], "seed": options.seed}  # fmt: skip
                    known.append(line)
                    file.write(json.dumps(line) + "\n")
    print(written(known))
    return 0


if __name__ == "__main__":
    sys.exit(main())
