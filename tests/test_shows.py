"""The page of measured figures outlives the checkout that measured them."""

from __future__ import annotations

import shows_page

RUN = {"wall": 18.3, "evaluate": 17.1, "controls": 4.5, "tree_mib": 968, "outcome": "PASSED"}


def page(commit: str, **jobs: int) -> str:
    found = {
        f"cost-{job}": {"commit": commit, "held": True, "runs": [RUN] * runs}
        for job, runs in jobs.items()
    }
    return shows_page.summary(found, 9)


def test_what_another_checkout_measured_is_kept() -> None:
    old, new = page("a" * 12, items=1, evaluation=1), page("b" * 12, evaluation=3)
    both = shows_page.merged(old, new)
    assert both.count("| 18.3 |") == 4
    assert "a" * 12 in both
    assert "b" * 12 in both
    assert both.count("## Cost of one evaluation\n") == 1
    assert shows_page.merged(both, new) == both
    assert shows_page.merged(both, shows_page.summary({}, 9)) == both


def framed(commit: str, *names: str) -> dict[str, dict[str, object]]:
    """Models of SDV that were judged, each with all calendar rules kept."""
    rule = {"value": 0.01, "limit": 0.1, "status": "passed"}
    rules = dict.fromkeys(shows_page.CALENDAR, rule)
    return {
        f"framed-{name}": {"commit": commit, "held": True, "cpu": 7, "rules": rules}
        for name in names
    }


def test_a_line_that_was_not_run_keeps_what_was_measured_before() -> None:
    old = shows_page.summary(framed("a" * 12, "flights-ctgan-bare", "baskets-ctgan-frame"), 9)
    new = shows_page.summary(framed("b" * 12, "baskets-ctgan-bare", "baskets-ctgan-frame"), 9)
    both = shows_page.merged(old, new)
    for measured in ("| flights | `ctgan` | bare | 0.010", "| baskets | `ctgan` | bare | 0.010"):
        assert both.count(measured) == 1
    assert "| flights | `ctgan` | framed | not run |" in both
    assert "Measured last: 2 of 2 held." in both
    assert shows_page.merged(both, new) == both


def builds(*chances: float | None) -> dict[str, dict[str, object]]:
    """Builds of one table that read these p values."""
    rule = {"metric": "recognized_entities"}
    return {
        f"standard-flights-{seed:02}": {
            "commit": "a" * 12, "exit": 0, "held": False, "controls": None, "message": "",
            "recognized": chance,
            "rules": [{**rule, "number": None if chance is None else 0.05 - chance}],
        }
        for seed, chance in enumerate(chances, 1)
    }  # fmt: skip


def test_a_p_value_is_held_against_the_number_of_builds() -> None:
    told = shows_page.summary(builds(0.01, 0.6, 1.0), 9)
    assert "| flights | 3 | 1 | 0.0, 0.0100 (1) |" in told
    assert "least p is 0.0100, the limit 0.0167: a build alone shows" in told
    told = shows_page.summary(builds(0.02, 0.6, 1.0), 9)
    assert "the limit 0.0167: no build alone shows that entities are recognised." in told
    # 1 - .95^3
    assert (
        "In 1 p is below 0.05, in as many or more by chance with probability 0.143: all together do not"
        in told
    )
    # 3 * .05^2 * .95 + .05^3
    told = shows_page.summary(builds(0.02, 0.04, 1.0), 9)
    assert (
        "In 2 p is below 0.05, in as many or more by chance with probability 0.007: all together do show"
        in told
    )


def test_builds_of_another_table_are_kept_in_both_tables() -> None:
    old = builds(0.02, 0.6) | {
        name.replace("flights", "cdnow"): body for name, body in builds(1.0, 0.04).items()
    }
    both = shows_page.merged(shows_page.summary(old, 9), shows_page.summary(builds(0.3), 9))
    assert "| cdnow | 2 | 2 | 0 | 0 | - |" in both
    assert "| cdnow | 2 | 1 | 0.0, 0.0400 (2) |" in both
    assert "| flights | 1 | 1 | 0 | 0 | - |" in both
    assert "| flights | 1 | 0 | - |" in both
    assert "| adult | not run |" in both


def isolated(commit: str, **told: tuple[int, int]) -> dict[str, dict[str, object]]:
    """Isolated entities of a table and seed: how many of train's reappear, and of how many."""
    return {
        f"isolated-{name.replace('_', '-')}": {
            "commit": commit, "held": True, "chance": 1, "told": [*reappear, 0, 10]
        }
        for name, reappear in told.items()
    }  # fmt: skip


def test_rows_that_were_measured_again_replace_their_own_and_leave_the_others() -> None:
    old = isolated("a" * 12, baskets_01=(0, 17), baskets_02=(1, 17), cdnow_01=(9, 167))
    new = isolated("b" * 12, baskets_02=(0, 16), baskets_03=(2, 17))
    both = shows_page.merged(shows_page.summary(old, 9), shows_page.summary(new, 9))
    rows = [line for line in both.splitlines() if line.startswith(("| baskets |", "| cdnow |"))]
    rows = [line for line in rows if " of 10 |" in line]
    assert rows == [
        "| baskets | 1 | 0 of 17 | 0 of 10 | 1 |",
        "| baskets | 2 | 0 of 16 | 0 of 10 | 1 |",
        "| cdnow | 1 | 9 of 167 | 0 of 10 | 1 |",
        "| baskets | 3 | 2 of 17 | 0 of 10 | 1 |",
    ]
    assert "Measured last: 2 of 2 held." in both
    assert shows_page.merged(both, shows_page.summary(new, 9)) == both


def test_builds_without_a_p_value_tell_nothing_over_all() -> None:
    unknown = builds(0.6, 0.9)
    del unknown["standard-flights-02"]["recognized"]
    assert "Over all 2 builds: not told" in shows_page.summary(unknown, 9)
