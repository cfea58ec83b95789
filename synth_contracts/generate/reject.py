"""Redraw synthetic rows that stand too near a real outlier.

Outliers are the 1 % of train's rows farthest from any row of another entity. A synthetic row may
not come nearer to one than half the distance at which the other half of train's entities does:
the radius comes from an inner split of train, never from a holdout.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synth_contracts.generate.trees import Values

_REFERENCE = 4_000
_SHARE = 0.01
_BLOCK = 4_096
_AXES = 4
_RADIUS = 0.5


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
            away[mine] = _nearest(points[mine], points[pool])
        finite = np.isfinite(away)
        count = int(np.ceil(_SHARE * finite.sum()))
        chosen = np.argsort(-np.where(finite, away, -1), kind="stable")[:count]
        self._targets, self._radius = points[chosen], _RADIUS * away[chosen]
        return self

    def near(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which drawn rows lie inside the radius of an outlier."""
        if not len(self._targets):
            return np.zeros(len(next(iter(drawn.values()))), dtype=bool)
        points = self._points(drawn)
        out = np.zeros(len(points), dtype=bool)
        for start in range(0, len(points), _BLOCK):
            block = points[start : start + _BLOCK]
            out[start : start + _BLOCK] = (_squared(block, self._targets) < self._radius**2).any(1)
        return out

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


def _squared(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    cross = left @ right.T
    sums = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :]
    return np.asarray(np.maximum(sums - 2 * cross, 0))


def _nearest(points: np.ndarray, pool: np.ndarray) -> np.ndarray:
    out = np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        out[start : start + _BLOCK] = _squared(points[start : start + _BLOCK], pool).min(1)
    return np.asarray(np.sqrt(out))
