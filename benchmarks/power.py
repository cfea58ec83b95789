"""How many leaked rows name an export, and two who mixed theirs, among many exports.

    python benchmarks/power.py [--exports 1000] [--leaks 50] [--seed 1]

The shipped 155,848 baskets of 2,469 households are the pool. Leaks lack both keys and two other
columns, are shuffled, and a fifth of their rows is edited. Rows are matched and exports are scored as
`trace` does it; nothing is written, so that thousands of leaks take minutes. Two who mix give half of
the rows each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools")]

from batteries.leaks import BASKETS, leaked  # noqa: E402

from synth_contracts.delivery.accusing import score  # noqa: E402
from synth_contracts.delivery.leakfile import shared_codes  # noqa: E402
from synth_contracts.delivery.matching import match  # noqa: E402
from synth_contracts.omission import ONE_OF, Cells, assign, codes, digits, in_batches  # noqa: E402

KEY = bytes(range(32))
ALONE, MIXED = (100, 150, 200, 250, 300, 400, 500), (500, 1_000, 2_000, 3_000, 5_000)


class Pool:
    """The shipped baskets with the cells and exports of a release."""

    def __init__(self, exports: int) -> None:
        frame = pd.read_parquet(BASKETS / "complete_journey_baskets.parquet")
        self.frame = frame.rename(columns={"household_id": "household"})
        self.table = pa.Table.from_pandas(self.frame, preserve_index=False)
        self.cells: Cells = assign(
            self.table.schema, in_batches(self.table), entity_key="household",
            quasi_identifiers=(), key=KEY, release="pool",
        )  # fmt: skip
        names = [f"token {number}" for number in range(exports)]
        self.left_out = digits(KEY, "pool", names, self.cells.groups)
        self.codes = {name: codes(self.table[name]) for name in self.table.column_names}

    def named(self, guilty: Sequence[int], rows: int, rng: np.random.Generator) -> set[int]:
        """Who is named by a leak of ``rows`` rows that the guilty made."""
        parts = []
        for token in guilty:
            held = self.frame[self.cells.kept(self.left_out[token])]
            parts.append(held.sample(rows // len(guilty), random_state=int(rng.integers(2**31))))
        leak = leaked(pd.concat(parts, ignore_index=True), rows, rng, keys=False)
        found = shared_codes(pa.Table.from_pandas(leak, preserve_index=False), self.table.schema)
        pool = {name: self.codes[name] for name in found}
        matched = match(pool, self.cells.unit, found, {"household", "basket_id"})
        present = np.zeros((self.cells.groups, ONE_OF), dtype=bool)
        present[self.cells.group[matched.units], self.cells.digit[matched.units]] = True
        return set(score(present, self.left_out, len(self.left_out)).named.tolist())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--exports", type=int, default=1_000)
    parser.add_argument("--leaks", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    pool, rng = Pool(asked.exports), np.random.default_rng(asked.seed)
    print("| made by | rows | leaks | all named | one named at least | others named |")
    print("|---|---|---|---|---|---|")
    false = 0
    for count, sizes in ((1, ALONE), (2, MIXED)):
        for rows in sizes:
            whole = some = others = 0
            for _ in range(asked.leaks):
                guilty = rng.choice(asked.exports, count, replace=False).tolist()
                names = pool.named(guilty, rows, rng)
                whole += names >= set(guilty)
                some += bool(names & set(guilty))
                others += bool(names - set(guilty))
            false += others
            print(
                f"| {count} | {rows:,} | {asked.leaks} | {whole} | {some} | {others} |", flush=True
            )
    return int(false > 0)


if __name__ == "__main__":
    raise SystemExit(main())
