"""Scores -> p-values, and an alert budget -> the level an alarm needs. Pure numpy.

The p-value of a score is conformal (Vovk, Gammerman, Shafer 2005): with n clean scores of rows the detector was not fitted
on, `p(s) = (1 + #{clean >= s}) / (n + 1)`. On clean data it is at most uniformly small, whatever the detector. Beyond the
largest clean score the formula stands still at 1 / (n + 1); there we go on with an exponential tail whose scale is the mean
excess of the highest clean scores (Balkema, de Haan 1974, Pickands 1975, with shape 0): this part is extrapolation, serves
ranking and the level for disabling, and is never larger than the conformal value. Cohorts are calibrated apart.

A level is found by counting what people would count: incidents (alarms on one key at most six hours apart), not buckets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.detect.levels import NEVER
from monitor.detect.patience import Gathered
from monitor.domain import BUCKET_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INCIDENT_GAP_S: Final = 6 * 3600
"""Alarms on one key at most this far apart are one incident."""

INCIDENT_SPAN_S: Final = 24 * 3600
"""An incident that goes on longer counts again each day: it disturbs people each day."""

CONFIRM_WITHIN_S: Final = 3600
"""A second hot bucket of the same key within this confirms the first."""

LONE_FACTOR: Final = 0.1
"""A single hot bucket alarms at once if its p-value is below this share of alpha."""

SHARES: Final = (0.4, 0.3, 0.3)
HOURLY_SHARES: Final = (0.2, 0.4, 0.4)
"""Of the alert budget: for one very odd bucket, for an hour, for six hours. In a history of whole hours one odd row and an odd hour are
the same thing, and a live bucket is odd far more often than an hour: there a lone row gets less."""

NEVER_REACHED: Final = 1.25
"""Margin over the largest clean score-hours where the budget allows less than one incident in all of the history."""

TIMES_EVEN: Final = 10.0
LEAST_HOURS: Final = (0.5, 1.5)
"""See `sobered`."""

TAIL_ROWS: Final = 50
"""Highest clean scores whose mean excess gives the scale of the extrapolated tail."""

MIN_COHORT_ROWS: Final = 1_000
"""A cohort with fewer clean rows is judged by the scores of all cohorts together."""

EXACT_ROWS: Final = 4_096
"""Highest scores kept one by one; below them every so-many-th is kept (rounded to the cautious side)."""

WEEK_S: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Cohort:
    """Clean scores of one cohort: `knots` ascending, `n_at_least[i]` clean rows scored `knots[i]` or more."""

    n_rows: int
    knots: Floats
    n_at_least: Ints
    tail_scale: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns scores into p-values: one entry a cohort, in the order of the cohort numbers."""

    cohorts: tuple[Cohort, ...]


def calibrate(scores: Floats, cohort_no: npt.NDArray[np.integer], *, n_cohorts: int) -> Calibration:
    """Calibration from clean scores (n,) of rows the detector did not learn from. Raises ValueError without scores."""
    if len(scores) == 0:
        raise ValueError("no clean scores to calibrate with")
    pooled = _cohort(scores)
    own = [scores[cohort_no == no] for no in range(n_cohorts)]
    return Calibration(tuple(_cohort(part) if len(part) >= MIN_COHORT_ROWS else pooled for part in own))


def _cohort(scores: Floats) -> Cohort:
    ordered = np.sort(scores)
    n = len(ordered)
    stride = max(1, n // EXACT_ROWS)
    kept = np.union1d(np.arange(0, max(n - EXACT_ROWS, 0), stride), np.arange(max(n - EXACT_ROWS, 0), n))
    knots, first = np.unique(ordered[kept], return_index=True)
    n_at_least = n - np.searchsorted(ordered, knots, side="left")
    top = ordered[-min(TAIL_ROWS, n) :]
    scale = float(np.mean(top - top[0]))
    floor = 1e-9 * max(1.0, float(np.abs(ordered).max()))
    assert len(first) == len(knots)
    return Cohort(n, knots, n_at_least.astype(np.int64), max(scale, floor))


def p_values(calibration: Calibration, scores: Floats, cohort_no: npt.NDArray[np.integer]) -> Floats:
    """p-values (n,) in (0, 1], non-increasing in the score within a cohort. A NaN score gets 1: nothing is known."""
    result = np.ones(len(scores))
    for no, cohort in enumerate(calibration.cohorts):
        mask = (cohort_no == no) & ~np.isnan(scores)
        if mask.any():
            result[mask] = _cohort_p(cohort, scores[mask])
    return result


def _cohort_p(cohort: Cohort, scores: Floats) -> Floats:
    # Of two knots around a score the lower one counts: the p-value is then too large, never too small.
    at = np.searchsorted(cohort.knots, scores, side="right") - 1
    n_above = np.where(at < 0, cohort.n_rows, cohort.n_at_least[np.maximum(at, 0)])
    n_above = np.where(scores > cohort.knots[-1], 0, n_above)
    excess = np.maximum(scores - cohort.knots[-1], 0.0) / cohort.tail_scale
    return np.asarray(np.maximum((1 + n_above) / (cohort.n_rows + 1) * np.exp(-excess), 1e-300))


def is_confirmed(p: Floats, at_s: Ints, last_hot_s: Ints, *, alpha: float | Floats) -> npt.NDArray[np.bool_]:
    """Whether a hot bucket (p <= alpha) raises the alarm: very hot alone, or a second one within the hour.

    `last_hot_s`: when the same key was hot in an earlier bucket, epoch seconds, 0 for never."""
    again = (last_hot_s > 0) & (at_s - last_hot_s <= CONFIRM_WITHIN_S)
    return (p <= alpha * LONE_FACTOR) | ((p <= alpha) & again)


def alarms(p: Floats, key_no: Ints, at_s: Ints, *, alpha: float, step_s: int = BUCKET_S) -> npt.NDArray[np.intp]:
    """Positions of the rows that raise the alarm at this alpha; rows sorted by (key_no, at_s), one each `step_s`.

    Rows of whole hours confirm themselves: what is hot for an hour is hot in two buckets of it."""
    hot = np.flatnonzero(p <= alpha)
    if step_s >= CONFIRM_WITHIN_S:
        return hot
    keys, times = key_no[hot], at_s[hot]
    same = np.concatenate([[False], keys[1:] == keys[:-1]])[: len(hot)]
    last = np.where(same, np.concatenate([[0], times[:-1]])[: len(hot)], 0)
    return hot[is_confirmed(p[hot], times, last, alpha=alpha)]


def n_incidents(key_no: Ints, at_s: Ints) -> int:
    """Incidents that alarms make, sorted by (key_no, at_s): gaps of six hours part them, each further day counts again."""
    if len(at_s) == 0:
        return 0
    starts = np.concatenate([[True], (key_no[1:] != key_no[:-1]) | (np.diff(at_s) > INCIDENT_GAP_S)])
    first = np.flatnonzero(starts)
    last = np.concatenate([first[1:] - 1, [len(at_s) - 1]])
    return int(len(first) + ((at_s[last] - at_s[first]) // INCIDENT_SPAN_S).sum())


def alpha_for_budget(
    p: Floats, key_no: Ints, at_s: Ints, *, span_s: float, per_week: float, step_s: int = BUCKET_S
) -> float:
    """The largest alpha at which clean rows raise at most `per_week` incidents a week; rows as for `alarms`.

    `p`: cross-fitted p-values of clean rows over `span_s` seconds, 1 where a gate keeps a row silent.
    Where the span is too short for even one allowed incident, alpha is lowered in proportion (p-values are uniform)."""
    allowed = per_week * span_s / WEEK_S
    candidates = np.unique(p[p < 1.0])
    if len(candidates) == 0:
        return 1.0 / (len(p) + 1)

    def n_raised(alpha: float) -> int:
        found = alarms(p, key_no, at_s, alpha=alpha, step_s=step_s)
        return n_incidents(key_no[found], at_s[found])

    low, high = -1, len(candidates) - 1
    while low < high:  # incidents grow with alpha, except where two merge: the search ends on one that fits
        middle = (low + high + 1) // 2
        if n_raised(float(candidates[middle])) <= max(1.0, allowed):
            low = middle
        else:
            high = middle - 1
    alpha = float(candidates[low]) if low >= 0 else float(candidates[0]) / 2
    return alpha * min(1.0, allowed)


@dataclass(frozen=True, slots=True)
class Clean:
    """What rows of clean history showed, sorted by (key_no, at_s), one each `step_s`: cross-fitted p-values, 1 where a gate keeps
    a row silent, and score-hours (detect/patience.py), there 0. `top`: score-hours of an hour spent at the highest clean score,
    the level where no row with a stake gathered anything."""

    p: Floats
    gathered: Gathered
    key_no: Ints
    at_s: Ints
    step_s: int = BUCKET_S
    top: float = NEVER

    @property
    def span_s(self) -> float:
        """Seconds from the first row to the last."""
        return float(self.at_s.max() - self.at_s.min())


@dataclass(frozen=True, slots=True)
class Budgeted:
    """What the alert budget buys: the level of each kind of alarm, and the incidents clean history raises with them."""

    alpha: float
    hour: float
    shift: float
    n_incidents: int


def levels_for_budget(clean: Clean, *, per_week: float) -> Budgeted:
    """Levels at which all kinds of alarm together raise at most `per_week` incidents a week in clean rows.

    Each kind has its share of the budget (SHARES, HOURLY_SHARES); where they are the same incidents, all get more."""
    allowed = per_week * clean.span_s / WEEK_S
    shares = SHARES if clean.step_s < CONFIRM_WITHIN_S else HOURLY_SHARES
    found = Budgeted(0.0, NEVER, NEVER, 0)
    for factor in np.arange(3.0, 0.3, -0.05).tolist():
        sudden, hour, shift = (min(1.0, factor * share) for share in shares)
        found = _bought(clean, per_week=per_week, sudden=sudden, hour=hour, shift=shift)
        if found.n_incidents <= max(1.0, allowed):
            break
    return found


def _bought(clean: Clean, *, per_week: float, sudden: float, hour: float, shift: float) -> Budgeted:
    """The levels for these shares of the budget."""
    p, key_no, at_s, step_s = clean.p, clean.key_no, clean.at_s, clean.step_s
    alpha = alpha_for_budget(p, key_no, at_s, span_s=clean.span_s, per_week=sudden * per_week, step_s=step_s)
    allowed = per_week * clean.span_s / WEEK_S
    short = _evidence_level(clean, clean.gathered.short, allowed=hour * allowed)
    long = _evidence_level(clean, clean.gathered.long, allowed=shift * allowed)
    return Budgeted(alpha, short, long, _n_raised(clean, alpha=alpha, hour=short, shift=long))


def n_raised(clean: Clean, bought: Budgeted, *, also: npt.NDArray[np.bool_]) -> int:
    """Incidents that all kinds of alarm together raise with what was bought, and with the rows told of `also`."""
    return _n_raised(clean, alpha=bought.alpha, hour=bought.hour, shift=bought.shift, also=also)


def _n_raised(
    clean: Clean, *, alpha: float, hour: float, shift: float, also: npt.NDArray[np.bool_] | None = None
) -> int:
    told = np.zeros(len(clean.p), dtype=np.bool_) if also is None else also.copy()
    told[alarms(clean.p, clean.key_no, clean.at_s, alpha=alpha, step_s=clean.step_s)] = True
    told |= (clean.gathered.short >= hour) | (clean.gathered.long >= shift)
    return n_incidents(clean.key_no[told], clean.at_s[told])


def sobered(bought: Budgeted, clean: Clean, scores: Floats, *, floor: float, per_week: float) -> Budgeted:
    """The levels a budget buys, but never such that are no evidence at all.

    A fleet whose month had hardly any unusual dollars affords levels that everything odd passes as soon as a few dollars come
    with it: on quiet history the budget says nothing. So alpha is at most TIMES_EVEN what would spend the budget if every look
    at every key were a chance of its own; and evidence is at least half an hour, or an hour and a half, of a bucket that rare."""
    n_looks = len(np.unique(clean.key_no)) * WEEK_S / BUCKET_S
    alpha = min(bought.alpha, TIMES_EVEN * per_week / n_looks)
    excess = max(float(np.quantile(scores, 1.0 - min(alpha, 1.0))) - floor, 0.0)
    hour, shift = max(bought.hour, LEAST_HOURS[0] * excess), max(bought.shift, LEAST_HOURS[1] * excess)
    if (alpha, hour, shift) == (bought.alpha, bought.hour, bought.shift):
        return bought
    return Budgeted(alpha, hour, shift, _n_raised(clean, alpha=alpha, hour=hour, shift=shift))


def _evidence_level(clean: Clean, gathered: Floats, *, allowed: float) -> float:
    """The lowest score-hours that clean rows reach in at most `allowed` incidents; beyond the highest where not even one is."""
    highest = float(gathered.max(initial=0.0))
    if highest <= 0.0:
        return clean.top
    if allowed < 1.0:
        return NEVER_REACHED * highest
    candidates = np.unique(gathered[gathered > 0.0])
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        told = np.flatnonzero(gathered >= candidates[middle])
        if n_incidents(clean.key_no[told], clean.at_s[told]) <= allowed:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def folds(key_no: npt.NDArray[np.integer], *, n_folds: int) -> Ints:
    """A fold number for each row, the same for all rows of a key, whatever other keys there are (a multiplicative hash)."""
    mixed = (key_no.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((mixed >> np.uint64(40)) % np.uint64(n_folds), dtype=np.int64)
