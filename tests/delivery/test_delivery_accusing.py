"""The bound of a false accusation is exact, and counts every export."""

from __future__ import annotations

import numpy as np
import pytest

from synth_contracts.delivery.accusing import ALLOWED, cells_needed, lower_tail, score
from synth_contracts.omission import digits

KEY = bytes(range(32))


def exports(count: int, groups: int) -> np.ndarray:
    return digits(KEY, "r", [f"token {n}" for n in range(count)], groups)


def leak(left_out: np.ndarray, cells: int, seed: int = 0) -> np.ndarray:
    """Which cells a leak has rows of that was made from one export."""
    rng = np.random.default_rng(seed)
    groups = len(left_out)
    held = np.ones((groups, 10), dtype=bool)
    held[np.arange(groups), left_out] = False
    chosen = rng.choice(np.flatnonzero(held), cells, replace=False)
    present = np.zeros(groups * 10, dtype=bool)
    present[chosen] = True
    return present.reshape(groups, 10)


def test_the_lower_tail_by_hand() -> None:
    # one group with three cells, one with one: .7 * .9, and then at least one of them
    assert lower_tail(np.array([3, 1])) == pytest.approx([0.63, 0.63 + 0.3 * 0.9 + 0.7 * 0.1, 1.0])
    assert lower_tail(np.zeros(5, dtype=int)) == pytest.approx([1.0])
    assert lower_tail(np.full(300, 10))[299] < 1e-12  # every digit is present: X is 300
    assert lower_tail(np.full(40, 9))[0] == pytest.approx(0.1**40)


def test_the_tail_is_what_innocent_exports_do() -> None:
    present = leak(exports(1, 60)[0], 150)
    innocent = digits(KEY, "other", [str(n) for n in range(20_000)], 60)
    found = score(present, innocent, len(innocent))
    tail = lower_tail(present.sum(axis=1))
    assert found.expected == pytest.approx(15.0)
    assert found.omitted.mean() == pytest.approx(15.0, abs=0.1)
    for level in (0.5, 0.1, 0.01):
        limit = int(np.searchsorted(tail, level))  # P(X < limit) <= level
        assert (found.omitted < limit).mean() <= tail[limit - 1] + 4 * np.sqrt(level / 20_000)
        assert (found.omitted <= limit).mean() >= tail[limit] - 4 * np.sqrt(level / 20_000)
    assert len(found.named) == 0


def test_the_bound_counts_every_export() -> None:
    left_out = exports(50, 100)
    present = leak(left_out[7], 185)
    few, many = score(present, left_out, 50), score(present, left_out, 5_000)
    assert few.omitted[7] == 0
    assert list(few.named) == [7]
    assert many.bound[7] == pytest.approx(100 * few.bound[7])
    assert list(many.named) == []  # the same leak names nobody among so many
    tail = lower_tail(present.sum(axis=1))[0]
    assert few.bound[7] == pytest.approx(2 * 50 * 1.001 * tail)
    with pytest.raises(ValueError, match="family"):
        score(present, left_out, 49)


def test_what_is_needed_is_enough() -> None:
    for count in (10, 1_000):
        needed = cells_needed(count, 50, 0)
        assert needed is not None
        left_out = exports(count, 250)
        assert list(score(leak(left_out[3], needed), left_out, count).named) == [3]
        assert list(score(leak(left_out[3], needed - 40), left_out, count).named) == []
    noisy = cells_needed(10, 100, 5)
    assert noisy is not None
    assert noisy > 3 * 150
    assert cells_needed(10, 100, 10) is None
    assert cells_needed(10, 0, 0) is not None


def test_two_who_mix_are_named_and_nobody_else() -> None:
    left_out = exports(100, 400)
    one, two = left_out[5], left_out[60]
    union = leak(one, 2_600, 1) | leak(two, 2_600, 2)
    found = score(union, left_out, 100)
    assert sorted(found.named) == [5, 60]
    # a third of all that the two hold: alone each omits nearly as much as an innocent one
    left_out = exports(100, 1_000)
    one, two = left_out[5], left_out[60]
    groups = np.arange(1_000)
    whole = np.random.default_rng(3).random((1_000, 10)) < 0.35
    whole[groups[one == two], one[one == two]] = False
    found = score(whole, left_out, 100)
    assert sorted(found.named) == [5, 60]
    assert (found.company[5], found.company[60]) == (60, 5)
    assert found.omitted[5] > 0.8 * found.expected
    # of a single source nobody comes in company
    alone = score(leak(one, 2_600, 1), left_out, 100)
    assert list(alone.named) == [5]
    assert alone.company[5] == -1


def test_the_whole_pool_accuses_nobody() -> None:
    left_out = exports(200, 300)
    found = score(np.ones((300, 10), dtype=bool), left_out, 200)
    assert (found.omitted == 300).all()
    assert len(found.named) == 0
    nothing = score(np.zeros((300, 10), dtype=bool), left_out, 200)
    assert len(nothing.named) == 0
    assert nothing.bound.min() == 1.0


def test_innocent_exports_are_named_less_than_the_bound_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At a bound of one half, which can be counted, 300 leaks name no more than one half."""
    from synth_contracts.delivery import accusing

    assert ALLOWED == 1e-6
    monkeypatch.setattr(accusing, "ALLOWED", 0.5)
    false = 0
    for seed in range(150):
        names = [f"leaker {seed}", f"second {seed}", *(f"{seed} innocent {n}" for n in range(40))]
        left_out = digits(KEY, "r", names, 50)
        present = leak(left_out[0], 200, seed) | leak(left_out[1], 200, seed + 1_000)
        innocent = set(score(present, left_out, len(names)).named) - {0, 1}
        false += bool(innocent)
    assert false <= 75
    assert false > 1  # the test can fail: at this bound some innocent are named
