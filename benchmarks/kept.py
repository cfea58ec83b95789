"""Results that are committed beside their page, so that a new checkout goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

Line = dict[str, Any]
#: Of a tool that failed, the end of its output: with paths of the machine that it ran on.
_LOCAL = ("error", "reason")
_FAILED = ("failed", "not judged")


def lines(kept: Path, local: Path, key: Callable[[Line], Hashable]) -> list[Line]:
    """What is committed and what this checkout measured since, of each key the newest."""
    found = list(json.loads(kept.read_text())["results"]) if kept.exists() else []
    if local.exists():
        found += [json.loads(line) for line in local.read_text().splitlines() if line]
    newest = {key(one): one for one in found}
    return list(newest.values())


def versions(kept: Path, here: Mapping[str, Any]) -> dict[str, Any]:
    """Of each tool the version at hand, or the one that was measured where none is installed."""
    known = json.loads(kept.read_text())["versions"] if kept.exists() else {}
    there = {name: value for name, value in here.items() if value != "not installed"}
    return {**here, **known, **there}


def keep(kept: Path, found: Iterable[Line], used: Mapping[str, Any]) -> None:
    """Write the file that is committed."""
    rows = ",\n".join(json.dumps(_told(one)) for one in found)
    kept.write_text(f'{{"versions": {json.dumps(used)},\n"results": [\n{rows}\n]}}\n')


def _told(one: Line) -> Line:
    failed = one.get("exit", 0) != 0 or one.get("state") in _FAILED
    return {name: value for name, value in one.items() if not (failed and name in _LOCAL)}
