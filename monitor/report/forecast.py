"""What is likely to be spent on the coming days, with an interval measured on the series itself, or why that is not known. Pure.

Least squares on whole days: a level, the days of the week, and a trend only where the series shows one. What the fit does not
explain makes the interval; days that resemble their neighbors make it wider. Nothing after the last day given is looked at.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_DAYS: Final = 21
"""Known days below which nothing is foretold: three weeks, between which a level can be seen to move."""

LEAST_RECENT: Final = 5
"""Of the last seven days, so many must be known."""

TREND_DAYS: Final = 21
"""Known days below which a trend is taken for chance."""

_TREND_T: Final = 3.0
"""A slope so many of its own errors from zero is a trend."""

_MOST_ALIKE: Final = 0.8
_Z: Final = 1.2815515655446004
"""Normal quantile of an interval of 80 %: one week in five ends outside."""

SHARE: Final = 0.8


class Doubt(enum.StrEnum):
    """Why nothing is foretold."""

    SHORT_HISTORY = "short_history"
    ERRATIC = "erratic"


@dataclass(frozen=True, slots=True)
class Ahead:
    """Nano-dollars from the end of the last known day to the end of each coming day: summed up, never falling.

    With a chance of `SHARE` the sum at one of these days lies in [low, high]."""

    expected: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a span of time comes to in the end. `spent_nusd` of it is spent already; all is None where `doubt` says why."""

    spent_nusd: int
    expected_nusd: int | None = None
    low_nusd: int | None = None
    high_nusd: int | None = None
    doubt: Doubt | None = None


def look_ahead(by_day: Floats, n_days: int) -> Ahead | Doubt:
    """The coming `n_days`. `by_day`: nano-dollars of consecutive days, NaN where a day is not wholly known, the last one today's
    yesterday. Nobody is told of more days than are known."""
    known = np.flatnonzero(np.isfinite(by_day))
    n_recent = int((known >= len(by_day) - 7).sum())
    if len(known) < max(LEAST_DAYS, n_days) or n_recent < LEAST_RECENT:
        return Doubt.SHORT_HISTORY
    days, coming = known - len(by_day), np.arange(n_days)
    spent = by_day[known]
    has_trend = len(known) >= TREND_DAYS and _slope_t(days, spent) > _TREND_T
    fit, ahead = _terms(days, has_trend=has_trend), _terms(coming, has_trend=has_trend)
    weights, left, freedom = _solved(fit, spent)
    if freedom < 1:
        return Doubt.SHORT_HISTORY
    variance = float(left @ left) / freedom * _inflation(days, left)
    summed = np.cumsum(ahead, axis=0)
    sure = np.einsum("dp,pq,dq->d", summed, np.linalg.pinv(fit.T @ fit), summed)
    n = np.arange(1, n_days + 1)
    drift = _drift(days, left) * n**2 * (n + len(known)) / 3
    width = _t(freedom) * np.sqrt(np.maximum(variance * (sure + n), 0.0) + drift)
    expected = np.cumsum(np.maximum(ahead @ weights, 0.0))
    return Ahead(
        expected, np.maximum.accumulate(np.maximum(expected - width, 0.0)), np.maximum.accumulate(expected + width)
    )


def to_the_end(spent_nusd: int, by_day: Floats, *, n_days: int) -> Forecast:
    """`spent_nusd` and the coming `n_days` together. So wide an interval that it tells nothing is not told."""
    if n_days <= 0:
        return Forecast(spent_nusd, spent_nusd, spent_nusd, spent_nusd)
    ahead = look_ahead(by_day, n_days)
    if isinstance(ahead, Doubt):
        return Forecast(spent_nusd, doubt=ahead)
    expected, low, high = (spent_nusd + round(float(each[-1])) for each in (ahead.expected, ahead.low, ahead.high))
    if high - low > 2 * expected:
        return Forecast(spent_nusd, doubt=Doubt.ERRATIC)
    return Forecast(spent_nusd, expected, low, high)


def _terms(days: npt.NDArray[np.int64], *, has_trend: bool) -> Floats:
    """One row a day: a column for each day of the week, which together are the level, and the trend in weeks."""
    weekdays = (days[:, None] % 7 == np.arange(7)[None, :]).astype(np.float64)
    return np.column_stack((weekdays, days / 7)) if has_trend else weekdays


def _slope_t(days: npt.NDArray[np.int64], spent: Floats) -> float:
    """How many of its own errors the trend is from zero."""
    terms = _terms(days, has_trend=True)
    weights, left, freedom = _solved(terms, spent)
    if freedom < 1:
        return 0.0
    variance = float(left @ left) / freedom * _inflation(days, left) * float(np.linalg.pinv(terms.T @ terms)[-1, -1])
    floor = 1e-9 * max(float(np.abs(spent).max(initial=0.0)), 1.0)
    return abs(float(weights[-1])) / max(float(np.sqrt(variance)), floor)


def _solved(terms: Floats, spent: Floats) -> tuple[Floats, Floats, int]:
    """Weights, what they leave unexplained, and the degrees of freedom that is measured with."""
    weights, _, rank, _ = np.linalg.lstsq(terms, spent, rcond=None)
    return np.asarray(weights, dtype=np.float64), spent - terms @ weights, len(spent) - int(rank)


def _inflation(days: npt.NDArray[np.int64], left: Floats) -> float:
    """How much wider a sum of days is where a day resembles the one before: (1 + r) / (1 - r)."""
    follows = np.diff(days) == 1
    both = float(left @ left)
    if both <= 0 or not follows.any():
        return 1.0
    alike = float((left[1:] * left[:-1])[follows].sum()) / both
    alike = min(max(alike, 0.0), _MOST_ALIKE)
    return (1 + alike) / (1 - alike)


def _drift(days: npt.NDArray[np.int64], left: Floats) -> float:
    """How far the level wanders in a day, squared: what weeks differ by beyond what the noise of their days explains. A level
    that wandered since the middle of the history will wander on."""
    weeks = days // 7
    means = np.array([left[weeks == week].mean() for week in np.unique(weeks) if (weeks == week).sum() >= LEAST_RECENT])
    if len(means) < 3:
        return 0.0
    within = float(np.mean([left[weeks == week].var(ddof=1) for week in np.unique(weeks) if (weeks == week).sum() > 1]))
    steps = np.diff(means)
    return max(0.0, float(steps @ steps) / len(steps) - 2 * within / 7) * 3 / (2 * 7)


def _t(freedom: int) -> float:
    """Student's quantile of the interval, by the expansion of Cornish and Fisher: within 1 % from four degrees on."""
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
