"""tools/gain.py: members of a leaked table rank above non-members, those of a fresh one do not."""

from __future__ import annotations

import gain
import numpy as np
import pandas as pd


def test_copies_rank_members_first_and_fresh_entities_rank_nobody(toys, remake):
    fresh = gain.read(remake())
    copied = gain.read(remake(synthetic=toys.train))
    assert set(fresh) == set(copied) == {"link", "closest", "hole", "agreement", "aggregate"}
    for name in ("closest", "agreement"):
        assert abs(fresh[name].auc - 0.5) < 0.08
        assert copied[name].auc > 0.9
        assert copied[name].p_value < 0.001
        # of the ten surest all are members, where chance gives about half
        assert copied[name].beyond[0] > 4
        assert copied[name].beyond[0] > fresh[name].beyond[0]


def test_thirds_part_entities_and_lose_no_row():
    owners = np.repeat(np.arange(200), 3)
    frame = pd.DataFrame({"who": owners, "x": np.arange(600)})
    for key in ("who", None):
        sides = list(gain._thirds(frame, key, 4))
        assert sorted(np.concatenate([side["x"] for side in sides])) == list(range(600))
        assert len(sides[0]) > len(sides[2]) > len(sides[1])
    sides = list(gain._thirds(frame, "who", 4))
    held = [set(side["who"]) for side in sides]
    assert sum(map(len, held)) == len(set().union(*held)) == 200
    assert [len(side) for side in sides] == [3 * 94, 3 * 40, 3 * 66]


def test_the_table_tells_means_errors_and_small_p_values():
    one, two = gain.Gained(0.50, 0.9, (1.0, 4.0)), gain.Gained(0.54, 0.01, (2.0, 4.0))
    told = gain.written([{"link": one}, {"link": two}])
    assert "of 10 | 50 surest |" in told
    assert "| `link` | 0.520 (0.020) | 1 of 2 | 1.5 (0.5) | 4.0 (0.0) |" in told
    assert "any of them: 1 of 2" in told
