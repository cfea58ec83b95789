"""What must hold of a project after a crash or a failure, looked at with the shipped commands."""

from __future__ import annotations

import re
from pathlib import Path

from batteries.ground import TABLE, Ground
from synth_contracts.delivery.journal import exports

#: What a write that was cut off leaves under its temporary name.
_HALF = re.compile(r"\.partial$|^\..*\.[0-9a-f]{16}$")


def faults(copy: Ground) -> list[str]:
    """What is not as it must be; empty when all is well. Makes an export on the way."""
    found = []
    answer = copy.command("ledger", "verify")
    if answer.code:
        found.append(f"ledger verify: exit code {answer.code} {answer.err[:200]}")
    answer = copy.export("DATA-2")
    if answer.code:
        return [*found, f"the next export: exit code {answer.code} {answer.err[:200]}"]
    with copy.house.registry(read_only=True) as registry:
        records = list(exports(registry).values())
    found += [f"the export {r.jti} is {r.status} for ever" for r in records if not r.settled]
    delivered = {Path(r.path).name for r in records if r.status == "delivered"}
    left = copy.house.left_behind()
    if left != sorted(delivered):
        found.append(f"left behind: {left}, delivered: {sorted(delivered)}")
    for name in delivered:
        answer = copy.verify(copy.root / "exports" / name)
        if answer.code:
            found.append(f"{name} does not verify: {answer.err[:200]}")
    return found


def half_written(copy: Ground) -> list[str]:
    """Files and folders under a temporary name. What recovery removes may stand until then."""
    settled = copy.root / "exports"
    return [
        f"half written: {path.relative_to(copy.root.parent)}"
        for path in sorted(copy.root.parent.rglob("*"))
        if _HALF.search(path.name) and settled not in path.parents
    ]


def cards_without_runs(copy: Ground) -> list[str]:
    """Cards of runs that the ledger does not know: they say what never came to be."""
    folder = copy.root / "target" / "cards" / TABLE
    cards = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    with copy.house.registry(read_only=True) as registry:
        runs = {str(entry.body["run_id"]) for entry in registry.entries() if "run_id" in entry.body}
        promoted = {str(entry.body["run_id"]) for entry in registry.entries("promoted")}
    lost = sorted(f"promoted without its card: {run}" for run in promoted - cards)
    return [*sorted(f"a card of no run: {run}" for run in cards - runs), *lost]
