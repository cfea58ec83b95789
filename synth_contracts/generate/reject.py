"""Redraw synthetic rows that stand too near a real outlier.

Outliers are the 1 % of train's rows farthest from any row of another entity. A synthetic row may
not come nearer to one than half the distance at which the other half of train's entities does:
the radius comes from an inner split of train, never from a holdout.

All pairs of a large table are too many, and are not needed: what is isolated has few rows near it.
Where a row has few axes a k-d tree of the rows is asked for each outlier's ball (Bentley 1975).
With many axes trees look at everything, and the outliers are searched as neighbours are elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synth_contracts.generate.trees import Values
from synth_contracts.metrics.neighbours import nearest

#: Times that a row is drawn again at most.
REJECT_ROUNDS = 4
_REFERENCE = 4_000
_SHARE = 0.01
_AXES = 4
_RADIUS = 0.5
#: Axes of a row up to which a tree is faster (1.1 s against 2.2 s at 21, .4 s against .1 s at 42).
_TREE = 24
_BALLS = 512


class Outliers:
    """Train's isolated rows and the radius around each."""

    def fit(self, values: Values, entities: np.ndarray, rng: np.random.Generator) -> Outliers:
        """Find them: distances to a sample of each half of the entities from the other half."""
        self._scale: dict[str, np.ndarray] = {}
        for name, (variable, column) in values.items():
            if variable.size:
                axes = rng.normal(size=(variable.size + 1, _AXES))
                self._scale[name] = axes / np.linalg.norm(axes, axis=1, keepdims=True)
            else:
                known = np.sort(column[~np.isnan(column)])
                self._scale[name] = known if len(known) else np.zeros(1)
        points = self._points({name: column for name, (_, column) in values.items()})
        half = (rng.permutation(int(entities.max()) + 1) % 2)[entities]
        away = np.full(len(points), np.inf)
        for side in (0, 1):
            pool = np.flatnonzero(half != side)
            mine = np.flatnonzero(half == side)
            if not len(pool) or not len(mine):
                continue
            pool = rng.choice(pool, min(_REFERENCE, len(pool)), replace=False)
            away[mine] = nearest(points[mine], points[pool], exact=_all(mine, pool))[:, 0]
        finite = np.isfinite(away)
        count = int(np.ceil(_SHARE * finite.sum()))
        chosen = np.argsort(-np.where(finite, away, -1), kind="stable")[:count]
        chosen = chosen[away[chosen] > 0]
        # equal rows are one target; of the halves' two distances the larger one counts
        self._targets, of = np.unique(points[chosen], axis=0, return_inverse=True)
        self._radius = np.zeros(len(self._targets))
        np.maximum.at(self._radius, of.reshape(-1), _RADIUS * away[chosen])
        return self

    def near(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which drawn rows lie inside the radius of an outlier."""
        if not len(self._targets):
            return np.zeros(len(next(iter(drawn.values()))), dtype=bool)
        points = self._points(drawn)
        return self._in_balls(points) if points.shape[1] <= _TREE else self._in_reach(points)

    def _in_balls(self, points: np.ndarray) -> np.ndarray:
        """By a tree of the rows: exact distances in float64."""
        from scipy.spatial import cKDTree

        out = np.zeros(len(points), dtype=bool)
        tree = cKDTree(points, compact_nodes=False, balanced_tree=False)
        inside = np.nextafter(self._radius, 0)  # the tree's balls hold their surface
        for start in range(0, len(self._targets), _BALLS):
            block = slice(start, start + _BALLS)
            for rows in tree.query_ball_point(self._targets[block], inside[block]):
                out[rows] = True
        return out

    def _in_reach(self, points: np.ndarray) -> np.ndarray:
        """By one search for the nearest outlier.

        With one more axis, on which an outlier of radius r lies at sqrt(R^2 - r^2) and every row at
        0, a row is within r of an outlier where that is nearer than R, the largest radius.
        """
        largest = float(self._radius.max())
        lift = np.sqrt(np.maximum(largest**2 - self._radius**2, 0))
        targets = np.column_stack([self._targets, lift]).astype(np.float32)
        rows = np.column_stack([points, np.zeros(len(points), dtype=np.float32)])
        return nearest(rows, targets, exact=_all(rows, targets))[:, 0] < largest

    def _points(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Numbers as tail-stretched ranks of train, categories as fixed random directions."""
        from scipy.special import ndtri

        parts = []
        for name, scale in self._scale.items():
            column = columns[name]
            if scale.ndim == 2:
                parts.append(scale[column])
                continue
            left = np.searchsorted(scale, column, side="left")
            right = np.searchsorted(scale, column, side="right")
            rank = (left + right + 1) / (2 * (len(scale) + 1))
            parts.append(np.where(np.isnan(column), -5.0, ndtri(rank))[:, None])
        return np.hstack(parts).astype(np.float32)


def _all(left: np.ndarray, right: np.ndarray) -> int:
    """So many pairs that none is left out: a protection is not approximate."""
    return len(left) * len(right)
