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
