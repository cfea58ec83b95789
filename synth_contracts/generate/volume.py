"""How many rows each day has: a calendar model, simulated, never train's totals replayed.

log mean = trend + weekday + day of month + month + holiday + breaks, fitted by penalised Poisson
regression (McCullagh and Nelder 1989) with over-dispersion; what is left follows an autoregressive
process.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from synth_contracts.contract.model import Period
from synth_contracts.errors import GenerationError
from synth_contracts.generate.horizon import Known, continued

_LAGS = 28
_ORDER = 7
_CANDIDATES = 100
#: Changes of level: how many at most, days of those that end again, days on either side of one
#: that stays, and how large its score statistic must be. Where nothing changed that is chi-squared
#: of one degree; the largest over a year reaches 15 in one of 40 Poisson series.
_BREAKS = 12
_EPISODES = (7, 14, 28)
_EDGE = 14
_FEWEST = 5
_CLEAR = 15.0
#: Share of a change that must be new to the regression.
_NEW = 0.05


def holiday_names(country: str | None, days: pd.DatetimeIndex) -> dict[pd.Timestamp, str]:
    """Public holidays of ``country`` (``US`` or ``US-NY``) among ``days``.

    Raises:
        GenerationError: the package ``holidays`` does not know the country.
    """
    if not country:
        return {}
    import holidays

    code, _, part = country.partition("-")
    years = range(int(days[0].year), int(days[-1].year) + 1)
    try:
        found = holidays.country_holidays(code, subdiv=part or None, years=years)
    except NotImplementedError as error:
        raise GenerationError(
            f"no holidays are known for {country!r}",
            where="generator.calendar.holidays",
            mend="name an ISO country such as US, or US-NY, or leave it out",
        ) from error
    return {pd.Timestamp(day): re.sub(r" \(.*\)$", "", name) for day, name in sorted(found.items())}


def detrended_acf(counts: np.ndarray, lags: int = _LAGS) -> np.ndarray:
    """Autocorrelation at lags 1..``lags`` of daily counts less their 28-day centred mean."""
    series = pd.Series(counts, dtype="float64")
    trend = series.rolling(_LAGS, center=True, min_periods=_LAGS // 2).mean()
    rest = (series - trend).to_numpy()
    if np.isnan(rest).all():  # too short for a trend
        return np.zeros(lags)
    rest = rest - np.nanmean(rest)
    rest = np.where(np.isnan(rest), 0.0, rest)
    power = float(rest @ rest)
    if power <= 0:
        return np.zeros(lags)
    return np.array(
        [rest[lag:] @ rest[:-lag] / power if lag < len(rest) else 0.0 for lag in range(1, lags + 1)]
    )


class VolumeModel:
    """Daily numbers of rows between train's first and last day, or over a period of its own.

    Args:
        country: whose holidays are modelled.
        period: the days that are sampled; None for train's.
    """

    def __init__(self, country: str | None, period: Period | None = None) -> None:
        self._country, self._period = country, period

    def fit(self, times: pd.DatetimeIndex) -> VolumeModel:
        """Fit on the (non-missing) times of train; ``breaks`` says how many there are."""
        stamps = times.normalize()
        self.days = pd.date_range(stamps.min(), stamps.max(), freq="D")
        counts = np.bincount((stamps - self.days[0]).days, minlength=len(self.days)).astype(float)
        self._open = counts > 0
        design, penalty = self._design()
        design = design[self._open]
        mean, self.breaks = _broken(design, counts[self._open], penalty, np.flatnonzero(self._open))
        rest = np.log((counts[self._open] + 0.5) / (mean + 0.5))
        self._shape = mean / mean.sum()
        self._spread = max(float(rest.var()), 0.0)
        # what counting so many rows adds by chance; counting the simulated ones adds its own
        self._noise = float(np.mean(1 / np.maximum(mean, 1.0)))
        self._weights, self._innovation = _yule_walker(rest - rest.mean())
        self._acf = detrended_acf(counts)
        if self._period is not None:
            self._go_on(mean)
        return self

    def _go_on(self, fitted: np.ndarray) -> None:
        """Other days than train's (horizon.py)."""
        assert self._period is not None  # noqa: S101 - narrows the type for mypy
        mean = np.zeros(len(self.days))
        mean[self._open] = fitted
        known = Known(self.days, self._open, mean, holiday_names(self._country, self.days))
        first, last = self._period.between(self.days[0].date(), self.days[-1].date())
        self.days = pd.date_range(first, last, freq="D")
        self._open, mean = continued(known, self.days, holiday_names(self._country, self.days))
        self._shape = mean[self._open] / mean[self._open].sum()

    def _design(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns of the regression and their prior precisions (on the log scale)."""
        days = self.days
        names = holiday_names(self._country, days)
        span = max(len(days) - 1, 1)
        place = np.arange(len(days)) / span
        blocks: list[tuple[np.ndarray, float]] = [(np.ones((len(days), 1)), 0.0)]
        blocks.append(((place - 0.5)[:, None], 1.0))
        knots = np.linspace(0, 1, max(2, len(days) // 90) + 1)[1:-1]
        blocks.append((np.maximum(place[:, None] - knots[None, :], 0), 4.0))
        blocks.append((_dummies(np.asarray(days.dayofweek), 7), 1.0))
        blocks.append((_dummies(np.asarray(days.month) - 1, 12), 25.0))
        blocks.append((_dummies(np.asarray(days.day) - 1, 31), 100.0))
        blocks.append((np.asarray(days.is_month_end, dtype=float)[:, None], 50.0))
        off = np.array([day in names for day in days])
        around = np.column_stack([off, np.append(off[1:], False), np.append(False, off[:-1])])
        blocks.append((around.astype(float), 10.0))
        kinds = sorted(set(names.values()))
        each = np.array([[names.get(day) == kind for kind in kinds] for day in days], dtype=float)
        blocks.append((each.reshape(len(days), len(kinds)), 10.0))
        penalty = np.concatenate([np.full(block.shape[1], size) for block, size in blocks])
        return np.hstack([block for block, _ in blocks]), penalty

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Rows per day, summing to ``n``; days on which train has no row have none.

        Of many simulated series the one whose autocorrelation is nearest to train's is taken: one
        year's sample autocorrelation strays by .1 from its own process.
        """
        scale = np.sqrt(max(self._spread - self._noise, 0.0) / max(self._spread, 1e-12))
        best, nearest = np.zeros(len(self.days), dtype=np.int64), np.inf
        for _ in range(_CANDIDATES):
            rest = self._residuals(int(self._open.sum()), rng) * scale
            share = self._shape * np.exp(rest)
            counts = np.zeros(len(self.days), dtype=np.int64)
            counts[self._open] = rng.multinomial(n, share / share.sum())
            away = float(np.abs(detrended_acf(counts) - self._acf).max())
            if away < nearest:
                best, nearest = counts, away
        return best

    def _residuals(self, size: int, rng: np.random.Generator) -> np.ndarray:
        warm = 10 * _ORDER
        shocks = rng.normal(0.0, self._innovation, size + warm)
        order = len(self._weights)
        series = np.zeros(size + warm)
        for t in range(size + warm):
            past = series[max(0, t - order) : t][::-1]
            series[t] = shocks[t] + past @ self._weights[: len(past)]
        return series[warm:]


def _dummies(codes: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(np.eye(size)[codes])


def _poisson(
    design: np.ndarray, counts: np.ndarray, penalty: np.ndarray
) -> tuple[np.ndarray, float]:
    """Fitted means and dispersion of a Poisson regression with Gaussian priors, by Newton."""
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(counts.mean())
    dispersion = 1.0
    for _ in range(25):
        mean = np.exp(np.clip(design @ beta, -20, 20))
        dispersion = max(1.0, float(np.mean((counts - mean) ** 2 / mean)))
        gradient = design.T @ (counts - mean) / dispersion - penalty * beta
        hessian = (design.T * (mean / dispersion)) @ design + np.diag(penalty + 1e-8)
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-8:
            break
    return np.asarray(np.exp(np.clip(design @ beta, -20, 20))), dispersion


def _broken(
    design: np.ndarray, counts: np.ndarray, penalty: np.ndarray, days: np.ndarray
) -> tuple[np.ndarray, int]:
    """Fitted means of the regression with breaks, and how many: the level changes overnight.

    A campaign that ends, or a cohort that is complete, is no trend. The change whose score
    statistic (Rao 1948) is largest joins the regression, as long as one is clear.

    Args:
        design: the regression's columns, one row per open day.
        counts: rows of each open day.
        penalty: prior precision of each column.
        days: number of each open day, ascending.
    """
    mean, dispersion = _poisson(design, counts, penalty)
    for count in range(_BREAKS):
        found = _clearest(design, counts, penalty, mean, dispersion, days)
        if found is None:
            return mean, count
        design = np.column_stack([design, found.astype(float)])
        penalty = np.append(penalty, 1.0)
        mean, dispersion = _poisson(design, counts, penalty)
    return mean, _BREAKS


def _clearest(
    design: np.ndarray,
    counts: np.ndarray,
    penalty: np.ndarray,
    mean: np.ndarray,
    dispersion: float,
    days: np.ndarray,
) -> np.ndarray | None:
    """Open days of the clearest change that the regression does not know; None where none is.

    A change stays until the last day or ends after one of _EPISODES; one of fewer open days than
    _FEWEST would repeat their totals.
    """
    weight = mean / dispersion
    inverse = np.linalg.inv((design.T * weight) @ design + np.diag(penalty + 1e-8))
    each = np.column_stack([(counts - mean) / dispersion, weight, design * weight[:, None]])
    told = np.vstack([np.zeros(each.shape[1]), np.cumsum(each, axis=0)])
    number = np.arange(len(days))
    best, chosen = _CLEAR, None
    for length in (*_EPISODES, None):
        begin, end = number, np.searchsorted(days, days + (length or 0))
        if length is None:
            begin = number[(days >= days[0] + _EDGE) & (days <= days[-1] - _EDGE)]
            end = np.full(len(begin), len(days))
        inside = told[end] - told[begin]
        score, own, cross = inside[:, 0], inside[:, 1], inside[:, 2:]
        # what of the change is no mixture of columns that are there
        left = own - np.einsum("ij,jk,ik->i", cross, inverse, cross)
        news = (left > _NEW * own) & (end - begin >= _FEWEST)
        clear = np.where(news, score**2 / np.maximum(left, 1e-12), 0.0)
        at = int(np.argmax(clear)) if len(clear) else 0
        if len(clear) and clear[at] > best:
            best = float(clear[at])
            chosen = (number >= begin[at]) & (number < end[at])
    return chosen


def _yule_walker(rest: np.ndarray) -> tuple[np.ndarray, float]:
    """AR weights and innovation spread; no weights for a series too short to tell."""
    n = len(rest)
    variance = float(rest @ rest) / max(n, 1)
    order = min(_ORDER, n // 20)
    if order < 1 or variance <= 0:
        return np.zeros(0), float(np.sqrt(variance))
    covariance = np.array([rest[lag:] @ rest[: n - lag] / n for lag in range(order + 1)])
    lags = np.abs(np.arange(order)[:, None] - np.arange(order)[None, :])
    weights = np.linalg.solve(covariance[lags] + 1e-9 * np.eye(order), covariance[1:])
    return weights, float(np.sqrt(max(covariance[0] - weights @ covariance[1:], 0.0)))
