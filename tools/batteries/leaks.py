"""Leaks of real exports against `trace`: shuffled, two columns dropped, a fifth of the rows edited.

Half of them lack the entity key and the primary key. Every other one is a CSV, the rest are Parquet.
Rows are drawn from an exported bundle; an edit changes one value of a row, a number by a part of it or
a text to another one of its column. Each export is leaked in turn. Beside them stand files that were
made from no export: the pool as a whole, parts of it, rows of other entities of its source, noise in its
columns, exports of another project, and leaks of it all edited.

A pool of 900 households stands in for a released table: a part of the shipped baskets.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from batteries.ground import FORMATS, TABLE, Answer, Ground
from batteries.house import POLICY, PROJECT, House
from batteries.outcome import Outcome

BASKETS = Path(__file__).resolve().parents[2] / "warehouse" / "seeds"
ENTITY, PRIMARY = "household", "basket_id"
#: Leaked rows at which at least ``ASKED`` of the leaks must be named.
ROWS, ASKED = 500, 0.95
_KINDS = ("pool", "part", "others", "noise", "elsewhere", "all edited")


def attack(
    seed: int,
    *,
    leaks: int = 200,
    exports: int = 50,
    unmarked: int = 120,
    households: int = 900,
) -> Outcome:
    """Leak and look. A leak that is not named is counted and is a violation beyond 1 in 20."""
    outcome = Outcome(
        "an export named that a file was not made from; or fewer than 95 % of the leaks named"
    )
    rng = np.random.default_rng(seed)
    with outcome.running(), tempfile.TemporaryDirectory(prefix="battery-") as folder:
        pool, others = _pools(households)
        place, elsewhere = (_ground(Path(folder) / name, pool) for name in ("here", "there"))
        held = _exported(place, exports)
        foreign = _exported(elsewhere, 1)
        _control(outcome, place, held, Path(folder))
        named = _leak(outcome, place, held, Path(folder), rng, leaks)
        for number in range(unmarked):
            kind = _KINDS[number % len(_KINDS)]
            frame = _unmarked(kind, pool, others, foreign, held, rng)
            path = _written(frame, Path(folder), number)
            outcome.attack(f"unmarked, {kind}", _accused(_trace(place, path), set()))
            outcome.count("unmarked files")
        if named < ASKED * leaks:
            outcome.attack("leaks", f"{named} of {leaks} were named")
        _control(outcome, place, held, Path(folder))
    outcome.notes.append(
        f"Of {leaks} leaks of {ROWS} rows, {outcome.details.get('leaks named', 0)} named their token; "
        f"{exports} exports of one release were scored each time. The statistic, its bound and what "
        "it cannot see are in [fingerprint.md](fingerprint.md)."
    )
    return outcome


def _pools(households: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pool, and rows of other entities of the same source."""
    whole = pd.read_parquet(BASKETS / "complete_journey_baskets.parquet")
    whole = whole.rename(columns={"household_id": ENTITY})
    first = whole[ENTITY].drop_duplicates().sort_values().iloc[:households]
    inside = whole[ENTITY].isin(first)
    pool = whole[inside].groupby(ENTITY).head(6).reset_index(drop=True)
    return pool, whole[~inside].head(20_000).reset_index(drop=True)


def _ground(folder: Path, pool: pd.DataFrame) -> Ground:
    folder.mkdir()
    house = House(folder / "house")
    data = pa.Table.from_pandas(pool, preserve_index=False).replace_schema_metadata()
    policy = f"{POLICY}, {FORMATS}, maxExportsPerTicketPerDay: 100000, fingerprint: true"
    house.release(TABLE, policy=policy, data=data)
    (house.root / "synth-contracts.yml").write_text(PROJECT)
    return Ground(house)


def _exported(place: Ground, count: int) -> list[tuple[str, pd.DataFrame]]:
    """(token's id, rows) of so many exports."""
    found = []
    for number in range(count):
        answer = place.export(f"DATA-{number + 1}", "--format", "parquet")
        if answer.code:
            raise RuntimeError(f"no export to leak: {answer.err}")
        told = json.loads(answer.out)
        found.append((told["jti"], pd.read_parquet(Path(told["path"]) / told["data_file"])))
    return found


def _leak(
    outcome: Outcome,
    place: Ground,
    held: list[tuple[str, pd.DataFrame]],
    folder: Path,
    rng: np.random.Generator,
    leaks: int,
) -> int:
    """How many leaks named their token."""
    named = 0
    for number in range(leaks):
        jti, frame = held[number % len(held)]
        keys = number % 2 == 0
        leak = leaked(frame, ROWS, rng, keys=keys)
        answer = _trace(place, _written(leak, folder, number // 2))
        outcome.attack(f"leak {number}", _accused(answer, {jti}))
        hit = _names(answer) == {jti}
        named += hit
        outcome.count("leaks named", int(hit))
        outcome.count(f"leaks {'with' if keys else 'without'} keys")
        outcome.count(f"of these named {'with' if keys else 'without'} keys", int(hit))
    return named


def leaked(
    frame: pd.DataFrame, rows: int, rng: np.random.Generator, *, keys: bool, edits: float = 0.2
) -> pd.DataFrame:
    """Rows of an export in another order, without two columns, a share of them edited."""
    plain = [name for name in frame.columns if name not in (ENTITY, PRIMARY)]
    dropped = set(rng.choice(plain, 2, replace=False))
    kept = [n for n in frame.columns if n not in dropped and (keys or n in plain)]
    out = frame.iloc[rng.permutation(len(frame))[:rows]][kept].reset_index(drop=True)
    editable = [n for n in kept if n in plain]
    for place in np.flatnonzero(rng.random(len(out)) < edits):
        name = editable[int(rng.integers(len(editable)))]
        out[name] = _edited(out[name], int(place), frame[name], rng)
    return out


def _edited(
    column: pd.Series, place: int, values: pd.Series, rng: np.random.Generator
) -> pd.Series:
    out = column.copy()
    if pd.api.types.is_float_dtype(out):
        out.iloc[place] = round(float(out.iloc[place]) * 1.07 + 0.11, 2)
    elif pd.api.types.is_integer_dtype(out):
        out.iloc[place] = int(out.iloc[place]) + 1
    elif pd.api.types.is_datetime64_any_dtype(out):
        out.iloc[place] = out.iloc[place] + pd.Timedelta(hours=1)
    else:
        out.iloc[place] = values.iloc[int(rng.integers(len(values)))]
    return out


def _unmarked(
    kind: str,
    pool: pd.DataFrame,
    others: pd.DataFrame,
    foreign: list[tuple[str, pd.DataFrame]],
    held: list[tuple[str, pd.DataFrame]],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """A file that was made from no export of this project."""
    rows = int(rng.integers(100, 3_000))
    if kind == "pool":
        return leaked(pool, len(pool), rng, keys=True, edits=0.0)
    if kind == "part":
        return leaked(pool, rows, rng, keys=bool(rng.integers(2)))
    if kind == "others":
        return leaked(others, rows, rng, keys=bool(rng.integers(2)))
    if kind == "elsewhere":
        return leaked(foreign[0][1], rows, rng, keys=bool(rng.integers(2)))
    source = pool if kind == "noise" else held[int(rng.integers(len(held)))][1]
    drawn = {name: rng.permutation(source[name].to_numpy()) for name in source.columns}
    return pd.DataFrame(drawn).head(rows)


def _written(frame: pd.DataFrame, folder: Path, number: int) -> Path:
    path = folder / ("leak.csv" if number % 2 else "leak.parquet")
    frame.to_csv(path, index=False) if number % 2 else frame.to_parquet(path, index=False)
    return path


def _trace(place: Ground, path: Path) -> Answer:
    return place.command("trace", str(path), "--json")


def _names(answer: Answer) -> set[str] | None:
    """Ids of the tokens that are named; None for an answer that is none."""
    if answer.code:
        return None
    told: dict[str, Any] = json.loads(answer.out)
    return {one["jti"] for one in told["named"]}


def _accused(answer: Answer, guilty: set[str]) -> str | None:
    names = _names(answer)
    if names is None:
        return f"exit code {answer.code} {answer.err[:200]!r}"
    return f"{sorted(names - guilty)} were named" if names - guilty else None


def _control(
    outcome: Outcome, place: Ground, held: list[tuple[str, pd.DataFrame]], folder: Path
) -> None:
    """An export as it is names its token, and ten rows of it name nobody."""
    for rows, expected in ((None, {held[0][0]}), (10, set())):
        path = folder / "control.parquet"
        held[0][1].head(rows or len(held[0][1])).to_parquet(path, index=False)
        names = _names(_trace(place, path))
        outcome.control(names == expected, f"{rows or 'all'} rows of an export name {names}")
