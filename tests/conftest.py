"""Shared fixtures: real tables that come with the repository, and small ones cut from them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from batteries.ground import Ground

ROOT = Path(__file__).resolve().parents[1]
#: `make spark` runs these, in an environment of its own
collect_ignore = [] if find_spec("pyspark") else ["spark"]
# a busy machine is no finding: no example has a time limit
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
SEED = ROOT / "warehouse" / "seeds" / "complete_journey_baskets.parquet"


@pytest.fixture(scope="session")
def baskets_path() -> Path:
    """The shipped extract: 155,848 baskets of 2,469 households, 15 columns."""
    return SEED


@pytest.fixture(scope="session")
def baskets() -> pd.DataFrame:
    """All shipped baskets as a pandas frame; copy before changing it."""
    return pd.read_parquet(SEED)


@pytest.fixture(scope="session")
def few_baskets(baskets: pd.DataFrame) -> pd.DataFrame:
    """The baskets of 900 households (every row of each): enough for 200 holdout entities."""
    keys = baskets["household_id"].drop_duplicates().sort_values().iloc[:900]
    return baskets[baskets["household_id"].isin(keys)].reset_index(drop=True)


@pytest.fixture(scope="session")
def flights() -> pd.DataFrame:
    """Flights of 1,200 aeroplanes in 2013 (nycflights13, CC0), 10 columns."""
    return pd.read_parquet(ROOT / "tests" / "data" / "flights_extract.parquet")


@pytest.fixture(scope="session")
def small() -> Iterator[Ground]:
    """The smallest project that `build` releases, built; copy it before changing it."""
    from batteries.small import small_ground  # most tests need nothing of it

    with small_ground() as place:
        yield place


class ByFile(LoadScopeScheduling):
    """Files whole to one worker, since they share fixtures; all of e2e to one, whose project costs."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "tests/e2e" if file.startswith("tests/e2e/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: a worker that got them last would run alone at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/e2e/"))


_DESELECTED: list[str] = []


def pytest_deselected(items: list[pytest.Item]) -> None:
    _DESELECTED.extend(item.nodeid for item in items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the one that prints what it left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["deselected"] = _DESELECTED


def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {}).get("deselected", [])
    _DESELECTED.extend(one for one in told if one not in _DESELECTED)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line with all four counts, and what was left out: a green run hides nothing."""
    counts = {
        name: len(terminalreporter.stats.get(name, []))
        for name in ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
    }
    counts["deselected"] = len(_DESELECTED)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    terminalreporter.write_line(f"all tests: {told}")
    for name in _DESELECTED:
        terminalreporter.write_line(f"deselected: {name} (by -m or -k on the command line)")
